// Writes that wait for replicas (RedisOptions::replicas_to_wait_for).
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "redis_fixture.hpp"
#include "sentinel_group.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::seconds;

class RedisReplicas : public RedisTest {
 protected:
  std::vector<std::string> server_options() override { return {"--repl-diskless-sync-delay", "0"}; }
  StorePtr connect_waiting(const std::string& url, milliseconds timeout = seconds(20)) const {
    RedisOptions options;
    options.clock = clock;
    options.replicas_to_wait_for = 1;
    options.connect_timeout = options.operation_timeout = timeout;
    return connect_redis(url, options).value();
  }
  static Changes one_more() {
    Changes changes;
    changes.increment.push_back({"n", 1});
    return changes;
  }
};

TEST_F(RedisReplicas, AWriteIsAnsweredWhenOneHasIt) {
  RedisServer replica({"--replicaof", "127.0.0.1", std::to_string(server->port())});
  while (probe->integer({"WAIT", "1", "10"}) < 1) probe->text({"SET", "other", "x"});
  const StorePtr store = connect_waiting(server->url());
  const StoreKey key = fresh_key();
  const StoreKey next = fresh_key();
  RedisProbe there(replica);
  const Result<void> created = store->create(key, fields({{"n", "1"}}), minute);
  ASSERT_TRUE(created) << created.error().message();
  EXPECT_EQ(there.text({"HGET", redis_key(key), "n"}), "1");
  for (int n = 2; n <= 50; ++n) {
    const Result<Outcome> counted = store->update(key, one_more(), minute);
    ASSERT_TRUE(counted) << counted.error().message();
    EXPECT_EQ(there.text({"HGET", redis_key(key), "n"}), std::to_string(n));
  }
  Changes text;
  text.set.push_back({"n", "text"});
  ASSERT_TRUE(store->update(key, text, minute));
  EXPECT_EQ(there.text({"HGET", redis_key(key), "n"}), "text");
  ASSERT_TRUE(store->rekey(key, next, {}, minute, {}));
  EXPECT_EQ(there.text({"HGET", redis_key(next), "n"}), "text");
  ASSERT_TRUE(store->erase(next, {}).value());
  EXPECT_EQ(there.integer({"EXISTS", redis_key(next)}), 0);
}

// The write is there, and nobody may rely on it.
TEST_F(RedisReplicas, TooFewAreAnHonestErrorInTime) {
  const milliseconds timeout(1500);
  const StorePtr store = connect_waiting(server->url(), timeout);
  const StoreKey key = fresh_key();
  const auto start = SteadyClock::now();
  const Result<void> created = store->create(key, fields({{"n", "1"}}), minute);
  EXPECT_GE(SteadyClock::now() - start, timeout / 4);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::unavailable) << created.error().message();
  EXPECT_TRUE(created.error().maybe_applied);
  EXPECT_NE(created.error().detail.find("replicas_to_wait_for"), std::string::npos)
      << created.error().detail;
  EXPECT_EQ(probe->text({"HGET", redis_key(key), "n"}), "1");
  // What writes nothing, and what reads, waits for nobody.
  const Result<Outcome> gone = store->update(fresh_key(), one_more(), minute);
  ASSERT_TRUE(gone) << gone.error().message();
  EXPECT_EQ(gone->status, Outcome::Status::gone);
  EXPECT_TRUE(store->load(key).value());
}

// What only finds the way to a session writes nothing yet.
TEST_F(RedisReplicas, TooFewOfThemKeepNobodySignedInOnThePrimary) {
  RedisJsonOptions options;
  options.redis.clock = clock;
  options.redis.replicas_to_wait_for = 1;
  options.redis.operation_timeout = milliseconds(1500);
  const StorePtr store = connect_redis_json(server->url(), options).value();
  const StoreKey old = fresh_key();
  const StoreKey now = fresh_key();
  EXPECT_TRUE(store->create(old, fields(), minute).error().maybe_applied);
  EXPECT_TRUE(store->rekey(old, now, {}, minute, {milliseconds(30'000)}).error().maybe_applied);
  EXPECT_EQ(probe->integer({"EXISTS", "sess:" + now.secret()}), 1);
  const Result<bool> erased = store->erase(old, {milliseconds(10'000)});
  ASSERT_FALSE(erased.has_value());
  EXPECT_TRUE(erased.error().maybe_applied) << erased.error().message();
  EXPECT_EQ(probe->integer({"EXISTS", "sess:" + now.secret()}), 0);
}

TEST_F(RedisReplicas, TheRightToWaitIsNamed) {
  probe->text({"ACL", "SETUSER", "app", "on", ">pw", "~sid_*", "+@all", "-wait"});
  const StorePtr store =
      connect_waiting("redis://app:pw@127.0.0.1:" + std::to_string(server->port()));
  const Result<void> created = store->create(fresh_key(), fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected);
  EXPECT_TRUE(created.error().maybe_applied);
  EXPECT_NE(created.error().detail.find("'wait'"), std::string::npos) << created.error().detail;
}

TEST_F(RedisReplicas, SixteenAreTheMost) {
  RedisOptions options;
  options.replicas_to_wait_for = 17;
  const auto refused = connect_redis_later(server->url(), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

// Eight threads count, each in its own session; the primary is killed under them.
TEST_F(RedisReplicas, NoAcknowledgedWriteIsLostInAFailover) {
  SentinelGroup group;
  const StorePtr store = connect_waiting(group.url(), milliseconds(1000));
  const StorePtr patient_store = connect_redis(group.url(), patient()).value();
  constexpr int threads = 8;
  struct Visitor {
    StoreKey key{SessionId::generate().value()};
    std::atomic<int> acknowledged = 0;
    std::atomic<int> in_doubt = 0;
  };
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < threads; ++i) {
    visitors.push_back(std::make_unique<Visitor>());
    ASSERT_TRUE(patient_store->create(visitors.back()->key, fields({{"n", "0"}}), minute));
  }
  std::atomic<bool> ends = false;
  std::vector<std::thread> running;
  for (const auto& visitor : visitors) {
    running.emplace_back([&, own = visitor.get()] {
      while (!ends) {
        const Result<Outcome> counted = store->update(own->key, one_more(), minute);
        if (counted) {
          EXPECT_EQ(counted->status, Outcome::Status::applied);
          ++own->acknowledged;
        } else if (counted.error().maybe_applied) {
          ++own->in_doubt;
        }
      }
    });
  }
  const auto all_count_on = [&] {
    std::vector<int> before;
    for (const auto& visitor : visitors) before.push_back(visitor->acknowledged);
    const auto until = SteadyClock::now() + seconds(30);
    for (std::size_t i = 0; i < visitors.size(); ++i) {
      while (visitors[i]->acknowledged < before[i] + 20 && SteadyClock::now() < until) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      EXPECT_GE(visitors[i]->acknowledged, before[i] + 20) << "it does not go on";
    }
  };
  all_count_on();
  group.fail_over();
  group.restore();  // who waits for a replica needs one
  all_count_on();
  ends = true;
  for (std::thread& thread : running) thread.join();
  RedisProbe of_primary(group.primary());
  for (const auto& visitor : visitors) {
    const int count = std::stoi(of_primary.text({"HGET", redis_key(visitor->key), "n"}));
    EXPECT_GE(count, visitor->acknowledged);
    EXPECT_LE(count, visitor->acknowledged + visitor->in_doubt);
  }
}

}  // namespace
}  // namespace websession::testing
