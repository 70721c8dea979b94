// EncryptedStore over a MemoryStore: what reaches the inner store, and what becomes of values that
// were meddled with there.
#include "websession/encrypted_store.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "encrypted_fixture.hpp"
#include "forwarding_store.hpp"
#include "memory_harness.hpp"
#include "print_case.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class EncryptedMemoryStore : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(EncryptedMemoryStore, Conforms) {
  MemoryHarness memory;
  EncryptedHarness harness(memory, GetParam());
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, EncryptedMemoryStore, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, EncryptedMemoryStore, ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, EncryptedMemoryStore, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

TEST_F(EncryptedStoreTest, OverAStoreWithoutAnIndexThereIsNone) {
  EncryptionOptions options;
  options.keys = key_ring({std::string(32, 'k')});
  const auto over_plain =
      EncryptedStore::make(std::make_shared<WithoutIndex>(memory), options).value();
  EXPECT_EQ(over_plain->index(), nullptr);
  EXPECT_EQ(store->index(), memory->index());
}

TEST_F(EncryptedStoreTest, OnlyTheLibrarysFieldsAndCountableOnesStayInClear) {
  ASSERT_TRUE(store->create(key, plain, minute));
  EXPECT_EQ(stored_text(key, "@created"), "1");
  EXPECT_EQ(stored_text(key, "@user"), "ada");
  EXPECT_EQ(stored_text(key, "visits"), "3");
  EXPECT_TRUE(stored_text(key, "name").starts_with("enc2."));
  EXPECT_TRUE(stored_text(key, "role").starts_with("enc2."));
  EXPECT_EQ(store->load(key).value().value().fields, plain);

  Changes changes = setting("name", "Grace");
  changes.set.push_back({"n", "1"});
  ASSERT_EQ(update(*store, changes).status, Outcome::Status::applied);
  EXPECT_TRUE(stored_text(key, "name").starts_with("enc2."));
  EXPECT_EQ(stored_text(key, "n"), "1");
  EXPECT_EQ(value(*store, key, "name"), "Grace");
}

// The same value, written twice, does not show as the same.
TEST_F(EncryptedStoreTest, EqualValuesDoNotLookEqual) {
  ASSERT_TRUE(store->create(key, {{"@created", "1"}, {"a", "x"}, {"b", "x"}}, minute));
  const std::string first = stored_text(key, "a");
  EXPECT_NE(first, stored_text(key, "b"));
  ASSERT_EQ(update(*store, setting("a", "x")).status, Outcome::Status::applied);
  EXPECT_NE(stored_text(key, "a"), first);
}

TEST_F(EncryptedStoreTest, ItsOwnFieldIsHiddenAndCannotBeTouched) {
  ASSERT_TRUE(store->create(key, plain, minute));
  ASSERT_EQ(update(*store, setting("name", "Grace")).status, Outcome::Status::applied);
  EXPECT_NE(stored_text(key, "@sealed"), "(absent)");
  EXPECT_EQ(value(*store, key, "@sealed"), "(absent)");

  Changes removing;
  removing.remove.emplace_back("@sealed");
  const std::string before = stored_text(key, "@sealed");
  for (const Changes& changes :
       {setting("@sealed", "x"), removing, expecting("@sealed", {before})}) {
    const Result<Outcome> refused = store->update(key, changes, minute);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_FALSE(store->rekey(key, other, changes, minute, grace));
  }
  EXPECT_FALSE(store->create(other, {{"@created", "1"}, {"@sealed", "x"}}, minute));
  EXPECT_EQ(stored_text(key, "@sealed"), before);
}

// The attacks of somebody who can write to the inner store.

TEST_F(EncryptedStoreTest, ACiphertextMovedToAnotherAttributeIsCorrupt) {
  ASSERT_TRUE(store->create(key, {{"@created", "1"}, {"nick", "admin"}, {"role", "user"}}, minute));
  plant(key, "role", stored_text(key, "nick"));
  expect_corrupt(key);
}

TEST_F(EncryptedStoreTest, ACiphertextMovedToAnotherSessionIsCorrupt) {
  ASSERT_TRUE(store->create(key, {{"@created", "1"}, {"role", "user"}}, minute));
  ASSERT_TRUE(store->create(other, {{"@created", "1"}, {"role", "admin"}}, minute));
  plant(key, "role", stored_text(other, "role"));
  expect_corrupt(key);
  EXPECT_EQ(value(*store, other, "role"), "admin");
}

TEST_F(EncryptedStoreTest, ATruncatedTagIsCorrupt) {
  ASSERT_TRUE(store->create(key, plain, minute));
  const std::string text = stored_text(key, "name");
  for (std::size_t cut = 1; cut <= 22; ++cut) {
    plant(key, "name", text.substr(0, text.size() - cut));
    expect_corrupt(key);
  }
  plant(key, "name", text);
  EXPECT_EQ(value(*store, key, "name"), "Ada");
}

TEST_F(EncryptedStoreTest, PlainTextInPlaceOfACiphertextIsCorrupt) {
  ASSERT_TRUE(store->create(key, plain, minute));
  for (const std::string text : {"admin", "", "1", "null"}) {
    plant(key, "role", text);
    expect_corrupt(key);
  }
}

