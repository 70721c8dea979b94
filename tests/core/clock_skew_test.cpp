// Servers whose clocks disagree, and a clock that is set back.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "requests.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Status = Commit::Status;

class ClockSkew : public ::testing::Test {
 protected:
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<ManualClock> ahead = std::make_shared<ManualClock>(clock->wall() + hours(1));
  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>(clock);

  void pass(milliseconds time) {
    clock->advance(time);
    ahead->advance(time);
  }
  SessionManager manager(std::shared_ptr<const Clock> with, TooManySessions policy,
                         std::size_t most = 1) {
    SessionOptions options;
    options.clock = std::move(with);
    options.max_sessions_per_principal = most;
    options.when_too_many = policy;
    return SessionManager::make(memory, options).value();
  }
  static std::string cookie_of(const Session& session) { return "sid=" + session.id()->secret(); }
  // Gives the Cookie header; empty: the sign-in was refused or lost.
  static std::string sign_in(const SessionManager& with) {
    Session session = open_session(with);
    session.sign_in("ada");
    const Result<Commit> commit = with.commit(session);
    return commit && commit->status == Status::created ? cookie_of(session) : "";
  }
  static bool is_in(const SessionManager& with, const std::string& cookie) {
    return open_session(with, cookie).principal() == "ada";
  }
};

TEST_F(ClockSkew, ASignInFromAnHourAheadRefusesNoLaterOne) {
  const SessionManager right = manager(clock, TooManySessions::end_oldest);
  const SessionManager wrong = manager(ahead, TooManySessions::end_oldest);
  std::string before = sign_in(wrong);
  for (int i = 0; i < 3; ++i) {
    pass(seconds(1));
    const std::string next = sign_in(right);
    EXPECT_TRUE(is_in(right, next)) << i;
    EXPECT_FALSE(is_in(right, before)) << i;
    before = next;
  }
  pass(seconds(1));
  const std::string again = sign_in(wrong);
  EXPECT_TRUE(is_in(right, again)) << "and the other way round";
  EXPECT_FALSE(is_in(right, before));
  EXPECT_EQ(right.sessions_of("ada").value().size(), 1U);
}

// Nor does it end every newer one. It is as old as its last renewal says.
TEST_F(ClockSkew, ASignInFromAnHourAheadIsNotTheNewestForAnHour) {
  const SessionManager right = manager(clock, TooManySessions::end_oldest, 2);
  const SessionManager wrong = manager(ahead, TooManySessions::end_oldest, 2);
  const std::string first = sign_in(right);
  pass(minutes(1));
  const std::string second = sign_in(wrong);
  pass(minutes(1));
  const std::string third = sign_in(right);
  EXPECT_FALSE(is_in(right, first));
  EXPECT_TRUE(is_in(right, second));
  EXPECT_TRUE(is_in(right, third));
  pass(minutes(1));
  const std::string fourth = sign_in(right);
  EXPECT_FALSE(is_in(right, second));
  EXPECT_TRUE(is_in(right, third));
  EXPECT_TRUE(is_in(right, fourth));
}

TEST_F(ClockSkew, RefuseNewRefusesOnlyWhileThereAreTooMany) {
  const SessionManager right = manager(clock, TooManySessions::refuse_new);
  const SessionManager wrong = manager(ahead, TooManySessions::refuse_new);
  const std::string first = sign_in(wrong);
  EXPECT_EQ(sign_in(right), "");
  EXPECT_TRUE(is_in(right, first));
  Session leaving = open_session(right, first);
  leaving.sign_out();
  ASSERT_TRUE(right.commit(leaving));
  EXPECT_NE(sign_in(right), "");
}

// A `@created` in the future counts as now, and the next write says so: a commit that changes or
// renews, or a direct operation.
TEST_F(ClockSkew, AFutureCreatedIsMendedByTheNextWrite) {
  const SessionManager right = manager(clock, TooManySessions::end_oldest);
  const SessionManager wrong = manager(ahead, TooManySessions::end_oldest);
  const auto created = [&] { return right.sessions_of("ada").value().at(0).created; };
  for (const auto& write : std::vector<std::function<void(Session&)>>{
           [](Session& s) { s.set("a", 1); }, [](Session& s) { (void)s.increment("n").value(); },
           [](Session& s) { s.regenerate(); }, [&](Session&) { pass(minutes(5)); }}) {
    std::string cookie = sign_in(wrong);
    pass(minutes(1));
    Session session = open_session(right, cookie);
    EXPECT_EQ(right.commit(session).value().status, Status::unchanged) << "no write for its sake";
    EXPECT_EQ(created(), clock->wall()) << "it counts as now";
    session = open_session(right, cookie);
    const WallTime mended = clock->wall();
    write(session);
    ASSERT_TRUE(right.commit(session));
    cookie = cookie_of(session);
    pass(minutes(5));
    EXPECT_EQ(created(), mended);
    for (milliseconds left = hours(12) - minutes(5); left > minutes(20); left -= minutes(20)) {
      pass(minutes(20));
      session = open_session(right, cookie);
      ASSERT_FALSE(session.is_new());
      ASSERT_TRUE(right.commit(session));
    }
    pass(minutes(20));
    EXPECT_TRUE(open_session(right, cookie).is_new()) << "the absolute timeout counts from then";
  }
}

// Within what clocks may differ, all servers go by what is written.
TEST_F(ClockSkew, SecondsAreNoWrongClock) {
  const auto late = std::make_shared<ManualClock>(clock->wall() - seconds(2));
  const SessionManager right = manager(clock, TooManySessions::end_oldest);
  const SessionManager behind = manager(late, TooManySessions::end_oldest);
  const std::string cookie = sign_in(right);
  Session session = open_session(behind, cookie);
  session.set("a", 1);
  ASSERT_TRUE(behind.commit(session));
  EXPECT_EQ(right.sessions_of("ada").value().at(0).created, clock->wall()) << "nothing to mend";
}

// Nor do they cost a login that comes after another one: whoever signs in last stays.
TEST_F(ClockSkew, SecondsAheadEndNoLaterSignIn) {
  const auto early = std::make_shared<ManualClock>(clock->wall() + seconds(3));
  const SessionManager right = manager(clock, TooManySessions::end_oldest);
  const SessionManager wrong = manager(early, TooManySessions::end_oldest);
  std::string before = sign_in(wrong);
  for (int i = 0; i < 3; ++i) {
    pass(milliseconds(1));
    early->advance(milliseconds(1));
    const std::string next = sign_in(right);
    EXPECT_TRUE(is_in(right, next)) << i;
    EXPECT_TRUE(is_in(wrong, next)) << i;
    EXPECT_FALSE(is_in(right, before)) << i;
    before = next;
  }
  // Somebody who has a session already, too.
  Session session = open_session(right);
  session.set("a", 1);
  ASSERT_TRUE(right.commit(session));
  session.sign_in("ada");
  ASSERT_EQ(right.commit(session).value().status, Status::regenerated);
  EXPECT_TRUE(is_in(right, cookie_of(session)));
  EXPECT_FALSE(is_in(right, before));
  EXPECT_EQ(right.sessions_of("ada").value().size(), 1U);
}

}  // namespace
}  // namespace websession::testing
