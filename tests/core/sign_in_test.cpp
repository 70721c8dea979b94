// Signing in and out, and the sessions of a principal, over the in-memory store.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "faulty_memory.hpp"
#include "forwarding_store.hpp"
#include "requests.hpp"
#include "sign_in_races.hpp"
#include "websession/counters.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/key_ring.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Status = Commit::Status;

class SignIn : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    return options;
  }
  SessionOptions limited(std::size_t most, TooManySessions policy) {
    SessionOptions with = options();
    with.max_sessions_per_principal = most;
    with.when_too_many = policy;
    return with;
  }
  SessionManager manager(const SessionOptions& with) {
    return SessionManager::make(store, with).value();
  }
  SessionManager manager() { return manager(options()); }

  static std::string cookie_of(const Session& session) { return "sid=" + session.id()->secret(); }
  // A committed session with a = 1.
  static Session anonymous(const SessionManager& with) {
    Session session = open_session(with);
    session.set("a", 1);
    EXPECT_EQ(with.commit(session).value().status, Status::created);
    return session;
  }
  static Session signed_in(const SessionManager& with, std::string_view principal,
                           std::string_view label = {}) {
    Session session = open_session(with);
    session.sign_in(principal, label);
    EXPECT_EQ(with.commit(session).value().status, Status::created);
    return session;
  }
  static bool is_new(const SessionManager& with, const std::string& cookie) {
    return open_session(with, cookie).is_new();
  }
};

// The attack: session fixation. Who planted the id that the visitor had before signing in learns
// nothing by it afterwards, not even for the grace.
TEST_F(SignIn, FixationTheIdFromBeforeIsWorthNothing) {
  const SessionManager m = manager();
  const std::string planted = cookie_of(anonymous(m));
  Session victim = open_session(m, planted);
  victim.sign_in("ada");
  EXPECT_EQ(victim.principal(), "ada") << "at once";
  const Commit commit = m.commit(victim).value();
  EXPECT_EQ(commit.status, Status::regenerated);
  ASSERT_EQ(commit.headers.size(), 3U);
  EXPECT_TRUE(commit.headers[0].value.starts_with(cookie_of(victim) + ";"));
  EXPECT_NE(cookie_of(victim), planted);

  Session attacker = open_session(m, planted);
  EXPECT_TRUE(attacker.is_new());
  EXPECT_EQ(attacker.principal(), std::nullopt);
  Session next = open_session(m, cookie_of(victim));
  EXPECT_EQ(next.principal(), "ada");
  EXPECT_EQ(next.value("a", 0), 1) << "a cart stays";
}

// The attack: a request that runs with the old id while its owner signs in.
TEST_F(SignIn, FixationARequestInFlightWritesNothing) {
  const SessionManager m = manager();
  const std::string planted = cookie_of(anonymous(m));
  Session attacker = open_session(m, planted);
  Session counter = open_session(m, planted);
  Session signs_in_too = open_session(m, planted);
  Session victim = open_session(m, planted);
  victim.sign_in("ada");
  ASSERT_TRUE(m.commit(victim));
  attacker.set("a", 666);
  EXPECT_EQ(m.commit(attacker).value().status, Status::gone);
  EXPECT_EQ(counter.increment("a").error().code, Errc::gone);
  signs_in_too.sign_in("mallory");
  EXPECT_EQ(m.commit(signs_in_too).value().status, Status::created) << "a session of its own";
  EXPECT_TRUE(open_session(m, cookie_of(signs_in_too)).names().empty());
  EXPECT_EQ(open_session(m, cookie_of(victim)).value("a", 0), 1);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
}

TEST_F(SignIn, IsOneRoundTrip) {
  const SessionManager m = manager();
  Session stored = anonymous(m);
  std::size_t before = store->calls();
  stored.sign_in("ada", "Firefox");
  stored.set("b", 2);
  ASSERT_TRUE(m.commit(stored));
  EXPECT_EQ(store->calls() - before, 1U) << "new id, principal, index and an attribute";
  before = store->calls();
  signed_in(m, "ada");
  EXPECT_EQ(store->calls() - before, 1U);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 2U);
}

