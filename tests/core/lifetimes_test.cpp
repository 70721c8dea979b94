// Timeouts of one session's own, recent authentication, passive requests.
#include "lifetimes.hpp"
#include "aliases.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "hook_store.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class LifetimesTest : public ::testing::Test {
 protected:
  MemoryOptions memory_options() {
    MemoryOptions options;
    options.clock = clock;
    return options;
  }
  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    options.idle_timeout_max = hours(24);
    options.absolute_timeout_max = hours(48);
    return options;
  }
  SessionManager manager(const SessionOptions& with) {
    return SessionManager::make(store, with).value();
  }
  SessionManager manager() { return manager(options()); }
  // As a visitor stores it: the Cookie header afterwards.
  std::string stored(const std::function<void(Session&)>& fill) {
    Session session = open_session(manager());
    session.set("a", 1);
    fill(session);
    return cookie_of(manager().commit(session).value());
  }

  const std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  const std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>(memory_options());
  const std::shared_ptr<FaultStore> faults = std::make_shared<FaultStore>(memory);
  const std::shared_ptr<SessionStore> store = faults;
};

TEST_F(LifetimesTest, OfSessionsInMemory) { Lifetimes(store, clock).all(); }

TEST_F(LifetimesTest, SessionsEndByAnotherName) {
  Aliases(store).all();
  SessionOptions hashed;
  hashed.id_storage = IdStorage::hashed_only;
  hashed.id_namespace = "shop";
  Aliases(store, hashed).all();
}

TEST_F(LifetimesTest, AWrongAliasIsTold) {
  for (const std::string& alias : {std::string(), std::string(257, 'x'), std::string("a\nb")}) {
    Session session = open_session(manager());
    session.sign_in("ada");
    session.set_alias(alias);
    const auto commit = manager().commit(session);
    ASSERT_FALSE(commit);
    EXPECT_NE(commit.error().detail.find("set_alias: an alias"), std::string::npos);
    EXPECT_FALSE(manager().sign_out_by(alias));
  }
  Session nobody = open_session(manager());
  nobody.set("a", 1);
  nobody.set_alias("sid");
  EXPECT_FALSE(manager().commit(nobody)) << "there is nobody to sign out";
}

TEST_F(LifetimesTest, AnAliasIsNotEverybodys) {
  const auto sign_in = [&](int i) {
    Session session = open_session(manager());
    session.sign_in("user " + std::to_string(i));
    session.set_alias("sid");
    return manager().commit(session);
  };
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(sign_in(i)) << i;
  const auto one_too_many = sign_in(16);
  ASSERT_FALSE(one_too_many);
  EXPECT_EQ(one_too_many.error().code, Errc::too_large);
  EXPECT_TRUE(sign_in(3)) << "one that is there already";
  EXPECT_EQ(*manager().sign_out_by("sid"), 17U);
}

// Fails closed: a session that could not be found by its name is not made.
TEST_F(LifetimesTest, WithoutItsNameNoSessionIsMade) {
  for (const std::size_t call : {1U, 2U}) {
    Session session = open_session(manager());
    session.sign_in("ada");
    session.set_alias("sid" + std::to_string(call));
    faults->fail_call(call, make_error(Errc::unavailable, "down"));
    EXPECT_FALSE(manager().commit(session));
    EXPECT_EQ(manager().sessions_of("ada").value().size(), 0U);
    EXPECT_TRUE(manager().commit(session)) << "tried again";
    EXPECT_EQ(*manager().sign_out_by("sid" + std::to_string(call)), 1U);
  }
}

// A name lives as long as what it names, also when that gets other timeouts, from whichever server.
TEST_F(LifetimesTest, ANameLivesAsLongAsItsSession) {
  SessionOptions plain;
  plain.clock = clock;
  Session session = open_session(manager(plain));
  session.sign_in("ada");
  session.set_alias("sid");
  const std::string cookie = cookie_of(manager(plain).commit(session).value());
  session = open_session(manager(), cookie);
  session.set_timeouts(hours(24), hours(48));
  ASSERT_TRUE(manager().commit(session));
  for (int i = 0; i < 3; ++i) {
    clock->advance(hours(15));
    session = open_session(manager(), cookie);
    ASSERT_TRUE(manager().commit(session));
  }
  EXPECT_EQ(*manager().sign_out_by("sid"), 1U);
}

// A shorter session of the same name takes nothing from a longer one.
TEST_F(LifetimesTest, ANameLivesAsLongAsTheLongestOfItsSessions) {
  const auto sign_in = [&](bool remember) {
    Session session = open_session(manager());
    session.sign_in("ada");
    session.set_alias("sid");
    if (remember) session.set_timeouts(hours(24), hours(48));
    EXPECT_TRUE(manager().commit(session));
  };
  sign_in(true);
  sign_in(false);
  clock->advance(hours(20));
  EXPECT_EQ(*manager().sign_out_by("sid"), 1U) << "the other one has ended by itself";
}

