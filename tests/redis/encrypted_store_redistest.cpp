// EncryptedStore over a RedisStore: the conformance suite, what a stolen dump tells, and what
// somebody can do who can write to Redis.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "encrypted_harness.hpp"
#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/one_time_code.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

class EncryptedRedisStoreConformance : public RedisTest,
                                       public ::testing::WithParamInterface<ConformanceCase> {};

TEST_P(EncryptedRedisStoreConformance, Conforms) {
  RedisHarness redis(connect_redis(url(), patient_options(clock)).value(), clock);
  EncryptedHarness harness(redis, GetParam());
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, EncryptedRedisStoreConformance,
                         ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, EncryptedRedisStoreConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, EncryptedRedisStoreConformance,
                         ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

class EncryptedRedisStore : public RedisTest {
 protected:
  // Compressed, a dump would hide a text that is in it.
  std::vector<std::string> server_options() override { return {"--rdbcompression", "no"}; }

  void SetUp() override {
    RedisTest::SetUp();
    if (!server) return;
    redis = connect();
    EncryptionOptions options;
    options.keys = key_ring({std::string(32, 'k')});
    options.countable = {"visits"};
    encrypted = EncryptedStore::make(redis, options).value();
  }

  SessionManager manager(std::shared_ptr<SessionStore> store,
                         IdStorage id_storage = IdStorage::plain) {
    SessionOptions options;
    options.clock = clock;
    options.id_storage = id_storage;
    return SessionManager::make(std::move(store), options).value();
  }

  // All that Redis would have on disk now.
  std::string dump() {
    EXPECT_EQ(probe->text({"SAVE"}), "OK");
    const auto folder = probe->list({"CONFIG", "GET", "dir"}).at(1);
    std::ifstream file(std::filesystem::path(folder) / "dump.rdb", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  StorePtr redis;
  std::shared_ptr<EncryptedStore> encrypted;
};

// Gives its session values of all kinds, in all the ways in which one comes into the store, and all
// that the library keeps in one.
std::vector<std::string> fill(const SessionManager& manager, SessionStore& store, Session& session,
                              std::string_view principal, const std::string& tag) {
  std::vector<std::string> secrets = {"name-" + tag,  "card-" + tag,   "swapped-" + tag,
                                      "moved-" + tag, "code-" + tag,   "in-json-" + tag,
                                      "label-" + tag, "message-" + tag};
  session.set("name", secrets[0]);
  EXPECT_TRUE(manager.commit(session));
  session.set("card", secrets[1]);
  session.set("code", secrets[4], std::chrono::minutes(5));
  session.set("json", Text{"{\"a\":\"" + secrets[5] + "\"}"});
  EXPECT_TRUE(manager.commit(session));
  EXPECT_TRUE(session.compare_and_set("swap", absent, secrets[2]).value());
  EXPECT_EQ(session.increment("visits", 1).value(), 1);
  session.sign_in(principal, secrets[6]);
  EXPECT_TRUE(manager.commit(session));
  add_flash(session, "notice", secrets[7]);
  const OneTimeCodes codes = OneTimeCodes::make(key_ring({std::string(32, 'c')})).value();
  EXPECT_TRUE(csrf_token(session));
  EXPECT_TRUE(codes.issue(session, "change-email", {.about = "ada@example.com"}));
  session.regenerate();
  session.set("moved", secrets[3]);
  EXPECT_TRUE(manager.commit(session));
  const StoreKey key = store.index()->entries(principal).value().back();
  const Fields kept = store.load(key).value().value().fields;
  for (const char* name : {"@csrf", "@code", "@code.change-email"}) {
    secrets.emplace_back(kept.find(name).value());
  }
  return secrets;
}

// With hashed ids as well: the index of principals, frozen records and their successors included.
TEST_F(EncryptedRedisStore, ADumpHoldsNeitherIdNorValue) {
  const SessionManager m = manager(encrypted, IdStorage::hashed_only);
  Session session = m.open({}).value();
  const std::vector<std::string> secrets =
      fill(m, *encrypted, session, "ada", "kept-from-everybody");
  ASSERT_EQ(session.value("moved", ""), secrets[3]);
  std::vector<std::string> ids = {session.id()->secret()};
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  ids.push_back(session.id()->secret());

  // The same values without encryption are found, or the search would prove nothing.
  const SessionManager unprotected = manager(redis);
  Session naked = unprotected.open({}).value();
  std::vector<std::string> public_values =
      fill(unprotected, *redis, naked, "bob", "for-all-to-see");
  public_values.push_back(naked.id()->secret());

  const std::string bytes = dump();
  for (const std::string& text : public_values) {
    EXPECT_NE(bytes.find(text), std::string::npos) << text << " should be there";
  }
  for (const std::string& id : ids) EXPECT_EQ(bytes.find(id), std::string::npos) << "an id";
  for (const std::string& secret : secrets) {
    EXPECT_EQ(bytes.find(secret), std::string::npos) << secret;
  }
  EXPECT_EQ(bytes.find("kept-from-everybody"), std::string::npos);
}

TEST_F(EncryptedRedisStore, OnlyNamesCountersPrincipalAndCreationAreInClear) {
  const StoreKey key = fresh_key();
  ASSERT_TRUE(
      encrypted->create(key, fields({{"@user", "ada"}, {"name", "Ada"}, {"visits", "1"}}), minute));
  const auto hash = probe->hash(redis_key(key));
  ASSERT_EQ(hash.size(), 5U);
  EXPECT_TRUE(hash.at("@sealed.identity").starts_with("enc2."));
  EXPECT_EQ(hash.at("@created"), "1700000000000");
  EXPECT_EQ(hash.at("@user"), "ada");
  EXPECT_EQ(hash.at("visits"), "1");
  EXPECT_EQ(hash.at("name").size(), 14U + 42U) << "3 bytes, sealed";
}

// What redis-cli can do.
TEST_F(EncryptedRedisStore, AlteringThePrincipalTheCreationOrADeadlineInRedisGivesCorrupt) {
  const StoreKey key = fresh_key();
  const WallTime end = clock->wall() + std::chrono::minutes(1);
  const std::string created = "1700000000000";
  const std::string deadline = std::to_string(end.time_since_epoch().count()) + ":";
  ASSERT_TRUE(encrypted->create(
      key, Fields{{"@created", created}, {"@user", "ada"}, {"coupon", "SPRING", end}}, minute));
  const auto expect_corrupt = [&](const std::string& what) {
    const Result<std::optional<Record>> record = encrypted->load(key);
    ASSERT_FALSE(record.has_value()) << what;
    EXPECT_EQ(record.error().code, Errc::corrupt) << what;
  };
  const std::string stored = probe->text({"HGET", redis_key(key), "@until.coupon"});
  ASSERT_TRUE(stored.starts_with(deadline));
  const std::string text = stored.substr(deadline.size());
  const std::vector<std::vector<std::string>> attacks = {
      {"@user", "root", "ada"},
      {"@created", "1800000000000", created},
      {"@until.coupon", "1800000000000:" + text, stored},
  };
  for (const std::vector<std::string>& attack : attacks) {
    probe->integer({"HSET", redis_key(key), attack[0], attack[1]});
    expect_corrupt(attack[0]);
    probe->integer({"HDEL", redis_key(key), attack[0]});
    if (attack[0] == "@user") expect_corrupt(attack[0]);
    probe->integer({"HSET", redis_key(key), attack[0], attack[2]});
    EXPECT_EQ(encrypted->load(key).value().value().fields.find("coupon"), "SPRING");
  }
  // Without its deadline.
  probe->integer({"HSET", redis_key(key), "coupon", text});
  expect_corrupt("coupon");
}

TEST_F(EncryptedRedisStore, SwappingCiphertextsInRedisGivesCorrupt) {
  const StoreKey mine = fresh_key();
  const StoreKey theirs = fresh_key();
  ASSERT_TRUE(encrypted->create(mine, fields({{"nick", "admin"}, {"role", "user"}}), minute));
  ASSERT_TRUE(encrypted->create(theirs, fields({{"role", "admin"}}), minute));
  const std::string role = probe->text({"HGET", redis_key(mine), "role"});
  const std::vector<std::string> planted = {
      probe->text({"HGET", redis_key(theirs), "role"}),  // of another session
      probe->text({"HGET", redis_key(mine), "nick"}),    // of another attribute
      role.substr(0, role.size() - 16),                  // without most of its tag
      "admin",
  };
  for (const std::string& text : planted) {
    probe->integer({"HSET", redis_key(mine), "role", text});
    const Result<std::optional<Record>> record = encrypted->load(mine);
    ASSERT_FALSE(record.has_value()) << text;
    EXPECT_EQ(record.error().code, Errc::corrupt);
  }
  probe->integer({"HSET", redis_key(mine), "role", role});
  EXPECT_EQ(encrypted->load(mine).value().value().fields.find("role"), "user");
}

// A session as large as one may be fits into the store's limit once it is encrypted.
TEST_F(EncryptedRedisStore, TheLargestSessionFits) {
  const SessionManager m = manager(encrypted);
  Session session = m.open({}).value();
  for (int i = 0; i < 256; ++i) session.set("a" + std::to_string(1000 + i), std::string(251, 'x'));
  ASSERT_TRUE(m.commit(session));
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  const std::string cookie = "sid=" + session.id()->secret();
  EXPECT_EQ(m.open({.cookie_header = cookie}).value().names().size(), 256U);
  std::size_t stored = 0;
  for (const auto& [name, text] : probe->hash("sid_" + session.id()->secret())) {
    stored += name.size() + text.size();
  }
  EXPECT_LT(stored, 100U * 1024U);
}

}  // namespace
}  // namespace websession::testing