TEST_F(SignIn, RestartsTheAbsoluteTimeout) {
  SessionOptions with = options();
  with.idle_timeout = with.absolute_timeout = hours(12);
  const SessionManager m = manager(with);
  Session session = anonymous(m);
  clock->advance(hours(11));
  session = open_session(m, cookie_of(session));
  session.sign_in("ada");
  const Commit commit = m.commit(session).value();
  EXPECT_NE(commit.headers.at(0).value.find("Max-Age=43200;"), std::string::npos)
      << commit.headers.at(0).value;
  EXPECT_EQ(session.expires_in(), hours(12));
  clock->advance(hours(11));
  EXPECT_EQ(open_session(m, cookie_of(session)).principal(), "ada");

  session = open_session(m, cookie_of(session));
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  clock->advance(hours(1));
  EXPECT_TRUE(is_new(m, cookie_of(session))) << "regenerate restarts nothing";
}

TEST_F(SignIn, AsAnotherPrincipalTakesNothingAlong) {
  const SessionManager m = manager();
  Session session = signed_in(m, "ada", "Firefox");
  session.set("secret", "of Ada");
  ASSERT_TRUE(m.commit(session));
  const std::string old = cookie_of(session);
  session = open_session(m, old);
  session.set("pending", 1);
  session.sign_in("bob");
  EXPECT_FALSE(session.contains("secret"));
  session.set("greeting", "Hello Bob");
  EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_TRUE(is_new(m, old));
  session = open_session(m, cookie_of(session));
  EXPECT_EQ(session.principal(), "bob");
  EXPECT_EQ(session.names(), std::vector<std::string>{"greeting"});
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
  const std::vector<SessionInfo> infos = m.sessions_of("bob").value();
  ASSERT_EQ(infos.size(), 1U);
  EXPECT_EQ(infos[0].label, "") << "Ada's label is not Bob's";
}

TEST_F(SignIn, TheSamePrincipalAgainKeepsAllButTheOldId) {
  const SessionManager m = manager();
  Session session = signed_in(m, "ada", "Firefox");
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  const std::string old = cookie_of(session);
  clock->advance(hours(0) + minutes(10));
  session = open_session(m, old);
  session.sign_in("ada");
  EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_TRUE(is_new(m, old)) << "no grace";
  EXPECT_EQ(open_session(m, cookie_of(session)).value("a", 0), 1);
  const std::vector<SessionInfo> infos = m.sessions_of("ada").value();
  ASSERT_EQ(infos.size(), 1U);
  EXPECT_EQ(infos[0].label, "Firefox") << "it stays";
}

TEST_F(SignIn, WithAReplacedIdBeginsAnew) {
  const SessionManager m = manager();
  Session session = anonymous(m);
  const std::string old = cookie_of(session);
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  Session stale = open_session(m, old);
  stale.sign_in("ada");
  EXPECT_EQ(m.commit(stale).value().status, Status::created);
  EXPECT_TRUE(open_session(m, cookie_of(stale)).names().empty()) << "nothing of the old one";
  EXPECT_EQ(open_session(m, cookie_of(session)).principal(), std::nullopt) << "which stays";
}

TEST_F(SignIn, RefusesWhatIsNoPrincipal) {
  const SessionManager m = manager();
  for (const std::string& bad : {std::string(), std::string(257, 'a'), std::string("a\nb"),
                                 std::string("a\0b", 3), std::string("\x7f")}) {
    Session session = open_session(m);
    session.sign_in(bad);
    EXPECT_EQ(session.principal(), std::nullopt);
    const Result<Commit> commit = m.commit(session);
    ASSERT_FALSE(commit);
    EXPECT_EQ(commit.error().code, Errc::invalid_argument);
    EXPECT_TRUE(commit.error().detail.starts_with("sign_in: ")) << commit.error().detail;
    EXPECT_EQ(m.sessions_of(bad).error().code, Errc::invalid_argument);
    EXPECT_EQ(m.sign_out_everywhere(bad).error().code, Errc::invalid_argument);
    EXPECT_EQ(m.erase_one(bad, "x").error().code, Errc::invalid_argument);
  }
  Session ended = signed_in(m, "ada");
  ended.invalidate();
  EXPECT_EQ(ended.principal(), std::nullopt);
  ended.sign_in("bob");
  EXPECT_EQ(m.commit(ended).error().code, Errc::invalid_argument);
  EXPECT_TRUE(m.sessions_of("bob").value().empty());
}

