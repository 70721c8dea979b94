// Sessions of Express seen from here, and ours seen from outside.
#include "websession/redis_json_store.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using nlohmann::json;
using std::chrono::hours;

// What express-session 1.19 and connect-redis 9 write.
constexpr std::string_view express_text =
    R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},)"
    R"("count":5,"zip":"10115"})";

class RedisJson : public RedisTest {
 protected:
  StorePtr connect(RedisJsonOptions options = {}) {
    options.redis.clock = clock;
    // The tests ask what is right, not how fast: a loaded machine, or a sanitizer, may be slow.
    options.redis = patient(options.redis);
    return connect_redis_json(server->url(), std::move(options)).value();
  }
  SessionManager manager(std::shared_ptr<SessionStore> store) {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(std::move(store), options).value();
  }
  static std::string key_of(const StoreKey& key) { return "sess:" + key.secret(); }
  std::string text_of(const StoreKey& key) { return probe->text({"GET", key_of(key)}); }
  json document(const StoreKey& key) { return json::parse(text_of(key)); }
  // As connect-redis sets it.
  StoreKey made_by_express(std::string_view text = express_text) {
    const StoreKey key(SessionId::generate().value());
    probe->text({"SET", key_of(key), std::string(text), "EX", "86400"});
    return key;
  }
  static Changes setting(std::string name, std::string text) {
    Changes changes;
    changes.set.push_back({std::move(name), std::move(text)});
    return changes;
  }
};

TEST_F(RedisJson, ASessionIsOneTextThatExpressReads) {
  RedisJsonOptions options;
  options.cookie.max_age = hours(1);
  options.cookie.same_site = SameSite::lax;
  const SessionManager m = manager(connect(options));
  Session session = m.open({}).value();
  session.set("count", 1);
  session.set("name", "Ada");
  session.set("zip", "10115");
  session.set("vip", true);
  session.set("cart", json{1, 2});
  session.set("code", "x", milliseconds(5000));
  ASSERT_TRUE(m.commit(session));
  const StoreKey key(*session.id());
  EXPECT_EQ(document(key), json::parse(R"({
    "cookie": {"originalMaxAge": 3600000, "expires": "2023-11-14T23:13:20.000Z", "httpOnly": true,
               "path": "/", "sameSite": "lax"},
    "count": 1, "name": "Ada", "zip": "10115", "vip": true, "cart": [1, 2], "code": "x",
    "__websession": {"@created": 1700000000000, "until": {"code": 1700000005000}}})"));
  EXPECT_TRUE(text_of(key).starts_with(R"({"cookie":{"originalMaxAge":3600000,)"));
  const std::int64_t ttl = probe->integer({"TTL", key_of(key)});
  EXPECT_GT(ttl, 1790);
  EXPECT_LE(ttl, 1800);
  EXPECT_EQ(probe->keys(""), std::vector<std::string>{key_of(key)});
}

TEST_F(RedisJson, ASessionOfExpressIsTakenUp) {
  const SessionManager m = manager(connect());
  const StoreKey key = made_by_express();
  const std::string header = "sid=" + key.secret();
  Session session = m.open({header}).value();
  ASSERT_FALSE(session.is_new());
  EXPECT_EQ(session.value("count", 0), 5);
  EXPECT_EQ(session.value("zip", ""), "10115");
  EXPECT_FALSE(session.contains("cookie"));
  EXPECT_EQ(m.commit(session)->status, Commit::Status::renewed) << "to note when it was first seen";
  json expected = json::parse(express_text);
  expected["__websession"] = {{"@created", 1'700'000'000'000}};
  EXPECT_EQ(document(key), expected);
  EXPECT_GT(probe->integer({"TTL", key_of(key)}), 86'000) << "no write shortens";

  clock->advance(milliseconds(5000));
  Session again = m.open({header}).value();
  EXPECT_EQ(again.increment("count").value(), 6);
  EXPECT_EQ(m.commit(again)->status, Commit::Status::unchanged);
  expected["count"] = 6;
  EXPECT_EQ(document(key), expected) << "first seen once only";

  clock->advance(hours(12));
  EXPECT_TRUE(m.open({header})->is_new()) << "the absolute timeout counts from then";
}

TEST_F(RedisJson, TheCookieObjectStaysAsItIs) {
  const auto store = connect();
  const std::string cookie =
      R"("cookie":{"expires":"2030-01-01T00:00:00.000Z","z":1.0,"originalMaxAge":86400000})";
  const StoreKey key = made_by_express("{" + cookie + R"(,"a":1})");
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->update(key, setting("a", "2"), minute));
  EXPECT_TRUE(text_of(key).starts_with("{" + cookie + ",")) << text_of(key);
  Changes clear;
  clear.clear = true;
  ASSERT_TRUE(store->update(key, clear, minute));
  EXPECT_TRUE(text_of(key).starts_with("{" + cookie + ",")) << text_of(key);
  ASSERT_TRUE(store->rekey(key, to, setting("b", "1"), minute, {}));
  EXPECT_TRUE(text_of(to).starts_with("{" + cookie + R"(,"b":1,)")) << text_of(to);
}

