// Whoever signs in or out leaves nothing behind: no old id that can still be read, and no session
// that stays because something else in the same commit was wrong.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "hook_store.hpp"
#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/flash.hpp"
#include "websession/one_time_code.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;
using Act = std::function<void(Session&)>;

class Logout : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    return options;
  }
  SessionManager manager() { return SessionManager::make(store, options()).value(); }

  static std::string cookie_of(const Session& session) { return "sid=" + session.id()->secret(); }
  // A session of Ada (empty: of nobody) with user_id = 42; gives its Cookie header.
  std::string stored(std::string_view principal = "ada") {
    const SessionManager m = manager();
    Session session = open_session(m);
    if (!principal.empty()) session.sign_in(principal);
    session.set("user_id", 42);
    EXPECT_TRUE(m.commit(session));
    return cookie_of(session);
  }
};

struct Change {
  const char* what;
  std::string before;  // who is signed in
  Act act;
};

// Each of them gives a new id, and none leaves an old one with content. P10, ASVS 5.0 7.2.4
TEST_F(Logout, NoChangeOfPrincipalLeavesTheOldIdReadable) {
  const SessionManager m = manager();
  for (const Change& row : {
           Change{"signing in", "", [](Session& s) { s.sign_in("ada"); }},
           Change{"the same one again", "ada", [](Session& s) { s.sign_in("ada"); }},
           Change{"another one", "ada", [](Session& s) { s.sign_in("bob"); }},
           Change{"a farewell", "ada",
                  [](Session& s) { s.sign_out(), add_flash(s, "notice", "Good bye."); }},
           Change{"a sign-in of the application's own", "",
                  [](Session& s) { s.sign_out(), add_flash(s, "notice", "Good bye."); }},
           Change{"out and in again", "ada", [](Session& s) { s.sign_out(), s.sign_in("ada"); }},
           Change{"for a moment another one", "ada",
                  [](Session& s) { s.sign_in("bob"), s.sign_in("ada"); }},
           Change{"in for a moment only", "",
                  [](Session& s) { s.sign_in("ada"), s.sign_out(), s.set("a", 1); }},
           Change{"with a regenerate besides", "ada",
                  [](Session& s) { s.sign_in("ada"), s.regenerate(); }},
       }) {
    const std::string old = stored(row.before);
    Session session = open_session(m, old);
    row.act(session);
    EXPECT_EQ(m.commit(session).value().status, Status::regenerated) << row.what;
    EXPECT_NE(cookie_of(session), old) << row.what;
    Session late = open_session(m, old);
    EXPECT_TRUE(late.is_new()) << row.what;
    EXPECT_FALSE(late.contains("user_id")) << row.what;
    EXPECT_FALSE(open_session(m, cookie_of(session)).is_new()) << row.what;
  }
}

// A regenerate whose answer was lost may have left the old id its grace.
TEST_F(Logout, ASignInAfterALostRegenerateLeavesTheOldIdNothing) {
  const SessionManager m = manager();
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    const std::string old = stored("");
    Session session = open_session(m, old);
    session.regenerate();
    store->fail_call(1, make_error(Errc::timeout, "lost"), moment);
    ASSERT_FALSE(m.commit(session));
    session.sign_in("ada");
    session.set("b", 2);
    EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
    EXPECT_TRUE(open_session(m, old).is_new());
    const Session next = open_session(m, cookie_of(session));
    EXPECT_EQ(next.principal(), "ada");
    EXPECT_EQ(next.value("user_id", 0), 42);
    EXPECT_EQ(next.value("b", 0), 2);
    EXPECT_EQ(m.sessions_of("ada", &session).value().size(), 1U);
    ASSERT_TRUE(m.sign_out_everywhere("ada"));
  }
}