TEST_F(SignIn, LabelsAreMadeFitForAList) {
  const SessionManager m = manager();
  struct Row {
    std::string given;
    std::string shown;
  };
  const std::string umlaut = "\xc3\xa4";
  for (const Row& row : {
           Row{"Firefox on Linux", "Firefox on Linux"},
           Row{"a\r\nSet-Cookie: x\x1b[0m\x7f", "a??Set-Cookie: x?[0m?"},
           Row{umlaut + "\xe2\x82\xac\xf0\x9f\x98\x80", umlaut + "\xe2\x82\xac\xf0\x9f\x98\x80"},
           Row{"x\xc3", "x?"},               // cut
           Row{"\x80y\xff", "?y?"},          // no lead byte
           Row{"\xc0\xaf", "??"},            // overlong
           Row{"\xe0\x80\xaf", "???"},       //
           Row{"\xf0\x80\x80\xaf", "????"},  //
           Row{"\xed\xa0\x80", "???"},       // a surrogate
           Row{"\xf4\x90\x80\x80", "????"},  // beyond U+10FFFF
           Row{"\xc2\x9b", "??"},            // a C1 control: an escape sequence begins
           Row{std::string(127, 'x') + umlaut + "y", std::string(127, 'x')},
           Row{std::string(126, 'x') + umlaut + "y", std::string(126, 'x') + umlaut},
           Row{std::string(500, '\n'), std::string(128, '?')},
       }) {
    const std::string principal = SessionId::generate().value().secret();
    signed_in(m, principal, row.given);
    EXPECT_EQ(m.sessions_of(principal).value().at(0).label, row.shown);
  }
}

// The attack: replay after logout.
TEST(SignOut, ReplayTheIdWorksNoMore) {
  auto clock = std::make_shared<ManualClock>();
  auto memory = std::make_shared<MemoryStore>(clock);
  SessionOptions options;
  options.clock = clock;
  const SessionManager m = SessionManager::make(memory, options).value();
  Session session = m.open({}).value();
  session.sign_in("ada");
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  const std::string stolen = "sid=" + session.id()->secret();
  Session in_flight = m.open({stolen, false}).value();

  session = m.open({stolen, false}).value();
  session.sign_out();
  EXPECT_EQ(session.principal(), std::nullopt);
  EXPECT_FALSE(session.contains("a"));
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::erased);
  EXPECT_NE(commit.headers.at(0).value.find("Max-Age=0"), std::string::npos);
  EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
  EXPECT_TRUE(m.open({stolen, false}).value().is_new());
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
  EXPECT_EQ(memory->size(), 0U);

  in_flight.set("a", 2);
  EXPECT_EQ(m.commit(in_flight).value().status, Status::gone) << "and nothing brings it back";
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(SignIn, SignOutMayLeaveAFarewell) {
  const SessionManager m = manager();
  Session session = signed_in(m, "ada", "Firefox");
  session.set("secret", 1);
  ASSERT_TRUE(m.commit(session));
  const std::string old = cookie_of(session);
  session = open_session(m, old);
  session.set("secret", 2);
  session.sign_out();
  session.set("flash", "Good-bye");
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::regenerated);
  EXPECT_TRUE(commit.headers.at(0).value.starts_with(cookie_of(session) + ";"));
  EXPECT_TRUE(is_new(m, old)) << "no grace";
  session = open_session(m, cookie_of(session));
  EXPECT_EQ(session.principal(), std::nullopt);
  EXPECT_EQ(session.names(), std::vector<std::string>{"flash"});
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
  const Record record = memory->load(StoreKey(*session.id())).value().value();
  EXPECT_FALSE(record.fields.contains("@user"));
  EXPECT_FALSE(record.fields.contains("@label"));
}

TEST_F(SignIn, SignOutWithAReplacedIdEndsTheSession) {
  const SessionManager m = manager();
  for (const bool farewell : {false, true}) {
    Session session = signed_in(m, "ada");
    const std::string old = cookie_of(session);
    session.regenerate();
    ASSERT_TRUE(m.commit(session));
    Session stale = open_session(m, old);
    stale.sign_out();
    if (farewell) stale.set("flash", 1);
    EXPECT_EQ(m.commit(stale).value().status, Status::erased);
    EXPECT_TRUE(is_new(m, cookie_of(session)));
    EXPECT_TRUE(is_new(m, old));
  }
}

