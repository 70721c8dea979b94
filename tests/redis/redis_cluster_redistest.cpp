// Redis Cluster: slots that move, nodes that come, go and stand still.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "certificates.hpp"
#include "fork_support.hpp"
#include "redis_cluster.hpp"
#include "redis_fixture.hpp"
#include "requests.hpp"
#include "session_history.hpp"
#include "slots.hpp"
#include "wait_for.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/redis_store.hpp"
#include "websession/key_placement.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;
using redis::slot_of;
using std::chrono::seconds;

class RedisClusterTest : public ::testing::Test {
 protected:
  static StorePtr connect(const std::string& url, RedisOptions options = {}) {
    return connect_redis(url, patient(std::move(options))).value();
  }
  static std::string redis_key(const StoreKey& key) { return "sid_" + key.secret(); }
  static StoreKey key_in(std::size_t slot) {
    return StoreKey(redis::draw_id("sid_", static_cast<redis::Slot>(slot)).value());
  }
  static Fields fields() { return {{"@created", "1700000000000"}, {"n", "0"}}; }
  static Changes one_more() {
    Changes changes;
    changes.increment.push_back({"n", 1});
    return changes;
  }
  static void expect_counted(SessionStore& store, const StoreKey& key) {
    const Result<Outcome> counted = store.update(key, one_more(), minute);
    ASSERT_TRUE(counted) << counted.error().message();
    EXPECT_EQ(counted->status, Outcome::Status::applied);
  }
  // How many requests a node has sent elsewhere.
  static std::int64_t redirections(RedisServer& node) {
    const std::string stats = RedisProbe(node).text({"INFO", "errorstats"});
    std::int64_t sum = 0;
    for (const std::string name : {"errorstat_MOVED:count=", "errorstat_ASK:count="}) {
      const std::size_t at = stats.find(name);
      if (at != std::string::npos) sum += std::stoll(stats.substr(at + name.size()));
    }
    return sum;
  }
  static constexpr Lifetime minute{milliseconds(60'000)};
  static constexpr std::string_view ada = "ada";
};

TEST_F(RedisClusterTest, EachNodeIsAskedForItsOwn) {
  RedisCluster cluster;
  const StorePtr store =
      connect("redis-cluster://127.0.0.1:" + std::to_string(cluster.node(1).port()));
  std::set<std::size_t> used;
  for (std::size_t slot = 0; slot < redis::slots_count; slot += 500) {
    const StoreKey key = key_in(slot);
    ASSERT_TRUE(store->create(key, fields(), minute));
    expect_counted(*store, key);
    const StoreKey to(store->placement()->generate_beside(*SessionId::parse(key.secret())).value());
    ASSERT_TRUE(store->rekey(key, to, one_more(), minute, {seconds(20)}));
    EXPECT_TRUE(store->load(key).value()->frozen);
    EXPECT_EQ(store->load(to).value()->fields.find("n"), "2");
    EXPECT_TRUE(store->erase(key).value()) << "by its successor";
  }
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    EXPECT_EQ(redirections(cluster.node(i)), 0) << "node " << i;
    if (RedisProbe(cluster.node(i)).integer({"DBSIZE"}) > 0) used.insert(i);
  }
  EXPECT_EQ(used.size(), 3U);
}

TEST_F(RedisClusterTest, WhatDoesNotFitIsAClearError) {
  RedisCluster cluster(1);
  RedisServer alone;
  const auto error_of = [](const std::string& url, const RedisOptions& options = {}) {
    const auto store = connect_redis(url, patient(options));
    return store ? make_error(Errc::key_exists, "none") : store.error();
  };
  const auto expect_told = [](const Error& error, Errc code, const std::string& what) {
    EXPECT_EQ(error.code, code) << error.message();
    EXPECT_NE(error.detail.find(what), std::string::npos) << error.message();
  };
  const std::string at = "127.0.0.1:" + std::to_string(cluster.node(0).port());
  expect_told(error_of("redis://" + at), Errc::rejected, "redis-cluster://");
  expect_told(error_of("redis-cluster://127.0.0.1:" + std::to_string(alone.port())), Errc::rejected,
              "redis://");
  expect_told(error_of("redis-cluster://" + at + "/1"), Errc::invalid_argument, "database");
  expect_told(error_of("redis-cluster://" + at + "#mymaster"), Errc::invalid_argument, "sentinel");
  expect_told(error_of("redis-cluster://127.0.0.1:1"), Errc::unavailable, "127.0.0.1:1");
  RedisOptions options;
  for (const char* prefix : {"{", "}", "{}", "a{}b", "{a}{b}", "{a{b}", "a}b{", "{a}}"}) {
    options.prefix = prefix;
    expect_told(error_of("redis-cluster://" + at, options), Errc::invalid_argument, "prefix");
  }
  options = {};
  options.record_bytes_max = 65'535;
  expect_told(error_of("redis-cluster://" + at, options), Errc::invalid_argument, "65,536");
  const auto json = connect_redis_json("redis-cluster://" + at);
  ASSERT_FALSE(json);
  expect_told(json.error(), Errc::invalid_argument, "RedisStore");
}

// All of them in one slot, for those who want one node to have all.
TEST_F(RedisClusterTest, APrefixMayHoldATag) {
  RedisCluster cluster;
  RedisOptions options;
  options.prefix = "{app}:";
  const StorePtr store = connect(cluster.url(), options);
  const SessionManager manager = SessionManager::make(store).value();
  Session session = manager.open({}).value();
  session.sign_in(ada);
  ASSERT_TRUE(manager.commit(session));
  session.regenerate();
  ASSERT_TRUE(manager.commit(session));
  RedisProbe probe(cluster.node(0));
  for (const std::string& key : probe.keys("")) EXPECT_TRUE(key.starts_with("{app}:")) << key;
  EXPECT_EQ(probe.list({"ZRANGE", "{app}:user:ada", "0", "-1"}).size(), 2U) << "without marks";
  EXPECT_EQ(manager.sign_out_everywhere(ada).value(), 1U);
}

// Half of the keys have moved, and the slot is open.
TEST_F(RedisClusterTest, WhileASlotMovesAllGoesOnButMoves) {
  RedisCluster cluster;
  RedisOptions options;
  options.operation_timeout = milliseconds(250);
  const StorePtr store = connect(cluster.url());
  const StorePtr hasty = connect(cluster.url(), options);
  constexpr std::size_t slot = 77;  // of the first node
  std::vector<StoreKey> keys;
  for (int i = 0; i < 4; ++i) {
    keys.push_back(key_in(slot));
    ASSERT_TRUE(store->create(keys.back(), fields(), minute));
  }
  bool was_open = false;
  cluster.move_slots(slot, slot, 2, [&](std::size_t) {
    was_open = true;
    for (const StoreKey& key : keys) {
      EXPECT_EQ(store->load(key).value()->fields.find("n"), "0");
      expect_counted(*store, key);
      Changes set;
      set.set.push_back({"a", "x", std::nullopt, true});
      EXPECT_TRUE(store->update(key, set, {minute.ttl, {}, {}, minute.ttl}));
    }
    const StoreKey fresh = key_in(slot);
    ASSERT_TRUE(store->create(fresh, fields(), minute));
    EXPECT_TRUE(store->load(fresh).value());
    EXPECT_TRUE(store->erase(fresh).value());
    for (const StoreKey& key : keys) {
      const StoreKey to = key_in(slot);
      // On a busy machine a call's time may pass before the last answer has come.
      std::optional<Result<Outcome>> tried;
      for (int i = 0; i < 20 && (!tried || (!*tried && tried->error().code == Errc::timeout));
           ++i) {
        tried.emplace(hasty->rekey(key, to, one_more(), minute, {}));
      }
      const Result<Outcome>& moved = *tried;
      ASSERT_FALSE(moved);
      EXPECT_EQ(moved.error().code, Errc::unavailable) << moved.error().message();
      EXPECT_NE(moved.error().detail.find("TRYAGAIN"), std::string::npos);
      EXPECT_FALSE(moved.error().maybe_applied);
      EXPECT_EQ(store->load(key).value()->fields.find("n"), "1") << "nothing was done";
      EXPECT_FALSE(store->load(to).value());
    }
  });
  EXPECT_TRUE(was_open);
  for (const StoreKey& key : keys) {
    EXPECT_EQ(store->load(key).value()->fields.find("n"), "1");
    const Result<Outcome> moved = store->rekey(key, key_in(slot), one_more(), minute, {});
    EXPECT_TRUE(moved) << moved.error().message();
  }
  EXPECT_EQ(RedisProbe(cluster.node(2)).integer({"CLUSTER", "COUNTKEYSINSLOT", "77"}), 4);
}

// A key that is missing in an open slot is another node's, so a mark is put in the place of what is
// there.
TEST_F(RedisClusterTest, WhatEndsInAnOpenSlotLeavesItsMark) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  constexpr std::size_t slot = 77;  // of the first node
  const Grace grace{seconds(60), true};
  std::vector<StoreKey> keys;
  std::vector<StoreKey> frozen;
  for (int i = 0; i < 8; ++i) {
    keys.push_back(key_in(slot));
    ASSERT_TRUE(store->create(keys.back(), fields(), minute));
    frozen.push_back(keys.back());
    keys.back() = key_in(slot);
    ASSERT_TRUE(store->rekey(frozen.back(), keys.back(), {}, minute, grace));
  }
  cluster.move_slots(slot, slot, 2, [&](std::size_t) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_TRUE(store->erase(keys[i], grace).value());
      EXPECT_TRUE(store->index()->end_frozen(frozen[i]));
      for (const StoreKey& key : {keys[i], frozen[i]}) {
        const auto record = store->load(key).value();
        ASSERT_TRUE(record) << i;
        EXPECT_TRUE(record->is_over());
        EXPECT_EQ(store->create(key, fields(), minute).error().code, Errc::key_exists);
      }
    }
  });
  for (const StoreKey& key : keys) EXPECT_TRUE(store->load(key).value()->is_over());
}

