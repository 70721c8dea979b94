// Redis found through Sentinels: those that are well, those that are not, and a failover.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "certificates.hpp"
#include "fake_sentinel.hpp"
#include "redis_fixture.hpp"
#include "reserved_port.hpp"
#include "sentinel_group.hpp"
#include "socket.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::seconds;

class RedisSentinel : public RedisTest {
 protected:
  StorePtr connect_to(const std::string& url, RedisOptions options = {}) {
    options.clock = clock;
    return connect_redis(url, patient(std::move(options))).value();
  }
  static std::string url_of(const std::vector<const FakeSentinel*>& sentinels) {
    std::vector<int> ports;
    ports.reserve(sentinels.size());
    for (const FakeSentinel* sentinel : sentinels) ports.push_back(sentinel->port());
    return sentinel_url(ports);
  }
  // By the server that is looked at, whoever wrote it.
  static bool is_on(RedisServer& server, const StoreKey& key) {
    return RedisProbe(server).integer({"EXISTS", redis_key(key)}) == 1;
  }
  StoreKey create(SessionStore& store) {
    const StoreKey key = fresh_key();
    const Result<void> created = store.create(key, fields({{"n", "0"}}), minute);
    EXPECT_TRUE(created) << created.error().message();
    return key;
  }
  static void expect_counted(SessionStore& store, const StoreKey& key) {
    const Result<Outcome> counted = store.update(key, one_more(), minute);
    ASSERT_TRUE(counted) << counted.error().message();
    EXPECT_EQ(counted->status, Outcome::Status::applied);
  }
  static Changes one_more() {
    Changes changes;
    changes.increment.push_back({"n", 1});
    return changes;
  }
};

TEST_F(RedisSentinel, TellWhereRedisIs) {
  const auto sentinel = start_sentinel(server->port());
  const StorePtr store = connect_to(sentinel_url({sentinel->port()}));
  EXPECT_TRUE(is_on(*server, create(*store)));
}

// One that cannot tell is passed over, and costs no call.
TEST_F(RedisSentinel, WhoCannotTellIsPassedOver) {
  const FakeSentinel good(FakeSentinel::names(server->port()));
  for (const char* answer :
       {"-ERR unknown command 'SENTINEL'\r\n-ERR\r\n-ERR\r\n",
        "-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n",
        "*-1\r\n-ERR No such master with that name\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n",
        "*2\r\n$0\r\n\r\n$1\r\n0\r\n*0\r\n*0\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "+", ""}) {
    SCOPED_TRACE(answer);
    const FakeSentinel bad(answer);
    RedisOptions options;
    options.connect_timeout = options.operation_timeout = seconds(4);
    const auto start = SteadyClock::now();
    const StorePtr store = connect_to(url_of({&bad, &good}), options);
    EXPECT_TRUE(is_on(*server, create(*store)));
    EXPECT_EQ(bad.asked(), 1);
    EXPECT_LT(SteadyClock::now() - start, seconds(8));
  }
  FakeSentinel away("");
  away.end();
  EXPECT_TRUE(is_on(*server, create(*connect_to(url_of({&away, &good})))));
}

TEST_F(RedisSentinel, NoneThatTellsIsAClearError) {
  const FakeSentinel unknown(
      "*-1\r\n-ERR No such master with that name\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n");
  FakeSentinel away("");
  away.end();
  RedisOptions options;
  options.clock = clock;
  const auto store = connect_redis(url_of({&away, &unknown, &away}), patient(options));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::rejected);
  EXPECT_NE(store.error().detail.find("'#'"), std::string::npos) << store.error().detail;
  const auto nobody = connect_redis(url_of({&away}), patient(options));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::unavailable);
  EXPECT_NE(nobody.error().detail.find("Sentinel"), std::string::npos) << nobody.error().detail;
}

TEST_F(RedisSentinel, OptionsAreForThemOnly) {
  RedisOptions options;
  options.sentinel.password = "pw";
  const auto plain = connect_redis_later(server->url(), options);
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().code, Errc::invalid_argument);
  EXPECT_NE(plain.error().detail.find("redis-sentinel://"), std::string::npos);
  options.sentinel.password.clear();
  options.sentinel.user = "ada";
  EXPECT_FALSE(connect_redis_later("redis-sentinel://127.0.0.1#m", options));
  options.sentinel = {.tls = TlsOptions()};
  const auto no_tls = connect_redis_later("redis-sentinel://127.0.0.1#m", options);
  ASSERT_FALSE(no_tls);
  EXPECT_NE(no_tls.error().detail.find("tls"), std::string::npos) << no_tls.error().detail;
}

