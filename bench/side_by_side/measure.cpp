#include "measure.hpp"

#include <sys/resource.h>

#include <array>
#include <atomic>
#include <barrier>
#include <exception>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "counters.hpp"
#include "histogram.hpp"
#include "session.hpp"

namespace websession::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto warm_up = std::chrono::milliseconds(150);

struct ProcessUse {
  double cpu_seconds = 0;
  std::int64_t context_switches = 0;
};

ProcessUse process_use() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_nvcsw};
}

// What a thread did in the run.
struct ThreadResult {
  Histogram latencies;
  std::uint64_t requests = 0;
  Counters counters;
};

// What one thread is asked to do.
class UntilTheEnd final : public Requests {
 public:
  UntilTheEnd(const Keys& keys, Operation operation, SteadyClock::time_point end,
              const std::atomic<bool>& failed, std::minstd_rand& random, ThreadResult& result)
      : keys_(keys),
        operation_(operation),
        end_(end),
        failed_(failed),
        random_(random),
        result_(result) {}

  bool begin(Request& request) override {
    if (request.since == SteadyClock::time_point()) request.since = SteadyClock::now();
    if (request.since >= end_ || failed_) return false;
    request.session = random_() % keys_.ids.size();
    request.loads = operation_ != Operation::save;
    request.saves = operation_ != Operation::load;
    if (request.value.empty()) request.value = session_fields.back().second;
    if (request.saves) {
      // The time of day changes with each request.
      for (const std::size_t digit : {20U, 21U, 22U}) {
        request.value[digit] = static_cast<char>('0' + random_() % 10);
      }
    }
    return true;
  }
  // The next one begins when this one ends.
  void end(Request& request) override {
    const auto now = SteadyClock::now();
    result_.latencies.add(static_cast<std::uint64_t>((now - request.since).count()));
    ++result_.requests;
    request.since = now;
  }

 private:
  const Keys& keys_;
  const Operation operation_;
  const SteadyClock::time_point end_;
  const std::atomic<bool>& failed_;
  std::minstd_rand& random_;
  ThreadResult& result_;
};

// What the threads of a run share.
class Run {
 public:
  Run(Client& client, const Keys& keys, const Load& load)
      : client_(client),
        keys_(keys),
        load_(load),
        gate_(static_cast<std::ptrdiff_t>(client.threads(load.threads)) + 1) {}

  void work(std::uint64_t seed, ThreadResult& result) {
    std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed));
    std::unique_ptr<Worker> worker;
    attempt([&] {
      worker = client_.worker();
      ThreadResult ignored;
      UntilTheEnd requests(keys_, load_.operation, SteadyClock::now() + warm_up, failed_, random,
                           ignored);
      worker->work(requests);
    });
    gate_.arrive_and_wait();  // all are warm
    gate_.arrive_and_wait();  // the meters have started
    attempt([&] {
      if (failed_) return;
      const Counters before = counters_of_this_thread();
      const auto end =
          SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(load_.duration);
      UntilTheEnd requests(keys_, load_.operation, end, failed_, random, result);
      worker->work(requests);
      result.counters = counters_of_this_thread() - before;
    });
    gate_.arrive_and_wait();  // all are done
  }

  // Keeps what the function throws; the run ends early then.
  template <class Function>
  void attempt(Function function) {
    try {
      function();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void wait() { gate_.arrive_and_wait(); }

  void rethrow() {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  Client& client_;
  const Keys& keys_;
  const Load& load_;
  std::barrier<> gate_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

std::string_view name_of(Operation operation) noexcept {
  switch (operation) {
    case Operation::load:
      return "LOAD";
    case Operation::save:
      return "SAVE";
    case Operation::cycle:
      break;
  }
  return "CYCLE";
}

Sample measure(Client& client, const Keys& keys, const Load& load, ServerMeter& server) {
  Run run(client, keys, load);
  std::vector<ThreadResult> results(client.threads(load.threads));
  std::vector<std::jthread> threads;
  std::random_device seed;
  for (ThreadResult& result : results) {
    threads.emplace_back([&run, &result, s = seed()] { run.work(s, result); });
  }
  run.wait();
  run.attempt([&server] { server.start(); });  // or the threads would wait for ever
  const ProcessUse use_before = process_use();
  const auto start = SteadyClock::now();
  run.wait();
  run.wait();
  Sample sample;
  sample.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  const ProcessUse use_after = process_use();
  threads.clear();  // joins
  run.rethrow();
  sample.server = server.stop();

  Histogram latencies;
  Counters counters;
  for (const ThreadResult& result : results) {
    latencies += result.latencies;
    counters += result.counters;
    sample.requests += result.requests;
  }
  sample.p50_us = static_cast<double>(latencies.quantile(0.50)) / 1e3;
  sample.p99_us = static_cast<double>(latencies.quantile(0.99)) / 1e3;
  sample.cpu_seconds = use_after.cpu_seconds - use_before.cpu_seconds;
  sample.context_switches = use_after.context_switches - use_before.context_switches;
  sample.writes = counters.writes;
  sample.reads = counters.reads;
  sample.waits = static_cast<std::int64_t>(counters.waits);
  sample.yields = static_cast<std::int64_t>(counters.yields);
  sample.allocations = static_cast<std::int64_t>(counters.allocations);
  return sample;
}

}  // namespace websession::bench
