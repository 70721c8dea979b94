// RedisJsonStore over a server without a socket: others that are faster, and answers that are lost.
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "fake_redis.hpp"
#include "redis_json_store_impl.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using Status = Outcome::Status;

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}
const std::string none = "$-1\r\n";
const std::string applied = ":1\r\n";
std::string held(const std::string& text, const std::string& frozen) {
  return "*2\r\n" + text + frozen;
}
std::string held(const std::string& text, const std::string& frozen, const std::string& moved_to) {
  return "*4\r\n" + text + frozen + moved_to + none;
}
std::string session(int n) {
  return R"({"cookie":{},"n":)" + std::to_string(n) + R"(,"__websession":{"@created":5}})";
}

// Answers the login, and then each command with the next of the given answers; "" loses the
// connection instead.
class RedisJsonOverFake : public ::testing::Test {
 protected:
  std::deque<std::string> answers;
  std::vector<std::string> asked;
  bool others_always_win = false;
  std::shared_ptr<FakeRedis> server =
      std::make_shared<FakeRedis>([this](std::string_view bytes) { return answer(bytes); });
  const Lifetime minute{milliseconds(60'000)};
  const StoreKey key{"key"};
  const StoreKey other{"other"};

  std::shared_ptr<RedisJsonStore> store(milliseconds timeout = milliseconds(5000)) {
    RedisJsonOptions options;
    options.redis.operation_timeout = timeout;
    return redis::make_json_store([this] { return server; }, {}, options);
  }
  std::string answer(std::string_view bytes) {
    if (bytes.find("PING") != std::string_view::npos) {
      server->read_breaks_after.reset();  // a new connection
      return "+PONG\r\n";
    }
    asked.emplace_back(bytes);
    if (others_always_win) {
      return held(bulk(session(static_cast<int>(asked.size()))), none);
    }
    if (answers.empty()) return "-ERR the test expected no more commands\r\n";
    const std::string next = answers.front();
    answers.pop_front();
    if (next.empty()) server->read_breaks_after = 0;
    return next;
  }
  static Changes adding() {
    Changes changes;
    changes.increment.push_back({"n", 1});
    return changes;
  }
  template <class T>
  static void expect_error(const Result<T>& result, Errc code, bool maybe_applied) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message();
    EXPECT_EQ(result.error().maybe_applied, maybe_applied) << result.error().message();
  }
};

// P2: the change is made once more, on what the faster one has left.
TEST_F(RedisJsonOverFake, WhoeverIsSlowerStartsAgain) {
  answers = {held(bulk(session(1)), none), held(bulk(session(5)), none), applied};
  const Result<Outcome> outcome = store()->update(key, adding(), minute);
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(outcome->counters, std::vector<std::int64_t>{6});
  ASSERT_EQ(asked.size(), 3U) << "what is there comes with the refusal";
  EXPECT_NE(asked[1].find(bulk(session(1)) + bulk(session(2))), std::string::npos);
  EXPECT_NE(asked[2].find(bulk(session(5)) + bulk(session(6))), std::string::npos);
}

// P1: what has ended between the read and the write stays ended.
TEST_F(RedisJsonOverFake, ASessionMayEndBetweenReadAndWrite) {
  answers = {held(bulk(session(1)), none), held(none, none)};
  EXPECT_EQ(store()->update(key, adding(), minute)->status, Status::gone);
  answers = {held(bulk(session(1)), none), held(none, bulk("frozen same other\n" + session(1)))};
  EXPECT_EQ(store()->update(key, adding(), minute)->status, Status::gone);
  answers = {held(bulk(session(1)), none, none), held(none, none, none)};
  EXPECT_EQ(store()->rekey(key, other, adding(), minute, {})->status, Status::gone);
  EXPECT_TRUE(answers.empty());
}

// P7
TEST_F(RedisJsonOverFake, AgainstFasterOnesItEndsByItsDeadline) {
  others_always_win = true;
  const auto start = std::chrono::steady_clock::now();
  const Result<Outcome> outcome = store(milliseconds(100))->update(key, adding(), minute);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(100) + std::chrono::seconds(5));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::timeout) << outcome.error().message();
}

