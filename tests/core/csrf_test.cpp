// CSRF tokens, each guarantee with the attack that it stops.
#include "websession/csrf.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "base64.hpp"
#include "session_races.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

class Csrf : public ::testing::Test {
 protected:
  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  std::shared_ptr<FaultStore> store = std::make_shared<FaultStore>(memory);
  SessionManager manager = SessionManager::make(store).value();
  SessionId id = store_session(manager);

  Session load() { return load_session(manager, id); }
  std::string token() {
    Session session = load();
    return csrf_token(session).value();
  }
  bool valid(std::string_view text) { return csrf_valid(load(), text); }
};

TEST_F(Csrf, ATokenIsValidInItsSession) {
  const std::string first = token();
  EXPECT_EQ(first.size(), 86U);
  EXPECT_EQ(
      first.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
      std::string::npos);
  EXPECT_TRUE(valid(first));
  EXPECT_TRUE(valid(first)) << "as often as a form is sent";
  EXPECT_TRUE(valid(token()));
  EXPECT_TRUE(valid(first)) << "in the other tab";
}

// Attack: an attacker's own token in a form that the victim sends.
TEST_F(Csrf, ATokenOfAnotherSessionIsNot) {
  Session other = manager.create().value();
  const std::string others_token = csrf_token(other).value();
  EXPECT_FALSE(valid(others_token)) << "this one has no secret yet";
  const std::string own = token();
  EXPECT_FALSE(valid(others_token));
  EXPECT_FALSE(csrf_valid(other, own));
  EXPECT_TRUE(csrf_valid(other, others_token));
}

// Attack (BREACH): what is the same in many compressed pages can be found by their sizes.
TEST_F(Csrf, EachTokenIsMaskedAnew) {
  Session session = load();
  constexpr std::size_t count = 100;
  std::set<std::string> tokens;
  std::set<std::string> halves;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string token = csrf_token(session).value();
    tokens.insert(token);
    const std::string bytes = internal::decode_base64(token).value();
    halves.insert(bytes.substr(0, 32));
    halves.insert(bytes.substr(32));
    EXPECT_TRUE(csrf_valid(session, token));
  }
  EXPECT_EQ(tokens.size(), count);
  EXPECT_EQ(halves.size(), 2 * count) << "no part of it is seen twice";
}

TEST_F(Csrf, NothingElseIsValid) {
  const std::string good = token();
  const Session session = load();
  for (const std::string& text :
       {std::string(), std::string("x"), good.substr(1), good.substr(0, 85), good.substr(0, 43),
        good + "A", good + "=", " " + good, good + '\0', std::string(86, 'A'), good + good,
        std::string(1'000'000, 'A')}) {
    EXPECT_FALSE(csrf_valid(session, text)) << text.substr(0, 100);
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = good;
      changed[i] = static_cast<char>(c);
      EXPECT_EQ(csrf_valid(session, changed), changed == good) << i << ' ' << c;
    }
  }
}

// Attack: a token that someone got hold of before the visitor signed in.
TEST_F(Csrf, RenewalEndsTheTokensBefore) {
  const std::string before = token();
  Session session = load();
  renew_csrf(session);
  session.regenerate();
  EXPECT_FALSE(csrf_valid(session, before)) << "at once in this request";
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::regenerated);
  id = *session.id();
  EXPECT_FALSE(valid(before));
  const std::string after = token();
  EXPECT_TRUE(valid(after));
  EXPECT_FALSE(valid(before));
}

TEST_F(Csrf, ATokenAfterRenewalInTheSameRequestRidesOnTheCommit) {
  const std::string before = token();
  Session session = load();
  renew_csrf(session);
  const std::size_t calls = store->calls();
  const std::string after = csrf_token(session).value();
  EXPECT_EQ(store->calls(), calls);
  EXPECT_TRUE(valid(before)) << "nothing has happened yet";
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::updated);
  EXPECT_TRUE(valid(after));
  EXPECT_FALSE(valid(before));
}

// A request that runs beside the sign-in makes the first secret: it must not outlive it.
TEST_F(Csrf, RenewalEndsTokensThatItHasNotSeen) {
  Session session = load();
  renew_csrf(session);
  const std::string before = token();
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::updated);
  EXPECT_FALSE(valid(before));
}

