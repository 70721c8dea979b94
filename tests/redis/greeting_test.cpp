// The greeting as a list of plain calls: what is said at which step, and what becomes of each
// answer and each way to lose the connection. How servers answer: login_test.cpp.
#include "greeting.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Next = Greeting::Next;

constexpr nanoseconds at_once = std::chrono::microseconds(20);
constexpr nanoseconds far_away = milliseconds(2);

Reply status(std::string_view text) { return Reply({Reply::Type::status, 0, text}); }
Reply integer(std::int64_t value) { return Reply({Reply::Type::integer, value, {}}); }
Reply error(std::string_view text) { return Reply({Reply::Type::error, 0, text}); }
Reply array(const std::vector<std::int64_t>& values) {
  std::vector<Reply::Element> elements;
  for (const std::int64_t value : values) elements.push_back({Reply::Type::integer, value, {}});
  return Reply({Reply::Type::array, 0, {}}, elements);
}
Error lost() { return make_error(Errc::unavailable, "lost"); }

std::vector<std::string> asked(const Greeting& greeting) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < greeting.exchange().size(); ++i) {
    names.emplace_back(greeting.exchange().name(i));
  }
  return names;
}

// So many good answers, and then another one.
std::vector<Reply> replies(std::size_t good, std::vector<Reply> others = {}) {
  std::vector<Reply> all;
  for (std::size_t i = 0; i < good; ++i) all.push_back(status("OK"));
  for (Reply& other : others) all.push_back(std::move(other));
  return all;
}

// To the probes, from a server that has everything.
std::vector<Reply> able() {
  std::vector<Reply> all;
  for (int i = 0; i < 3; ++i) all.push_back(integer(0));
  for (int i = 0; i < 4; ++i) all.push_back(status("QUEUED"));
  all.push_back(array({1, 0, 1}));
  for (int i = 0; i < 5; ++i) all.push_back(status("QUEUED"));
  all.push_back(array({1, 1, 0, 0}));
  return all;
}

const Login full{.user = "app",
                 .password = "pw",
                 .database = 2,
                 .client_name = "me",
                 .scripts = {"return 1", "return 2"},
                 .prefix = "sid_",
                 .guarded = true,
                 .transactions = true};
constexpr std::size_t full_steps = 7;

TEST(Greeting, SaysAllOfTheLoginAtOnce) {
  const Greeting greeting(full, 65536);
  EXPECT_EQ(greeting.next(), Next::exchange);
  EXPECT_EQ(asked(greeting),
            (std::vector<std::string>{"AUTH", "SELECT", "PING", "EXISTS", "CLIENT SETNAME",
                                      "SCRIPT LOAD", "SCRIPT LOAD"}));
  EXPECT_NE(greeting.exchange().bytes().find("app\r\n$2\r\npw"), std::string::npos);
  const Login none;
  const Greeting bare(none, 65536);
  EXPECT_EQ(asked(bare), std::vector<std::string>{"PING"});
}

TEST(Greeting, ProbesAndMeasures) {
  Greeting greeting(full, 65536);
  greeting.came(replies(full_steps), {}, at_once);
  EXPECT_EQ(greeting.exchange().size(), able().size());
  greeting.came(able(), {}, at_once);
  EXPECT_EQ(asked(greeting), std::vector<std::string>{"PING"});
  greeting.came(replies(1), {}, at_once);
  ASSERT_EQ(greeting.next(), Next::done);
  EXPECT_TRUE(greeting.is_near());
  EXPECT_TRUE(greeting.abilities().guarded);
  EXPECT_EQ(greeting.abilities().parts_max, 256U);
}