// A move that waits out a slot that closes in time.
TEST_F(RedisClusterTest, AMoveWaitsForItsSlot) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  const StoreKey key = key_in(5);
  const StoreKey stays = key_in(5);
  ASSERT_TRUE(store->create(key, fields(), minute));
  ASSERT_TRUE(store->create(stays, fields(), minute));
  std::thread waits;
  std::atomic<bool> has_moved = false;
  cluster.move_slots(5, 5, 1, [&](std::size_t) {
    waits = std::thread([&] {
      const Result<Outcome> moved = store->rekey(key, key_in(5), one_more(), minute, {});
      EXPECT_TRUE(moved) << moved.error().message();
      has_moved = true;
    });
    wait_for("nobody asks", [&] {
      const auto tries = [&](std::size_t i) {
        return RedisProbe(cluster.node(i)).text({"INFO", "errorstats"}).find("TRYAGAIN") !=
               std::string::npos;
      };
      return tries(0) || tries(1);
    });
    EXPECT_FALSE(has_moved);
  });
  waits.join();
  EXPECT_TRUE(has_moved);
}

// What threads do while `disturb` runs, with checkers that know each session's history.
void expect_histories_hold(SessionStore& store, milliseconds deadline,
                           const std::function<void()>& disturb) {
  Tally tally(deadline, seconds(5));
  std::atomic<bool> ends = false;
  std::vector<std::unique_ptr<OwnedSessions>> owned;
  for (int i = 0; i < 16; ++i) {
    owned.push_back(std::make_unique<OwnedSessions>(store, tally, "w" + std::to_string(i),
                                                    static_cast<std::uint64_t>(i) + 1));
  }
  SharedSession shared(store, tally, "shared");
  std::vector<std::thread> threads;
  for (const auto& sessions : owned) {
    threads.emplace_back([&, own = sessions.get()] {
      while (!ends) own->step();
    });
  }
  for (std::uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::uint64_t bits = i;
      while (!shared.create()) {
        if (ends) return;
      }
      while (!ends) shared.step(bits += 0x9e3779b97f4a7c15U);
    });
  }
  disturb();
  ends = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& sessions : owned) sessions->settle();
  shared.settle();
  EXPECT_GT(tally.successes(), 100U);
  for (const std::string& failure : tally.failures()) ADD_FAILURE() << failure;
}