// The rights of docs/operations.md, and no others.
TEST_F(RedisSentinel, HaveAPasswordOfTheirOwn) {
  const auto sentinel = start_sentinel(
      server->port(), 1,
      "requirepass pw\n"
      "user app on >secret +sentinel|get-master-addr-by-name +sentinel|sentinels +subscribe "
      "&+switch-master\n");
  const std::string url = sentinel_url({sentinel->port()});
  RedisOptions options;
  options.sentinel.password = "pw";
  EXPECT_TRUE(is_on(*server, create(*connect_to(url, options))));
  options.sentinel = {.user = "app", .password = "secret"};
  EXPECT_TRUE(is_on(*server, create(*connect_to(url, options))));
  for (const char* wrong : {"", "wrong"}) {
    options.sentinel = {.password = wrong};
    const auto refused = connect_redis(url, patient(options));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::rejected);
    EXPECT_NE(refused.error().detail.find("sentinel"), std::string::npos);
  }
}

// What a Redis of which Sentinels tell is asked besides.
TEST_F(RedisSentinel, TheUserNeedsOneRightMore) {
  const FakeSentinel sentinel(FakeSentinel::names(server->port()));
  const RedisProbe::Words user{
      "ACL",    "SETUSER", "app",   "on",       ">pw",          "~sid_*", "+@hash",
      "+@read", "+@write", "+eval", "+evalsha", "+script|load", "+ping",  "+client|setname"};
  probe->text(user);
  const std::string url = "redis-sentinel://app:pw@" + sentinel.place() + "#mymaster";
  const auto refused = connect_redis(url, patient());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::rejected);
  EXPECT_NE(refused.error().detail.find("'role'"), std::string::npos) << refused.error().detail;
  probe->text({"ACL", "SETUSER", "app", "+role"});
  EXPECT_TRUE(is_on(*server, create(*connect_to(url))));
}

// A Sentinel that has lost sight of the others names a server that was the primary once.
TEST_F(RedisSentinel, AReplicaThatIsNamedGetsNothing) {
  RedisServer replica({"--replicaof", "127.0.0.1", std::to_string(server->port())});
  const FakeSentinel stale(FakeSentinel::names(replica.port()));
  const FakeSentinel knowing(FakeSentinel::names(server->port()));
  RedisOptions options;
  options.clock = clock;
  const StorePtr store = connect_redis_later(url_of({&stale, &knowing}), patient(options)).value();
  EXPECT_TRUE(is_on(*server, create(*store)));
  EXPECT_EQ(RedisProbe(replica).text({"INFO", "commandstats"}).find("cmdstat_evalsha"),
            std::string::npos);
  EXPECT_GE(stale.asked(), 1);

  const auto refused = connect_redis(url_of({&stale}), patient(options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_NE(refused.error().detail.find("no primary"), std::string::npos) << refused.error().detail;
}

// It names a machine that is gone, and others know better.
TEST_F(RedisSentinel, AServerThatIsNamedAndGoneIsAskedOfAnother) {
  int nowhere = 0;
  const redis::Descriptor reserved(reserve_port(nowhere));
  const FakeSentinel stale(FakeSentinel::names(nowhere));
  const FakeSentinel knowing(FakeSentinel::names(server->port()));
  const StorePtr store =
      connect_redis_later(url_of({&stale, &knowing}), patient(RedisOptions{.clock = clock}))
          .value();
  EXPECT_TRUE(is_on(*server, create(*store)));
}

// The default: a connection may take longer to make than a call may take.
TEST_F(RedisSentinel, ASilentOneCostsNoCallMoreThanAPart) {
  const FakeSentinel silent("");
  const FakeSentinel knowing(FakeSentinel::names(server->port()));
  RedisOptions options;
  options.clock = clock;
  options.connect_timeout = seconds(12);
  options.operation_timeout = seconds(4);
  const StorePtr store = connect_redis_later(url_of({&silent, &knowing}), options).value();
  const Result<void> created = store->create(fresh_key(), fields(), minute);
  EXPECT_TRUE(created) << created.error().message();
}

// A Sentinel tells one connection what it has not told the others.
TEST_F(RedisSentinel, AllConnectionsAreToOneServer) {
  if (on_a_loop()) GTEST_SKIP() << "a loop has one connection";
  RedisServer next;
  FakeSentinel sentinel(FakeSentinel::names(server->port()));
  const StorePtr store = connect_to(url_of({&sentinel}));
  EXPECT_TRUE(is_on(*server, create(*store)));
  sentinel.answer_with(FakeSentinel::names(next.port()));
  std::atomic<bool> found = false;
  std::vector<std::thread> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.emplace_back([&] {
      while (!found) found = is_on(next, create(*store)) || found;
    });
  }
  for (std::thread& thread : crowd) thread.join();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(is_on(next, create(*store)));
}

// The old primary is cut off from the Sentinels, and goes on answering.
TEST_F(RedisSentinel, AFailoverThatIsToldIsFollowedWithoutAnError) {
  RedisServer next;
  FakeSentinel sentinel(FakeSentinel::names(server->port()));
  const StorePtr store = connect_to(url_of({&sentinel}));
  EXPECT_TRUE(is_on(*server, create(*store)));
  sentinel.answer_with(FakeSentinel::names(next.port()));
  EXPECT_TRUE(is_on(*server, create(*store))) << "nobody has told yet";
  sentinel.tell(FakeSentinel::moved());
  const auto until = SteadyClock::now() + seconds(20);
  while (!is_on(next, create(*store))) ASSERT_LT(SteadyClock::now(), until);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is_on(next, create(*store)));
}

