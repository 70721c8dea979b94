// A Redis that goes away, comes back, loads, is busy, full, a replica, or wants another password.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "fault_fixture.hpp"
#include "redis_harness.hpp"
#include "reserved_port.hpp"

namespace websession::testing {
namespace {

class RedisServerFaults : public RedisFaultTest {};

// P9, P8
TEST_F(RedisServerFaults, AKilledServerIsAnErrorAndTheNextRequestAfterItsReturnWorks) {
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  server->stop();
  for (int i = 0; i < 3; ++i) {
    const auto loaded = timed([&] { return store->load(key); });
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Errc::unavailable);
    EXPECT_NE(loaded.error().detail.find("is it running"), std::string::npos);
    const auto created = timed([&] { return store->create(fresh_key(), fields(), minute); });
    ASSERT_FALSE(created);
    EXPECT_FALSE(created.error().maybe_applied) << "it was never sent";
  }
  server->start();
  EXPECT_TRUE(store->create(key, fields(), minute)) << "the first call, a write";
  server->stop();
  server->start();
  EXPECT_FALSE(store->load(key).value().has_value()) << "the first call, a read";
}

TEST_F(RedisServerFaults, ARestartBetweenTwoWritesGoesUnnoticed) {
  const auto store = connect(options);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store->create(fresh_key(), fields(), minute)) << "an empty script cache, too";
    server->stop();
    server->start();
  }
}

// P7
TEST_F(RedisServerFaults, AStoppedProcessCostsTheDeadline) {
  options.operation_timeout = milliseconds(200);
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "0"}}), minute));
  server->pause();
  Changes changes;
  changes.increment.push_back({"n", 1});
  const auto updated = timed([&] { return store->update(key, changes, minute); });
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Errc::timeout);
  EXPECT_TRUE(updated.error().maybe_applied);
  const auto loaded = timed([&] { return store->load(key); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_FALSE(loaded.error().maybe_applied) << "a read is never applied";
  server->resume();
  // What was sent is applied late, and once. Until the breaker closes, calls fail.
  const auto count = [&] {
    const auto after = store->load(key);
    return after.has_value() ? std::string(after.value()->fields.find("n").value()) : "";
  };
  while (count() != "1") std::this_thread::yield();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(count(), "1");
}

// After a timeout nobody has read the late answer yet, and the server goes away: the next call, a
// write, must not be the one that finds out.
TEST_F(RedisServerFaults, ARestartAfterATimeoutGoesUnnoticed) {
  options.operation_timeout = milliseconds(200);
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  server->pause();
  EXPECT_FALSE(store->load(key).has_value());
  server->stop();
  server->start();
  const Result<void> created = store->create(key, fields(), minute);
  EXPECT_TRUE(created) << created.error().message();
}

TEST_F(RedisServerFaults, AFullServerSaysSo) {
  probe->text({"CONFIG", "SET", "maxclients", "1"});
  const auto store = connect_redis(server->url());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unavailable);
  EXPECT_NE(store.error().detail.find("maxclients"), std::string::npos) << store.error().detail;
}

TEST_F(RedisServerFaults, NobodyAtTheAddress) {
  const int port = server->port();
  server->stop();
  const auto store = connect_redis("redis://127.0.0.1:" + std::to_string(port));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unavailable);
  EXPECT_NE(store.error().detail.find("127.0.0.1:" + std::to_string(port)), std::string::npos);
  const auto socket = connect_redis("unix:///nowhere/redis.sock");
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::unavailable);
  const auto later = connect_redis_later("redis://127.0.0.1:" + std::to_string(port)).value();
  EXPECT_FALSE(later->load(fresh_key()).has_value());
  server->start();
  EXPECT_TRUE(later->load(fresh_key()).has_value());
}