TEST_F(SignIn, SignOutOfAVisitorWithoutSession) {
  const SessionManager m = manager();
  Session visitor = open_session(m);
  visitor.sign_out();
  const Commit nothing = m.commit(visitor).value();
  EXPECT_EQ(nothing.status, Status::unchanged);
  EXPECT_FALSE(testing::sends_cookie(nothing));
  Session stale = open_session(m, "sid=" + SessionId::generate().value().secret());
  stale.sign_out();
  EXPECT_NE(m.commit(stale).value().headers.at(0).value.find("Max-Age=0"), std::string::npos);
  EXPECT_EQ(memory->size(), 0U);

  Session other = signed_in(m, "ada");
  other.sign_out();
  other.sign_in("bob");
  EXPECT_EQ(m.commit(other).value().status, Status::regenerated);
  EXPECT_EQ(open_session(m, cookie_of(other)).principal(), "bob");
}

TEST_F(SignIn, SessionsOfShowsWhatAPrincipalMaySee) {
  const SessionManager m = manager();
  const WallTime start = clock->wall();
  Session laptop = signed_in(m, "ada", "Firefox on Linux");
  clock->advance(minutes(2));
  Session phone = signed_in(m, "ada");
  signed_in(m, "bob");
  clock->advance(minutes(8));
  laptop = open_session(m, cookie_of(laptop));
  EXPECT_EQ(m.commit(laptop).value().status, Status::renewed);
  clock->advance(minutes(1));

  const std::vector<SessionInfo> infos = m.sessions_of("ada", &phone).value();
  ASSERT_EQ(infos.size(), 2U);
  EXPECT_EQ(infos[0].created, start + minutes(2)) << "the newest first";
  EXPECT_EQ(infos[0].renewed, start + minutes(2));
  EXPECT_EQ(infos[0].label, "");
  EXPECT_TRUE(infos[0].is_current);
  EXPECT_EQ(infos[1].created, start);
  EXPECT_EQ(infos[1].renewed, start + minutes(10));
  EXPECT_EQ(infos[1].label, "Firefox on Linux");
  EXPECT_FALSE(infos[1].is_current);
  for (const SessionInfo& info : infos) {
    EXPECT_EQ(info.handle.size(), 22U);
    for (const Session* session : {&laptop, &phone}) {
      EXPECT_EQ(session->id()->secret().find(info.handle.substr(0, 8)), std::string::npos)
          << "an id shows";
    }
    EXPECT_TRUE(is_new(m, "sid=" + info.handle));
  }
  EXPECT_NE(infos[0].handle, infos[1].handle);
  EXPECT_EQ(m.sessions_of("ada").value()[0].handle, infos[0].handle) << "it stays the same";
}

TEST_F(SignIn, SessionsOfKnowsWhatHasEnded) {
  const SessionManager m = manager();
  Session erased = signed_in(m, "ada");
  Session moved = signed_in(m, "ada");
  signed_in(m, "ada");
  ASSERT_TRUE(m.erase(*erased.id()).has_value());
  moved.regenerate();
  ASSERT_TRUE(m.commit(moved));
  EXPECT_EQ(m.sessions_of("ada").value().size(), 2U) << "a replaced id is no session of its own";
  clock->advance(minutes(29));
  moved = open_session(m, cookie_of(moved));
  EXPECT_EQ(m.commit(moved).value().status, Status::renewed);
  clock->advance(minutes(1));
  const std::vector<SessionInfo> infos = m.sessions_of("ada", &moved).value();
  ASSERT_EQ(infos.size(), 1U) << "the last one has expired";
  EXPECT_TRUE(infos[0].is_current);
}