TEST_F(RedisSentinel, WhoIsNoneAndTalksWithoutEndIsLeft) {
  const FakeSentinel good(FakeSentinel::names(server->port()));
  FakeSentinel talker(FakeSentinel::names(server->port()));
  const StorePtr store = connect_to(url_of({&talker, &good}));
  create(*store);
  talker.tell(std::string(300'000, '+'));
  for (int i = 0; i < 200; ++i) create(*store);
}

// Redis is well, and none of its Sentinels is there: it is where it was.
TEST_F(RedisSentinel, WithoutThemRedisIsFoundWhereItWas) {
  FakeSentinel sentinel(FakeSentinel::names(server->port()));
  const StorePtr store = connect_to(url_of({&sentinel}));
  create(*store);
  sentinel.end();
  EXPECT_GE(probe->integer({"CLIENT", "KILL", "TYPE", "normal"}), 1);
  // A read may find out, and is asked again.
  ASSERT_TRUE(store->load(fresh_key()).has_value());
  EXPECT_TRUE(is_on(*server, create(*store)));
}

TEST_F(RedisSentinel, WorksOnBothSidesOfAFork) {
  if (on_a_loop()) GTEST_SKIP() << "a child makes a store of its own there";
  FakeSentinel sentinel(FakeSentinel::names(server->port()));
  const StorePtr store = connect_to(url_of({&sentinel}));
  const StoreKey key = create(*store);
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(store->update(key, one_more(), minute) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  expect_counted(*store, key);
  EXPECT_EQ(probe->text({"HGET", redis_key(key), "n"}), "2");
}

class RedisSentinelOverTls : public RedisSentinel {
 protected:
  std::vector<std::string> server_options() override { return {"--tls-auth-clients", "no"}; }
  std::optional<RedisTls> server_tls() override { return files(); }
  RedisTls files() {
    const Identity identity = authority.issue_for_localhost();
    return {identity.certificate_file, identity.key_file, authority.certificate_file()};
  }
  Authority authority;
};

TEST_F(RedisSentinelOverTls, BothAreAskedToProveWhoTheyAre) {
  const auto sentinel =
      start_sentinel(server->tls_port(), 1, "tls-auth-clients no\ntls-replication yes\n", files());
  const std::string url =
      "rediss-sentinel://127.0.0.1:" + std::to_string(sentinel->tls_port()) + "#mymaster";
  RedisOptions options;
  options.tls.ca_file = authority.certificate_file();
  EXPECT_TRUE(is_on(*server, create(*connect_to(url, options))));
  options.sentinel.tls = options.tls;
  EXPECT_TRUE(is_on(*server, create(*connect_to(url, options))));
  options.sentinel.tls = TlsOptions();  // the system's CAs
  const auto refused = connect_redis(url, patient(options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::rejected);
  EXPECT_NE(refused.error().detail.find("Sentinel"), std::string::npos) << refused.error().detail;
}

// With three of them that decide.
TEST_F(RedisSentinel, AFailoverCostsNoMoreThanItTakes) {
  SentinelGroup group;
  RedisOptions options;
  options.connect_timeout = options.operation_timeout = seconds(4);
  const StorePtr store = connect_to(group.url(), options);
  const StoreKey key = create(*store);
  group.settle();
  group.fail_over();
  // The connection is lost, and what is asked on it was not sent: it is asked anew.
  expect_counted(*store, key);
  EXPECT_EQ(RedisProbe(group.primary()).text({"HGET", redis_key(key), "n"}), "1");

  // The old one comes back, and is a replica by the time that it is asked anything.
  group.restore();
  expect_counted(*connect_to(group.url(), options), key);
  group.settle();
  EXPECT_EQ(RedisProbe(group.replica()).text({"HGET", redis_key(key), "n"}), "2");
}

}  // namespace
}  // namespace websession::testing
