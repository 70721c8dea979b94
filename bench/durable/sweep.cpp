// What a million sessions that have expired cost others while they are removed: calls of one
// thread, first in quiet, then while another thread sweeps. No commit waits for the disk here,
// which would hide what is asked.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "durations.hpp"
#include "postgres_server.hpp"
#include "session_data.hpp"
#include "temporary_folder.hpp"
#include "websession/postgres_store.hpp"
#include "websession/sqlite_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr std::size_t million = 1'000'000;
constexpr Lifetime day{std::chrono::hours(24), "482913"};
constexpr auto quiet_time = seconds(5);

void fill(SessionStore& store, Lifetime lifetime) {
  constexpr std::size_t threads_that_fill = 32;  // they share transactions
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < threads_that_fill; ++t) {
    threads.emplace_back([&, t] {
      const Fields fields = session_fields();
      for (std::size_t i = t; i < million; i += threads_that_fill) {
        if (!store.create(StoreKey(id_of(i)), fields, lifetime)) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// One visitor and those who are new, until `done`.
void call(benchmark::State& state, SessionStore& store, const std::string& when,
          const std::function<bool()>& done) {
  static std::size_t made = million;
  const StoreKey key("alive");
  Changes changes;
  changes.set.push_back({"locale", "en-GB"});
  const Fields fields = session_fields();
  Durations load;
  Durations update;
  Durations create;
  while (!done()) {
    load.take([&] { return store.load(key).has_value(); });
    update.take([&] { return store.update(key, changes, day).has_value(); });
    create.take([&] { return store.create(StoreKey(id_of(made++)), fields, day).has_value(); });
  }
  load.tell(state, when + "load");
  update.tell(state, when + "update");
  create.tell(state, when + "create");
}

// `expire` lets all sessions but one's own expire.
template <class Store>
void measure(benchmark::State& state, Store& store, const std::function<void()>& expire) {
  if (!store.create(StoreKey("alive"), session_fields(), day)) std::abort();
  const auto quiet_until = SteadyClock::now() + quiet_time;
  call(state, store, "quiet_", [&] { return SteadyClock::now() >= quiet_until; });
  expire();
  std::atomic<bool> done = false;
  std::size_t swept = 0;
  const auto began = SteadyClock::now();
  std::thread sweeper([&] {
    swept = store.sweep(2 * million).value();
    done = true;
  });
  call(state, store, "", [&] { return done.load(); });
  sweeper.join();
  state.counters["swept"] = static_cast<double>(swept);
  state.counters["swept_a_second"] =
      static_cast<double>(swept) /
      std::chrono::duration<double>(SteadyClock::now() - began).count();
}

void sqlite(benchmark::State& state) {
  for (auto _ : state) {
    const testing::TemporaryFolder folder("bench");
    const std::string file = folder.path() + "/sessions.db";
    const auto clock = std::make_shared<testing::ManualClock>();
    SqliteOptions options;
    options.synchronous = SqliteOptions::Synchronous::off;
    options.operation_timeout = std::chrono::minutes(1);
    options.clock = clock;
    fill(*SqliteStore::open(file, options).value(), {seconds(1), "482913"});
    options.synchronous = SqliteOptions::Synchronous::normal;
    const auto store = SqliteStore::open(file, options).value();
    measure(state, *store, [&] { clock->advance(seconds(2)); });
    state.counters["bytes_a_session"] =
        static_cast<double>(std::filesystem::file_size(file)) / million;
  }
}

void postgres(benchmark::State& state) {
  for (auto _ : state) {
    const testing::PostgresServer server({"fsync=on", "shared_buffers=128MB"});
    PostgresOptions options;
    options.operation_timeout = std::chrono::minutes(1);
    const auto store =
        PostgresStore::connect(server.conninfo("options='-c synchronous_commit=off'"), options)
            .value();
    fill(*store, {std::chrono::hours(1), "482913"});
    testing::PostgresProbe probe(server.conninfo());
    state.counters["bytes_a_session"] =
        std::stod(probe.text("SELECT pg_total_relation_size('websession_sessions')")) / million;
    probe.run("ANALYZE");
    measure(state, *store, [&] {
      probe.run(
          "UPDATE websession_sessions SET expires_at = now() - interval '1 second' "
          "WHERE expires_at < now() + interval '2 hours'");
      probe.run("VACUUM");
      probe.run("CHECKPOINT");
    });
  }
}

}  // namespace
}  // namespace websession::bench

int main(int argc, char** argv) {
  using namespace websession::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RegisterBenchmark("worst_call_while_a_million_are_swept/SqliteStore", sqlite)
      ->Iterations(1)
      ->Repetitions(3);
  benchmark::RegisterBenchmark("worst_call_while_a_million_are_swept/PostgresStore", postgres)
      ->Iterations(1)
      ->Repetitions(3);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
