// RedisStore over a server without a socket: what is repeated, and what an error then says.
#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "fake_redis.hpp"
#include "redis_store_impl.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// Answers the login, and then each command with the next of the given answers; "" loses the
// connection instead.
class RedisStoreOverFake : public ::testing::Test {
 protected:
  std::deque<std::string> answers;
  std::shared_ptr<FakeRedis> server =
      std::make_shared<FakeRedis>([this](std::string_view bytes) { return answer(bytes); });
  std::shared_ptr<RedisStore> store = redis::make_store([this] { return server; }, {}, options());
  const Lifetime minute{milliseconds(60'000)};
  const StoreKey key{"key"};
  const StoreKey other{"other"};

  static RedisOptions options() {
    RedisOptions options;
    options.operation_timeout = milliseconds(5000);
    return options;
  }
  std::string answer(std::string_view bytes) {
    if (bytes.find("PING") != std::string_view::npos) {
      server->read_breaks_after.reset();  // a new connection
      return "+PONG\r\n";
    }
    if (answers.empty()) return "-ERR the test expected no more commands\r\n";
    const std::string next = answers.front();
    answers.pop_front();
    if (next.empty()) server->read_breaks_after = 0;
    return next;
  }
  template <class T>
  static void expect_error(const Result<T>& result, Errc code, bool maybe_applied) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message();
    EXPECT_EQ(result.error().maybe_applied, maybe_applied) << result.error().message();
  }
};

// P8: only what is harmless is repeated.
TEST_F(RedisStoreOverFake, ALostAnswerIsAskedForAgainWhereThatIsHarmless) {
  answers = {"", "*0\r\n:-2\r\n"};
  EXPECT_FALSE(store->load(key).value().has_value());
  answers = {"", ":1\r\n"};
  EXPECT_TRUE(store->update(key, {}, minute)) << "a renewal";
  answers = {"", "*1\r\n$7\r\napplied\r\n"};
  EXPECT_TRUE(store->rekey(key, other, {}, minute, {}));
  answers = {"", ":0\r\n"};
  EXPECT_TRUE(store->erase(key).value()) << "the first try has most likely erased it";
  EXPECT_TRUE(answers.empty());
}

TEST_F(RedisStoreOverFake, AnotherWriteIsNotRepeated) {
  answers = {"", ":1\r\n"};
  expect_error(store->create(key, {{"@created", "1"}}, minute), Errc::unavailable, true);
  answers = {"", "*1\r\n$7\r\napplied\r\n"};
  Changes changes;
  changes.increment.push_back({"n", 1});
  expect_error(store->update(key, changes, minute), Errc::unavailable, true);
}

TEST_F(RedisStoreOverFake, AnErrorAfterARepeatRemembersTheFirstTry) {
  for (const char* refusal : {"-READONLY x\r\n", "-MISCONF x\r\n", "-OOM x\r\n", "-BUSY x\r\n"}) {
    answers = {"", refusal};
    const Result<bool> erased = store->erase(key);
    ASSERT_FALSE(erased.has_value());
    EXPECT_TRUE(erased.error().maybe_applied) << refusal;
    answers = {"", refusal};
    const Result<Outcome> moved = store->rekey(key, other, {}, minute, {});
    ASSERT_FALSE(moved);
    EXPECT_TRUE(moved.error().maybe_applied) << refusal;
  }
  answers = {"-READONLY x\r\n"};
  expect_error(store->erase(key), Errc::rejected, false);
}

TEST_F(RedisStoreOverFake, AnAnswerWithoutSenseToAWriteMayHaveBeenApplied) {
  answers = {"+what\r\n"};
  expect_error(store->create(key, {{"@created", "1"}}, minute), Errc::corrupt, true);
  answers = {"*0\r\n"};
  expect_error(store->update(key, {}, minute), Errc::corrupt, true);
  answers = {"*0\r\n"};
  expect_error(store->erase(key), Errc::corrupt, true);
  answers = {"+what\r\n+what\r\n"};
  expect_error(store->load(key), Errc::corrupt, false);
}

TEST_F(RedisStoreOverFake, AReplicaIsLeftForANewConnection) {
  answers = {"*0\r\n:-2\r\n", "-READONLY x\r\n", "*0\r\n:-2\r\n"};
  EXPECT_TRUE(store->load(key).has_value());
  expect_error(store->erase(key), Errc::rejected, false);
  EXPECT_EQ(server->connects, 1);
  EXPECT_TRUE(store->load(key).has_value());
  EXPECT_EQ(server->connects, 2);
}

TEST_F(RedisStoreOverFake, AReadLeavesAServerThatCannotAnswerIt) {
  int connects = 0;
  for (const std::string refusal : {"-LOADING x\r\n", "-MASTERDOWN x\r\n", "-READONLY x\r\n"}) {
    answers = {refusal + refusal, "*0\r\n:-2\r\n"};
    EXPECT_FALSE(store->load(key).has_value());
    EXPECT_EQ(server->connects, ++connects) << refusal;
    EXPECT_TRUE(store->load(key).has_value());
  }
}

TEST_F(RedisStoreOverFake, TheIndexLeavesAReplicaToo) {
  const std::vector<StoreKey> keys = {key};
  answers = {"-READONLY x\r\n", ":1\r\n", "-READONLY x\r\n", ":1\r\n"};
  expect_error(store->forget("ada", keys, BeingMade::stays), Errc::rejected, false);
  EXPECT_EQ(server->connects, 1);
  EXPECT_TRUE(store->forget("ada", keys, BeingMade::stays));
  EXPECT_EQ(server->connects, 2);
  expect_error(store->end_frozen(key), Errc::rejected, false);
  EXPECT_TRUE(store->end_frozen(key));
  EXPECT_EQ(server->connects, 3);
}

TEST_F(RedisStoreOverFake, AnUnknownScriptIsSentAsText) {
  answers = {"-NOSCRIPT x\r\n", ":1\r\n"};
  EXPECT_TRUE(store->create(key, {{"@created", "1"}}, minute));
  EXPECT_TRUE(answers.empty());
}

}  // namespace
}  // namespace websession::testing
