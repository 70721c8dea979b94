// Whoever signs in or out leaves nothing behind: no old id that can still be read, and no session
// that stays because something else in the same commit was wrong.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "hook_store.hpp"
#include "requests.hpp"
#include "websession/flash.hpp"
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

}  // namespace
}  // namespace websession::testing
