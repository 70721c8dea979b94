// The soak: 64 threads on a RedisStore, a fault every second, and checkers that know every
// session's history (tests/support/session_history.hpp).
//
//   soak [--async] [--cluster] [seconds] [seed]    600 seconds, and a random seed, which is printed
//
// --async: the store is an AsyncRedisStore on an event loop, to which the threads post.
// --cluster: on a Redis Cluster, whose slots move and whose primaries die (cluster_soak.hpp).
//
// It fails when an acknowledged write was lost, an erased or expired session came back, a reply
// reached another caller, a call came back after its deadline and a margin of 2 s, a key had no
// time to live, memory grew (the most of the last third of the time exceeds the most of the first
// by 16 MiB and by 10 %), or a descriptor was left. Exit code: 0, 1 when it failed, 2 when it could
// not run.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cluster_soak.hpp"
#include "connect_redis.hpp"
#include "crowd.hpp"
#include "possessions.hpp"
#include "redis_server.hpp"
#include "session_history.hpp"
#include "soak_parts.hpp"
#include "tcp_proxy.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds operation_timeout{250};
constexpr milliseconds scheduling_margin{2000};

// Makes the faults. Each has ended when its function returns, but for what it broke.
class Saboteur {
 public:
  Saboteur(RedisServer& server, TcpProxy& proxy, std::uint64_t seed)
      : server_(server), proxy_(proxy), engine_(seed) {}

  void strike() {
    const std::size_t chosen = engine_() % faults.size();
    ++strikes_.at(chosen);
    (this->*faults.at(chosen).make)();
  }

  void report() const {
    for (std::size_t i = 0; i < faults.size(); ++i) {
      std::printf("  %6d  %s\n", strikes_.at(i), faults.at(i).name);
    }
  }

 private:
  struct Fault {
    const char* name;
    void (Saboteur::*make)();
  };