TEST(Greeting, AsksAFewTimesHowNearTheServerIs) {
  const Login login;
  Greeting slow_at_first(login, 65536);
  slow_at_first.came(replies(1), {}, far_away);  // the login says nothing of that
  slow_at_first.came(replies(1), {}, far_away);
  EXPECT_EQ(slow_at_first.next(), Next::exchange);
  slow_at_first.came(replies(1), {}, at_once);
  ASSERT_EQ(slow_at_first.next(), Next::done);
  EXPECT_TRUE(slow_at_first.is_near());

  Greeting far(login, 65536);
  far.came(replies(1), {}, at_once);
  int pings = 0;
  for (; far.next() == Next::exchange; ++pings) far.came(replies(1), {}, far_away);
  EXPECT_EQ(pings, 3) << "5 ms of pings, three at least";
  EXPECT_EQ(far.next(), Next::done);
  EXPECT_FALSE(far.is_near());

  Greeting busy(login, 65536);
  busy.came(replies(1), {}, at_once);
  pings = 0;
  for (; busy.next() == Next::exchange; ++pings) busy.came(replies(1), {}, milliseconds(1));
  EXPECT_EQ(pings, 5) << "for 5 ms";
}

TEST(Greeting, OnlyWhatIsNeededHasToSucceed) {
  for (std::size_t i = 0; i < full_steps; ++i) {
    Greeting greeting(full, 65536);
    std::vector<Reply> answers = replies(i, {});
    answers.push_back(error("NOPERM no permissions"));
    while (answers.size() < full_steps) answers.push_back(status("OK"));
    greeting.came(std::move(answers), {}, at_once);
    EXPECT_EQ(greeting.next(), i < 3 ? Next::failed : Next::exchange) << i;
    if (i < 3) {
      EXPECT_EQ(greeting.error().code, Errc::rejected) << i;
    }
  }
}

// At each step of the login, after any number of answers.
TEST(Greeting, ALostLoginFails) {
  for (std::size_t came = 0; came <= full_steps; ++came) {
    Greeting cut(full, 65536);
    cut.came(replies(came), lost(), at_once);
    ASSERT_EQ(cut.next(), Next::failed) << came;
    EXPECT_EQ(cut.error().code, Errc::unavailable);
    EXPECT_NE(cut.error().detail.find("it was asked for"), std::string::npos);

    Greeting silent(full, 65536);
    silent.came(replies(came), make_error(Errc::timeout, "late"), at_once);
    ASSERT_EQ(silent.next(), Next::failed) << came;
    EXPECT_EQ(silent.error().code, Errc::timeout);
    EXPECT_NE(silent.error().detail.find("does not answer"), std::string::npos);
  }
}

// A server that refuses says why, and closes: what it said counts.
TEST(Greeting, ARefusalIsWorthMoreThanTheEndAfterIt) {
  Greeting greeting(full, 65536);
  greeting.came(replies(0,
                        [] {
                          std::vector<Reply> one;
                          one.push_back(error("ERR max number of clients reached"));
                          return one;
                        }()),
                lost(), at_once);
  ASSERT_EQ(greeting.next(), Next::failed);
  EXPECT_EQ(greeting.error().code, Errc::unavailable) << greeting.error().message();
  EXPECT_NE(greeting.error().detail.find("maxclients"), std::string::npos)
      << greeting.error().detail;
}

TEST(Greeting, ASentinelIsToldFromAnOldServer) {
  const auto unknown = [] {
    std::vector<Reply> answers = replies(full_steps - 1);
    answers.push_back(error("ERR unknown command 'SCRIPT'"));
    return answers;
  };
  Greeting sentinel(full, 65536);
  sentinel.came(unknown(), {}, at_once);
  ASSERT_EQ(asked(sentinel), std::vector<std::string>{"INFO"});
  std::vector<Reply> info;
  info.push_back(Reply({Reply::Type::string, 0, "# Server\r\nredis_mode:sentinel\r\n"}));
  sentinel.came(std::move(info), {}, at_once);
  ASSERT_EQ(sentinel.next(), Next::failed);
  EXPECT_EQ(sentinel.error().code, Errc::rejected);

  for (const bool cut : {false, true}) {
    Greeting old(full, 65536);
    old.came(unknown(), {}, at_once);
    old.came(replies(cut ? 0 : 1), cut ? std::optional(lost()) : std::nullopt, at_once);
    EXPECT_EQ(old.next(), Next::exchange) << "the login was well";
    EXPECT_EQ(old.exchange().name(0), "PEXPIRE");
  }
}

