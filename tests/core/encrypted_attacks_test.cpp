// What somebody can do who can write to the store below an EncryptedStore: become nobody else, and
// lengthen nothing. And what the library keeps in a session is as secret there as what a site does.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "encrypted_fixture.hpp"
#include "hook_store.hpp"
#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/one_time_code.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class EncryptedAttack : public EncryptedStoreTest {
 protected:
  void SetUp() override { ASSERT_TRUE(store->create(key, plain, minute)); }

  SessionManager manager_on(std::shared_ptr<SessionStore> which) {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(std::move(which), options).value();
  }

  // Moves a field as it stands in the store, or takes it away.
  void plant_field(const StoreKey& which, const Field& field) {
    plant_changes(which,
                  setting(std::string(field.name), std::string(field.value), field.deadline));
  }
  void take_away(const StoreKey& which, const std::string& name) {
    Changes removing;
    removing.remove.push_back(name);
    plant_changes(which, removing);
  }
  void plant_changes(const StoreKey& which, const Changes& changes) {
    ASSERT_EQ(memory->update(which, changes, minute).value().status, Outcome::Status::applied);
  }
  Fields stored(const StoreKey& which) { return memory->load(which).value().value().fields; }

  // Nothing is shown of such a session, and nothing is sealed anew of it.
  void expect_useless(const StoreKey& which) {
    expect_corrupt(which);
    const StoreKey to("to");
    const Result<Outcome> moved = store->rekey(which, to, {}, minute, grace);
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().code, Errc::corrupt);
    EXPECT_FALSE(memory->load(to).value().has_value());
    for (const Changes& changes : {setting("@user", "eve"), expecting("name", {"Ada"})}) {
      const Result<Outcome> changed = store->update(which, changes, minute);
      ASSERT_FALSE(changed);
      EXPECT_EQ(changed.error().code, Errc::corrupt);
    }
    expect_corrupt(which);
  }

  OneTimeCodes codes = OneTimeCodes::make(key_ring({std::string(32, 'c')})).value();
};

TEST_F(EncryptedAttack, AnotherPrincipalIsCorrupt) {
  plant(key, "@user", "root");
  expect_useless(key);
  take_away(key, "@user");
  expect_useless(key);
  plant(key, "@user", "ada");
  EXPECT_EQ(value(*store, key, "@user"), "ada") << "the right one, again";

  ASSERT_TRUE(store->create(other, {{"@created", "1"}, {"name", "Ada"}}, minute));
  plant(other, "@user", "root");
  expect_useless(other);
}

TEST_F(EncryptedAttack, AnotherTimeOfCreationIsCorrupt) {
  for (const std::string ms : {"2", "0", "1700000000000"}) {
    plant(key, "@created", ms);
    expect_useless(key);
  }
}

// Between the two neither may move.
TEST_F(EncryptedAttack, WhereTheTimeEndsAndThePrincipalBeginsIsPartOfIt) {
  ASSERT_TRUE(store->create(other, {{"@created", "12"}, {"@user", "3"}, {"name", "Ada"}}, minute));
  plant(other, "@created", "1");
  plant(other, "@user", "23");
  expect_useless(other);
}

TEST_F(EncryptedAttack, ThePrincipalOfAnotherSessionIsCorrupt) {
  ASSERT_TRUE(
      store->create(other, {{"@created", "1"}, {"@user", "root"}, {"name", "Ada"}}, minute));
  for (const Field& field : stored(other)) {
    if (field.name.starts_with('@')) plant_field(key, field);
  }
  expect_useless(key);
  // The whole of it, under an id of the attacker's own.
  const StoreKey mine("mine");
  ASSERT_TRUE(memory->create(mine, stored(other), minute));
  expect_useless(mine);
}

TEST_F(EncryptedAttack, ASessionWithoutItsSealIsCorrupt) {
  take_away(key, "@sealed.identity");
  expect_useless(key);
  plant(key, "@sealed.identity", "ada");
  expect_useless(key);
}

TEST_F(EncryptedAttack, AnAlteredDeadlineIsCorrupt) {
  const WallTime end = clock->wall() + milliseconds(1000);
  for (const std::string name : {"coupon", "@code.login"}) {
    ASSERT_EQ(update(*store, setting(name, "SPRING", end)).status, Outcome::Status::applied);
    const std::string text = stored_text(key, name);
    EXPECT_EQ(value(*store, key, name), "SPRING");
    const std::vector<std::optional<WallTime>> ends = {end + milliseconds(1), std::nullopt,
                                                       end - milliseconds(1)};
    for (const std::optional<WallTime>& altered : ends) {
      plant_field(key, {name, text, altered});
      expect_corrupt(key);
      const Result<Outcome> moved = store->rekey(key, other, {}, minute, grace);
      ASSERT_FALSE(moved);
      EXPECT_EQ(moved.error().code, Errc::corrupt);
    }
    plant_field(key, {name, text, end});
    EXPECT_EQ(value(*store, key, name), "SPRING");
    take_away(key, name);
  }
  plant_field(key, {"role", stored_text(key, "role"), end});
  expect_corrupt(key);
}

