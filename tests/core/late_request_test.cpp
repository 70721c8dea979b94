// Requests that were under way while their session was replaced or ended, over the in-memory store.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "faulty_memory.hpp"
#include "late_requests.hpp"
#include "websession/csrf.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Status = Commit::Status;

class LateRequests : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager manager(SessionOptions options = {}) {
    options.clock = clock;
    return SessionManager::make(store, options).value();
  }
  // The cookie of a visitor who has not signed in.
  static std::string visited(const SessionManager& m) {
    Session session = open_session(m);
    session.set("a", 1);
    return cookie_of(m.commit(session).value());
  }
  // Two requests of a visitor: `first` has signed in, and `late` was opened before that, or after
  // it with the old id.
  struct Requests {
    Session late;
    Session first;
  };
  static Requests overtaken(const SessionManager& m, std::string_view principal,
                            bool opened_before) {
    const std::string old = visited(m);
    Session first = open_session(m, old);
    Session before = open_session(m, old);
    first.sign_in(principal);
    EXPECT_TRUE(m.commit(first));
    return {opened_before ? std::move(before) : open_session(m, old), std::move(first)};
  }
};

TEST_F(LateRequests, DoNoHarm) { expect_late_requests_do_no_harm(manager()); }

TEST_F(LateRequests, DoNoHarmWithHashedIds) {
  for (const IdStorage storage :
       {IdStorage::plain_and_hashed, IdStorage::hashed, IdStorage::hashed_only}) {
    SessionOptions options;
    options.id_storage = storage;
    expect_late_requests_do_no_harm(manager(options));
  }
}

TEST_F(LateRequests, DoNoHarmToEncryptedSessions) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  encryption.countable = {"n"};
  SessionOptions options;
  options.clock = clock;
  expect_late_requests_do_no_harm(
      SessionManager::make(EncryptedStore::make(store, encryption).value(), options).value());
}

// The mark is remembered for ten seconds, or as long as the grace.
TEST_F(LateRequests, AreStrangersAfterAWhile) {
  for (const milliseconds grace : {milliseconds(0), milliseconds(1'000), milliseconds(30'000)}) {
    SessionOptions options;
    options.regenerate_grace = grace;
    const SessionManager m = manager(options);
    Session session = open_session(m);
    session.sign_in("ada");
    const std::string cookie = cookie_of(m.commit(session).value());
    session.sign_out();
    ASSERT_EQ(m.commit(session).value().status, Status::erased);
    clock->advance(std::max(grace, milliseconds(seconds(10))) - milliseconds(1));
    EXPECT_TRUE(open_session(m, cookie).ended());
    clock->advance(milliseconds(1));
    Session stranger = open_session(m, cookie);
    EXPECT_FALSE(stranger.ended());
    stranger.set("a", 1);
    EXPECT_EQ(m.commit(stranger).value().status, Status::created);
  }
}

// Among several cookies of the name the one that is over is as good as unknown.
TEST_F(LateRequests, AnotherCookieThatIsKnownCounts) {
  const SessionManager m = manager();
  const std::string before = visited(m);
  Session session = open_session(m, before);
  session.sign_in("ada");
  const std::string after = cookie_of(m.commit(session).value());
  for (const std::string& header : {before + "; " + after, after + "; " + before}) {
    const Session found = open_session(m, header);
    EXPECT_FALSE(found.ended()) << header;
    EXPECT_EQ(found.principal(), "ada") << header;
  }
}

// A double click on "log in": both were sent with the cookie of the anonymous session. Whichever
// answer the browser heeds, the visitor is signed in.
TEST_F(LateRequests, ADoubleClickOnTheLoginLocksNobodyOut) {
  const SessionManager m = manager();
  const std::string cookie = visited(m);
  for (const bool opened_before : {true, false}) {
    Session first = open_session(m, cookie);
    std::optional<Session> second;
    if (opened_before) second = open_session(m, cookie);
    first.sign_in("ada");
    const Commit one = m.commit(first).value();
    if (!opened_before) second = open_session(m, cookie);
    second->sign_in("ada");
    const Commit two = m.commit(*second).value();
    for (const Commit& commit : {one, two}) {
      ASSERT_TRUE(sends_cookie(commit));
      EXPECT_EQ(open_session(m, cookie_of(commit)).principal(), "ada");
    }
  }
}