TEST_F(LifetimesTest, NamesOfNamespacesAreApart) {
  SessionOptions one = options();
  one.id_storage = IdStorage::hashed_only;
  one.id_namespace = "a";
  SessionOptions other = one;
  other.id_namespace = "a:b";
  Session session = open_session(manager(one));
  session.sign_in("ada");
  session.set_alias("b:c");
  ASSERT_TRUE(manager(one).commit(session));
  EXPECT_EQ(*manager(other).sign_out_by("c"), 0U);
  EXPECT_EQ(*manager(one).sign_out_by("b:c"), 1U);
}

// One account that signs in again and again displaces what is its own.
TEST_F(LifetimesTest, NamesOfOneAccountDisplaceNobodyElse) {
  MemoryOptions small = memory_options();
  small.sessions_max = 100;
  const SessionManager sessions =
      SessionManager::make(std::make_shared<MemoryStore>(small), options()).value();
  std::vector<std::string> cookies;
  for (int i = 0; i < 40; ++i) {
    Session victim = open_session(sessions);
    victim.sign_in("victim " + std::to_string(i));
    cookies.push_back(cookie_of(sessions.commit(victim).value()));
  }
  for (int i = 0; i < 300; ++i) {
    Session session = open_session(sessions);
    session.sign_in("mallory");
    session.set_alias("sid " + std::to_string(i));
    ASSERT_TRUE(sessions.commit(session));
  }
  for (const std::string& cookie : cookies) {
    EXPECT_TRUE(open_session(sessions, cookie).principal().has_value());
  }
}

// Names are needed when they are needed: whoever fills the store with visitors' sessions must not
// be able to keep others from being signed out.
TEST_F(LifetimesTest, ANameMakesNoRoomForVisitors) {
  MemoryOptions small = memory_options();
  small.sessions_max = 50;
  const SessionManager sessions =
      SessionManager::make(std::make_shared<MemoryStore>(small), options()).value();
  Session session = open_session(sessions);
  session.sign_in("ada");
  session.set_alias("sid");
  ASSERT_TRUE(sessions.commit(session));
  for (int i = 0; i < 500; ++i) {
    Session visitor = open_session(sessions);
    visitor.set("a", i);
    ASSERT_TRUE(sessions.commit(visitor));
  }
  EXPECT_EQ(*sessions.sign_out_by("sid"), 1U);
}

TEST_F(LifetimesTest, WithEveryIdStorage) {
  for (const IdStorage storage :
       {IdStorage::plain_and_hashed, IdStorage::hashed, IdStorage::hashed_only}) {
    SessionOptions hashed = options();
    hashed.id_storage = storage;
    const Lifetimes lifetimes(store, clock, hashed);
    lifetimes.one_session_may_live_longer();
    lifetimes.one_session_may_live_shorter();
    lifetimes.step_up();
    lifetimes.polls_do_not_keep_it_alive();
    lifetimes.a_day_by_token();
  }
}

TEST_F(LifetimesTest, WrongTimeoutsAreTold) {
  struct Row {
    milliseconds idle;
    milliseconds absolute;
    const char* says;
  };
  for (const Row& row : {
           Row{milliseconds(999), hours(1), "1 second"},
           Row{seconds(1), milliseconds(-1), "1 second"},
           Row{hours(25), hours(48), "idle_timeout_max"},
           Row{hours(1), hours(49), "absolute_timeout_max"},
           Row{hours(2), hours(1), "longer than the absolute"},
       }) {
    Session session = open_session(manager());
    session.set("a", 1);
    session.set_timeouts(row.idle, row.absolute);
    const auto commit = manager().commit(session);
    ASSERT_FALSE(commit) << row.says;
    EXPECT_EQ(commit.error().code, Errc::invalid_argument);
    EXPECT_NE(commit.error().detail.find(row.says), std::string::npos) << commit.error().detail;
    EXPECT_NE(commit.error().detail.find("set_timeouts: "), std::string::npos);
  }
  SessionOptions wrong = options();
  wrong.idle_timeout_max = minutes(29);
  EXPECT_FALSE(SessionManager::make(store, wrong));
  wrong = options();
  wrong.absolute_timeout_max = hours(24 * 401);
  EXPECT_FALSE(SessionManager::make(store, wrong));
  wrong = options();
  wrong.absolute_timeout_max.reset();
  EXPECT_FALSE(SessionManager::make(store, wrong)) << "an idle timeout that is never reached";
}