// What a parallel request has stored meanwhile belonged to the one who leaves.
TEST_F(Logout, WhatCameMeanwhileDoesNotStayEither) {
  auto hooks = std::make_shared<HookStore>(memory);
  const SessionManager m = SessionManager::make(hooks, options()).value();
  for (const Act& leave :
       {Act([](Session& s) { s.sign_out(); }), Act([](Session& s) { s.sign_in("bob"); })}) {
    Session ada = open_session(m);
    ada.sign_in("ada");
    ASSERT_TRUE(m.commit(ada));
    const std::string cookie = cookie_of(ada);
    Session session = open_session(m, cookie);
    leave(session);
    session.set("greeting", 1);
    hooks->before_write = [&] {
      Session other = open_session(manager(), cookie);
      other.set("secret", "of Ada");
      EXPECT_EQ(manager().commit(other).value().status, Status::updated);
    };
    EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
    EXPECT_EQ(open_session(m, cookie_of(session)).names(), std::vector<std::string>{"greeting"});
  }
}

struct Failing {
  const char* what;
  Act act;
  Errc error;
};

std::string huge() { return std::string(70'000, 'x'); }

// Whatever else is wrong in the same commit: the end happens first, then the error is reported.
TEST_F(Logout, HappensWhateverElseIsWrong) {
  SessionOptions with = options();
  with.max_sessions_per_principal = 1;
  with.when_too_many = TooManySessions::refuse_new;
  const SessionManager m = SessionManager::make(store, with).value();
  stored("bob");
  for (const Failing& row : {
           Failing{"a huge value, signing out",
                   [](Session& s) { s.set("last_search", huge()), s.sign_out(); }, Errc::too_large},
           Failing{"signing out, a huge value",
                   [](Session& s) { s.sign_out(), s.set("last_search", huge()); }, Errc::too_large},
           Failing{"signing out, too much in all",
                   [](Session& s) {
                     s.sign_out();
                     for (const char* name : {"a", "b", "c"}) s.set(name, std::string(30'000, 'x'));
                   },
                   Errc::too_large},
           Failing{"a bad message, the end",
                   [](Session& s) { add_flash(s, "no kind!", "Bye"), s.invalidate(); },
                   Errc::invalid_argument},
           Failing{"signing out, a bad message",
                   [](Session& s) { s.sign_out(), add_flash(s, "no kind!", "Bye"); },
                   Errc::invalid_argument},
           Failing{"the end, a value", [](Session& s) { s.invalidate(), s.set("a", 1); },
                   Errc::invalid_argument},
           Failing{"the end, clearing", [](Session& s) { s.invalidate(), s.clear(); },
                   Errc::invalid_argument},
           Failing{"the end, a sign-in", [](Session& s) { s.invalidate(), s.sign_in("eve"); },
                   Errc::invalid_argument},
           Failing{"another principal, a huge value",
                   [](Session& s) { s.sign_in("eve"), s.set("a", huge()); }, Errc::too_large},
           Failing{"another one for a moment, a huge value",
                   [](Session& s) { s.sign_in("eve"), s.sign_in("ada"), s.set("a", huge()); },
                   Errc::too_large},
           Failing{"another principal that is none", [](Session& s) { s.sign_in("e\nve"); },
                   Errc::invalid_argument},
           Failing{"one who has too many sessions", [](Session& s) { s.sign_in("bob"); },
                   Errc::too_many_sessions},
           Failing{"signing out, and one who has too many",
                   [](Session& s) { s.sign_out(), s.sign_in("bob"); }, Errc::too_many_sessions},
       }) {
    const std::string old = stored();
    Session session = open_session(m, old);
    row.act(session);
    const Result<Commit> failed = m.commit(session);
    ASSERT_FALSE(failed) << row.what;
    EXPECT_EQ(failed.error().code, row.error) << row.what << ": " << failed.error().message();
    EXPECT_FALSE(failed.error().maybe_applied) << row.what;
    EXPECT_NE(failed.error().detail.find("the session has ended"), std::string::npos)
        << row.what << ": " << failed.error().detail;
    EXPECT_TRUE(open_session(m, old).is_new()) << row.what;
    EXPECT_TRUE(m.sessions_of("ada").value().empty()) << row.what;
    EXPECT_EQ(memory->size(), 1U) << row.what << ": Bob's";
    EXPECT_EQ(session.principal(), std::nullopt) << row.what;

    const Commit again = m.commit(session).value();
    EXPECT_EQ(again.status, Status::erased) << row.what;
    EXPECT_NE(again.headers.at(0).value.find("Max-Age=0"), std::string::npos) << row.what;
    const Commit third = m.commit(session).value();
    EXPECT_EQ(third.status, Status::unchanged) << row.what;
    EXPECT_FALSE(testing::sends_cookie(third)) << row.what;
  }
}

// Nor does one that comes late and fails take the cookie of the sign-in that came before it.
TEST_F(Logout, ALateOneThatFailsTakesNoOthersCookie) {
  const SessionManager m = manager();
  for (const Act& act : {Act([](Session& s) { s.sign_out(), s.set("@x", 1); }),
                         Act([](Session& s) { s.sign_out(), s.set("a", huge()); }),
                         Act([](Session& s) { s.set("@x", 1), s.invalidate(); })}) {
    for (const bool abandons : {false, true}) {
      const std::string old = stored();
      Session late = open_session(m, old);
      Session first = open_session(m, old);
      first.sign_in("bob");
      ASSERT_TRUE(m.commit(first));
      act(late);
      const Result<Commit> failed = m.commit(late);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().detail.find("the session has ended"), std::string::npos)
          << failed.error().detail;
      const Commit after = (abandons ? m.abandon(late) : m.commit(late)).value();
      EXPECT_EQ(after.status, Status::gone);
      EXPECT_FALSE(testing::sends_cookie(after));
      EXPECT_EQ(open_session(m, cookie_of(first)).principal(), "bob");
    }
  }
}

// What fails may be the end itself. Then nobody has ended the other one's session either.
TEST_F(Logout, ALateOneWhoseEndFailsTakesNoOthersCookie) {
  const SessionManager m = manager();
  for (const Act& act :
       {Act([](Session& s) { s.sign_out(), s.set("bye", 1); }),
        Act([](Session& s) { s.sign_out(); }), Act([](Session& s) { s.invalidate(); }),
        Act([](Session& s) { s.sign_out(), s.set("@x", 1); }),
        Act([](Session& s) { s.sign_out(), s.set("a", huge()); })}) {
    for (const bool abandons : {false, true}) {
      for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
        for (std::size_t call = 1; call <= 4; ++call) {
          const std::string old = stored();
          Session late = open_session(m, old);
          Session first = open_session(m, old);
          first.sign_in("zoe");
          ASSERT_TRUE(m.commit(first));
          act(late);
          store->fail_call(call, make_error(Errc::timeout, "lost"), moment);
          Result<Commit> commit = m.commit(late);
          for (int tries = 0; !commit && tries < 4; ++tries) {
            commit = abandons ? m.abandon(late) : m.commit(late);
          }
          store->recover();
          ASSERT_TRUE(commit);
          EXPECT_FALSE(testing::sends_cookie(*commit)) << "call " << call;
          EXPECT_EQ(open_session(m, cookie_of(first)).principal(), "zoe");
        }
      }
    }
  }
}

// What a parallel request of the one who leaves has stored meanwhile leaves with them.
TEST_F(Logout, NothingOfTheOldPrincipalPasses) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  const OneTimeCodes codes = OneTimeCodes::make(encryption.keys).value();
  for (const auto& kept_in : std::vector<std::shared_ptr<SessionStore>>{
           store, EncryptedStore::make(store, encryption).value()}) {
    const SessionManager m = SessionManager::make(kept_in, options()).value();
    for (const Change& row : {
             Change{"to another", "", [](Session& s) { s.sign_in("bob"); }},
             Change{"to another, cleared", "", [](Session& s) { s.sign_in("bob"), s.clear(); }},
             Change{"to nobody", "",
                    [](Session& s) { s.sign_out(), add_flash(s, "notice", "bye"); }},
             Change{"to nobody, cleared", "",
                    [](Session& s) { s.sign_out(), s.clear(), s.set("bye", 1); }},
             Change{"out and in", "",
                    [](Session& s) { s.sign_out(), s.clear(), s.sign_in("ada"); }},
         }) {
      for (const bool has_attributes : {false, true}) {
        Session ada = open_session(m);
        ada.sign_in("ada", "her label");
        if (has_attributes) ada.set("a", 1);
        ASSERT_TRUE(m.commit(ada));
        Session leaves = open_session(m, cookie_of(ada));
        Session stays = open_session(m, cookie_of(ada));
        add_flash(stays, "notice", "ada's");
        stays.set("iban", "ada's");
        const std::string code = codes.issue(stays, "p").value();
        const std::string token = csrf_token(stays).value();
        ASSERT_TRUE(m.commit(stays));
        row.act(leaves);
        ASSERT_EQ(m.commit(leaves).value().status, Status::regenerated) << row.what;
        Session next = open_session(m, cookie_of(leaves));
        EXPECT_FALSE(next.contains("iban")) << row.what;
        EXPECT_FALSE(csrf_valid(next, token)) << row.what;
        EXPECT_EQ(codes.verify(next, "p", code).value().status, CodeCheck::Status::none)
            << row.what;
        for (const Flash& flash : take_flashes(next).value()) EXPECT_EQ(flash.text, "bye");
        next.set("b", 1);
        EXPECT_EQ(m.commit(next).value().status, Status::updated) << "it can be read and written";
        EXPECT_TRUE(open_session(m, cookie_of(next)).contains("b"));
      }
    }
  }
}

// The end came first, and what was to take its place failed.
TEST_F(Logout, OneThatFailsAfterTheEndSaysSo) {
  const SessionManager m = manager();
  const std::string old = stored();
  Session session = open_session(m, old);
  Session parallel = open_session(m, old);
  parallel.regenerate();
  ASSERT_TRUE(m.commit(parallel));
  session.sign_in("bob");
  // The move, which finds it gone; the ends of both ids; what is to come instead.
  store->fail_call(4, make_error(Errc::timeout, "fault"));
  const Result<Commit> failed = m.commit(session);
  store->recover();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().detail.find("the session has ended"), std::string::npos)
      << failed.error().message();
  EXPECT_TRUE(open_session(m, cookie_of(parallel)).is_new());
  const Commit abandoned = m.abandon(session).value();
  EXPECT_EQ(abandoned.status, Status::erased);
  EXPECT_TRUE(testing::sends_cookie(abandoned));
}

