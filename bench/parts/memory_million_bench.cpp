// What a million sessions take, and what the worst call costs while all of them expire at once.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <vector>

#include "memory_candidates.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::bench {
namespace {

constexpr std::size_t million = 1'000'000;

std::size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What the allocator has handed out for it: names, values, keys, tables, its own headers.
template <class Store>
void bytes_a_session(benchmark::State& state) {
  for (auto _ : state) {
    const std::size_t before = allocated_bytes();
    const auto store = std::make_unique<Store>();
    for (std::size_t i = 0; i < million; ++i) store->add(id_of(i));
    state.counters["bytes_a_session"] =
        static_cast<double>(allocated_bytes() - before) / static_cast<double>(million);
  }
}

// The processor time that this thread has used, in microseconds: unlike the time on the wall it
// does not count what other processes took in between.
double used_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// Calls of every kind until all of the million are gone, and the slowest of them.
void worst_call_while_a_million_expire(benchmark::State& state) {
  using std::chrono::milliseconds;
  for (auto _ : state) {
    auto clock = std::make_shared<testing::ManualClock>();
    MemoryStore store(MemoryOptions{.sessions_max = 2 * million,
                                    .bytes_max = std::numeric_limits<std::size_t>::max(),
                                    .clock = clock});
    std::vector<double> create_us;
    const Fields fields = session_fields();
    for (std::size_t i = 0; i < million; ++i) {
      const StoreKey key(id_of(i));
      const double start = used_us();
      static_cast<void>(store.create(key, fields, {milliseconds(1000)}));
      create_us.push_back(used_us() - start);
    }
    clock->advance(milliseconds(1000));
    std::vector<double> call_us;
    Changes changes;
    changes.set.push_back({"locale", "en-GB"});
    // Each call removes two, so this is enough for all of them.
    for (std::size_t i = million; i < million + 600'000; ++i) {
      const StoreKey key(id_of(i));
      const double start = used_us();
      switch (i % 3) {
        case 0:
          static_cast<void>(store.create(key, fields, {milliseconds(1000)}));
          break;
        case 1:
          static_cast<void>(store.load(key));
          break;
        default:
          static_cast<void>(store.update(StoreKey(id_of(i - 2)), changes, {milliseconds(1000)}));
          break;
      }
      call_us.push_back(used_us() - start);
    }
    const auto worst = [](const std::vector<double>& all) {
      return *std::max_element(all.begin(), all.end());
    };
    std::nth_element(call_us.begin(), call_us.end() - call_us.size() / 10'000, call_us.end());
    state.counters["expired_left"] = static_cast<double>(store.sweep(million));
    state.counters["p9999_us"] = call_us[call_us.size() - call_us.size() / 10'000];
    state.counters["worst_us"] = worst(call_us);
    state.counters["worst_create_while_growing_us"] = worst(create_us);
  }
}

// Only once each: filling takes a second or so.
BENCHMARK_TEMPLATE(bytes_a_session, OneMutex)->Iterations(1);
#ifdef WEBSESSION_BENCH_ABSL
BENCHMARK_TEMPLATE(bytes_a_session, AbslSharded)->Iterations(1);
#endif
BENCHMARK_TEMPLATE(bytes_a_session, Ours)->Iterations(1);
BENCHMARK(worst_call_while_a_million_expire)->Iterations(1);

}  // namespace
}  // namespace websession::bench

BENCHMARK_MAIN();