TEST_F(RedisClusterTest, SlotsMoveUnderLoad) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  expect_histories_hold(*store, seconds(20), [&] {
    for (std::size_t to : {1U, 2U, 0U}) cluster.move_slots(0, 60, to);
  });
}

TEST_F(RedisClusterTest, ANodeComesAndGoes) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  expect_histories_hold(*store, seconds(20), [&] {
    const std::size_t added = cluster.add();
    cluster.move_slots(100, 140, added);
    cluster.move_slots(100, 140, 0);
  });
}

// What the dead primary had not replicated is lost, so each visitor's count may fall behind; but
// from one deadline after the Cluster is well again nothing fails, and nothing is crossed.
TEST_F(RedisClusterTest, AReplicaTakesOver) {
  RedisCluster cluster(3, 1);
  RedisOptions options;
  options.operation_timeout = milliseconds(500);
  const StorePtr store = connect(cluster.url(), options);
  std::vector<StoreKey> keys;
  for (std::size_t slot = 0; slot < redis::slots_count; slot += 1024) {
    keys.push_back(key_in(slot));
    ASSERT_TRUE(store->create(keys.back(), fields(), minute));
  }
  cluster.settle();
  std::atomic<bool> ends = false;
  const auto now = [] { return SteadyClock::now().time_since_epoch().count(); };
  std::atomic<std::int64_t> failed_last{now()};
  std::vector<std::thread> threads;
  for (const StoreKey& key : keys) {
    threads.emplace_back([&] {
      while (!ends) {
        const Result<Outcome> counted = store->update(key, one_more(), minute);
        if (counted) {
          EXPECT_EQ(counted->status, Outcome::Status::applied);
          std::this_thread::sleep_for(milliseconds(1));
          continue;
        }
        failed_last = now();
        EXPECT_TRUE(counted.error().code == Errc::unavailable ||
                    counted.error().code == Errc::timeout)
            << counted.error().message();
      }
    });
  }
  // How soon that is, the soak looks at.
  const auto expect_quiet = [&] {
    wait_for("calls go on failing",
             [&] { return now() - failed_last > std::chrono::nanoseconds(seconds(1)).count(); });
  };
  cluster.fail_over(0);
  expect_quiet();
  cluster.restore(0);
  cluster.fail_over(3);  // whoever took over
  expect_quiet();
  ends = true;
  for (std::thread& thread : threads) thread.join();
  for (const StoreKey& key : keys) expect_counted(*store, key);
}