TEST_F(LifetimesTest, WithoutARoomForMoreItCanOnlyShorten) {
  SessionOptions plain;
  plain.clock = clock;
  for (const milliseconds idle : {minutes(30), minutes(31)}) {
    Session session = open_session(manager(plain));
    session.set("a", 1);
    session.set_timeouts(idle, hours(12));
    EXPECT_EQ(manager(plain).commit(session).has_value(), idle == minutes(30));
  }
}

TEST_F(LifetimesTest, TimeoutsAreOfWhomTheyWereSetFor) {
  Session session = open_session(manager());
  session.sign_in("ada");
  session.set_timeouts(hours(24), hours(48));
  session.set_persistent(false);
  session.sign_in("bob");
  const Commit commit = manager().commit(session).value();
  EXPECT_EQ(session.expires_in(), minutes(30));
  EXPECT_EQ(commit.cookie->max_age, hours(12));
}

// What cannot be asked, or is over, is told as that.
TEST_F(LifetimesTest, AnOutageAndAnEndAreNoMistakesOfTheHandler) {
  const std::string cookie = stored([](Session& s) { s.sign_in("ada"); });
  SessionOptions lenient = options();
  lenient.on_outage = Outage::anonymous;
  using Call = std::function<void(Session&)>;
  for (const Call& call : {Call([](Session& s) { s.reauthenticate(); }),
                           Call([](Session& s) { s.set_alias("sid"); })}) {
    faults->fail_call(1, make_error(Errc::unavailable, "down"));
    Session degraded = open_session(manager(lenient), cookie);
    ASSERT_TRUE(degraded.degraded());
    call(degraded);
    EXPECT_EQ(manager(lenient).commit(degraded).error().code, Errc::unavailable);
  }
  Session session = open_session(manager(), cookie);
  session.invalidate();
  ASSERT_TRUE(manager().commit(session));
  for (const Call& call : {Call([](Session& s) { s.reauthenticate(); }),
                           Call([](Session& s) { s.set_alias("sid"); })}) {
    Session late = open_session(manager(), cookie);
    ASSERT_TRUE(late.ended());
    call(late);
    EXPECT_EQ(manager().commit(late).value().status, Commit::Status::gone);
  }
}

TEST_F(LifetimesTest, TimeoutsAloneStoreNothing) {
  Session session = open_session(manager());
  session.set_timeouts(minutes(1), hours(1));
  session.set_persistent(false);
  const Commit commit = manager().commit(session).value();
  EXPECT_EQ(commit.status, Commit::Status::unchanged);
  EXPECT_FALSE(sends_cookie(commit));
}

TEST_F(LifetimesTest, TheSameTimeoutsAgainAreNoChange) {
  const std::string cookie = stored([](Session& s) { s.set_timeouts(minutes(5), hours(1)); });
  Session session = open_session(manager(), cookie);
  session.set_timeouts(minutes(5), hours(1));
  session.set_persistent(true);
  EXPECT_EQ(manager().commit(session).value().status, Commit::Status::unchanged);
}

TEST_F(LifetimesTest, ACookieMayEndWithTheWindow) {
  std::string cookie = stored([](Session& s) { s.set_persistent(false); });
  Session session = open_session(manager(), cookie);
  session.regenerate();
  Commit commit = manager().commit(session).value();
  EXPECT_EQ(commit.cookie->max_age, std::nullopt) << "the record says so";
  session = open_session(manager(), cookie_of(commit));
  session.set_persistent(true);
  commit = manager().commit(session).value();
  EXPECT_EQ(commit.status, Commit::Status::updated);
  EXPECT_TRUE(commit.cookie->max_age.has_value());
  session = open_session(manager(), cookie_of(commit));
  session.set_persistent(false);
  ASSERT_TRUE(manager().commit(session));
  session.sign_in("ada");
  commit = manager().commit(session).value();
  EXPECT_TRUE(commit.cookie->max_age.has_value()) << "a sign-in begins as the options say";
}

TEST_F(LifetimesTest, TheIdleTimeoutOfItsOwnEndsIt) {
  const std::string cookie = stored([](Session& s) { s.set_timeouts(minutes(2), hours(1)); });
  for (int i = 0; i < 5; ++i) {
    clock->advance(seconds(90));
    Session session = open_session(manager(), cookie);
    ASSERT_FALSE(session.is_new()) << i;
    ASSERT_EQ(manager().commit(session).value().status, Commit::Status::renewed);
  }
  clock->advance(minutes(2));
  EXPECT_TRUE(open_session(manager(), cookie).is_new());
}