// What asks for no end keeps the session when it fails.
TEST_F(Logout, NothingElseEndsASession) {
  const SessionManager m = manager();
  for (const Act& act : {Act([](Session& s) { s.set("a", huge()); }),
                         Act([](Session& s) { s.set("a", huge()), s.regenerate(); }),
                         Act([](Session& s) { s.sign_in("ada"), s.set("a", huge()); }),
                         Act([](Session& s) { s.clear(), s.set("a", huge()); })}) {
    const std::string cookie = stored();
    Session session = open_session(m, cookie);
    act(session);
    EXPECT_EQ(m.commit(session).error().code, Errc::too_large);
    EXPECT_EQ(open_session(m, cookie).principal(), "ada");
  }
}

// The store refuses the farewell, or its answer is lost: the session ends all the same, and
// nothing of either stays.
TEST_F(Logout, HappensWhenTheStoreRefusesTheRest) {
  const SessionManager m = manager();
  for (const Errc code : {Errc::rejected, Errc::too_large, Errc::corrupt, Errc::timeout}) {
    for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
      for (const Act& act : {Act([](Session& s) { s.sign_out(), s.set("farewell", 1); }),
                             Act([](Session& s) { s.sign_in("bob"); })}) {
        const std::string old = stored();
        Session session = open_session(m, old);
        act(session);
        store->fail_call(1, make_error(code, "test"), moment);
        const Result<Commit> failed = m.commit(session);
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, code);
        EXPECT_EQ(failed.error().maybe_applied, moment == FaultStore::Moment::after);
        EXPECT_EQ(memory->size(), 0U);
        EXPECT_EQ(m.commit(session).value().status, Status::erased);
      }
    }
  }
}

