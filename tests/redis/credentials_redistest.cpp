// Passwords that change while the store is in use.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>

#include "redis_fixture.hpp"
#include "wait_for.hpp"
#include "websession/redis_json_store.hpp"

namespace websession::testing {
namespace {

class RedisCredentials : public RedisTest {
 protected:
  std::vector<std::string> server_options() override { return {"--requirepass", "first"}; }
  void SetUp() override {
    RedisTest::SetUp();
    if (server) probe->text({"AUTH", "first"});
  }
  RedisOptions asking() {
    RedisOptions options;
    options.clock = clock;
    options.credentials = [this]() -> Result<Credentials> {
      ++asked;
      const std::lock_guard lock(mutex);
      return given;
    };
    return patient(options);
  }
  void give(Result<Credentials> credentials) {
    const std::lock_guard lock(mutex);
    given = std::move(credentials);
  }
  // The next call connects anew.
  void disconnect_all() { probe->integer({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); }

  std::mutex mutex;
  Result<Credentials> given = Credentials{"", "first"};
  std::atomic<int> asked = 0;
};

TEST_F(RedisCredentials, AreAskedForByEachNewConnection) {
  const auto store = connect_redis(server->url(), asking()).value();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  EXPECT_GE(asked, 1);
  probe->text({"CONFIG", "SET", "requirepass", "second"});
  EXPECT_TRUE(store->load(key).has_value()) << "a connection that is there goes on";
  give(Credentials{"", "second"});
  const int before = asked;
  disconnect_all();
  const auto loaded = store->load(key);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_TRUE(*loaded);
  EXPECT_GT(asked, before);
  // And what is of yesterday is refused, as from the URL.
  give(Credentials{"", "first"});
  disconnect_all();
  const auto refused = store->load(key);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::rejected);
  EXPECT_EQ(refused.error().detail.find("first"), std::string::npos);
}

TEST_F(RedisCredentials, NameAUserToo) {
  probe->text({"ACL", "SETUSER", "web", "on", ">token", "~*", "&*", "+@all"});
  give(Credentials{"web", "token"});
  EXPECT_TRUE(connect_redis(server->url(), asking()));
  RedisJsonOptions json;
  json.redis = asking();
  EXPECT_TRUE(connect_redis_json(server->url(), json));
}

TEST_F(RedisCredentials, TheirErrorIsThatOfTheCalls) {
  give(make_error(Errc::unavailable, "the token service does not answer"));
  const auto store = connect_redis_later(server->url(), asking()).value();
  const auto loaded = store->load(fresh_key());
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, Errc::unavailable);
  EXPECT_EQ(loaded.error().detail, "the token service does not answer");
  EXPECT_FALSE(loaded.error().maybe_applied);
  give(Credentials{"", "first"});
  wait_for("the store", [&] { return store->load(fresh_key()).has_value(); });

  RedisOptions throwing = asking();
  throwing.credentials = []() -> Result<Credentials> { throw std::runtime_error("s3cret"); };
  const auto thrown = connect_redis_later(server->url(), throwing).value()->load(fresh_key());
  ASSERT_FALSE(thrown.has_value());
  EXPECT_EQ(thrown.error().code, Errc::unavailable);
  EXPECT_NE(thrown.error().detail.find("credentials"), std::string::npos);
  EXPECT_EQ(thrown.error().detail.find("s3cret"), std::string::npos);
}

TEST_F(RedisCredentials, AndThoseOfTheUrlAreTwo) {
  const std::string port = std::to_string(server->port());
  for (const char* login : {":first@", "web:token@"}) {
    const auto store =
        connect_redis_later("redis://" + std::string(login) + "127.0.0.1:" + port, asking());
    ASSERT_FALSE(store) << login;
    EXPECT_EQ(store.error().code, Errc::invalid_argument);
    EXPECT_NE(store.error().detail.find("credentials"), std::string::npos);
  }
}

}  // namespace
}  // namespace websession::testing