TEST_F(RedisServerFaults, AReplicaSaysThatItIsReadOnly) {
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  probe->text({"REPLICAOF", "127.0.0.1", "1"});
  const auto created = store->create(fresh_key(), fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected) << created.error().message();
  EXPECT_NE(created.error().detail.find("primary"), std::string::npos);
  EXPECT_FALSE(created.error().maybe_applied);
  probe->text({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(store->create(fresh_key(), fields(), minute));
}

TEST_F(RedisServerFaults, ABusyServerSaysTryAgain) {
  const auto store = connect(options);
  probe->text({"CONFIG", "SET", "lua-time-limit", "10"});
  std::thread hog([&] {
    RedisProbe other(*server);
    EXPECT_NE(other.text({"EVAL", "while true do end", "0"}), "");
  });
  Result<void> created;
  do {
    created = store->create(fresh_key(), fields(), minute);
  } while (created || created.error().code == Errc::timeout);
  EXPECT_EQ(created.error().code, Errc::unavailable) << created.error().message();
  EXPECT_NE(created.error().detail.find("SCRIPT KILL"), std::string::npos);
  EXPECT_FALSE(created.error().maybe_applied);
  probe->text({"SCRIPT", "KILL"});
  hog.join();
  EXPECT_TRUE(store->create(fresh_key(), fields(), minute));
}

// A server that loads its data answers, and serves nobody. (It is held up at each key, so that
// loading takes a while.)
class RedisLoading : public RedisServerFaults {
  std::vector<std::string> server_options() override {
    return {"--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"};
  }
};

TEST_F(RedisLoading, AServerThatIsLoadingSaysSoAndTheFirstCallAfterWorks) {
  const auto store = connect(options);
  std::vector<StoreKey> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(make_session());
  ASSERT_EQ(probe->text({"SAVE"}), "OK");
  server->stop();
  server->launch();
  int loading = 0;
  while (true) {
    const auto created = timed([&] { return store->create(fresh_key(), fields(), minute); });
    if (created) break;
    EXPECT_EQ(created.error().code, Errc::unavailable) << created.error().message();
    EXPECT_FALSE(created.error().maybe_applied);
    if (created.error().detail.find("loading") != std::string::npos) ++loading;
  }
  EXPECT_GT(loading, 0) << "it was too quick for this test";
  for (const StoreKey& key : keys) expect_own(*store, key, "0");
}

class RedisCluster : public RedisServerFaults {
  std::vector<std::string> server_options() override {
    if (bus_ < 0) bus_ = reserve_port(bus_port_);
    return {"--cluster-enabled", "yes", "--cluster-port", std::to_string(bus_port_)};
  }
  // The reference cannot connect either.
  void SetUp() override { RedisTest::SetUp(); }
  void TearDown() override { ::close(bus_); }
  int bus_port_ = 0;
  int bus_ = -1;
};

TEST_F(RedisCluster, ANodeSaysSoWhenConnecting) {
  const auto expect_refused = [&](const std::string& url) {
    const auto store = connect_redis(url, patient_options(clock));
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().detail.find("redis-cluster://"), std::string::npos)
        << store.error().detail;
  };
  expect_refused(server->url());
  ASSERT_EQ(probe->text({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}), "OK");
  expect_refused(server->url());
  expect_refused(server->url() + "/1");
}

// P8: what needs memory is refused as a whole; what needs none goes on.
TEST_F(RedisServerFaults, AServerAtMaxmemoryRefusesToGrowAndKeepsWhatItHas) {
  const auto store = connect(options);
  const StoreKey key = make_session();
  const StoreKey other = make_session();
  probe->text({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  probe->text({"CONFIG", "SET", "maxmemory", "1"});
  const StoreKey next = fresh_key();
  const auto refused = [&](const auto& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::rejected) << result.error().message();
    EXPECT_NE(result.error().detail.find("maxmemory"), std::string::npos);
    EXPECT_FALSE(result.error().maybe_applied);
  };
  refused(timed([&] { return store->create(next, fields(), minute); }));
  refused(timed([&] { return store->update(key, one_more(), minute); }));
  refused(timed([&] { return store->rekey(key, next, {}, minute, {}); }));
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(next)}), 0);
  expect_own(*store, key, "0");
  EXPECT_TRUE(timed([&] { return store->update(key, {}, minute); })) << "a renewal";
  EXPECT_TRUE(timed([&] { return store->erase(other); }).value());
  probe->text({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(store->update(key, one_more(), minute)) << "the first call";
  expect_own(*store, key, "1");
}

TEST_F(RedisServerFaults, ARotatedPasswordIsRejectedUntilItFitsAgain) {
  const auto url = [&](const std::string& password) {
    return "redis://shop:" + password + "@127.0.0.1:" + std::to_string(server->port());
  };
  const auto rotate = [&](const std::string& from, const std::string& to) {
    ASSERT_EQ(probe->text({"ACL", "SETUSER", "shop", "<" + from, ">" + to}), "OK");
    probe->text({"CLIENT", "KILL", "USER", "shop"});
  };
  ASSERT_EQ(probe->text({"ACL", "SETUSER", "shop", "on", ">first", "~*", "+@all"}), "OK");
  const auto store = connect_redis(url("first"), options).value();
  const StoreKey key = make_session();
  rotate("first", "second");
  for (int i = 0; i < 3; ++i) {
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, Errc::rejected) << updated.error().message();
    EXPECT_NE(updated.error().detail.find("refused the user name or password"), std::string::npos);
    EXPECT_EQ(updated.error().message().find("first"), std::string::npos) << "P5";
    EXPECT_FALSE(updated.error().maybe_applied);
  }
  const auto renewed = connect_redis(url("second"), options).value();
  expect_own(*renewed, key, "0");
  rotate("second", "first");
  ASSERT_TRUE(timed([&] { return store->update(key, one_more(), minute); })) << "the first call";
  expect_own(*store, key, "1");
}