// A node that stands still costs nobody else anything.
TEST_F(RedisClusterTest, ANodeThatStandsStillHoldsUpItsOwnOnly) {
  RedisCluster cluster;
  RedisOptions options;
  options.operation_timeout = milliseconds(800);
  const StorePtr store = connect(cluster.url(), options);
  const StoreKey here = key_in(16'383);
  const StoreKey there = key_in(0);
  for (const StoreKey& key : {here, there}) ASSERT_TRUE(store->create(key, fields(), minute));
  cluster.node(0).pause();
  // Before the others take it for dead, which they do after a second.
  const auto start = SteadyClock::now();
  const auto stuck = store->load(there);
  ASSERT_FALSE(stuck.has_value());
  EXPECT_TRUE(stuck.error().code == Errc::timeout || stuck.error().code == Errc::unavailable)
      << stuck.error().message();
  EXPECT_LT(SteadyClock::now() - start, seconds(4));
  wait_for("the others do not go on", [&] { return store->load(here).has_value(); });
  cluster.node(0).resume();
  cluster.settle();
  wait_for("it does not go on", [&] { return store->load(there).has_value(); });
  expect_counted(*store, there);
  expect_counted(*store, here);
}

// One that has no replica: the whole Cluster is down, and comes back.
TEST_F(RedisClusterTest, ADeadClusterIsAClearErrorAndComesBack) {
  RedisCluster cluster;
  RedisOptions options;
  options.operation_timeout = seconds(1);
  const StorePtr store = connect(cluster.url(), options);
  const StoreKey key = key_in(16'383);
  ASSERT_TRUE(store->create(key, fields(), minute));
  cluster.node(0).stop();
  wait_for("the Cluster does not notice", [&] {
    const auto loaded = store->load(key);
    return !loaded.has_value() && loaded.error().detail.find("CLUSTERDOWN") != std::string::npos &&
           loaded.error().code == Errc::unavailable;
  });
  const auto lost = store->load(key_in(0));
  ASSERT_FALSE(lost.has_value());
  EXPECT_FALSE(lost.error().maybe_applied);
  cluster.node(0).start();
  cluster.settle();
  wait_for("it does not come back",
           [&] { return store->load(key).has_value() && store->load(key_in(0)).has_value(); });
  expect_counted(*store, key);
  EXPECT_TRUE(store->create(key_in(0), fields(), minute));
}

TEST_F(RedisClusterTest, ScriptsAreOnEveryNode) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t slot : {0U, 8000U, 16'000U}) {
      const StoreKey key = key_in(slot);
      EXPECT_TRUE(store->create(key, fields(), minute));
      EXPECT_TRUE(store->erase(key).value());
    }
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      EXPECT_EQ(RedisProbe(cluster.node(i)).text({"SCRIPT", "FLUSH"}), "OK");
    }
  }
}