// Nobody who can write to the store makes a session last beyond its absolute timeout.
TEST_F(EncryptedAttack, AnEndlessTimeToLiveDoesNotOutliveTheAbsoluteTimeout) {
  const SessionManager manager = manager_on(store);
  const SessionId id = store_session(manager);
  const StoreKey where(id);
  ASSERT_TRUE(memory->update(where, {}, {ttl_max}));
  clock->advance(manager.options().absolute_timeout - milliseconds(1));
  EXPECT_TRUE(manager.find(id).value().has_value());
  clock->advance(milliseconds(1));
  EXPECT_FALSE(manager.find(id).value().has_value());
  plant(where, "@created", std::to_string(clock->wall().time_since_epoch().count()));
  EXPECT_EQ(manager.find(id).error().code, Errc::corrupt);
}

// What the library keeps

TEST_F(EncryptedAttack, WhatTheLibraryKeepsIsSealed) {
  const SessionManager manager = manager_on(store);
  Session session = manager.open({}).value();
  session.sign_in("ada", "Firefox on Linux");
  add_flash(session, "notice", "your balance is 12");
  static_cast<void>(csrf_token(session).value());
  static_cast<void>(codes.issue(session, "login").value());
  ASSERT_TRUE(manager.commit(session));
  const StoreKey where(*session.id());
  std::size_t sealed = 0;
  for (const Field& field : stored(where)) {
    const bool clear = field.name == "@created" || field.name == "@user" || field.name == "@sealed";
    EXPECT_NE(field.value.starts_with("enc2."), clear) << field.name;
    sealed += clear ? 0U : 1U;
  }
  EXPECT_EQ(sealed, 6U) << "label, message, token, code, its anchor, and the seal of the principal";
  const Session found = load_session(manager, *session.id());
  EXPECT_EQ(found.principal(), "ada");
}

// A token is the secret under a mask: whoever has the secret can make one.
TEST_F(EncryptedAttack, ATokenCannotBeForgedFromWhatIsStored) {
  const SessionManager manager = manager_on(store);
  Session session = manager.open({}).value();
  const std::string token = csrf_token(session).value();
  ASSERT_TRUE(manager.commit(session));
  const SessionManager thief = manager_on(memory);
  Session stolen = load_session(thief, *session.id());
  const Result<std::string> forged = csrf_token(stolen);
  EXPECT_FALSE(forged && csrf_valid(session, *forged));
  EXPECT_TRUE(csrf_valid(load_session(manager, *session.id()), token));
}

TEST_F(EncryptedAttack, APlantedLibraryFieldIsCorrupt) {
  for (const std::string name : {"@csrf", "@label", "@code", "@code.login", "@flash.1", "@new"}) {
    plant(key, name, "1");
    expect_corrupt(key);
    take_away(key, name);
  }
  EXPECT_EQ(value(*store, key, "name"), "Ada");
}

// What is left to whoever can write, as security.md says: each of these is what was sealed for this
// very session once.
TEST_F(EncryptedAttack, WhatHasBeenCanBeBroughtBack) {
  const SessionManager manager = manager_on(store);
  Session session = manager.open({}).value();
  session.set("role", "admin");
  ASSERT_TRUE(manager.commit(session));
  const StoreKey where(*session.id());
  const Fields before = stored(where);
  session.set("role", "user");
  ASSERT_TRUE(manager.commit(session));
  plant(where, "role", std::string(before.find("role").value()));
  EXPECT_EQ(load_session(manager, *session.id()).value("role", ""), "admin") << "one value";
  take_away(where, "role");
  EXPECT_FALSE(load_session(manager, *session.id()).contains("role")) << "an attribute less";

  ASSERT_TRUE(memory->erase(where).value());
  ASSERT_TRUE(memory->create(where, before, minute));
  const SessionId id = SessionId::parse(where.secret()).value();
  EXPECT_EQ(load_session(manager, id).value("role", ""), "admin") << "the whole record";
  clock->advance(manager.options().absolute_timeout);
  EXPECT_FALSE(manager.find(id).value().has_value()) << "but not beyond its time";
}

// Changing the principal

TEST_F(EncryptedAttack, AnUpdateCanChangeThePrincipalOrTheTime) {
  Changes both = setting("@user", "bob");
  both.set.push_back({"@created", "2"});
  Changes out = setting("@created", "3");
  out.remove.emplace_back("@user");
  const std::vector<std::pair<Changes, std::string>> steps = {
      {setting("@user", "eve"), "1 eve"},  {both, "2 bob"},
      {setting("@created", "4"), "4 bob"}, {out, "3 (absent)"},
      {setting("@user", "ada"), "3 ada"},
  };
  for (const auto& [changes, expected] : steps) {
    ASSERT_EQ(update(*store, changes).status, Outcome::Status::applied);
    EXPECT_EQ(value(*store, key, "@created") + " " + value(*store, key, "@user"), expected);
  }
  EXPECT_EQ(update(*store, expecting("@user", {"bob"}, setting("@user", "eve"))).found, "ada");
  EXPECT_EQ(value(*store, key, "@user"), "ada");
}