// When the end itself fails, that is the error, and trying again does it.
TEST_F(Logout, AnEndThatFailsIsReported) {
  const SessionManager m = manager();
  for (const Act& act : {Act([](Session& s) { s.sign_out(); }),
                         Act([](Session& s) { s.set("a", huge()), s.sign_out(); }),
                         Act([](Session& s) { s.invalidate(), s.set("a", 1); })}) {
    const std::string cookie = stored();
    Session session = open_session(m, cookie);
    act(session);
    store->fail_call(1, make_error(Errc::unavailable, "away"));
    const std::size_t before = store->calls();
    const Result<Commit> failed = m.commit(session);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::unavailable);
    EXPECT_EQ(failed.error().detail, "away");
    EXPECT_EQ(store->calls() - before, 1U) << "an outage is not asked twice";
    EXPECT_EQ(open_session(m, cookie).principal(), "ada");
    (void)m.commit(session);  // the caller's own mistake, if there was one
    EXPECT_TRUE(open_session(m, cookie).is_new());
    EXPECT_EQ(memory->size(), 0U);
  }
}

// A commit whose answer was lost has signed in under an id that nobody knows. It ends as well.
TEST_F(Logout, EndsWhatALostAnswerHasLeft) {
  const SessionManager m = manager();
  Session session = open_session(m, stored(""));
  session.sign_in("ada");
  store->fail_call(1, make_error(Errc::timeout, "lost"), FaultStore::Moment::after);
  ASSERT_FALSE(m.commit(session));
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
  session.invalidate();
  EXPECT_EQ(m.commit(session).value().status, Status::erased);
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
  EXPECT_EQ(memory->size(), 0U);
}