TEST_F(RedisClusterTest, HashedIdsLieBesideTheirPlainOnes) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  SessionOptions options;
  options.id_storage = IdStorage::hashed_only;
  const SessionManager manager = SessionManager::make(store, options).value();
  RedisProbe probe(cluster.node(0));
  for (int i = 0; i < 20; ++i) {
    Session session = manager.open({}).value();
    session.set("a", i);
    ASSERT_TRUE(manager.commit(session));
    const std::string id = session.id()->secret();
    session.regenerate();
    ASSERT_TRUE(manager.commit(session));
    EXPECT_EQ(slot_of("sid_" + id), slot_of("sid_" + session.id()->secret()));
    EXPECT_NE(id, session.id()->secret());
  }
  for (const std::string& key : probe.keys("sid_")) {
    EXPECT_TRUE(key.starts_with("sid_2:{")) << key;
    EXPECT_EQ(key.find('}'), std::string("sid_2:{abc").size()) << key;
  }
}

// The rights of docs/operations.md for a Cluster, and no others.
TEST_F(RedisClusterTest, TheRightsAreEnough) {
  RedisCluster cluster;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    RedisProbe::Words command = {"ACL", "SETUSER", "app", "on", ">pw", "~sid_*"};
    for (const char* right :
         {"+hgetall",       "+pttl",    "+pexpire",     "+exists", "+hget",           "+hmget",
          "+hset",          "+hdel",    "+hincrby",     "+hkeys",  "+hlen",           "+unlink",
          "+eval",          "+evalsha", "+script|load", "+ping",   "+client|setname", "+get",
          "+set",           "+time",    "+zadd",        "+zrange", "+zrem",           "+asking",
          "+cluster|slots", "+type",    "+zscore"}) {
      command.emplace_back(right);
    }
    ASSERT_EQ(RedisProbe(cluster.node(i)).text(command), "OK");
  }
  std::string url = cluster.url();
  url.insert(std::string("redis-cluster://").size(), "app:pw@");
  const StorePtr store = connect(url);
  const SessionManager manager = SessionManager::make(store).value();
  for (int i = 0; i < 8; ++i) {
    Session session = manager.open({}).value();
    session.set("a", i);
    session.sign_in(ada);
    const auto committed = manager.commit(session);
    ASSERT_TRUE(committed) << committed.error().message();
    session.regenerate();
    ASSERT_TRUE(manager.commit(session));
  }
  EXPECT_EQ(manager.sessions_of(ada).value().size(), 8U);
  EXPECT_EQ(manager.sign_out_everywhere(ada).value(), 8U);
  const StoreKey key = key_in(9);
  ASSERT_TRUE(store->create(key, fields(), minute));
  cluster.move_slots(9, 9, 1, [&](std::size_t) { expect_counted(*store, key); });
  expect_counted(*store, key);
}