TEST_F(SignIn, EraseOneTakesAHandle) {
  const SessionManager m = manager();
  Session laptop = signed_in(m, "ada", "laptop");
  Session phone = signed_in(m, "ada", "phone");
  const auto handle_of = [&](std::string_view label) {
    for (const SessionInfo& info : m.sessions_of("ada").value()) {
      if (info.label == label) return info.handle;
    }
    return std::string("none");
  };
  const std::string handle = handle_of("phone");
  EXPECT_FALSE(m.erase_one("bob", handle).value()) << "a principal ends only its own";
  EXPECT_FALSE(m.erase_one("ada", "").value());
  EXPECT_FALSE(m.erase_one("ada", handle.substr(1)).value());
  EXPECT_FALSE(m.erase_one("ada", phone.id()->secret()).value());
  EXPECT_TRUE(m.erase_one("ada", handle).value());
  EXPECT_FALSE(m.erase_one("ada", handle).value());
  EXPECT_TRUE(is_new(m, cookie_of(phone)));
  EXPECT_FALSE(is_new(m, cookie_of(laptop)));

  const std::string shown = handle_of("laptop");
  laptop.regenerate();
  ASSERT_TRUE(m.commit(laptop));
  EXPECT_TRUE(m.erase_one("ada", shown).value()) << "of a list from a moment ago";
  EXPECT_TRUE(is_new(m, cookie_of(laptop)));
}

TEST_F(SignIn, SignOutEverywhere) {
  const SessionManager m = manager();
  Session laptop = signed_in(m, "ada");
  Session phone = signed_in(m, "ada");
  Session bob = signed_in(m, "bob");
  Session visitor = anonymous(m);
  const std::string replaced = cookie_of(phone);
  phone.regenerate();
  ASSERT_TRUE(m.commit(phone));
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 2U);
  for (const std::string& cookie : {cookie_of(laptop), cookie_of(phone), replaced}) {
    EXPECT_TRUE(is_new(m, cookie));
  }
  EXPECT_FALSE(is_new(m, cookie_of(bob)));
  EXPECT_FALSE(is_new(m, cookie_of(visitor)));
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 0U);
  EXPECT_EQ(m.sign_out_everywhere("ada", &bob).value(), 0U) << "not hers: there is nothing to keep";
  EXPECT_EQ(m.sign_out_everywhere("bob", &visitor).value(), 1U);
  EXPECT_EQ(memory->size(), 1U);
}

TEST_F(SignIn, EndOldestWhenThereAreTooMany) {
  const SessionManager m = manager(limited(2, TooManySessions::end_oldest));
  std::vector<Session> sessions;
  for (int i = 0; i < 5; ++i) {
    sessions.push_back(signed_in(m, "ada"));  // all at the same time of the clock
    for (int k = 0; k <= i; ++k) {
      EXPECT_EQ(is_new(m, cookie_of(sessions[static_cast<std::size_t>(k)])), k < i - 1)
          << k << " after " << i;
    }
  }
  Session again = open_session(m, cookie_of(sessions[3]));
  again.sign_in("ada");
  EXPECT_EQ(m.commit(again).value().status, Status::regenerated);
  EXPECT_FALSE(is_new(m, cookie_of(sessions[4]))) << "who was in already ends nobody";
  signed_in(m, "bob");
  EXPECT_EQ(m.sessions_of("ada").value().size(), 2U);
  clock->advance(minutes(1));
  signed_in(m, "ada");
  EXPECT_TRUE(is_new(m, cookie_of(sessions[4]))) << "signing in again had made the other newer";
}

TEST_F(SignIn, RefuseNewWhenThereAreTooMany) {
  const SessionManager m = manager(limited(2, TooManySessions::refuse_new));
  Session first = signed_in(m, "ada");
  Session second = signed_in(m, "ada");
  Session third = anonymous(m);
  third.sign_in("ada");
  const Result<Commit> refused = m.commit(third);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_many_sessions);
  EXPECT_FALSE(refused.error().maybe_applied);
  EXPECT_EQ(open_session(m, cookie_of(third)).principal(), std::nullopt) << "and it is as it was";
  EXPECT_EQ(m.sessions_of("ada").value().size(), 2U);

  second = open_session(m, cookie_of(second));
  second.sign_in("ada");
  EXPECT_EQ(m.commit(second).value().status, Status::regenerated) << "who is in is not refused";
  ASSERT_TRUE(m.erase(*first.id()).has_value());
  EXPECT_EQ(m.commit(third).value().status, Status::regenerated) << "there is room now";
  EXPECT_EQ(m.sessions_of("ada").value().size(), 2U);
}