// A parallel request gives the session a new id while this one signs out with a farewell.
TEST_F(Logout, EndsTheSessionUnderTheIdThatItHasByThen) {
  auto hooks = std::make_shared<HookStore>(memory);
  const SessionManager m = SessionManager::make(hooks, options()).value();
  for (const bool signs_in : {false, true}) {
    const std::string old = stored();
    Session session = open_session(m, old);
    session.sign_out();
    signs_in ? session.sign_in("bob") : session.set("farewell", 1);
    std::string moved;
    hooks->before_write = [&] {
      Session other = open_session(manager(), old);
      other.regenerate();
      EXPECT_EQ(manager().commit(other).value().status, Status::regenerated);
      moved = cookie_of(other);
    };
    const Commit commit = m.commit(session).value();
    EXPECT_EQ(commit.status, signs_in ? Status::created : Status::erased);
    EXPECT_EQ(commit.headers.at(0).value.find("Max-Age=0") == std::string::npos, signs_in);
    EXPECT_TRUE(open_session(m, moved).ended());
    EXPECT_EQ(memory->size(), signs_in ? 1U : 0U);
    ASSERT_TRUE(m.sign_out_everywhere("bob"));
  }
}

// A direct operation has noticed it before: what is gone under this id may live under another one.
TEST_F(Logout, EndsASessionThatWasFoundGone) {
  const SessionManager m = manager();
  for (const Act& act : {Act([](Session& s) { s.sign_out(); }),
                         Act([](Session& s) { s.sign_out(), s.set("farewell", 1); }),
                         Act([](Session& s) { s.invalidate(); })}) {
    const std::string old = stored();
    Session session = open_session(m, old);
    Session other = open_session(m, old);
    other.regenerate();
    ASSERT_TRUE(m.commit(other));
    EXPECT_EQ(session.increment("n").error().code, Errc::gone);
    act(session);
    const Commit commit = m.commit(session).value();
    EXPECT_EQ(commit.status, Status::erased);
    EXPECT_TRUE(testing::sends_cookie(commit)) << "it names what has ended";
    EXPECT_TRUE(open_session(m, cookie_of(other)).is_new());
    EXPECT_EQ(memory->size(), 0U);
    EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
  }
}

// And when it has ended already, a cookie might be that of a newer sign-in.
TEST_F(Logout, OfWhatHasEndedTouchesNoCookie) {
  const SessionManager m = manager();
  const std::string old = stored();
  Session session = open_session(m, old);
  Session first = open_session(m, old);
  first.sign_in("bob");
  ASSERT_TRUE(m.commit(first));
  session.sign_out();
  session.set("farewell", 1);
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::gone);
  EXPECT_FALSE(testing::sends_cookie(commit));
  EXPECT_EQ(open_session(m, cookie_of(first)).principal(), "bob");
}