// P8: only what is harmless is repeated.
TEST_F(RedisJsonOverFake, ALostAnswerIsAskedForAgainWhereThatIsHarmless) {
  const auto s = store();
  answers = {"", held(none, none) + ":-2\r\n"};
  EXPECT_FALSE(s->load(key).value().has_value());
  answers = {"", held(bulk(session(1)), none), "", applied};
  EXPECT_EQ(s->update(key, {}, minute)->status, Status::applied) << "a renewal";
  answers = {"", ":0\r\n"};
  EXPECT_TRUE(s->erase(key).value()) << "the first try has most likely erased it";
  EXPECT_TRUE(answers.empty());
}

TEST_F(RedisJsonOverFake, ARepeatedRekeyFindsThatItIsDone) {
  const auto s = store();
  for (const std::string& old :
       {none, bulk("frozen same other\n" + session(1)), bulk("over other other\n")}) {
    answers = {held(bulk(session(1)), none, none), "", held(none, old, bulk(session(2)))};
    const Result<Outcome> moved = s->rekey(key, other, adding(), minute, {});
    ASSERT_TRUE(moved) << moved.error().message();
    EXPECT_EQ(moved->status, Status::applied);
    EXPECT_EQ(moved->counters, std::vector<std::int64_t>{2}) << "counted once";
  }
}

TEST_F(RedisJsonOverFake, AnotherWriteIsNotRepeated) {
  const auto s = store();
  answers = {"", applied};
  expect_error(s->create(key, {{"@created", "1"}}, minute), Errc::unavailable, true);
  answers = {held(bulk(session(1)), none), "", applied};
  expect_error(s->update(key, adding(), minute), Errc::unavailable, true);
  answers = {"", ""};
  expect_error(s->update(key, adding(), minute), Errc::unavailable, false);
}

TEST_F(RedisJsonOverFake, AnErrorAfterARepeatRemembersTheFirstTry) {
  const auto s = store();
  answers = {held(bulk(session(1)), none, none), "", "-READONLY x\r\n"};
  expect_error(s->rekey(key, other, {}, minute, {}), Errc::rejected, true);
  answers = {held(bulk(session(1)), none, none), "", held(bulk("x"), none, none)};
  expect_error(s->rekey(key, other, {}, minute, {}), Errc::corrupt, true);
}

TEST_F(RedisJsonOverFake, AReplicaIsLeftForANewConnection) {
  const auto s = store();
  int connects = 1;
  const auto expect_new_connection = [&] {
    EXPECT_EQ(server->connects, connects);
    answers = {held(none, none) + ":-2\r\n"};
    EXPECT_TRUE(s->load(key).has_value());
    EXPECT_EQ(server->connects, ++connects);
  };
  const std::string refusal = "-READONLY x\r\n";
  answers = {refusal};
  expect_error(s->create(key, {{"@created", "1"}}, minute), Errc::rejected, false);
  expect_new_connection();
  answers = {held(bulk(session(1)), none), refusal};
  expect_error(s->update(key, adding(), minute), Errc::rejected, false);
  expect_new_connection();
  answers = {held(bulk(session(1)), none, none), refusal};
  expect_error(s->rekey(key, other, {}, minute, {}), Errc::rejected, false);
  expect_new_connection();
  answers = {refusal};
  expect_error(s->erase(key), Errc::rejected, false);
  expect_new_connection();
}

// The prefix of the other layout is nothing to it.
TEST(RedisJsonOptions, ThePrefixOfRedisOptionsIsNotLookedAt) {
  RedisJsonOptions options;
  options.redis.prefix = "";
  EXPECT_TRUE(RedisJsonStore::connect_later("redis://localhost", options));
  options.prefix = "";
  EXPECT_FALSE(RedisJsonStore::connect_later("redis://localhost", options));
}

TEST_F(RedisJsonOverFake, AnUnknownScriptIsSent) {
  answers = {held(bulk(session(1)), none), "-NOSCRIPT x\r\n", applied};
  EXPECT_EQ(store()->update(key, adding(), minute)->status, Status::applied);
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_NE(asked[1].find("EVALSHA"), std::string::npos);
  EXPECT_NE(asked[2].find("\r\nEVAL\r\n"), std::string::npos);
}

}  // namespace
}  // namespace websession::testing