TEST_F(SignIn, BadLimitsAreRefused) {
  for (const std::size_t bad : {std::size_t{0}, std::size_t{1001}}) {
    const auto made = SessionManager::make(store, limited(bad, TooManySessions::end_oldest));
    ASSERT_FALSE(made);
    EXPECT_TRUE(made.error().detail.starts_with("max_sessions_per_principal: "));
  }
  const auto without = std::make_shared<WithoutIndex>(memory);
  const auto made = SessionManager::make(without, limited(1, TooManySessions::end_oldest));
  EXPECT_TRUE(made.error().detail.starts_with("max_sessions_per_principal: "));
}

// The sign-in stands when the store fails afterwards; the next one makes up for it.
TEST_F(SignIn, ALimitMeetsAnOutage) {
  const SessionManager m = manager(limited(1, TooManySessions::end_oldest));
  signed_in(m, "ada");
  // The list and a look at the session in it; the sign-in; the list, a look at both, the end of
  // one.
  for (const std::size_t n : {1, 2, 4, 5, 6, 7}) {
    clock->advance(std::chrono::seconds(1));
    Session session = open_session(m);
    session.sign_in("ada");
    store->fail_call(n, make_error(Errc::unavailable, "test"));
    EXPECT_EQ(m.commit(session).value().status, Status::created) << n;
    EXPECT_FALSE(is_new(m, cookie_of(session))) << n;
    EXPECT_EQ(m.sessions_of("ada").value().size(), n <= 2 ? 1U : 2U) << n;
    signed_in(m, "ada");
    EXPECT_EQ(m.sessions_of("ada").value().size(), 1U) << n;
  }

  const SessionManager strict = manager(limited(1, TooManySessions::refuse_new));
  Session session = open_session(strict);
  session.sign_in("ada");
  store->fail_call(1, make_error(Errc::unavailable, "test"));
  EXPECT_EQ(strict.commit(session).error().code, Errc::unavailable) << "it cannot know";
}

// P8: a lost answer is asked for again, and there is one session then, listed.
TEST_F(SignIn, ALostAnswerMayBeAskedForAgain) {
  const SessionManager m = manager();
  Session session = anonymous(m);
  const std::string old = cookie_of(session);
  session.sign_in("ada");
  store->fail_call(1, make_error(Errc::timeout, "test"), FaultStore::Moment::after);
  EXPECT_TRUE(m.commit(session).error().maybe_applied);
  EXPECT_EQ(session.principal(), "ada");
  EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_EQ(open_session(m, cookie_of(session)).principal(), "ada");
  EXPECT_TRUE(is_new(m, old));
  EXPECT_EQ(memory->size(), 1U);
  EXPECT_EQ(m.sessions_of("ada", &session).value().size(), 1U);
}

// Of a session that was stored under an id that nobody has: it must not take the place of the next.
TEST_F(SignIn, ALostFirstSessionTakesNobodysPlace) {
  for (const TooManySessions policy : {TooManySessions::refuse_new, TooManySessions::end_oldest}) {
    const SessionManager m = manager(limited(2, policy));
    const std::string ada = "ada " + std::to_string(static_cast<int>(policy));
    Session other = signed_in(m, ada);
    Session session = open_session(m);
    session.sign_in(ada);
    // The list and a look at the session in it; the sign-in.
    store->fail_call(3, make_error(Errc::timeout, "test"), FaultStore::Moment::after);
    EXPECT_TRUE(m.commit(session).error().maybe_applied);
    const auto again = m.commit(session);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->status, Status::created);
    EXPECT_EQ(m.sessions_of(ada).value().size(), 2U) << "and is in no list";
    EXPECT_EQ(open_session(m, cookie_of(other)).principal(), ada);
  }
}

// Nor does it when the request fails with it, or asks for its end.
TEST_F(SignIn, AbandoningEndsALostFirstSession) {
  const SessionManager m = manager();
  for (const bool invalidates : {false, true}) {
    for (const bool abandons : {false, true}) {
      if (!invalidates && !abandons) continue;
      Session session = open_session(m);
      session.sign_in("kim");
      store->fail_call(1, make_error(Errc::timeout, "test"), FaultStore::Moment::after);
      EXPECT_TRUE(m.commit(session).error().maybe_applied);
      EXPECT_EQ(m.sessions_of("kim").value().size(), 1U);
      if (invalidates) session.invalidate();
      EXPECT_TRUE(abandons ? m.abandon(session) : m.commit(session));
      EXPECT_TRUE(m.sessions_of("kim").value().empty());
    }
  }
}