TEST_F(EncryptedStoreTest, AnAttributeThatWasPlantedIsCorrupt) {
  ASSERT_TRUE(store->create(key, plain, minute));
  plant(key, "admin", "true");
  expect_corrupt(key);
}

TEST_F(EncryptedStoreTest, WhatDoesNotOpenIsCorruptForExpectAndRekey) {
  ASSERT_TRUE(store->create(key, plain, minute));
  plant(key, "role", "user");
  const Result<Outcome> expected = store->update(key, expecting("role", {"user"}), minute);
  ASSERT_FALSE(expected);
  EXPECT_EQ(expected.error().code, Errc::corrupt);
  const Result<Outcome> moved = store->rekey(key, other, {}, minute, grace);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Errc::corrupt);
  EXPECT_FALSE(memory->load(other).value().has_value());
  // It can still be replaced, and ended.
  EXPECT_EQ(update(*store, setting("role", "user")).status, Outcome::Status::applied);
  EXPECT_EQ(store->load(key).value().value().fields, plain);
  EXPECT_TRUE(store->erase(key).value());
}

TEST_F(EncryptedStoreTest, ErrorsHoldNoSecrets) {
  ASSERT_TRUE(store->create(key, {{"@created", "1"}, {"name", "a secret value"}}, minute));
  const std::string text = stored_text(key, "name");
  std::vector<std::string> details;
  plant(key, "name", "a secret value");
  details.push_back(store->load(key).error().detail);
  plant(key, "name", text.substr(1));
  details.push_back(store->load(key).error().detail);
  plant(key, "name", text + "A");
  details.push_back(store->load(key).error().detail);
  plant(key, "name", text);
  details.push_back(store_on(memory, {old_secret})->load(key).error().detail);
  for (const std::string& detail : details) {
    EXPECT_FALSE(detail.empty());
    EXPECT_EQ(detail.find("a secret value"), std::string::npos) << detail;
    EXPECT_EQ(detail.find(text.substr(14)), std::string::npos) << detail;
    EXPECT_EQ(detail.find(new_secret), std::string::npos) << detail;
  }
}

// Rotation

TEST_F(EncryptedStoreTest, ANewSecretTakesOverWithoutLosingASession) {
  const auto before = store_on(memory, {old_secret});
  ASSERT_TRUE(before->create(key, plain, minute));
  const auto between = store_on(memory, {new_secret, old_secret});
  EXPECT_EQ(between->load(key).value().value().fields, plain);
  ASSERT_EQ(update(*between, expecting("name", {"Ada"}, setting("name", "Grace"))).status,
            Outcome::Status::applied);
  EXPECT_EQ(value(*between, key, "name"), "Grace");
  EXPECT_EQ(value(*between, key, "role"), "user");
  // One value is still sealed with the old secret, until the session gets a new id.
  const auto after = store_on(memory, {new_secret});
  EXPECT_EQ(after->load(key).error().code, Errc::corrupt);
  ASSERT_EQ(between->rekey(key, other, {}, minute, {}).value().status, Outcome::Status::applied);
  EXPECT_EQ(value(*after, other, "name"), "Grace");
  EXPECT_EQ(value(*after, other, "role"), "user");
}

TEST_F(EncryptedStoreTest, ASecretThatWasTakenAwayOpensNothing) {
  ASSERT_TRUE(store_on(memory, {old_secret})->create(key, plain, minute));
  expect_corrupt(key);
}

// Counting

TEST_F(EncryptedStoreTest, CountingAnEncryptedAttributeIsRefusedBeforeAnythingIsSent) {
  auto counted = std::make_shared<FaultStore>(memory);
  const auto encrypted = store_on(counted);
  Changes changes;
  changes.increment.push_back({"n", 1});
  changes.increment.push_back({"name", 1});
  for (const Result<Outcome>& refused : {encrypted->update(key, changes, minute),
                                         encrypted->rekey(key, other, changes, minute, {})}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_NE(refused.error().detail.find("countable"), std::string::npos);
  }
  EXPECT_EQ(counted->calls(), 0U);
}

TEST_F(EncryptedStoreTest, CountableAttributesAreCountedSetAndExpectedInClear) {
  ASSERT_TRUE(store->create(key, plain, minute));
  Changes changes = expecting("visits", {"3"}, setting("name", "Grace"));
  changes.increment.push_back({"visits", 2});
  EXPECT_EQ(update(*store, changes).counters, std::vector<std::int64_t>{5});
  EXPECT_EQ(stored_text(key, "visits"), "5");
  EXPECT_EQ(update(*store, expecting("visits", {"3"})).found, "5");
}

// Comparing