  void reset_connections() { proxy_.reset_all(); }
  void close_connections() { proxy_.close_all(); }
  void cut_a_reply() { cut(TcpProxy::Way::replies); }
  void cut_a_request() { cut(TcpProxy::Way::requests); }
  void stay_silent() {
    proxy_.stay_silent();
    last(200, 1000);
  }
  void stall_a_connection() {
    proxy_.cut(TcpProxy::Way::replies, below(20'000), TcpProxy::End::stall);
    last(200, 1000);
  }
  void refuse() {
    proxy_.refuse();
    proxy_.reset_all();
    last(100, 600);
  }
  void trickle() {
    proxy_.trickle(std::chrono::microseconds(50));
    last(100, 500);
  }
  void forget_connections() { proxy_.forget_all(); }
  void babble() {
    proxy_.babble();
    proxy_.reset_all();
    last(200, 1000);
  }
  void stop_the_process() {
    server_.pause();
    sleep(200, 1000);
    server_.resume();
  }
  void kill_the_process() {
    server_.stop();
    server_.start();
  }
  // A log that is read with a pause after each command: not too long a log, then.
  void load_slowly() {
    {
      RedisProbe probe(server_);
      probe.text({"BGREWRITEAOF"});
      while (probe.text({"INFO", "persistence"}).find("aof_rewrite_in_progress:1") !=
             std::string::npos) {
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
    server_.stop();
    server_.launch({"--key-load-delay", "20"});
    server_.wait_until_ready();
  }
  void kill_the_clients() { ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); }
  void forget_the_scripts() { ask({"SCRIPT", "FLUSH"}); }

  static constexpr std::array<Fault, 15> faults = {{
      {"connections reset", &Saboteur::reset_connections},
      {"connections closed", &Saboteur::close_connections},
      {"a reply cut", &Saboteur::cut_a_reply},
      {"a request cut", &Saboteur::cut_a_request},
      {"network silent for 0.2 to 1 s", &Saboteur::stay_silent},
      {"a connection stalled for 0.2 to 1 s", &Saboteur::stall_a_connection},
      {"connections refused for 0.1 to 0.6 s", &Saboteur::refuse},
      {"replies trickled for 0.1 to 0.5 s", &Saboteur::trickle},
      {"connections forgotten", &Saboteur::forget_connections},
      {"endless lines for 0.2 to 1 s", &Saboteur::babble},
      {"SIGSTOP for 0.2 to 1 s", &Saboteur::stop_the_process},
      {"SIGKILL and restart", &Saboteur::kill_the_process},
      {"SIGKILL and a restart that loads slowly", &Saboteur::load_slowly},
      {"CLIENT KILL", &Saboteur::kill_the_clients},
      {"SCRIPT FLUSH", &Saboteur::forget_the_scripts},
  }};

  std::size_t below(std::size_t end) { return engine_() % end; }
  void sleep(std::size_t from, std::size_t to) {
    std::this_thread::sleep_for(milliseconds(from + below(to - from)));
  }
  void last(std::size_t from, std::size_t to) {
    sleep(from, to);
    proxy_.forward();
  }
  void cut(TcpProxy::Way way) {
    const bool by_reset = below(2) == 0;
    proxy_.cut(way, below(20'000), by_reset ? TcpProxy::End::reset : TcpProxy::End::close);
  }
  void ask(const RedisProbe::Words& words) { RedisProbe(server_).text(words); }

  RedisServer& server_;
  TcpProxy& proxy_;
  std::mt19937_64 engine_;
  std::array<int, faults.size()> strikes_{};
};

void print_summary(const Tally& tally, const Saboteur& saboteur, std::uint64_t looks) {
  print_calls(tally, looks);
  std::printf("faults:\n");
  saboteur.report();
}

void soak(seconds duration, std::uint64_t seed, Tally& tally) {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  TcpProxy proxy(server.port());
  RedisOptions options;
  options.operation_timeout = operation_timeout;
  options.prefix = "soak_" + std::to_string(seed) + "_";
  const std::size_t descriptors = possessions().descriptors;
  StorePtr store = connect_redis(proxy.url(), options).value();
  Saboteur saboteur(server, proxy, seed);
  MemoryCurve memory;
  std::uint64_t looks = 0;
  {
    Watcher watcher(server, options.prefix, tally);
    Crowd crowd(*store, tally, seed);
    const auto start = SteadyClock::now();
    auto next_strike = start;
    auto next_line = start;
    while (SteadyClock::now() < start + duration && tally.failures().empty()) {
      next_strike = std::max(next_strike + seconds(1), SteadyClock::now());
      std::this_thread::sleep_until(next_strike);
      saboteur.strike();
      memory.sample();
      if (SteadyClock::now() < next_line) continue;
      next_line += seconds(10);
      print_progress(SteadyClock::now() - start, tally, watcher.looks());
    }
    proxy.forward();
    std::this_thread::sleep_for(seconds(2));  // for the breaker to close
    crowd.settle();
    RedisProbe probe(server);
    watcher.look(probe);
    looks = watcher.looks();
  }
  print_summary(tally, saboteur, looks);
  memory.judge(tally);
  store.reset();
  proxy.reset_all();
  const std::size_t left = possessions().descriptors;
  std::printf("descriptors: %zu before, %zu after\n", descriptors, left);
  if (left != descriptors) tally.fail("descriptors are left");
}

}  // namespace
}  // namespace websession::testing

int main(int argc, char** argv) try {
  using websession::testing::Tally;
  bool on_cluster = false;
  for (; argc > 1 && argv[1][0] == '-'; --argc, ++argv) {
    if (std::string(argv[1]) == "--async") ::setenv("WEBSESSION_TEST_ENGINE", "loop", 1);
    if (std::string(argv[1]) == "--cluster") on_cluster = true;
  }
  const long duration = argc > 1 ? std::stol(argv[1]) : 600;
  const std::uint64_t seed = argc > 2 ? std::stoull(argv[2]) : std::random_device{}();
  if (!websession::testing::redis_server_is_installed()) {
    std::fprintf(stderr, "soak: redis-server is not installed\n");
    return 2;
  }
  std::printf("soak: %ld s, seed %llu\n", duration, static_cast<unsigned long long>(seed));
  Tally tally(
      on_cluster ? websession::testing::cluster_timeout : websession::testing::operation_timeout,
      websession::testing::scheduling_margin);
  if (on_cluster) {
    websession::testing::soak_on_cluster(std::chrono::seconds(duration), seed, tally);
  } else {
    websession::testing::soak(std::chrono::seconds(duration), seed, tally);
  }
  for (const std::string& failure : tally.failures()) std::printf("FAILED: %s\n", failure.c_str());
  std::printf(tally.failures().empty() ? "soak: passed\n" : "soak: FAILED\n");
  return tally.failures().empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "soak: %s\n", error.what());
  return 2;
}
