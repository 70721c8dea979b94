#include "websession/log_observer.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "requests.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/fault_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession {
namespace {

using Level = LogObserver::Level;

class LogObserverTest : public ::testing::Test {
 protected:
  SessionManager manager(Level level = Level::problems) {
    SessionOptions options;
    options.observer = std::make_shared<LogObserver>(log, level, clock);
    options.clock = clock;
    return SessionManager::make(store, options).value();
  }
  std::string cookie() {
    const SessionManager m = manager();
    Session session = testing::open_session(m);
    session.set("secret", "a value");
    return testing::cookie_of(m.commit(session).value());
  }
  // The lines since the last call, labels replaced.
  std::string lines() {
    std::string text = log.str();
    log.str("");
    for (std::size_t at = 0; (at = text.find('[', at)) != std::string::npos; ++at) {
      const std::size_t end = text.find(']', at);
      EXPECT_EQ(end - at, 13U) << text;
      text.replace(at, end - at + 1, "[]");
    }
    return text;
  }

  std::ostringstream log;
  std::shared_ptr<testing::ManualClock> clock = std::make_shared<testing::ManualClock>();
  std::shared_ptr<testing::FaultStore> store =
      std::make_shared<testing::FaultStore>(std::make_shared<MemoryStore>(clock));
};

TEST_F(LogObserverTest, AFailedCallIsOneLine) {
  const std::string brought = cookie();
  const SessionManager m = manager();
  EXPECT_EQ(lines(), "") << "usual life is silent";
  store->fail_all(make_error(Errc::unavailable, "Redis:\nrefused"));
  EXPECT_FALSE(m.open({brought}));
  EXPECT_EQ(log.str().find(brought.substr(4)), std::string::npos);
  EXPECT_EQ(lines(), "websession: load failed: unavailable: Redis:?refused []\n");
}

TEST_F(LogObserverTest, AnOutageFillsNoDisk) {
  const std::string brought = cookie();
  const SessionManager m = manager();
  store->fail_all(make_error(Errc::timeout, "late"));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(m.open({brought}));
  EXPECT_EQ(lines(), "websession: load failed: timeout: late []\n");
  Session session = m.open({}).value();
  session.set("a", 1);
  EXPECT_FALSE(m.commit(session));
  EXPECT_EQ(lines(), "websession: create failed: timeout: late []\n") << "that is news";
  clock->advance(std::chrono::seconds(10));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(m.open({brought}));
  EXPECT_EQ(lines(),
            "websession: load failed: timeout: late [] (and 999 more since the last such line)\n");
}

TEST_F(LogObserverTest, WhatIsNotUsualIsALine) {
  const SessionManager m = manager();
  for (int i = 0; i < 3; ++i) (void)m.open({"sid=x"}).value();
  EXPECT_EQ(lines(), "websession: cookie_malformed\n");
}

// What a program asks for and does not get is in no answer to a visitor, so it must be seen here.
TEST_F(LogObserverTest, ARefusalSaysWhy) {
  const SessionManager m = manager();
  Session session = testing::open_session(m);
  session.set("@x", 1);
  EXPECT_FALSE(m.commit(session));
  EXPECT_TRUE(
      lines().starts_with("websession: refused: invalid argument: attribute \"@x\": names "
                          "that start with '@'"));
  clock->advance(std::chrono::seconds(10));
  Session large = testing::open_session(m);
  large.set("x", std::string(70'000, 'a'));
  EXPECT_FALSE(m.commit(large));
  const std::string told = lines();
  EXPECT_TRUE(told.starts_with("websession: refused: too large: attribute \"x\"")) << told;
  EXPECT_EQ(told.find("aaa"), std::string::npos);
  clock->advance(std::chrono::seconds(10));
  m.report(make_error(Errc::invalid_argument, "a handler's"), large);
  EXPECT_EQ(lines(), "websession: refused: invalid argument: a handler's\n");
  m.report(make_error(Errc::timeout, "the store's"), large);
  m.report(make_error(Errc::gone, "a visitor's"), large);
  EXPECT_EQ(lines(), "");
}

TEST_F(LogObserverTest, LateRequestsAreUsual) {
  const std::string brought = cookie();
  const SessionManager m = manager();
  Session session = testing::open_session(m, brought);
  session.sign_out();
  ASSERT_TRUE(m.commit(session));
  EXPECT_TRUE(testing::open_session(m, brought).ended());
  EXPECT_EQ(lines(), "");
}

TEST_F(LogObserverTest, AnAttributeIsNamedAndItsValueIsNot) {
  const std::string brought = cookie();
  const SessionManager m = manager();
  Session session = testing::open_session(m, brought);
  EXPECT_EQ(session.value("secret", 1), 1);
  const std::string told = lines();
  EXPECT_TRUE(
      told.starts_with("websession: value_mismatch of \"secret\" []\n"
                       "websession: warning: value(\"secret\") gave its fallback"))
      << told;
  EXPECT_EQ(told.find("a value"), std::string::npos);
}

TEST_F(LogObserverTest, AllIsEveryEvent) {
  const SessionManager m = manager(Level::all);
  Session session = testing::open_session(m);
  session.set("a", 1);
  const std::string brought = testing::cookie_of(m.commit(session).value());
  for (int i = 0; i < 2; ++i) (void)m.open({brought}).value();
  EXPECT_EQ(lines(), "websession: created []\nwebsession: loaded []\nwebsession: loaded []\n");
}

}  // namespace
}  // namespace websession
