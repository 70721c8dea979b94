// What it takes to look at a million sessions in Redis: each step of it, what others notice of it
// meanwhile, and websession-admin as a whole.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "durations.hpp"
#include "redis_server.hpp"
#include "session_data.hpp"
#include "websession/redis_store.hpp"
#include "websession/session_directory.hpp"

namespace websession::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t million = 1'000'000;
constexpr Lifetime day{std::chrono::hours(24), {}};

// Filled once.
struct Site {
  testing::RedisServer server;
  std::shared_ptr<RedisStore> store = RedisStore::connect(server.url()).value();
  const StoreKey alive{"alive"};

  Site() {
    constexpr std::size_t threads_that_fill = 64;  // they share round trips
    if (!store->create(alive, session_fields(), day)) std::abort();
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < threads_that_fill; ++t) {
      threads.emplace_back([&, t] {
        const Fields fields = session_fields();
        for (std::size_t i = t + 1; i < million; i += threads_that_fill) {
          if (!store->create(StoreKey(SessionId::generate().value()), fields, day)) std::abort();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
};

Site& site() {
  static Site one;
  return one;
}

// Another process' visitor, meanwhile.
class Visitor {
 public:
  explicit Visitor(Site& of) : store_(RedisStore::connect(of.server.url()).value()) {
    thread_ = std::thread([this, &of] {
      while (!done_) loads_.take([&] { return store_->load(of.alive).has_value(); });
    });
  }
  void tell(benchmark::State& state, const std::string& when) {
    done_ = true;
    thread_.join();
    loads_.tell(state, when + "load");
  }

 private:
  std::shared_ptr<RedisStore> store_;
  std::atomic<bool> done_ = false;
  Durations loads_;
  std::thread thread_;
};

// All pages of keys.
void walk(benchmark::State& state) {
  Site& of = site();
  for (auto _ : state) {
    Visitor in_quiet(of);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    in_quiet.tell(state, "quiet_");

    Visitor meanwhile(of);
    const auto begin = SteadyClock::now();
    double longest = 0;
    std::size_t keys = 0;
    std::size_t pages = 0;
    DirectoryCursor cursor;
    while (true) {
      const auto page_begins = SteadyClock::now();
      const DirectoryPage page = of.store->page(cursor, 1000).value();
      longest = std::max(longest, Microseconds(SteadyClock::now() - page_begins).count());
      keys += page.keys.size();
      ++pages;
      if (page.is_last) break;
      cursor = page.next;
    }
    state.counters["seconds"] = Seconds(SteadyClock::now() - begin).count();
    meanwhile.tell(state, "");
    if (keys < million) state.SkipWithError("sessions are missing");
    state.counters["keys"] = static_cast<double>(keys);
    state.counters["pages"] = static_cast<double>(pages);
    state.counters["longest_page_us"] = longest;

    const auto count_begins = SteadyClock::now();
    const SessionCount count = of.store->count().value();
    state.counters["count_us"] = Microseconds(SteadyClock::now() - count_begins).count();
    state.counters["count_off_by_percent"] =
        100.0 * (static_cast<double>(count.sessions) / static_cast<double>(million) - 1);
  }
}

// Runs the program, whose output goes nowhere.
void admin(benchmark::State& state, const std::vector<std::string>& words) {
  Site& of = site();
  std::vector<std::string> line{WEBSESSION_ADMIN_PROGRAM, "--store", of.server.url()};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  for (auto _ : state) {
    const auto begin = SteadyClock::now();
    const pid_t child = ::fork();
    if (child == 0) {
      const int nowhere = ::open("/dev/null", O_WRONLY);
      ::dup2(nowhere, STDOUT_FILENO);
      ::dup2(nowhere, STDERR_FILENO);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    int status = 0;
    rusage used{};
    ::wait4(child, &status, 0, &used);
    if (status != 0) state.SkipWithError("websession-admin has failed");
    state.counters["seconds"] = Seconds(SteadyClock::now() - begin).count();
    state.counters["memory_max_mib"] = static_cast<double>(used.ru_maxrss) / 1024;
  }
}

}  // namespace
}  // namespace websession::bench

int main(int argc, char** argv) {
  using namespace websession::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const auto register_one = [](const char* name, auto run) {
    benchmark::RegisterBenchmark(name, run)->Iterations(1)->Repetitions(5);
  };
  register_one("all_pages_of_a_million", walk);
  register_one("websession_admin/count", [](auto& state) { admin(state, {"count"}); });
  register_one("websession_admin/count_exact", [](auto& state) {
    admin(state, {"count", "--exact"});
  });
  register_one("websession_admin/list", [](auto& state) { admin(state, {"list"}); });
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