TEST_F(RedisClusterTest, OverTls) {
  Authority authority;
  const Identity identity = authority.issue_for_localhost();
  RedisCluster cluster(
      3, 0, {"--tls-auth-clients", "no", "--tls-cluster", "yes"},
      RedisTls{identity.certificate_file, identity.key_file, authority.certificate_file()});
  RedisOptions options;
  options.tls.ca_file = authority.certificate_file();
  const StorePtr store = connect(cluster.tls_url(), options);
  for (const std::size_t slot : {0U, 8000U, 16'000U}) {
    const StoreKey key = key_in(slot);
    ASSERT_TRUE(store->create(key, fields(), minute));
    expect_counted(*store, key);
  }
}

// When memory is short nobody can sign in any more, but those who have go on, and can end.
TEST_F(RedisClusterTest, FullNodesRefuseSignInsAndRenewAndEnd) {
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  const SessionManager manager = SessionManager::make(store).value();
  Session session = manager.open({}).value();
  session.sign_in(ada);
  ASSERT_TRUE(manager.commit(session));
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    RedisProbe(cluster.node(i)).text({"CONFIG", "SET", "maxmemory", "1"});
  }
  Session next = manager.open({}).value();
  next.sign_in(ada);
  EXPECT_EQ(manager.commit(next).error().code, Errc::rejected);
  const StoreKey key(*session.id());
  const auto renewed = store->update(key, {}, {milliseconds(3'600'000), ada});
  EXPECT_TRUE(renewed) << renewed.error().message();
  RedisProbe probe(cluster.node(0));
  EXPECT_GT(probe.integer({"PTTL", redis_key(key)}), 3'500'000);
  EXPECT_GT(probe.integer({"PTTL", "sid_user:ada"}), 3'500'000);
  EXPECT_EQ(manager.sessions_of(ada).value().size(), 1U);
  EXPECT_EQ(manager.sign_out_everywhere(ada).value(), 1U);
  EXPECT_EQ(manager.sessions_of(ada).value().size(), 0U);
}

// Another program's sessions are listed as soon as they are taken.
TEST_F(RedisClusterTest, AdoptedSessionsAreListed) {
  RedisCluster cluster;
  RedisOptions options;
  options.adopt_foreign_hashes = true;
  const StorePtr store = connect(cluster.url(), options);
  const StoreKey key = key_in(3);
  RedisProbe probe(cluster.node(0));
  probe.integer({"HSET", redis_key(key), "@user", "ada"});
  probe.integer({"PEXPIRE", redis_key(key), "60000"});
  ASSERT_TRUE(store->update(key, {},
                            {milliseconds(60'000), ada, milliseconds(6000), milliseconds(60'000)}));
  EXPECT_EQ(store->index()->entries(ada).value(), std::vector<StoreKey>{key});
}

// A slot that is open for the time being, and a loop that this thread runs.
class RedisClusterOnALoop : public RedisClusterTest {
 protected:
  using Store = std::shared_ptr<AsyncSessionStore>;
  Store make_store() {
    RedisOptions options = patient();
    options.operation_timeout = seconds(60);  // nothing but what is asked ends a pause
    return AsyncRedisStore::connect_later(cluster.url(), {loop}, options).value();
  }
  bool says_try_again(std::size_t node) {
    const std::string errors = RedisProbe(cluster.node(node)).text({"INFO", "errorstats"});
    return errors.find("TRYAGAIN") != std::string::npos;
  }
  // Begins a move in the open slot, which waits. What came of it: `moved`.
  void begin_to_wait(AsyncSessionStore& store, AsyncCall& call) {
    store.rekey(key, to, changes, minute, {}, call,
                [this](Result<Outcome> result) { moved.emplace(std::move(result)); });
    wait_for("it is not asked", [&] {
      loop->run_once(milliseconds(1));
      // By whichever node has the session meanwhile: servers move keys in orders of their own.
      return says_try_again(0) || says_try_again(1);
    });
    for (int i = 0; i < 5; ++i) loop->run_once(milliseconds(5));
    EXPECT_FALSE(moved);
  }
  void expect_nothing_done() {
    EXPECT_EQ(connect(cluster.url())->load(key).value()->fields.find("n"), "0");
  }
  void with_open_slot(const std::function<void()>& run) {
    ASSERT_TRUE(connect(cluster.url())->create(key, fields(), minute));
    ASSERT_TRUE(connect(cluster.url())->create(key_in(5), fields(), minute));
    cluster.move_slots(5, 5, 1, [&](std::size_t) { run(); });
  }