TEST_F(EncryptedStoreTest, ExpectComparesPlainValues) {
  ASSERT_TRUE(store->create(key, plain, minute));
  const Changes swap = expecting("name", {"Ada", "\"Ada\""}, setting("name", "Grace"));
  EXPECT_EQ(update(*store, swap).status, Outcome::Status::applied);
  const Outcome again = update(*store, swap);
  EXPECT_EQ(again.status, Outcome::Status::conflict);
  EXPECT_EQ(again.found, "Grace");
  EXPECT_EQ(update(*store, expecting("name", {stored_text(key, "name")})).status,
            Outcome::Status::conflict)
      << "nobody can name a ciphertext";
}

TEST_F(EncryptedStoreTest, AConflictTellsOfTheFirstAttributeThatIsNotAsExpected) {
  ASSERT_TRUE(store->create(key, plain, minute));
  Changes changes = expecting("name", {"Ada"});
  changes.expect.push_back({"visits", {"4"}});
  changes.expect.push_back({"role", {"admin"}});
  EXPECT_EQ(update(*store, changes).found, "3");
  changes.expect[1].any_of = {"3"};
  EXPECT_EQ(update(*store, changes).found, "user");
  changes.expect[2] = {"none", {"x"}};
  const Outcome absent = update(*store, changes);
  EXPECT_EQ(absent.status, Outcome::Status::conflict);
  EXPECT_FALSE(absent.found.has_value());
}

// The rest

TEST_F(EncryptedStoreTest, RefusesBadOptionsByName) {
  EncryptionOptions good;
  good.keys = key_ring({new_secret});
  EXPECT_TRUE(EncryptedStore::make(memory, good));
  const auto refusal = [&](std::shared_ptr<SessionStore> inner, const EncryptionOptions& options) {
    const auto made = EncryptedStore::make(std::move(inner), options);
    if (made) return std::string("it was made");
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    return made.error().detail.substr(0, made.error().detail.find(':'));
  };
  EXPECT_EQ(refusal(nullptr, good), "EncryptedStore");
  EXPECT_EQ(refusal(memory, {}), "keys");
  EncryptionOptions bad = good;
  bad.countable = {"a", ""};
  EXPECT_EQ(refusal(memory, bad), "countable");
  bad.countable = {"@user"};
  EXPECT_EQ(refusal(memory, bad), "countable");
  bad = good;
  bad.retry_for = milliseconds(-1);
  EXPECT_EQ(refusal(memory, bad), "retry_for");
  bad.retry_for = std::chrono::minutes(2);
  EXPECT_EQ(refusal(memory, bad), "retry_for");
}

// P8: every call to the inner store fails in turn; the error comes through, and nothing is half
// done.
TEST_F(EncryptedStoreTest, FaultsOfTheInnerStoreComeThrough) {
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    for (std::size_t n = 1; n <= 2; ++n) {
      auto faulty = std::make_shared<FaultStore>(std::make_shared<MemoryStore>(clock));
      const auto encrypted = store_on(faulty);
      ASSERT_TRUE(encrypted->create(key, plain, minute));
      const bool applied = moment == FaultStore::Moment::after && n == 2;

      faulty->fail_call(n, make_error(Errc::unavailable, "told to"), moment);
      const Changes swap = expecting("name", {"Ada"}, setting("name", "Grace"));
      const Result<Outcome> updated = encrypted->update(key, swap, minute);
      ASSERT_FALSE(updated);
      EXPECT_EQ(updated.error().code, Errc::unavailable);
      EXPECT_EQ(value(*encrypted, key, "name"), applied ? "Grace" : "Ada");

      faulty->fail_call(n, make_error(Errc::unavailable, "told to"), moment);
      const Result<Outcome> moved = encrypted->rekey(key, other, {}, minute, grace);
      ASSERT_FALSE(moved);
      EXPECT_EQ(moved.error().code, Errc::unavailable);
      EXPECT_EQ(encrypted->rekey(key, other, {}, minute, grace).value().status,
                Outcome::Status::applied);
      EXPECT_EQ(value(*encrypted, other, "role"), "user");
    }
  }
}

TEST_F(EncryptedStoreTest, ServesASessionManager) {
  SessionOptions options;
  options.clock = clock;
  const SessionManager manager = SessionManager::make(store, options).value();
  Session session = manager.open({}).value();
  session.set("cart", "shoes");
  ASSERT_TRUE(manager.commit(session));
  EXPECT_EQ(session.increment("visits", 1).value(), 1);
  EXPECT_TRUE(session.compare_and_set("cart", "shoes", "boots").value());
  EXPECT_FALSE(session.compare_and_set("cart", "shoes", "hats").value());
  EXPECT_EQ(session.value("cart", ""), "boots") << "told by the conflict";
  EXPECT_EQ(session.increment("cart", 1).error().code, Errc::invalid_argument);
  session.regenerate();
  ASSERT_TRUE(manager.commit(session));
  const std::string cookie = "sid=" + session.id()->secret();
  const Session found = manager.open({.cookie_header = cookie}).value();
  EXPECT_EQ(found.value("cart", ""), "boots");
  EXPECT_EQ(stored_text(StoreKey(*session.id()), "visits"), "1");
  EXPECT_TRUE(stored_text(StoreKey(*session.id()), "cart").starts_with("enc2."));
}

}  // namespace
}  // namespace websession::testing
