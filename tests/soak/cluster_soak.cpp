#include "cluster_soak.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "connect_redis.hpp"
#include "crowd.hpp"
#include "possessions.hpp"
#include "redis_cluster.hpp"
#include "slots.hpp"
#include "soak_parts.hpp"
#include "websession/key_placement.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

// A visitor whose writes no replica is waited for. It counts, and knows how far.
class Counting {
 public:
  Counting(SessionStore& store, Tally& tally, std::string prefix)
      : store_(store), tally_(tally), prefix_(std::move(prefix)) {
    if (!store_.create(key_, {{"@created", "1"}, {"n", "0"}}, life)) tally_.fail("no session");
    thread_ = std::thread([this] {
      while (!done_) {
        count();
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
  }
  ~Counting() {
    done_ = true;
    thread_.join();
  }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  // After a kill, when all is well again: what is lost, and is accounted for by it. `killed(slot)`:
  // whether the dead one had the slot.
  template <class Killed>
  std::int64_t lost(const Killed& killed) {
    const std::lock_guard lock(mutex_);
    const auto record = store_.load(key_);
    if (!record.has_value() || !*record) {
      tally_.fail("a session is gone that had been there for long");
      return 0;
    }
    const std::int64_t count = std::stoll(std::string((*record)->fields.find("n").value_or("-1")));
    const std::int64_t missing = std::max<std::int64_t>(acknowledged_ - count, 0);
    if (missing > 0 && !killed(redis::slot_of(prefix_ + key_.secret()))) {
      tally_.fail("a write was lost that was not on the killed primary");
    }
    if (count > acknowledged_ + in_limbo_) tally_.fail("a write was applied twice");
    acknowledged_ = count;
    in_limbo_ = 0;
    return missing;
  }

 private:
  static constexpr Lifetime life{std::chrono::hours(2)};

  void count() {
    const std::lock_guard lock(mutex_);
    Changes changes;
    changes.increment.push_back({"n", 1});
    const Result<Outcome> counted = store_.update(key_, changes, life);
    if (counted && counted->status == Outcome::Status::applied) ++acknowledged_;
    if (!counted && counted.error().maybe_applied) ++in_limbo_;
  }

  SessionStore& store_;
  Tally& tally_;
  const std::string prefix_;
  const StoreKey key_{SessionId::generate().value()};
  std::mutex mutex_;
  std::int64_t acknowledged_ = 0;
  std::int64_t in_limbo_ = 0;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// Whatever fails while nothing disturbs.
class Quiet {
 public:
  explicit Quiet(Tally& tally) : tally_(tally) {}
  // From one deadline after all is well.
  void expect_no_error(const char* after) {
    std::this_thread::sleep_for(cluster_timeout + milliseconds(100));
    const std::uint64_t before = failed();
    const std::uint64_t calls = tally_.calls();
    std::this_thread::sleep_for(seconds(1));
    if (failed() != before) {
      tally_.fail(std::string("a call failed though the Cluster was well: after ") + after);
    }
    if (tally_.calls() == calls) tally_.fail(std::string("nobody goes on after ") + after);
  }

 private:
  [[nodiscard]] std::uint64_t failed() const { return tally_.calls() - tally_.successes(); }
  Tally& tally_;
};

}  // namespace

void soak_on_cluster(seconds duration, std::uint64_t seed, Tally& tally) {
  RedisCluster cluster(3, 1);
  RedisOptions options;
  options.operation_timeout = cluster_timeout;
  options.prefix = "soak_" + std::to_string(seed) + "_";
  RedisOptions waiting = options;
  waiting.replicas_to_wait_for = 1;
  const std::size_t descriptors = possessions().descriptors;
  StorePtr store = connect_redis(cluster.url(), waiting).value();
  StorePtr hasty_store = connect_redis(cluster.url(), options).value();
  MemoryCurve memory;
  std::mt19937_64 engine(seed);
  std::uint64_t looks = 0;
  std::size_t moved = 0;
  std::size_t killed = 0;
  std::int64_t lost = 0;
  {
    Watcher watcher(cluster.node(0), options.prefix, tally);
    std::vector<std::unique_ptr<Counting>> counting;
    for (int i = 0; i < 16; ++i) {
      counting.push_back(std::make_unique<Counting>(*hasty_store, tally, options.prefix));
    }
    Crowd crowd(*store, tally, seed);
    Quiet quiet(tally);
    const auto start = SteadyClock::now();
    auto next_line = start;
    for (std::size_t round = 0; SteadyClock::now() < start + duration && tally.failures().empty();
         ++round) {
      // Back and forth: all of them, in the end.
      const std::size_t first = engine() % (redis::slots_count - 200);
      for (std::size_t to = 0; to < cluster.size(); ++to) {
        if (!cluster.is_primary(to)) continue;
        cluster.move_slots(first, first + 199, to);
        moved += 200;
      }
      cluster.settle();
      quiet.expect_no_error("slots have moved");

      std::vector<std::size_t> primaries;
      for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (cluster.is_primary(i)) primaries.push_back(i);
      }
      const std::size_t victim = primaries[round % primaries.size()];
      const std::vector<bool> its = cluster.slots_of(victim);
      cluster.fail_over(victim);
      cluster.restore(victim);
      ++killed;
      quiet.expect_no_error("a primary was killed");
      for (const auto& visitor : counting) {
        lost += visitor->lost([&](redis::Slot slot) { return its[slot]; });
      }
      memory.sample();
      if (SteadyClock::now() < next_line) continue;
      next_line += seconds(10);
      print_progress(SteadyClock::now() - start, tally, watcher.looks());
    }
    crowd.settle();
    RedisProbe probe(cluster.node(0));
    watcher.look(probe);
    looks = watcher.looks();
  }
  print_calls(tally, looks);
  std::printf("slots moved: %zu; primaries killed: %zu\n", moved, killed);
  std::printf(
      "acknowledged writes that were lost: none where a replica was waited for, %lld else\n",
      static_cast<long long>(lost));
  memory.judge(tally);
  store.reset();
  hasty_store.reset();
  const std::size_t left = possessions().descriptors;
  std::printf("descriptors: %zu before, %zu after\n", descriptors, left);
  if (left != descriptors) tally.fail("descriptors are left");
}

}  // namespace websession::testing