TEST_F(LifetimesTest, TheAbsoluteTimeoutOfItsOwnEndsIt) {
  const std::string cookie = stored([](Session& s) { s.set_timeouts(minutes(2), minutes(6)); });
  for (int i = 0; i < 4; ++i) {
    clock->advance(seconds(80));
    Session session = open_session(manager(), cookie);
    ASSERT_FALSE(session.is_new()) << i;
    ASSERT_TRUE(manager().commit(session));
  }
  clock->advance(seconds(40));
  EXPECT_TRUE(open_session(manager(), cookie).is_new());
}

// Shorter timeouts and a new id are two steps, the shortening first: whichever fails, the commit
// says so, and can be repeated.
TEST_F(LifetimesTest, WhereOneOfTwoStepsFailsTheCommitDoes) {
  for (const std::size_t step : {1U, 2U}) {
    const std::string cookie = stored([](Session&) {});
    Session session = open_session(manager(), cookie);
    session.regenerate();
    session.set_timeouts(minutes(1), hours(1));
    faults->fail_call(step, make_error(Errc::unavailable, "down"));
    EXPECT_FALSE(manager().commit(session)) << step;
    const Commit commit = manager().commit(session).value();
    ASSERT_EQ(commit.status, Commit::Status::regenerated);
    clock->advance(minutes(1));
    EXPECT_TRUE(open_session(manager(), cookie_of(commit)).is_new()) << step;
  }
}

TEST_F(LifetimesTest, WhatOthersWroteThereIsNoTimeout) {
  for (const char* text : {"", " ", "60000", "60000 ", "a b", "0 0", "999 60000", "-1 60000",
                           "60000 99999999999999", "60000 60000 60000", "6e4 60000"}) {
    const std::string cookie = stored([](Session&) {});
    const SessionId id = *open_session(manager(), cookie).id();
    Changes changes;
    changes.set.push_back({"@timeouts", text});
    ASSERT_TRUE(store->update(StoreKey(id), changes, {hours(1)}));
    Session session = open_session(manager(), cookie);
    EXPECT_EQ(session.value("a", 0), 1) << text;
    EXPECT_EQ(session.expires_in(), hours(1)) << "what the store has left, and nobody shortens";
  }
}

// As far as the clocks of servers may be apart, dates in the future are taken for now; beyond it
// nobody knows, and the answer is the one that asks for the password.
TEST_F(LifetimesTest, AWrongClockIsNoRecentAuthentication) {
  const auto ahead = std::make_shared<ManualClock>();
  ahead->advance(hours(1));
  SessionOptions by_it = options();
  by_it.clock = ahead;
  for (const bool mends : {false, true}) {
    Session login = open_session(manager(by_it));
    login.sign_in("ada");
    const std::string cookie = cookie_of(manager(by_it).commit(login).value());
    Session session = open_session(manager(), cookie);
    EXPECT_FALSE(session.recently_authenticated(hours(24)));
    if (!mends) continue;
    session.set("a", 2);
    ASSERT_TRUE(manager().commit(session));
    session = open_session(manager(), cookie);
    EXPECT_EQ(session.signed_in_at(), clock->wall()) << "mended";
    EXPECT_FALSE(session.recently_authenticated(hours(24))) << "and still nobody knows";
    session.reauthenticate();
    const Commit commit = manager().commit(session).value();
    EXPECT_TRUE(open_session(manager(), cookie_of(commit)).recently_authenticated(minutes(1)));
  }
}

TEST_F(LifetimesTest, NobodyIsReauthenticated) {
  Session session = open_session(manager());
  EXPECT_EQ(session.signed_in_at(), std::nullopt);
  EXPECT_FALSE(session.recently_authenticated(hours(1)));
  session.reauthenticate();
  const auto commit = manager().commit(session);
  ASSERT_FALSE(commit);
  EXPECT_NE(commit.error().detail.find("sign_in"), std::string::npos) << commit.error().detail;

  // Whoever signs out is not asked either.
  const std::string cookie = stored([](Session& s) { s.sign_in("ada"); });
  session = open_session(manager(), cookie);
  session.reauthenticate();
  session.sign_out();
  session.set("farewell", true);
  EXPECT_FALSE(session.recently_authenticated(hours(1)));
  const Commit farewell = manager().commit(session).value();
  EXPECT_EQ(open_session(manager(), cookie_of(farewell)).signed_in_at(), std::nullopt);
}

// A session is one thread's at a time, whichever.
TEST_F(LifetimesTest, ASessionMayBeHandedToAnotherThread) {
  std::string cookie;
  Session session = open_session(manager());
  std::thread([&, mine = std::move(session)]() mutable {
    mine.set("a", 1);
    std::thread([&, its = std::move(mine)]() mutable {
      cookie = cookie_of(manager().commit(its).value());
    }).join();
  }).join();
  EXPECT_EQ(open_session(manager(), cookie).value("a", 0), 1);
}

}  // namespace
}  // namespace websession::testing
