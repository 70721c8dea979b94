// What every soak watches and tells.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "possessions.hpp"
#include "redis_server.hpp"
#include "session_history.hpp"

namespace websession::testing {

inline constexpr std::size_t mebibyte = std::size_t{1024} * 1024;

// Looks at all keys again and again, on a connection of its own: none is without a time to live.
class Watcher {
 public:
  Watcher(const RedisServer& server, std::string prefix, Tally& tally)
      : server_(server), prefix_(std::move(prefix)), tally_(tally), thread_([this] { run(); }) {}
  ~Watcher() {
    done_ = true;
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void look(RedisProbe& probe) {
    for (const std::string& key : probe.keys(prefix_)) {
      if (probe.integer({"PTTL", key}) == -1) tally_.fail("a key without a time to live");
      ++looks_;
    }
  }
  [[nodiscard]] std::uint64_t looks() const { return looks_; }

 private:
  void run() {
    // hiredis does not keep SIGPIPE from this thread, whose connection is among those that are cut.
    // For the others it stays as it is: it would end the process, and so show itself.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (!done_) {
      try {
        RedisProbe probe(server_);
        while (!done_) {
          look(probe);
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
      } catch (const std::exception&) {  // the server is down, or loading
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  const RedisServer& server_;
  const std::string prefix_;
  Tally& tally_;
  std::atomic<bool> done_ = false;
  std::atomic<std::uint64_t> looks_ = 0;
  std::thread thread_;
};

// Whether memory has stopped growing.
class MemoryCurve {
 public:
  void sample() { samples_.push_back(possessions().resident_bytes); }

  void judge(Tally& tally) const {
    if (samples_.size() < 6) return;
    // The first sixth is for warming up.
    const auto at = [&](std::size_t sixth) {
      return std::next(samples_.begin(), static_cast<std::ptrdiff_t>(samples_.size() * sixth / 6));
    };
    const std::size_t first = *std::max_element(at(1), at(3));
    const std::size_t last = *std::max_element(at(4), samples_.end());
    std::printf("resident memory: %zu MiB at most early, %zu MiB late\n", first / mebibyte,
                last / mebibyte);
    // A sanitizer's own books grow.
    if (!sanitized && last > first + std::max(16 * mebibyte, first / 10)) {
      tally.fail("resident memory grows");
    }
  }

 private:
  std::vector<std::size_t> samples_;
};

inline void print_progress(std::chrono::steady_clock::duration since, const Tally& tally,
                           std::uint64_t looks) {
  std::printf(
      "%4lld s  %llu calls, %llu failed, %llu in limbo, %llu looks at keys, %zu MiB\n",
      static_cast<long long>(std::chrono::duration_cast<std::chrono::seconds>(since).count()),
      static_cast<unsigned long long>(tally.calls()),
      static_cast<unsigned long long>(tally.calls() - tally.successes()),
      static_cast<unsigned long long>(tally.in_limbo()), static_cast<unsigned long long>(looks),
      possessions().resident_bytes / mebibyte);
  std::fflush(stdout);
}

inline void print_calls(const Tally& tally, std::uint64_t looks) {
  std::printf("calls: %llu, of which %llu succeeded; writes in limbo: %llu; looks at keys: %llu\n",
              static_cast<unsigned long long>(tally.calls()),
              static_cast<unsigned long long>(tally.successes()),
              static_cast<unsigned long long>(tally.in_limbo()),
              static_cast<unsigned long long>(looks));
  std::printf("slowest call: %.1f ms after its deadline\n",
              static_cast<double>(tally.worst_overrun().count()) / 1000);
  std::printf("errors:\n");
  for (const auto& [message, count] : tally.messages()) {
    std::printf("  %6llu  %s\n", static_cast<unsigned long long>(count), message.c_str());
  }
}

}  // namespace websession::testing