// What is only tried must not cost the connection.
TEST(Greeting, WhoHangsUpOnAProbeIsGreetedAgainWithout) {
  for (std::size_t came = 0; came < able().size(); ++came) {
    Greeting greeting(full, 65536);
    greeting.came(replies(full_steps), {}, at_once);
    std::vector<Reply> some = able();
    some.resize(came);
    greeting.came(std::move(some), lost(), at_once);
    ASSERT_EQ(greeting.next(), Next::reopen);
    greeting.reopened();
    ASSERT_EQ(greeting.next(), Next::exchange);
    EXPECT_EQ(greeting.exchange().size(), full_steps) << "it logs in again";
    greeting.came(replies(full_steps), {}, at_once);
    EXPECT_EQ(asked(greeting), std::vector<std::string>{"PING"}) << "and tries nothing";
    greeting.came(replies(1), {}, at_once);
    ASSERT_EQ(greeting.next(), Next::done);
    EXPECT_FALSE(greeting.abilities().guarded);
    EXPECT_EQ(greeting.abilities().parts_max, 0U);
  }
}

TEST(Greeting, ASilentProbeOrPingFails) {
  Greeting silent(full, 65536);
  silent.came(replies(full_steps), {}, at_once);
  silent.came({}, make_error(Errc::timeout, "late"), at_once);
  EXPECT_EQ(silent.next(), Next::failed);
  Greeting cut(full, 65536);
  cut.came(replies(full_steps), {}, at_once);
  cut.came(able(), {}, at_once);
  cut.came({}, lost(), at_once);
  EXPECT_EQ(cut.next(), Next::failed);
}

// Whoever named the server may have been wrong.
TEST(Greeting, OnlyAPrimaryIsTaken) {
  const auto role = [](std::string_view word) {
    const Reply::Element elements[] = {{Reply::Type::string, 0, word},
                                       {Reply::Type::integer, 3, {}}};
    return Reply({Reply::Type::array, 0, {}}, elements);
  };
  const Login login{.must_be_primary = true};
  const auto answered = [&](Reply reply) {
    Greeting greeting(login, 65536, false);
    EXPECT_EQ(asked(greeting), (std::vector<std::string>{"PING", "ROLE"}));
    std::vector<Reply> all = replies(1);
    all.push_back(std::move(reply));
    greeting.came(std::move(all), {}, at_once);
    return greeting;
  };
  EXPECT_EQ(answered(role("master")).next(), Next::done);
  for (const char* word : {"slave", "sentinel", ""}) {
    const Greeting other = answered(role(word));
    ASSERT_EQ(other.next(), Next::failed) << word;
    EXPECT_EQ(other.error().code, Errc::unavailable);
  }
  EXPECT_EQ(answered(status("master")).next(), Next::failed) << "no list";
  const Greeting forbidden = answered(error("NOPERM no permissions to run the 'role' command"));
  ASSERT_EQ(forbidden.next(), Next::failed);
  EXPECT_EQ(forbidden.error().code, Errc::rejected);
  EXPECT_NE(forbidden.error().detail.find("'role'"), std::string::npos);
  Greeting cut(login, 65536);
  cut.came(replies(1), lost(), at_once);
  EXPECT_EQ(cut.error().code, Errc::unavailable);
}

TEST(Greeting, AbilitiesThatNobodyWantsAreNotTried) {
  Login login = full;
  login.transactions = false;
  Greeting one(login, 65536);
  one.came(replies(full_steps), {}, at_once);
  one.came(able(), {}, at_once);
  EXPECT_TRUE(one.abilities().guarded);
  EXPECT_EQ(one.abilities().parts_max, 0U);
  login.guarded = false;
  Greeting none(login, 65536);
  none.came(replies(full_steps), {}, at_once);
  EXPECT_EQ(asked(none), std::vector<std::string>{"PING"});
}

}  // namespace
}  // namespace websession::redis
