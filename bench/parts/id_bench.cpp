// Making an id, and what the parts of it cost.
#include <benchmark/benchmark.h>
#include <openssl/rand.h>

#include <array>

#include "websession/session_id.hpp"

namespace {

void generate_id(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(websession::SessionId::generate());
}
BENCHMARK(generate_id)->Threads(1)->Threads(2);

// What it would cost to ask the generator for each id.
void rand_bytes_24(benchmark::State& state) {
  std::array<unsigned char, 24> bytes{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())));
  }
}
BENCHMARK(rand_bytes_24);

void parse_id(benchmark::State& state) {
  const std::string text(32, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(websession::SessionId::parse(text));
}
BENCHMARK(parse_id);

}  // namespace