TEST_F(SignIn, AbandoningEndsALostSignIn) {
  const SessionManager m = manager(limited(1, TooManySessions::refuse_new));
  for (const bool commits_again : {false, true}) {
    Session session = anonymous(m);
    session.sign_in("kim");
    // The list; the move to a new id.
    store->fail_call(2, make_error(Errc::timeout, "test"), FaultStore::Moment::after);
    EXPECT_TRUE(m.commit(session).error().maybe_applied);
    EXPECT_EQ(m.abandon(session).value().status, Status::gone);
    EXPECT_TRUE(m.sessions_of("kim").value().empty());
    if (!commits_again) session = open_session(m);
    session.sign_in("kim");
    EXPECT_EQ(m.commit(session).value().status, Status::created);
    EXPECT_EQ(open_session(m, cookie_of(session)).principal(), "kim");
    ASSERT_TRUE(m.erase(*session.id()).value());
  }
}

// Those of quick sign-ins are dated a little ahead, and are listed in their order all the same.
TEST_F(SignIn, QuickSignInsAreListedInTheirOrder) {
  const SessionManager m = manager(limited(10, TooManySessions::end_oldest));
  std::vector<Session> sessions;
  for (const char* label : {"a", "b", "c", "d"}) sessions.push_back(signed_in(m, "ada", label));
  sessions[1].regenerate();
  ASSERT_TRUE(m.commit(sessions[1]));
  std::string order;
  for (const SessionInfo& info : m.sessions_of("ada").value()) order += info.label;
  EXPECT_EQ(order, "dcba");
}

// Whichever call fails: the error comes back, and calling again does the rest. P9
TEST_F(SignIn, SignOutEverywhereMeetsAnOutageAtEveryCall) {
  const SessionManager m = manager();
  for (std::size_t n = 1;; ++n) {
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) sessions.push_back(signed_in(m, "ada"));
    const StoreKey old(*sessions[0].id());
    const auto is_frozen = [&](const StoreKey& key) {
      const auto record = memory->load(key).value();
      return record && !record->is_over();
    };
    sessions[0].regenerate();
    ASSERT_TRUE(m.commit(sessions[0]));
    store->fail_call(n, make_error(Errc::unavailable, "test"));
    const Result<std::size_t> ended = m.sign_out_everywhere("ada", &sessions[1]);
    if (ended) {
      EXPECT_EQ(*ended, 2U);
      EXPECT_GT(n, 9U);
      break;
    }
    EXPECT_EQ(ended.error().code, Errc::unavailable);
    const bool all_are_there =
        !is_new(m, cookie_of(sessions[0])) && !is_new(m, cookie_of(sessions[2])) && is_frozen(old);
    EXPECT_EQ(ended.error().maybe_applied, !all_are_there) << n;
    EXPECT_TRUE(m.sign_out_everywhere("ada", &sessions[1]));
    EXPECT_TRUE(is_new(m, cookie_of(sessions[0])));
    EXPECT_FALSE(is_new(m, cookie_of(sessions[1])));
    EXPECT_TRUE(is_new(m, cookie_of(sessions[2])));
    ASSERT_TRUE(m.sign_out_everywhere("ada"));
    EXPECT_EQ(memory->size(), 0U);
    ASSERT_LT(n, 100U);
  }
  store->fail_all(make_error(Errc::unavailable, "test"));
  EXPECT_EQ(m.sessions_of("ada").error().code, Errc::unavailable);
  EXPECT_EQ(m.erase_one("ada", "x").error().code, Errc::unavailable);
}

// One session that cannot be read hides no other, and ends with them.
class CorruptStore final : public IndexedDecorator {
 public:
  using IndexedDecorator::IndexedDecorator;
  std::optional<StoreKey> corrupt;

  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (corrupt == key) return make_error(Errc::corrupt, "test");
    return IndexedDecorator::load(key);
  }
};

