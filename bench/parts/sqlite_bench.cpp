// The SQLite store: LOAD, SAVE (one attribute) and CYCLE = LOAD + SAVE on 100,000 sessions; and
// what a million of them that have expired cost others while they are removed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "session_data.hpp"
#include "temporary_folder.hpp"
#include "websession/sqlite_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::bench {
namespace {

using Synchronous = SqliteOptions::Synchronous;
using std::chrono::milliseconds;

constexpr Lifetime day{std::chrono::hours(24), "482913"};
constexpr int threads_that_fill = 32;  // they share transactions

// A file of its own, which ends with it.
class File {
 public:
  std::shared_ptr<SqliteStore> open(Synchronous synchronous,
                                    std::shared_ptr<const Clock> clock = {}) const {
    SqliteOptions options;
    options.synchronous = synchronous;
    options.operation_timeout = std::chrono::minutes(1);
    options.clock = std::move(clock);
    return SqliteStore::open(folder_.path() + "/sessions.db", options).value();
  }
  [[nodiscard]] std::uintmax_t bytes() const {
    return std::filesystem::file_size(folder_.path() + "/sessions.db");
  }

 private:
  testing::TemporaryFolder folder_{"bench"};
};

void fill(SqliteStore& store, std::size_t sessions, Lifetime lifetime) {
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < threads_that_fill; ++t) {
    threads.emplace_back([&, t] {
      const Fields fields = session_fields();
      for (std::size_t i = t; i < sessions; i += threads_that_fill) {
        if (!store.create(StoreKey(id_of(i)), fields, lifetime)) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

constexpr std::size_t sessions = 100'000;
// Filled before the first run, and reopened as each run wants it.
std::unique_ptr<File> file;
std::shared_ptr<SqliteStore> store;

template <Synchronous synchronous>
void open_filled(const benchmark::State&) {
  if (!file) {
    file = std::make_unique<File>();
    fill(*file->open(Synchronous::off), sessions, day);
  }
  store = file->open(synchronous);
}

enum class Operation { load, save, cycle };

template <Operation operation>
void run(benchmark::State& state) {
  std::minstd_rand engine(static_cast<std::uint32_t>(state.thread_index()) + 1);
  Changes changes;
  changes.set.push_back({"csrf", std::string(session_data[3].second)});
  bool found = true;
  for (auto _ : state) {
    const StoreKey key(id_of(engine() % sessions));
    if (operation != Operation::save) {
      const auto record = store->load(key);
      found &= record.has_value() && record->has_value();
    }
    if (operation != Operation::load) {
      char& first = changes.set[0].value[0];
      first = first == 'a' ? 'b' : 'a';
      const auto outcome = store->update(key, changes, {std::chrono::hours(1)});
      found &= outcome && outcome->status == Outcome::Status::applied;
    }
  }
  if (!found) state.SkipWithError("a session was missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

template <Operation operation, Synchronous synchronous>
void add(const std::string& name) {
  benchmark::RegisterBenchmark(name.c_str(), run<operation>)
      ->Setup(open_filled<synchronous>)
      ->UseRealTime()
      ->Threads(1)
      ->Threads(16)
      ->Threads(64);
}

using Time = std::chrono::steady_clock::time_point;
double us_since(Time begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

// Calls of one thread while another one sweeps.
void worst_call_while_a_million_are_swept(benchmark::State& state) {
  constexpr std::size_t million = 1'000'000;
  for (auto _ : state) {
    const File large;
    const auto clock = std::make_shared<testing::ManualClock>();
    {
      const auto filling = large.open(Synchronous::off, clock);
      fill(*filling, million, {milliseconds(1000), "482913"});
    }
    const auto used = large.open(Synchronous::normal, clock);
    const StoreKey key("alive");
    if (!used->create(key, session_fields(), day)) std::abort();
    clock->advance(milliseconds(2000));
    std::atomic<bool> done = false;
    std::size_t swept = 0;
    std::thread sweeper([&] {
      swept = used->sweep(2 * million).value();
      done = true;
    });
    std::vector<double> load_us;
    std::vector<double> update_us;
    Changes changes;
    changes.set.push_back({"locale", "en-GB"});
    const auto began = std::chrono::steady_clock::now();
    while (!done) {
      auto begin = std::chrono::steady_clock::now();
      if (!used->load(key).has_value()) std::abort();
      load_us.push_back(us_since(begin));
      begin = std::chrono::steady_clock::now();
      if (!used->update(key, changes, day)) std::abort();
      update_us.push_back(us_since(begin));
    }
    sweeper.join();
    const auto tell = [&state](const std::string& name, std::vector<double>& all) {
      std::sort(all.begin(), all.end());
      state.counters[name + "_median_us"] = all[all.size() / 2];
      state.counters[name + "_p999_us"] = all[all.size() - 1 - all.size() / 1000];
      state.counters[name + "_worst_us"] = all.back();
    };
    tell("load", load_us);
    tell("update", update_us);
    state.counters["swept"] = static_cast<double>(swept);
    state.counters["swept_a_second"] = static_cast<double>(swept) * 1e6 / us_since(began);
    state.counters["file_bytes_a_session"] = static_cast<double>(large.bytes()) / million;
  }
}

}  // namespace
}  // namespace websession::bench

int main(int argc, char** argv) {
  using namespace websession::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add<Operation::load, Synchronous::full>("LOAD/SqliteStore");
  add<Operation::save, Synchronous::full>("SAVE/SqliteStore, full");
  add<Operation::save, Synchronous::normal>("SAVE/SqliteStore, normal");
  add<Operation::cycle, Synchronous::full>("CYCLE/SqliteStore, full");
  add<Operation::cycle, Synchronous::normal>("CYCLE/SqliteStore, normal");
  benchmark::RegisterBenchmark("worst_call_while_a_million_are_swept",
                               worst_call_while_a_million_are_swept)
      ->Iterations(1);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  store.reset();
  file.reset();
  return 0;
}