TEST_F(EncryptedAttack, WhatChangesMeanwhileIsNotSealedOver) {
  const auto hooks = std::make_shared<HookStore>(memory);
  const auto slow = store_on(hooks);
  hooks->before_write = [&] { update(*store, setting("@created", "7")); };
  ASSERT_EQ(update(*slow, setting("@user", "bob")).status, Outcome::Status::applied);
  EXPECT_EQ(value(*store, key, "@created") + " " + value(*store, key, "@user"), "7 bob");

  hooks->before_write = [&] { update(*store, setting("@user", "eve")); };
  ASSERT_EQ(slow->rekey(key, other, {}, minute, {}).value().status, Outcome::Status::applied);
  EXPECT_EQ(value(*store, other, "@user"), "eve");

  // Not even for somebody who writes to the store between the reading and the writing.
  hooks->before_write = [&] { plant(other, "@user", "root"); };
  const Result<Outcome> moved = slow->rekey(other, key, {}, minute, {});
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Errc::corrupt);
}

// What it costs

class EncryptedCalls : public EncryptedAttack {
 protected:
  std::size_t calls_of(const std::function<void()>& work) {
    const std::size_t before = counted->calls();
    work();
    return counted->calls() - before;
  }

  std::shared_ptr<FaultStore> counted = std::make_shared<FaultStore>(memory);
  SessionManager manager = manager_on(store_on(counted, {new_secret, old_secret}));
};

TEST_F(EncryptedCalls, WhatTheLibraryKeepsTakesOneRoundTrip) {
  const SessionId id = store_session(manager);
  Session session = load_session(manager, id);
  std::string token;
  std::string code;
  EXPECT_EQ(calls_of([&] { token = csrf_token(session).value(); }), 1U);
  EXPECT_EQ(calls_of([&] { code = codes.issue(session, "login").value(); }), 2U) << "the first";
  EXPECT_EQ(calls_of([&] { code = codes.issue(session, "login").value(); }), 1U);
  using Status = CodeCheck::Status;
  EXPECT_EQ(calls_of([&] {
              EXPECT_EQ(codes.verify(session, "login", "0").value().status, Status::wrong);
            }),
            1U);
  add_flash(session, "notice", "hello");
  add_flash(session, "notice", "world");
  EXPECT_EQ(calls_of([&] { ASSERT_TRUE(manager.commit(session)); }), 1U);

  EXPECT_EQ(calls_of([&] { session = load_session(manager, id); }), 1U);
  EXPECT_EQ(calls_of([&] { EXPECT_EQ(take_flashes(session).value().size(), 2U); }), 1U);
  EXPECT_TRUE(csrf_valid(session, token));
  EXPECT_EQ(calls_of([&] {
              EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::correct);
            }),
            1U);
  EXPECT_TRUE(session.compare_and_set("step", absent, "1").value());
}

TEST_F(EncryptedCalls, AlsoWhileSecretsRotate) {
  const SessionManager before = manager_on(store_on(memory, {old_secret}));
  const SessionId id = store_session(before);
  Session session = load_session(before, id);
  const std::string token = csrf_token(session).value();
  const std::string code = codes.issue(session, "login").value();
  add_flash(session, "notice", "hello");
  ASSERT_TRUE(before.commit(session));

  session = load_session(manager, id);
  EXPECT_TRUE(csrf_valid(session, token));
  EXPECT_EQ(calls_of([&] {
              EXPECT_EQ(codes.verify(session, "login", code).value().status,
                        CodeCheck::Status::correct);
            }),
            1U);
  EXPECT_EQ(calls_of([&] { EXPECT_EQ(take_flashes(session).value().size(), 1U); }), 1U);
}

// A guess that proves wrong costs round trips, and nothing else.
TEST_F(EncryptedCalls, AnExpectedFieldWithAnotherDeadlineIsFoundAllTheSame) {
  const WallTime end = clock->wall() + milliseconds(1000);
  ASSERT_EQ(update(*store, setting("@code.x", "1", end)).status, Outcome::Status::applied);
  EXPECT_EQ(update(*store, expecting("@code.x", {"1"}, setting("@code.x", "2"))).status,
            Outcome::Status::applied);
  EXPECT_EQ(value(*store, key, "@code.x"), "2");
  EXPECT_EQ(update(*store, expecting("@code.x", {"1"}, setting("@code.x", "3"))).found, "2");
  EXPECT_EQ(update(*store, expecting("@code.x", {}, setting("@code.x", "3"))).found, "2");
  EXPECT_EQ(value(*store, key, "@code.x"), "2");
}

}  // namespace
}  // namespace websession::testing