TEST_F(RedisJson, ThePrefixIsAnOption) {
  RedisJsonOptions options;
  options.prefix = "shop:";
  const StoreKey key = fresh_key();
  ASSERT_TRUE(connect(options)->create(key, fields(), minute));
  EXPECT_EQ(probe->keys(""), std::vector<std::string>{"shop:" + key.secret()});
}

// connect-redis with disableTTL makes keys that live for ever.
TEST_F(RedisJson, AnImmortalSessionGetsAnEnd) {
  const SessionManager m = manager(connect());
  const StoreKey key = made_by_express();
  probe->integer({"PERSIST", key_of(key)});
  Session session = m.open({"sid=" + key.secret()}).value();
  ASSERT_FALSE(session.is_new());
  EXPECT_TRUE(m.commit(session));
  const std::int64_t ttl = probe->integer({"TTL", key_of(key)});
  EXPECT_GT(ttl, 1700);
  EXPECT_LE(ttl, 1800);
}

TEST_F(RedisJson, ATouchWritesNoText) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), {milliseconds(5000)}));
  const std::string spaced = "  " + text_of(key);
  probe->text({"SET", key_of(key), spaced, "KEEPTTL"});
  EXPECT_EQ(store->update(key, {}, minute)->status, Outcome::Status::applied);
  EXPECT_EQ(text_of(key), spaced);
  EXPECT_GT(probe->integer({"PTTL", key_of(key)}), 50'000);
}

