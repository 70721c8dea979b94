// The memory store against plain maps: LOAD, and CYCLE = load, change one field, save (a request).
// Ratios count, so run with
//   --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>

#include "memory_candidates.hpp"

namespace websession::bench {
namespace {

constexpr std::size_t sessions = 100'000;

// Filled before its first run; it stays, since the runs of the candidates are interleaved.
template <class Store>
std::unique_ptr<Store> store_of;

template <class Store>
void fill(const benchmark::State&) {
  if (store_of<Store>) return;
  store_of<Store> = std::make_unique<Store>();
  for (std::size_t i = 0; i < sessions; ++i) store_of<Store>->add(id_of(i));
}

// Ids of sessions in random order, another one for each thread.
class Ids {
 public:
  explicit Ids(int thread) : engine_(static_cast<std::uint32_t>(thread) + 1) {}
  std::string next() { return id_of(engine_() % sessions); }

 private:
  std::minstd_rand engine_;
};

void finish(benchmark::State& state, bool found) {
  if (!found) state.SkipWithError("a session was missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// What every run pays besides: making up the id.
void only_ids(benchmark::State& state) {
  Ids ids(state.thread_index());
  for (auto _ : state) benchmark::DoNotOptimize(ids.next());
}

template <class Store>
void load(benchmark::State& state) {
  Store& store = *store_of<Store>;
  Ids ids(state.thread_index());
  bool found = true;
  for (auto _ : state) {
    const auto snapshot = store.load(ids.next());
    found &= snapshot.has_value();
    if (snapshot) benchmark::DoNotOptimize(Store::csrf(*snapshot).data());
  }
  finish(state, found);
}

template <class Store>
void cycle(benchmark::State& state) {
  Store& store = *store_of<Store>;
  Ids ids(state.thread_index());
  const std::string name = "csrf";
  std::string value(session_data[3].second);
  bool found = true;
  for (auto _ : state) {
    const std::string id = ids.next();
    const auto snapshot = store.load(id);  // held while saving, as a request does
    found &= snapshot.has_value();
    if (snapshot) benchmark::DoNotOptimize(Store::csrf(*snapshot).data());
    value[0] = value[0] == 'a' ? 'b' : 'a';
    found &= store.save(id, name, value);
  }
  finish(state, found);
}

template <class Store>
void compare(const std::string& name) {
  const auto add = [](const std::string& title, void (*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(title.c_str(), run)
        ->Setup(fill<Store>)
        ->UseRealTime()
        ->Threads(1)
        ->Threads(4)
        ->Threads(16);
  };
  add("LOAD/" + name, load<Store>);
  add("CYCLE/" + name, cycle<Store>);
}

}  // namespace
}  // namespace websession::bench

int main(int argc, char** argv) {
  using namespace websession::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RegisterBenchmark("ids alone", only_ids);
  compare<OneMutex>("one mutex, deep copies");
  compare<Sharded>("64 shards, deep copies");
#ifdef WEBSESSION_BENCH_ABSL
  compare<AbslSharded>("absl::flat_hash_map x 64, deep copies");
#else
  benchmark::AddCustomContext("absl::flat_hash_map", "not measured here");
#endif
  benchmark::AddCustomContext("boost::concurrent_flat_map", "not measured here");
  compare<Ours>("MemoryStore");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
