// P9 on a real Redis: an outage that an application rides out with degraded sessions.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "fault_fixture.hpp"
#include "requests.hpp"
#include "websession/counters.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

class RedisOutage : public RedisFaultTest {
 protected:
  void SetUp() override {
    RedisFaultTest::SetUp();
    if (!server) return;
    options.operation_timeout = milliseconds(250);
    SessionOptions session_options;
    session_options.on_outage = Outage::anonymous;
    session_options.observer = counters;
    manager = SessionManager::make(connect_through_proxy(), session_options).value();
    Session session = manager->open({}).value();
    session.set("name", "Ada");
    ASSERT_EQ(manager->commit(session).value().status, Status::created);
    cookie = "sid=" + session.id()->secret();
  }

  // A page that shows a name, and one that changes it.
  void expect_degraded() {
    Session reader = timed([&] { return manager->open({cookie, true}); }).value();
    ASSERT_TRUE(reader.degraded());
    EXPECT_EQ(reader.value("name", "?"), "?");
    const Commit commit = timed([&] { return manager->commit(reader); }).value();
    EXPECT_EQ(commit.status, Status::unchanged);
    EXPECT_FALSE(testing::sends_cookie(commit)) << "the visitor keeps the cookie";
    Session writer = timed([&] { return manager->open({cookie, true}); }).value();
    writer.set("name", "Eve");
    EXPECT_FALSE(timed([&] { return manager->commit(writer); }));
  }
  // The first requests may still meet the breaker.
  void expect_back() {
    const auto end = SteadyClock::now() + scheduling_margin;
    while (manager->open({cookie, true}).value().degraded() && SteadyClock::now() < end) {
      std::this_thread::yield();
    }
    Session session = manager->open({cookie, true}).value();
    EXPECT_FALSE(session.degraded());
    EXPECT_EQ(session.value("name", "?"), "Ada");
    EXPECT_EQ(session.increment("visits").value(), ++visits);
    EXPECT_EQ(manager->commit(session).value().status, Status::unchanged);
  }

  std::shared_ptr<Counters> counters = std::make_shared<Counters>();
  std::optional<SessionManager> manager;
  std::string cookie;
  int visits = 0;
};

TEST_F(RedisOutage, AfterARefusedConnectionTheSessionIsThereAgain) {
  proxy->refuse();
  proxy->close_all();
  expect_degraded();
  proxy->forward();
  expect_back();
  const CounterSnapshot counts = counters->snapshot();
  EXPECT_GE(counts.count(StoreVerb::load, Errc::unavailable), 2U);
  EXPECT_GE(counts.count(SessionEvent::Kind::degraded), 2U);
}

TEST_F(RedisOutage, AfterAStoppedServerTheSessionIsThereAgain) {
  server->pause();
  expect_degraded();
  server->resume();
  expect_back();
  const CounterSnapshot counts = counters->snapshot();
  EXPECT_GE(counts.count(StoreVerb::load, Errc::timeout), 1U);
  EXPECT_GE(counts.failed(StoreVerb::load).sum, milliseconds(250)) << "it took the timeout";
}

TEST_F(RedisOutage, AfterARestartWithoutDataThereIsNoSessionAndThatIsNotAnOutage) {
  server->stop();
  expect_degraded();
  server->start();
  while (manager->open({cookie, true}).value().degraded()) std::this_thread::yield();
  Session session = manager->open({cookie, true}).value();
  EXPECT_TRUE(session.is_new());
  EXPECT_FALSE(session.degraded());
  session.set("name", "Ada");
  EXPECT_EQ(manager->commit(session).value().status, Status::created);
}

}  // namespace
}  // namespace websession::testing