// A sign-in whose answer was lost may have been applied: what signs out takes its principal away,
// also when it keeps something for the visitor.
TEST_F(Logout, AfterALostSignInNobodyIsSignedIn) {
  const SessionManager m = manager();
  for (const bool applied : {false, true}) {
    for (const char* before : {"", "ada"}) {
      Session session = open_session(m, stored(before));
      session.sign_in("bob");
      store->fail_call(1, make_error(Errc::timeout, "no answer"),
                       applied ? FaultStore::Moment::after : FaultStore::Moment::before);
      EXPECT_FALSE(m.commit(session));
      session.sign_out();
      session.set("bye", true);
      const auto committed = m.commit(session);
      EXPECT_TRUE(memory->entries("bob").value().empty()) << before << applied;
      if (committed && sends_cookie(*committed)) {
        const std::string cookie = websession::testing::cookie_of(*committed);
        EXPECT_FALSE(open_session(m, cookie).principal()) << before << applied;
      }
    }
  }
}

// A sign-in that came too late and could not make a session of its own has not forgotten the one
// that it was asked of.
TEST_F(Logout, AfterASignInThatFailedLateEndsTheSession) {
  const SessionManager m = manager();
  for (const bool abandons : {false, true}) {
    for (const bool invalidates : {false, true}) {
      const std::string old = stored();
      Session late = open_session(m, old);
      Session other = open_session(m, old);
      other.regenerate();
      ASSERT_TRUE(m.commit(other));
      late.sign_in("ada");
      store->fail_call(2, make_error(Errc::unavailable, "away"));  // the rekey is gone, then this
      EXPECT_EQ(m.commit(late).error().code, Errc::unavailable);
      invalidates ? late.invalidate() : late.sign_out();
      const auto ended = abandons ? m.abandon(late) : m.commit(late);
      ASSERT_TRUE(ended);
      EXPECT_EQ(ended->status, Status::erased) << abandons << invalidates;
      EXPECT_TRUE(memory->entries("ada").value().empty()) << abandons << invalidates;
      EXPECT_FALSE(open_session(m, old).principal());
    }
  }
}

// Nor does it leave a session behind that a lost answer has made under an id of nobody's.
TEST_F(Logout, EndsWhatALostSignInHasMade) {
  const SessionManager m = manager();
  Session session = open_session(m, stored());
  session.sign_in("bob");  // which ends ada's
  Session other = open_session(m, cookie_of(session));
  other.regenerate();
  ASSERT_TRUE(m.commit(other));
  // Gone; the end of ada's, under both ids that it may have; and what is made for bob.
  store->fail_call(4, make_error(Errc::timeout, "no answer"), FaultStore::Moment::after);
  EXPECT_FALSE(m.commit(session));
  EXPECT_EQ(memory->entries("bob").value().size(), 1U);
  ASSERT_TRUE(m.abandon(session));
  EXPECT_TRUE(memory->entries("bob").value().empty());
}

TEST_F(Logout, AnAbandonedSignInThatWasLostSaysWhatItEnded) {
  const SessionManager m = manager();
  const std::string old = stored();
  Session session = open_session(m, old);
  session.sign_in("ada");
  store->fail_call(1, make_error(Errc::timeout, "no answer"), FaultStore::Moment::after);
  EXPECT_FALSE(m.commit(session));
  EXPECT_EQ(m.abandon(session).value().status, Status::gone);
  EXPECT_FALSE(open_session(m, old).principal());
}

// What cannot be kept keeps the others.
TEST_F(Logout, EverywhereButHereNeedsAHere) {
  const SessionManager m = manager();
  const std::string old = stored();
  Session current = open_session(m, old);
  current.sign_in("ada");
  ASSERT_TRUE(m.commit(current));
  const Session late = open_session(m, old);
  ASSERT_TRUE(late.ended());
  EXPECT_EQ(m.sign_out_everywhere("ada", &late).error().code, Errc::gone);
  EXPECT_EQ(memory->entries("ada").value().size(), 1U);
  SessionOptions with = options();
  with.on_outage = Outage::anonymous;
  const SessionManager lenient = SessionManager::make(store, with).value();
  store->fail_all(make_error(Errc::unavailable, "away"));
  const Session degraded = open_session(lenient, cookie_of(current));
  store->recover();
  ASSERT_TRUE(degraded.degraded());
  EXPECT_EQ(lenient.sign_out_everywhere("ada", &degraded).error().code, Errc::unavailable);
  EXPECT_EQ(memory->entries("ada").value().size(), 1U);
  EXPECT_EQ(m.sign_out_everywhere("ada", &current).value(), 0U);
}

}  // namespace
}  // namespace websession::testing