TEST_F(RedisJson, TheOldIdIsUnknownToExpressAtOnce) {
  const auto store = connect();
  const StoreKey from = made_by_express();
  const StoreKey to = fresh_key();
  const Grace grace{milliseconds(10'000)};
  ASSERT_EQ(store->rekey(from, to, setting("a", "1"), minute, grace)->status,
            Outcome::Status::applied);
  EXPECT_EQ(text_of(from), "(nil)");
  EXPECT_EQ(probe->keys("sess:"), std::vector<std::string>{key_of(to)});
  const std::string frozen = "frozen:" + key_of(from);
  EXPECT_EQ(probe->text({"GET", frozen}),
            "frozen same " + to.secret() + "\n" + std::string(express_text));
  EXPECT_LE(probe->integer({"PTTL", frozen}), 10'000);
  EXPECT_GT(probe->integer({"TTL", key_of(to)}), 86'000) << "what was left stays left";

  const Record old = store->load(from).value().value();
  EXPECT_TRUE(old.frozen);
  EXPECT_EQ(old.fields, (Fields{{"count", "5"}, {"zip", "\"10115\""}}));
}

// A request that runs in Express meanwhile saves without looking. Here the old id stays frozen.
TEST_F(RedisJson, ExpressCannotThawTheOldIdWithinTheGrace) {
  const auto store = connect();
  const StoreKey from = made_by_express();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->rekey(from, to, setting("secret", "1"), minute, {milliseconds(10'000)}));
  probe->text({"SET", key_of(from), std::string(express_text), "EX", "86400"});
  EXPECT_TRUE(store->load(from).value()->frozen);
  EXPECT_EQ(store->update(from, setting("a", "1"), minute)->status, Outcome::Status::gone);
  EXPECT_EQ(store->rekey(from, fresh_key(), {}, minute, {})->status, Outcome::Status::gone);
  EXPECT_TRUE(store->erase(from).value());
  EXPECT_TRUE(store->load(from).value()->is_over()) << "logging out ends all of them";
  EXPECT_FALSE(store->load(to).value());
}

// What another program writes between the read and the write of a change is not overwritten.
TEST_F(RedisJson, AChangeIsMadeOnWhatIsThere) {
  const auto store = connect();
  const StoreKey key = made_by_express();
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&store, &key] {
      Changes changes;
      changes.increment.push_back({"count", 1});
      for (int n = 0; n < 50; ++n) {
        const Result<Outcome> outcome = store->update(key, changes, minute);
        ASSERT_TRUE(outcome) << outcome.error().message();
      }
    });
  }
  writers.clear();
  EXPECT_EQ(document(key)["count"], 205);
}

TEST_F(RedisJson, OtherTextsUnderThePrefixAreCorruptAndLeftAlone) {
  const auto store = connect();
  for (const std::string text : {"x", "[]", R"({"count":1})", ""}) {
    const StoreKey key = made_by_express(text);
    EXPECT_EQ(store->load(key).error().code, Errc::corrupt) << text;
    EXPECT_EQ(store->update(key, setting("a", "1"), minute).error().code, Errc::corrupt);
    EXPECT_EQ(store->rekey(key, fresh_key(), {}, minute, {}).error().code, Errc::corrupt);
    EXPECT_EQ(store->create(key, fields(), minute).error().code, Errc::key_exists);
    EXPECT_EQ(text_of(key), text);
    EXPECT_TRUE(store->erase(key).value()) << "to log out works all the same";
  }
}

TEST_F(RedisJson, KeysThatHoldNoTextAreNoSessions) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  probe->text({"HSET", key_of(key), "a", "1"});
  EXPECT_FALSE(store->load(key).value().has_value());
  EXPECT_EQ(store->update(key, setting("a", "1"), minute)->status, Outcome::Status::gone);
  EXPECT_EQ(store->create(key, fields(), minute).error().code, Errc::key_exists);
  EXPECT_EQ(probe->hash(key_of(key)), (std::map<std::string, std::string>{{"a", "1"}}));
}

TEST_F(RedisJson, NamesThatExpressWouldDropAreRefused) {
  const SessionManager m = manager(connect());
  for (const char* name : {"cookie", "__websession", "id", "save", "toString"}) {
    Session session = m.open({}).value();
    session.set(name, 1);
    EXPECT_EQ(m.commit(session).error().code, Errc::invalid_argument) << name;
  }
  EXPECT_EQ(probe->keys(""), std::vector<std::string>());
}

TEST_F(RedisJson, WhatIsTooLargeIsNotSent) {
  RedisJsonOptions options;
  options.redis.record_bytes_max = 2000;
  const auto store = connect(options);
  const std::string big(1900, 'x');
  EXPECT_EQ(store->create(fresh_key(), fields({{"a", big}}), minute).error().code, Errc::too_large);
  const StoreKey key = made_by_express();
  EXPECT_EQ(store->update(key, setting("a", big), minute).error().code, Errc::too_large);
  EXPECT_EQ(store->rekey(key, fresh_key(), setting("a", big), minute, {}).error().code,
            Errc::too_large);
  EXPECT_EQ(text_of(key), express_text);
}

TEST_F(RedisJson, BadOptionsAreNamed) {
  const auto detail_of = [this](const RedisJsonOptions& options) {
    const auto store = RedisJsonStore::connect_later(server->url(), options);
    return store ? "" : store.error().detail;
  };
  RedisJsonOptions options;
  options.cookie.max_age = milliseconds(0);
  EXPECT_NE(detail_of(options).find("max_age"), std::string::npos);
  options = {};
  options.cookie.path = "/a;b";
  EXPECT_NE(detail_of(options).find("path"), std::string::npos);
  options = {};
  options.prefix = "";
  EXPECT_NE(detail_of(options).find("prefix"), std::string::npos);
}

// `@user` and the label are kept where Express does not see them.
TEST_F(RedisJson, ASessionOfExpressIsSignedIn) {
  const SessionManager m = manager(connect());
  for (const std::string principal : {"ada", "10115", "true", "\"ada\"", "{\"a\":1}"}) {
    const StoreKey from = made_by_express();
    Session session = m.open({"sid=" + from.secret()}).value();
    session.sign_in(principal, "Firefox");
    ASSERT_EQ(m.commit(session)->status, Commit::Status::regenerated);
    EXPECT_EQ(text_of(from), "(nil)");
    EXPECT_TRUE(probe->text({"GET", "frozen:" + key_of(from)}).starts_with("over other "))
        << "nothing of it can be read";

    const Session again = m.open({"sid=" + session.id()->secret()}).value();
    EXPECT_EQ(again.principal(), principal);
    EXPECT_EQ(again.names(), (std::vector<std::string>{"count", "zip"}));
    json seen = document(StoreKey(*session.id()));
    EXPECT_EQ(seen["__websession"]["@label"], "Firefox");
    seen.erase("__websession");
    EXPECT_EQ(seen, json::parse(express_text)) << principal;
  }
}

TEST_F(RedisJson, WhoeverSignsOutEndsTheSession) {
  const SessionManager m = manager(connect());
  Session session = m.open({}).value();
  session.sign_in("ada");
  session.set("cart", 1);
  ASSERT_EQ(m.commit(session)->status, Commit::Status::created);
  session.sign_out();
  EXPECT_EQ(m.commit(session)->status, Commit::Status::erased);
  EXPECT_EQ(probe->keys("sess:"), std::vector<std::string>());
}

TEST_F(RedisJson, WhatNeedsAnIndexSaysSo) {
  const SessionManager m = manager(connect());
  const auto expect_no_index = [](const auto& result) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_NE(result.error().detail.find("PrincipalIndex"), std::string::npos);
  };
  expect_no_index(m.sessions_of("ada"));
  expect_no_index(m.erase_one("ada", "handle"));
  expect_no_index(m.sign_out_everywhere("ada"));
  SessionOptions limited;
  limited.max_sessions_per_principal = 3;
  expect_no_index(SessionManager::make(connect(), limited));
}

// The rights that docs/redis-layout.md asks for suffice.
TEST_F(RedisJson, NeedsTheRightsThatTheDocsTell) {
  probe->text({"ACL", "SETUSER", "shop", "on", ">password", "~sess:*", "~frozen:sess:*", "+get",
               "+mget", "+set", "+pttl", "+pexpire", "+unlink", "+eval", "+evalsha", "+script|load",
               "+ping", "+select", "+client|setname"});
  RedisJsonOptions options;
  options.redis.clock = clock;
  const std::string url = "redis://shop:password@127.0.0.1:" + std::to_string(server->port());
  const auto store = connect_redis_json(url, options).value();
  const StoreKey key = fresh_key();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  EXPECT_EQ(store->update(key, setting("a", "1"), minute)->status, Outcome::Status::applied);
  EXPECT_EQ(store->update(key, {}, {milliseconds(120'000)})->status, Outcome::Status::applied);
  EXPECT_EQ(store->rekey(key, to, {}, minute, {milliseconds(10'000)})->status,
            Outcome::Status::applied);
  EXPECT_TRUE(store->load(key).value()->frozen);
  EXPECT_TRUE(store->erase(key, {milliseconds(10'000)}).value());
  EXPECT_TRUE(store->load(key).value()->is_over());
  EXPECT_TRUE(store->load(to).value()->is_over());
}

// What needs memory comes first, so it is refused as a whole.
TEST_F(RedisJson, OutOfMemoryWritesNothing) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  const StoreKey to = fresh_key();
  const StoreKey other = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}, {"n", "1"}}), minute));
  ASSERT_TRUE(store->create(other, fields(), minute));
  const std::string before = text_of(key);
  Changes removing;
  removing.remove.emplace_back("a");
  Changes counting;
  counting.increment.push_back({"n", 1});
  probe->text({"CONFIG", "SET", "maxmemory", "1"});
  const auto refused = [](const auto& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::rejected) << result.error().message();
    EXPECT_FALSE(result.error().maybe_applied);
    EXPECT_NE(result.error().detail.find("maxmemory"), std::string::npos);
  };
  for (const Lifetime lifetime : {minute, Lifetime{milliseconds(90'000)}}) {
    for (const Changes& changes : {setting("a", "2"), removing, counting}) {
      refused(store->update(key, changes, lifetime));
    }
    refused(store->create(to, fields(), lifetime));
    refused(store->rekey(key, to, {}, lifetime, {milliseconds(10'000)}));
  }
  EXPECT_EQ(text_of(key), before);
  EXPECT_LE(store->load(key).value()->remaining, minute.ttl);
  EXPECT_FALSE(store->load(to).value().has_value());
  EXPECT_TRUE(store->update(key, {}, {milliseconds(90'000)})) << "renewing goes on";
  EXPECT_GT(store->load(key).value()->remaining, minute.ttl);
  EXPECT_TRUE(store->erase(other, {milliseconds(10'000)}).value()) << "and so does logging out";
}

// P8: what a lost answer leaves open is said, and a rekey may be repeated.
TEST_F(RedisJson, ARestartedServerIsFoundAgain) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  server->stop();
  const Result<std::optional<Record>> down = store->load(key);
  ASSERT_FALSE(down.has_value()) << "P9: an outage is no absence";
  EXPECT_EQ(down.error().code, Errc::unavailable);
  EXPECT_FALSE(store->update(key, setting("a", "1"), minute));
  server->start();
  EXPECT_FALSE(store->load(key).value().has_value()) << "this server keeps nothing on disk";
  ASSERT_TRUE(store->create(key, fields(), minute));
  EXPECT_EQ(store->update(key, setting("a", "1"), minute)->status, Outcome::Status::applied)
      << "its scripts are known again";
}

}  // namespace
}  // namespace websession::testing
