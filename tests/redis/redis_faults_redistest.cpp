// A Redis that goes away, comes back, refuses, or stalls; and a process that forks.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;

// What a loaded machine may add to a deadline before a thread runs again.
constexpr milliseconds scheduling_margin{2000};

class RedisFaults : public RedisTest {
 protected:
  template <class Call>
  static auto timed(const RedisOptions& options, Call call) {
    const auto start = SteadyClock::now();
    auto result = call();
    EXPECT_LT(SteadyClock::now() - start, options.operation_timeout + scheduling_margin) << "P7";
    return result;
  }
  RedisOptions options;
};

// P9, P8
TEST_F(RedisFaults, AStoppedServerIsAnErrorAndTheNextRequestAfterItsReturnWorks) {
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  server->stop();
  for (int i = 0; i < 3; ++i) {
    const auto loaded = timed(options, [&] { return store->load(key); });
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::unavailable);
    EXPECT_NE(loaded.error().detail.find("is it running"), std::string::npos);
    const auto created =
        timed(options, [&] { return store->create(fresh_key(), fields(), minute); });
    ASSERT_FALSE(created);
    EXPECT_FALSE(created.error().maybe_applied) << "it was never sent";
  }
  server->start();
  EXPECT_TRUE(store->create(key, fields(), minute)) << "the first call, a write";
  server->stop();
  server->start();
  EXPECT_FALSE(store->load(key).value().has_value()) << "the first call, a read";
}

TEST_F(RedisFaults, ARestartBetweenTwoWritesGoesUnnoticed) {
  const auto store = connect(options);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store->create(fresh_key(), fields(), minute)) << "an empty script cache, too";
    server->stop();
    server->start();
  }
}

// P7
TEST_F(RedisFaults, AServerThatStallsCostsTheDeadline) {
  options.operation_timeout = milliseconds(100);
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "0"}}), minute));
  server->pause();
  Changes changes;
  changes.increment.push_back({"n", 1});
  const auto updated = timed(options, [&] { return store->update(key, changes, minute); });
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Errc::timeout);
  EXPECT_TRUE(updated.error().maybe_applied);
  const auto loaded = timed(options, [&] { return store->load(key); });
  ASSERT_FALSE(loaded);
  EXPECT_FALSE(loaded.error().maybe_applied) << "a read is never applied";
  server->resume();
  // What was sent is applied late, and once. Until the breaker closes, calls fail.
  const auto count = [&] {
    const auto after = store->load(key);
    return after ? std::string(after.value()->fields.find("n").value()) : "";
  };
  while (count() != "1") std::this_thread::yield();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(count(), "1");
}

// After a timeout nobody has read the late answer yet, and the server goes away: the next call, a
// write, must not be the one that finds out.
TEST_F(RedisFaults, ARestartAfterATimeoutGoesUnnoticed) {
  options.operation_timeout = milliseconds(200);
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  server->pause();
  EXPECT_FALSE(store->load(key));
  server->stop();
  server->start();
  const Result<void> created = store->create(key, fields(), minute);
  EXPECT_TRUE(created) << created.error().message();
}

TEST_F(RedisFaults, AFullServerSaysSo) {
  probe->text({"CONFIG", "SET", "maxclients", "1"});
  const auto store = RedisStore::connect(server->url());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unavailable);
  EXPECT_NE(store.error().detail.find("maxclients"), std::string::npos) << store.error().detail;
}

TEST_F(RedisFaults, NobodyAtTheAddress) {
  const int port = server->port();
  server->stop();
  const auto store = RedisStore::connect("redis://127.0.0.1:" + std::to_string(port));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::unavailable);
  EXPECT_NE(store.error().detail.find("127.0.0.1:" + std::to_string(port)), std::string::npos);
  const auto socket = RedisStore::connect("unix:///nowhere/redis.sock");
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::unavailable);
  const auto later = RedisStore::connect_later("redis://127.0.0.1:" + std::to_string(port)).value();
  EXPECT_FALSE(later->load(fresh_key()));
  server->start();
  EXPECT_TRUE(later->load(fresh_key()));
}

// A socket that takes connections and never says a word.
TEST_F(RedisFaults, AListenerThatIsNoRedis) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  options.connect_timeout = milliseconds(100);
  const auto start = SteadyClock::now();
  const auto store =
      RedisStore::connect("redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), options);
  EXPECT_LT(SteadyClock::now() - start, options.connect_timeout + scheduling_margin);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::timeout);
  EXPECT_NE(store.error().detail.find("does not answer"), std::string::npos);
  ::close(fd);
}

TEST_F(RedisFaults, AReplicaSaysThatItIsReadOnly) {
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

TEST_F(RedisFaults, ABusyServerSaysTryAgain) {
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

// P8: 32 threads count while the server is killed and started. What was acknowledged or may have
// been applied bounds what is there. (The server keeps its data in a file for this.)
class RedisCrash : public RedisFaults {
  std::vector<std::string> server_options() override {
    return {"--appendonly", "yes", "--appendfsync", "always"};
  }
};

TEST_F(RedisCrash, NothingAcknowledgedIsLostAndNothingCountsTwice) {
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "0"}}), {milliseconds(600'000)}));
  std::atomic<int> acknowledged = 0;
  std::atomic<int> unsure = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 32; ++t) {
    threads.emplace_back([&] {
      Changes changes;
      changes.increment.push_back({"n", 1});
      while (!done) {
        const Result<Outcome> outcome = store->update(key, changes, minute);
        if (outcome && outcome->status == Outcome::Status::applied) ++acknowledged;
        if (!outcome && outcome.error().maybe_applied) ++unsure;
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    const int before = acknowledged;
    while (acknowledged < before + 500) std::this_thread::yield();
    server->stop();
    server->start();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  const std::string text(store->load(key).value()->fields.find("n").value());
  const int count = std::stoi(text);
  EXPECT_GE(count, acknowledged) << "an acknowledged increment was lost";
  EXPECT_LE(count, acknowledged + unsure) << "an increment was applied twice";
}

// A child of a fork uses a connection of its own, also when other threads were inside at that
// moment.
TEST_F(RedisFaults, AChildOfAForkConnectsAnew) {
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "0"}}), minute));
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      while (!done) EXPECT_TRUE(store->load(key));
    });
  }
  Changes changes;
  changes.increment.push_back({"n", 1});
  for (int i = 1; i <= 5; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto updated = store->update(key, changes, minute);
      const auto loaded = store->load(key);
      ::_exit(updated && loaded && loaded->has_value() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the child failed";
    EXPECT_TRUE(store->load(key)) << "the parent goes on";
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->load(key).value()->fields.find("n"), "5");
}

// The default action of SIGPIPE ends the process, so this test would not return.
TEST_F(RedisFaults, AClosedConnectionRaisesNoSigpipe) {
  const auto store = connect(options);
  for (int i = 0; i < 20; ++i) {
    probe->text({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_TRUE(store->load(fresh_key()));
  }
}

}  // namespace
}  // namespace websession::testing