// Connections that are logged in stay so when requirepass changes; new ones are told.
TEST_F(RedisServerFaults, APasswordThatIsSetLaterIsAskedFor) {
  const auto store = connect(options);
  const StoreKey key = make_session();
  probe->text({"CONFIG", "SET", "requirepass", "hunter2"});
  expect_own(*store, key, "0");
  probe->text({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  const auto loaded = timed([&] { return store->load(key); });
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, Errc::rejected);
  EXPECT_NE(loaded.error().detail.find("wants a password"), std::string::npos);
  probe->text({"CONFIG", "SET", "requirepass", ""});
  expect_own(*store, key, "0");
}

TEST_F(RedisServerFaults, ARecordThatAnotherProgramMadeTooLargeIsCorruptAndHarmsNobody) {
  const auto store = connect(options);
  const StoreKey key = make_session();
  const StoreKey other = make_session();
  probe->integer({"HSET", redis_key(key), "large", std::string(1'000'000, 'x')});
  const auto too_large = [&] {
    const auto loaded = timed([&] { return store->load(key); });
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Errc::corrupt) << loaded.error().message();
    EXPECT_NE(loaded.error().detail.find("record_bytes_max"), std::string::npos);
  };
  for (int i = 0; i < 5; ++i) {
    too_large();
    expect_own(*store, other, "0");
  }
  // With others in flight on the same connection.
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) t % 2 == 0 ? too_large() : expect_own(*store, other, "0");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(store->update(key, one_more(), minute)) << "what is small about it still works";
  EXPECT_TRUE(store->erase(key).value());
}

TEST_F(RedisServerFaults, RecordsOfAMegabyteGoAndComeWhenTheyMay) {
  options.record_bytes_max = std::size_t{2} * 1024 * 1024;
  options.operation_timeout = std::chrono::seconds(20);  // it is about size, not speed
  const auto store = connect_through_proxy();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const std::string large(1'000'000, static_cast<char>('a' + t));
      const StoreKey key = fresh_key();
      ASSERT_TRUE(store->create(key, fields({{"large", large}}), minute));
      for (int i = 0; i < 5; ++i) {
        const auto loaded = store->load(key);
        ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
        EXPECT_TRUE((**loaded).fields.find("large") == large) << "another thread's record";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace websession::testing