TEST_F(Csrf, RenewalAloneMakesNoSession) {
  Session session = manager.open({}).value();
  renew_csrf(session);
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::unchanged);
  EXPECT_TRUE(session.is_new());
}

TEST_F(Csrf, TheSecretOfANewSessionRidesOnTheCommit) {
  Session session = manager.open({}).value();
  const std::size_t calls = store->calls();
  const std::string token = csrf_token(session).value();
  EXPECT_TRUE(csrf_valid(session, token));
  EXPECT_EQ(store->calls(), calls);
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::created);
  id = *session.id();
  EXPECT_TRUE(valid(token));
}

TEST_F(Csrf, WhatItCosts) {
  Session session = load();
  std::size_t calls = store->calls();
  ASSERT_TRUE(csrf_token(session));
  EXPECT_EQ(store->calls() - calls, 1U) << "once a session";
  session = load();
  calls = store->calls();
  const std::string token = csrf_token(session).value();
  EXPECT_TRUE(csrf_valid(session, token));
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::unchanged);
  EXPECT_EQ(store->calls(), calls);
}

// Two tabs load before either has a token: the second must not end the first one's.
TEST_F(Csrf, TwoFirstTokensAreBothValid) {
  Session one = load();
  Session two = load();
  const std::string first = csrf_token(one).value();
  const std::string second = csrf_token(two).value();
  EXPECT_TRUE(valid(first));
  EXPECT_TRUE(valid(second));
  EXPECT_TRUE(csrf_valid(one, second));
  EXPECT_TRUE(csrf_valid(two, first));
}

TEST_F(Csrf, SixtyFourFirstTokensAtOnceAreAllValid) { SessionRace(manager).csrf_first_tokens(); }

TEST_F(Csrf, HandlersDontTouchIt) {
  const std::string good = token();
  Session session = load();
  EXPECT_TRUE(session.names().empty());
  EXPECT_EQ(session.value("@csrf", "?"), "?");
  session.set("a", 1);
  ASSERT_TRUE(manager.commit(session));
  session.clear();
  session.regenerate();
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::regenerated);
  id = *session.id();
  EXPECT_TRUE(valid(good));
  session.set("@csrf", "mine");
  EXPECT_EQ(manager.commit(session).error().code, Errc::invalid_argument);
}

TEST_F(Csrf, ARequestUnderTheOldIdSharesTheTokens) {
  const std::string before = token();
  Session session = load();
  session.regenerate();
  ASSERT_TRUE(manager.commit(session));
  const std::string under_old_id = token();
  id = *session.id();
  EXPECT_TRUE(valid(before));
  EXPECT_TRUE(valid(under_old_id));
}

TEST_F(Csrf, AnEndedSessionHasNone) {
  const std::string good = token();
  Session without_secret = load_session(manager, store_session(manager));
  Session session = load();
  session.invalidate();
  EXPECT_FALSE(csrf_valid(session, good));
  EXPECT_EQ(csrf_token(session).error().code, Errc::invalid_argument);
  renew_csrf(session);
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::erased);

  ASSERT_TRUE(manager.erase(*without_secret.id()).value());
  EXPECT_EQ(csrf_token(without_secret).error().code, Errc::gone);
  EXPECT_FALSE(csrf_valid(without_secret, good));
}

TEST_F(Csrf, AnOutageIsAnErrorAndMakesNoSecret) {
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    id = store_session(manager);
    Session session = load();
    store->fail_call(1, make_error(Errc::timeout, "late"), moment);
    EXPECT_EQ(csrf_token(session).error().code, Errc::timeout);
    const std::string good = csrf_token(session).value();
    EXPECT_TRUE(valid(good));
  }
}

TEST_F(Csrf, ASecretThatCannotBeReadIsNone) {
  for (const char* text : {"", "short", "!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    Changes changes;
    changes.set.push_back({"@csrf", text});
    ASSERT_TRUE(memory->update(StoreKey(id), changes, {std::chrono::minutes(1)}));
    Session session = load();
    EXPECT_EQ(csrf_token(session).error().code, Errc::corrupt);
    EXPECT_FALSE(csrf_valid(session, std::string(86, 'A')));
    EXPECT_FALSE(csrf_valid(session, ""));
  }
}

}  // namespace
}  // namespace websession::testing