// Who was ended from afar a moment ago can begin a sign-in that needs a session first.
TEST_F(LateRequests, CanStartOverDeliberately) {
  const SessionManager m = manager();
  const std::string cookie = visited(m);
  ASSERT_TRUE(m.erase(*open_session(m, cookie).id()).value());
  Session form = open_session(m, cookie);
  ASSERT_TRUE(form.ended());
  form.start_over();
  EXPECT_FALSE(form.ended());
  EXPECT_EQ(form.increment("tries").value(), 1);
  form.set("address", "ada@example.org");
  const Commit commit = m.commit(form).value();
  EXPECT_EQ(commit.status, Status::created);
  EXPECT_EQ(open_session(m, cookie_of(commit)).value("tries", 0), 1);
  Session visitor = open_session(m, cookie_of(commit));
  visitor.start_over();
  EXPECT_EQ(visitor.value("tries", 0), 1) << "one that lives stays";
}

// A login that polls: the page asks for news with the old cookie while the form is on its way.
TEST_F(LateRequests, APollDuringTheLoginDoesNotSignOut) {
  const SessionManager m = manager();
  Session visitor = open_session(m);
  visitor.set("seen", 1);
  const std::string cookie = cookie_of(m.commit(visitor).value());
  visitor.sign_in("ada");
  ASSERT_EQ(m.commit(visitor).value().status, Status::regenerated);
  Session poll = open_session(m, cookie);
  poll.set("seen", poll.value("seen", 0) + 1);
  const Commit commit = m.commit(poll).value();
  EXPECT_EQ(commit.status, Status::gone);
  EXPECT_FALSE(sends_cookie(commit));
}

// Without a grace the old id reads nothing, but whoever logs out with it means the session.
TEST_F(LateRequests, WithoutAGraceLoggingOutEndsTheSessionAllTheSame) {
  SessionOptions options;
  options.regenerate_grace = milliseconds(0);
  const SessionManager m = manager(options);
  for (const bool opened_before : {true, false}) {
    Session session = open_session(m);
    session.sign_in("ada");
    const std::string old = cookie_of(m.commit(session).value());
    std::optional<Session> late;
    if (opened_before) late = open_session(m, old);
    session.regenerate();
    const std::string next = cookie_of(m.commit(session).value());
    if (!opened_before) late = open_session(m, old);
    EXPECT_NE(late->ended(), opened_before);
    late->sign_out();
    EXPECT_EQ(m.commit(*late).value().status, Status::erased);
    EXPECT_TRUE(open_session(m, next).ended());
  }
}

// Its end was asked for, and its answer lost: the cookie goes with the next try.
// A session may turn out to have ended only when it is used.
TEST_F(LateRequests, ASignInAfterGoneSignsIn) {
  const SessionManager m = manager();
  using Act = std::function<void(Session&)>;
  const Act direct[] = {[](Session& s) { (void)s.increment("n"); },
                        [](Session& s) { (void)s.compare_and_set("a", 1, 2); },
                        [](Session& s) { (void)csrf_token(s); },
                        [](Session& s) { s.set("b", 1), (void)s.increment("n"), s.set("c", 1); }};
  const Act ends[] = {[](Session& s) { s.sign_in("ada"); }, [](Session& s) { s.regenerate(); },
                      [](Session& s) { s.invalidate(); }};
  for (const Act& end : ends) {
    for (const Act& act : direct) {
      for (const bool signs_in_first : {false, true}) {
        const std::string old = visited(m);
        Session late = open_session(m, old);
        Session first = open_session(m, old);
        end(first);
        ASSERT_TRUE(m.commit(first));
        if (signs_in_first) late.sign_in("ada");
        act(late);
        if (!signs_in_first) late.sign_in("ada");
        const Commit commit = m.commit(late).value();
        EXPECT_EQ(commit.status, Status::created);
        EXPECT_EQ(open_session(m, cookie_of(commit)).principal(), "ada");
        EXPECT_FALSE(open_session(m, cookie_of(commit)).contains("a")) << "nothing of the old";
      }
    }
  }
}

// Its handler failed: whoever was to be signed in is not.
TEST_F(LateRequests, ASignInThatIsAbandonedAfterGoneSignsNobodyIn) {
  const SessionManager m = manager();
  Session late = overtaken(m, "ada", true).late;
  late.sign_in("eve");
  EXPECT_EQ(late.increment("n").error().code, Errc::gone);
  const Commit abandoned = m.abandon(late).value();
  EXPECT_EQ(abandoned.status, Status::unchanged);
  EXPECT_FALSE(sends_cookie(abandoned));
  EXPECT_TRUE(m.sessions_of("eve").value().empty());
}