TEST_F(SignIn, AnUnreadableSessionHidesNoOther) {
  auto corrupt = std::make_shared<CorruptStore>(memory);
  const SessionManager m = SessionManager::make(corrupt, options()).value();
  Session broken = signed_in(m, "ada");
  Session other = signed_in(m, "ada");
  corrupt->corrupt = StoreKey(*broken.id());
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 2U);
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(SignIn, AStoreWithoutIndexSignsInAllTheSame) {
  const auto plain = std::make_shared<WithoutIndex>(memory);
  const KeyRing keys = KeyRing::make({std::string(32, 'k')}).value();
  SessionOptions observed = options();
  observed.observer = std::make_shared<Counters>();
  const std::vector<std::pair<std::shared_ptr<SessionStore>, SessionOptions>> all = {
      {plain, options()},
      {plain, observed},
      {std::make_shared<FaultStore>(plain), options()},
      {EncryptedStore::make(plain, {.keys = keys}).value(), options()}};
  for (const auto& [without, with] : all) {
    const SessionManager m = SessionManager::make(without, with).value();
    Session session = signed_in(m, "ada");
    EXPECT_EQ(open_session(m, cookie_of(session)).principal(), "ada");
    const auto is_refused = [](const auto& result) {
      return !result.has_value() && result.error().code == Errc::invalid_argument &&
             result.error().detail.find("PrincipalIndex") != std::string::npos;
    };
    EXPECT_TRUE(is_refused(m.sessions_of("ada")));
    EXPECT_TRUE(is_refused(m.erase_one("ada", "x")));
    EXPECT_TRUE(is_refused(m.sign_out_everywhere("ada")));
    session.sign_out();
    EXPECT_EQ(m.commit(session).value().status, Status::erased);
    SessionOptions limit = limited(1, TooManySessions::end_oldest);
    limit.observer = with.observer;
    EXPECT_TRUE(is_refused(SessionManager::make(without, limit))) << "it would never be kept";
  }
}

// A clock that runs ahead on the server that made the session must not put `renewed` outside the
// session's life.
TEST_F(SignIn, RenewedIsWithinTheLifeOfTheSession) {
  const SessionManager m = manager();
  signed_in(m, "ada");
  SessionOptions longer = options();
  longer.idle_timeout = hours(4);
  const std::vector<SessionInfo> infos = manager(longer).sessions_of("ada").value();
  ASSERT_EQ(infos.size(), 1U);
  EXPECT_EQ(infos[0].renewed, infos[0].created) << "not before it was created";
  SessionOptions shorter = options();
  shorter.idle_timeout = minutes(1);
  EXPECT_EQ(manager(shorter).sessions_of("ada").value()[0].renewed, clock->wall())
      << "not in the future";
}

class SignInRace : public ::testing::Test {
 protected:
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  SignInRaces races(std::optional<std::size_t> most = {},
                    TooManySessions policy = TooManySessions::end_oldest) {
    SessionOptions options;
    options.clock = clock;
    options.max_sessions_per_principal = most;
    options.when_too_many = policy;
    return {std::make_shared<MemoryStore>(clock), options};
  }
};

TEST_F(SignInRace, ASignInEndsTooOrCameLater) { races().sign_in_against_sign_out(); }
TEST_F(SignInRace, ARegenerateIsNoWayOut) { races().regenerate_against_sign_out(); }
TEST_F(SignInRace, NorIsOneWithoutGrace) { races().regenerate_keeps_nothing_alive(); }
TEST_F(SignInRace, OneThatAlwaysMovesEnds) { races().one_that_always_moves_ends(); }
TEST_F(SignInRace, AListMissesNoneThatMoves) { races().a_list_misses_none_that_moves(); }
TEST_F(SignInRace, TheLimitMissesNoneThatMoves) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    races(1, policy).the_limit_misses_none_that_moves();
  }
}
TEST_F(SignInRace, AWriteDoesNotResurrect) { races().a_write_does_not_resurrect(); }
TEST_F(SignInRace, TheKeptOneSurvives) { races().the_kept_one_survives(); }
TEST_F(SignInRace, AtRandom) {
  SessionOptions real_time;
  real_time.regenerate_grace = milliseconds(5);
  SignInRaces(std::make_shared<MemoryStore>(), real_time).at_random(8, 10);
}
TEST_F(SignInRace, TheLimitHolds) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    for (const std::size_t most : {1U, 3U}) races(most, policy).limit_at_once(8);
  }
}

}  // namespace
}  // namespace websession::testing
