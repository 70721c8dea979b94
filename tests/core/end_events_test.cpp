// What an observer is told of sessions that end, and why: on a store that tells of time and room,
// too.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "requests.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"
#include "websession/observer.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::minutes;
using Ends = std::vector<EndReason>;

// By the sessions' labels.
class Recorder final : public Observer {
 public:
  std::map<std::string, Ends> ends{};
  std::map<std::string, std::string> successors{};  // of a new id, by the old label

 protected:
  void on_session(const SessionEvent& event) override {
    if (event.kind == SessionEvent::Kind::regenerated) {
      successors[label(event.previous)] = label(event.session);
      if (event.end) ends[label(event.previous)].push_back(*event.end);
    } else if (event.end) {
      ends[label(event.session)].push_back(*event.end);
    }
  }
};

class EndEvents : public ::testing::Test {
 protected:
  SessionManager manager(SessionOptions options = {}) {
    options.clock = clock;
    options.observer = recorder;
    return SessionManager::make(store, options).value();
  }
  struct Login {
    std::string cookie;
    std::string label;
  };
  Login sign_in(const SessionManager& sessions, const std::string& user,
                const std::string& cookie = "") {
    Session session = open_session(sessions, cookie);
    session.sign_in(user);
    session.set("a", 1);
    const Commit commit = sessions.commit(session).value();
    return {cookie_of(commit), session.label(*recorder)};
  }
  Ends ends_of(const Login& login) { return recorder->ends[login.label]; }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  std::shared_ptr<MemoryStore> store =
      std::make_shared<MemoryStore>(MemoryOptions{.clock = clock, .observer = recorder});
};

TEST_F(EndEvents, BySignOut) {
  const SessionManager sessions = manager();
  const Login login = sign_in(sessions, "ada");
  EXPECT_EQ(ends_of(login), Ends());
  Session session = open_session(sessions, login.cookie);
  EXPECT_EQ(session.label(*recorder), login.label);
  session.sign_out();
  ASSERT_TRUE(sessions.commit(session));
  EXPECT_EQ(ends_of(login), Ends{EndReason::signed_out});
}

TEST_F(EndEvents, ByInvalidateAndByASignOutThatLeavesAFarewell) {
  const SessionManager sessions = manager();
  const Login first = sign_in(sessions, "ada");
  Session session = open_session(sessions, first.cookie);
  session.invalidate();
  ASSERT_TRUE(sessions.commit(session));
  EXPECT_EQ(ends_of(first), Ends{EndReason::signed_out});

  const Login second = sign_in(sessions, "ada");
  Session farewell = open_session(sessions, second.cookie);
  farewell.sign_out();
  farewell.set("farewell", true);
  ASSERT_TRUE(sessions.commit(farewell));
  EXPECT_EQ(ends_of(second), Ends{EndReason::signed_out});
}

TEST_F(EndEvents, ByAnotherPrincipalAndNotByANewId) {
  const SessionManager sessions = manager();
  const Login ada = sign_in(sessions, "ada");
  Session session = open_session(sessions, ada.cookie);
  session.regenerate();
  const std::string cookie = cookie_of(sessions.commit(session).value());
  EXPECT_EQ(ends_of(ada), Ends());
  EXPECT_EQ(recorder->successors[ada.label], session.label(*recorder));
  const Login again = sign_in(sessions, "ada", cookie);
  EXPECT_EQ(recorder->ends[recorder->successors[ada.label]], Ends());
  sign_in(sessions, "bob", again.cookie);
  EXPECT_EQ(ends_of(again), Ends{EndReason::signed_out});
}

TEST_F(EndEvents, FromElsewhere) {
  const SessionManager sessions = manager();
  const Login one = sign_in(sessions, "ada");
  ASSERT_TRUE(sessions.erase_one("ada", sessions.sessions_of("ada").value().at(0).handle).value());
  const Login all = sign_in(sessions, "ada");
  EXPECT_EQ(sessions.sign_out_everywhere("ada").value(), 1U);
  const Login by_id = sign_in(sessions, "ada");
  const Session loaded = open_session(sessions, by_id.cookie);
  ASSERT_TRUE(sessions.erase(*loaded.id()).value());
  Session named = open_session(sessions);
  named.sign_in("ada");
  named.set_alias("sid");
  ASSERT_TRUE(sessions.commit(named));
  EXPECT_EQ(sessions.sign_out_by("sid").value(), 1U);
  for (const Login& login : {one, all, by_id, Login{"", named.label(*recorder)}}) {
    EXPECT_EQ(ends_of(login), Ends{EndReason::ended_elsewhere});
  }
}

TEST_F(EndEvents, ByTime) {
  const SessionManager sessions = manager();
  const Login idle = sign_in(sessions, "ada");
  clock->advance(minutes(31));
  EXPECT_TRUE(open_session(sessions, idle.cookie).is_new());
  EXPECT_EQ(ends_of(idle), Ends{EndReason::idle});

  Login old = sign_in(sessions, "ada");
  for (int i = 0; i < 12 * 60 / 20; ++i) {
    Session session = open_session(sessions, old.cookie);
    EXPECT_EQ(session.principal(), "ada");
    ASSERT_TRUE(sessions.commit(session));
    clock->advance(minutes(20));
  }
  EXPECT_TRUE(open_session(sessions, old.cookie).is_new());
  EXPECT_EQ(ends_of(old), Ends{EndReason::absolute});
}

TEST_F(EndEvents, ToMakeRoom) {
  SessionOptions options;
  options.max_sessions_per_principal = 1;
  const SessionManager sessions = manager(options);
  const Login first = sign_in(sessions, "ada");
  const Login second = sign_in(sessions, "ada");
  EXPECT_EQ(ends_of(first), Ends{EndReason::evicted});
  EXPECT_EQ(ends_of(second), Ends());

  store = std::make_shared<MemoryStore>(
      MemoryOptions{.sessions_max = 1, .clock = clock, .observer = recorder});
  const SessionManager small = manager();
  const Login bob = sign_in(small, "bob");
  const Login eve = sign_in(small, "eve");
  EXPECT_EQ(ends_of(bob), Ends{EndReason::evicted});
  EXPECT_EQ(ends_of(eve), Ends());
}

// What the library keeps beside sessions ends as well, and is none.
TEST_F(EndEvents, OfSessionsOnly) {
  const SessionManager sessions = manager();
  Session named = open_session(sessions);
  named.sign_in("ada");
  named.set_alias("sid");
  ASSERT_TRUE(sessions.commit(named));
  clock->advance(std::chrono::hours(48));
  store->sweep(100);
  EXPECT_EQ(recorder->ends.size(), 1U);
}

TEST_F(EndEvents, OnALoop) {
  const auto thread = IoThread::start().value();
  SessionOptions options;
  options.clock = clock;
  options.observer = recorder;
  const auto sessions =
      AsyncSessionManager::make(immediate(store, {thread.reactor()}).value(), options).value();
  AsyncSession session = sessions.open({}).wait().value();
  session.sign_in("ada");
  ASSERT_TRUE(sessions.commit(session).wait());
  const std::string label = session.label(*recorder);
  ASSERT_TRUE(sessions.erase(*session.id()).wait().value());
  EXPECT_EQ(recorder->ends[label], Ends{EndReason::ended_elsewhere});
}

TEST_F(EndEvents, ASessionThatIsNotStoredHasNoLabel) {
  EXPECT_EQ(open_session(manager()).label(*recorder), "");
}

}  // namespace
}  // namespace websession::testing