// What is asked last counts, whenever the end was found out.
TEST_F(LateRequests, ALogoutAfterASignInSignsNobodyIn) {
  const SessionManager m = manager();
  using Act = std::function<void(Session&)>;
  const Act nothing = [](Session&) {};
  const Act direct = [](Session& s) { EXPECT_EQ(s.increment("n").error().code, Errc::gone); };
  const Act logouts[] = {[](Session& s) { s.sign_out(); }, [](Session& s) { s.invalidate(); }};
  for (const bool opened_before : {false, true}) {
    for (const bool direct_first : {false, true}) {
      for (const bool direct_between : {false, true}) {
        for (const Act& log_out : logouts) {
          for (const bool abandons : {false, true}) {
            auto [late, first] = overtaken(m, "bob", opened_before);
            (direct_first ? direct : nothing)(late);
            late.sign_in("ada");
            late.set("b", 1);
            if (direct_between && opened_before && !direct_first) direct(late);
            EXPECT_EQ(late.principal(), "ada") << "it shows at once, and still does";
            EXPECT_TRUE(late.contains("b"));
            log_out(late);
            EXPECT_FALSE(late.principal());
            const Commit commit = (abandons ? m.abandon(late) : m.commit(late)).value();
            EXPECT_EQ(commit.status, Status::gone);
            EXPECT_FALSE(sends_cookie(commit));
            EXPECT_TRUE(m.sessions_of("ada").value().empty());
            EXPECT_EQ(open_session(m, "sid=" + first.id()->secret()).principal(), "bob");
          }
        }
      }
    }
  }
}

TEST_F(LateRequests, ABadSignInIsAnErrorAlsoWhenItIsLate) {
  const SessionManager m = manager();
  for (const bool opened_before : {false, true}) {
    for (const bool invalidates : {false, true}) {
      Session late = overtaken(m, "bob", opened_before).late;
      if (opened_before) {
        EXPECT_FALSE(late.increment("n"));
      }
      if (invalidates) late.invalidate();
      late.sign_in(invalidates ? "ada" : "");
      EXPECT_EQ(m.commit(late).error().code, Errc::invalid_argument);
      EXPECT_TRUE(m.sessions_of("ada").value().empty());
    }
  }
}

TEST_F(LateRequests, AfterALateLogoutASignInSignsIn) {
  const SessionManager m = manager();
  Session late = overtaken(m, "ada", false).late;
  late.sign_out();
  EXPECT_EQ(m.commit(late).value().status, Status::gone);
  late.sign_in("bob");
  EXPECT_EQ(m.commit(late).value().status, Status::created);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
}

// Whatever it is asked: the cookie that the browser has by now is not its own.
TEST_F(LateRequests, OneThatStartsOverDeletesNoCookie) {
  const SessionManager m = manager();
  const std::string old = visited(m);
  Session first = open_session(m, old);
  first.sign_in("ada");
  ASSERT_TRUE(m.commit(first));
  for (const bool signs_out : {false, true}) {
    Session late = open_session(m, old);
    ASSERT_TRUE(late.ended());
    late.start_over();
    signs_out ? late.sign_out() : late.invalidate();
    const Commit commit = m.commit(late).value();
    EXPECT_FALSE(sends_cookie(commit));
  }
  EXPECT_EQ(open_session(m, "sid=" + first.id()->secret()).principal(), "ada");
}

TEST_F(LateRequests, ALostAnswerToALogoutIsNoLateOne) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  Session leaving = open_session(m, "sid=" + session.id()->secret());
  leaving.invalidate();
  store->fail_call(1, make_error(Errc::timeout, "lost"), FaultStore::Moment::after);
  ASSERT_FALSE(m.commit(leaving));
  const Commit again = m.commit(leaving).value();
  EXPECT_EQ(again.status, Status::erased);
  EXPECT_FALSE(sends_cookie(again)) << "nobody knows whose cookie it would take";
}

// A bad call on a session that was late and has been logged out is told, as on any other one.
TEST_F(LateRequests, ABadCallAfterALateLogoutIsTold) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.sign_in("ada");
  const std::string cookie = cookie_of(m.commit(session).value());
  Session again = open_session(m, cookie);
  again.sign_in("ada");
  ASSERT_TRUE(m.commit(again));
  Session late = open_session(m, cookie);
  ASSERT_TRUE(late.ended());
  late.invalidate();
  EXPECT_EQ(m.commit(late).value().status, Commit::Status::erased);
  late.set("a", 1);
  const auto refused = m.commit(late);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace websession::testing