  RedisCluster cluster;
  const std::shared_ptr<EpollReactor> loop = EpollReactor::make().value();
  const StoreKey key = key_in(5);
  const StoreKey to = key_in(5);
  const Changes changes = one_more();
  std::optional<Result<Outcome>> moved{};
};

TEST_F(RedisClusterOnALoop, WhoWaitsForASlotCanBeStopped) {
  with_open_slot([&] {
    const Store store = make_store();
    AsyncCall call(0);
    begin_to_wait(*store, call);
    call.stop();
    const auto start = SteadyClock::now();
    while (!moved && SteadyClock::now() < start + seconds(10)) loop->run_once(milliseconds(10));
    ASSERT_TRUE(moved);
    ASSERT_FALSE(*moved);
    // (It may be on its way to a node just then, and says so.)
    EXPECT_EQ(moved->error().code, Errc::canceled);
    expect_nothing_done();
  });
}

TEST_F(RedisClusterOnALoop, WhoWaitsForASlotIsToldOfTheEndOfTheStore) {
  with_open_slot([&] {
    Store store = make_store();
    AsyncCall call(0);
    begin_to_wait(*store, call);
    store.reset();
    const auto start = SteadyClock::now();
    while (!moved && SteadyClock::now() < start + seconds(10)) loop->run_once(milliseconds(10));
    ASSERT_TRUE(moved);
    ASSERT_FALSE(*moved);
    EXPECT_EQ(moved->error().code, Errc::unavailable) << moved->error().message();
  });
}

// In every turn of what a store does first, from nothing known to the answer.
TEST_F(RedisClusterOnALoop, AStoreThatEndsTellsInEveryState) {
  ASSERT_TRUE(connect(cluster.url())->create(key, fields(), minute));
  bool all = false;
  for (int turns = 0; !all && turns < 200; ++turns) {
    Store store = make_store();
    AsyncCall call(0);
    int told = 0;
    store->load(key, call, [&](const Result<std::optional<Record>>&) { ++told; });
    for (int turn = 0; turn < turns; ++turn) loop->run_once(milliseconds(10));
    all = told > 0;
    store.reset();
    for (int turn = 0; turn < 100 && told == 0; ++turn) loop->run_once(milliseconds(10));
    EXPECT_EQ(told, 1) << "after " << turns << " turns";
  }
  EXPECT_TRUE(all);
}

TEST_F(RedisClusterTest, AChildOfAForkHasItsOwn) {
  if (on_a_loop()) GTEST_SKIP() << "of those who block";
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  RedisCluster cluster;
  const StorePtr store = connect(cluster.url());
  std::vector<StoreKey> keys;
  for (std::size_t slot = 0; slot < redis::slots_count; slot += 4096) {
    keys.push_back(key_in(slot));
    ASSERT_TRUE(store->create(keys.back(), fields(), minute));
  }
  const auto count_all = [&] {
    for (const StoreKey& key : keys) {
      const Result<Outcome> counted = store->update(key, one_more(), minute);
      if (!counted || counted->status != Outcome::Status::applied) return false;
    }
    return true;
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(60);
    ::_exit(count_all() ? 0 : 1);
  }
  EXPECT_TRUE(count_all());
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(count_all());
  for (const StoreKey& key : keys) EXPECT_EQ(store->load(key).value()->fields.find("n"), "3");
}

}  // namespace
}  // namespace websession::testing
