// What a new connection finds at the other end: a Redis, or something that is none.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "dialer.hpp"
#include "fake_redis.hpp"

namespace websession::testing {
namespace {

using std::chrono::seconds;

class LoginTest : public ::testing::Test {
 protected:
  // By the first word of a command.
  std::map<std::string, std::string, std::less<>> answers{
      {"AUTH", "+OK\r\n"},         {"SELECT", "+OK\r\n"}, {"PING", "+PONG\r\n"},
      {"EXISTS", ":0\r\n"},        {"CLIENT", "+OK\r\n"}, {"SCRIPT", "$3\r\nsha\r\n"},
      {"INFO", info("standalone")}};
  redis::Login login{.client_name = "websession", .scripts = {"return 1"}, .prefix = "sid_"};
  std::shared_ptr<FakeRedis> server =
      std::make_shared<FakeRedis>([this](std::string_view bytes) { return answer(bytes); });

  static std::string info(const std::string& mode) {
    const std::string text = "# Server\r\nredis_version:7.0.15\r\nredis_mode:" + mode + "\r\n";
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  std::string answer(std::string_view bytes) const {
    std::string out;
    while (!bytes.empty()) {
      const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
      bytes.remove_prefix(line.size() + 2);
      if (const auto found = answers.find(line); found != answers.end()) out += found->second;
    }
    return out;
  }
  Result<std::shared_ptr<redis::Connection>> dial() {
    redis::Dialer dialer(server, login,
                         {.connect_timeout = seconds(20),
                          .operation_timeout = seconds(20),
                          .reply_bytes_max = 64 * 1024});
    return dialer.dial(std::chrono::steady_clock::now() + seconds(20));
  }
  void expect_refused(Errc code, std::string_view advice) {
    const auto made = dial();
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, code) << made.error().message();
    EXPECT_NE(made.error().detail.find(advice), std::string::npos) << made.error().detail;
  }
};

TEST_F(LoginTest, ARedisIsTaken) {
  EXPECT_TRUE(dial());
  login.password = "pw";
  login.database = 1;
  EXPECT_TRUE(dial());
}

// A user may lack the rights to all that is not needed.
TEST_F(LoginTest, MissingRightsToConvenienceAreNoMatter) {
  for (const char* word : {"EXISTS", "CLIENT", "SCRIPT", "INFO"}) {
    answers[word] = "-NOPERM this user has no permissions to run the command\r\n";
  }
  EXPECT_TRUE(dial());
}

// What is tried when the login is done. Each of the two transactions has an answer of its own.
class ProbeTest : public LoginTest {
 protected:
  ProbeTest() {
    for (const char* word : {"HSET", "PEXPIREAT", "HDEL"}) answers[word] = "+QUEUED\r\n";
    answers["MULTI"] = "+OK\r\n";
    answers["PEXPIRE"] = answers["HSETEX"] = ":0\r\n";
    answers["EXEC"] = guarding;
    login.guarded = login.transactions = true;
  }
  redis::Abilities found() {
    const auto made = dial();
    EXPECT_TRUE(made);
    return made ? (*made)->pipeline.abilities() : redis::Abilities();
  }
  // With another answer to the command.
  redis::Abilities found_with(const char* word, const std::string& answer) {
    const std::string before = std::exchange(answers[word], answer);
    const redis::Abilities abilities = found();
    answers[word] = before;
    return abilities;
  }
  static constexpr const char* guarding = "*3\r\n:1\r\n:0\r\n:1\r\n";
  static constexpr const char* executing = "*4\r\n:1\r\n:1\r\n:0\r\n:0\r\n";
  static constexpr const char* aborted = "-EXECABORT Transaction discarded\r\n";
};

// A connection does transactions when a whole one was done.
TEST_F(ProbeTest, TransactionsAreFoundOut) {
  answers["EXEC"] = executing;
  EXPECT_GT(found().parts_max, 0U);
  EXPECT_EQ(found_with("EXEC", "*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n").parts_max, 0U)
      << "NX means nothing to it";
  for (const char* answer : {aborted, "-NOPERM no\r\n", "*0\r\n", "$-1\r\n"}) {
    EXPECT_EQ(found_with("EXEC", answer).parts_max, 0U) << answer;
  }
  login.transactions = false;
  EXPECT_EQ(found().parts_max, 0U) << "nobody wants them";
}

// HSETEX is used when it does nothing for what is not there, makes no key, and writes all or
// nothing.
TEST_F(ProbeTest, HsetexIsFoundOut) {
  EXPECT_TRUE(found().guarded);
  for (const char* word : {"PEXPIRE", "HSETEX"}) {
    for (const char* answer : {"-NOPERM no\r\n", "-ERR unknown command\r\n", ":1\r\n", "+OK\r\n"}) {
      EXPECT_FALSE(found_with(word, answer).guarded) << word << " " << answer;
    }
  }
  EXPECT_FALSE(found_with("EXISTS", ":1\r\n").guarded) << "it has made a key";
  for (const char* answer : {"*3\r\n:1\r\n:1\r\n:1\r\n", aborted, "-NOPERM no\r\n"}) {
    EXPECT_FALSE(found_with("EXEC", answer).guarded) << answer;
  }
  login.guarded = false;
  EXPECT_FALSE(found().guarded) << "nobody wants it";
}

// An older server knows no HSETEX, and is no Sentinel for that.
TEST_F(ProbeTest, AnUnknownCommandIsDoneWithout) {
  answers["HSETEX"] = "-ERR unknown command 'HSETEX', with args beginning with: 'key'\r\n";
  answers["EXEC"] = executing;
  answers["INFO"] = info("sentinel");
  EXPECT_FALSE(found().guarded);
  EXPECT_GT(found().parts_max, 0U);
}

// Some proxies hang up on a command that they do not know.
TEST_F(ProbeTest, WhoHangsUpOnOneIsTakenWithoutThem) {
  server->hangs_up_on = "HSETEX";
  const auto made = dial();
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE((*made)->pipeline.abilities().guarded);
  EXPECT_EQ((*made)->pipeline.abilities().parts_max, 0U);
  server->hangs_up_on = "PING";
  expect_refused(Errc::unavailable, "PING");
}

// As rename-command does it.
TEST_F(LoginTest, ARedisWithoutScriptLoadIsTaken) {
  answers["SCRIPT"] = "-ERR unknown command 'SCRIPT', with args beginning with: 'LOAD'\r\n";
  EXPECT_TRUE(dial());
}

TEST_F(LoginTest, ASentinelIsNamed) {
  for (const char* word : {"SELECT", "EXISTS", "SCRIPT"}) {
    answers[word] =
        "-ERR unknown command '" + std::string(word) + "', with args beginning with:\r\n";
  }
  answers["INFO"] = info("sentinel");
  expect_refused(Errc::rejected, "redis-sentinel://");
  login.database = 1;
  expect_refused(Errc::rejected, "redis-sentinel://");
}

TEST_F(LoginTest, ANodeOfAClusterIsNamed) {
  for (const char* answer :
       {"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
        "-MOVED 3999 127.0.0.1:6381\r\n", "-CLUSTERDOWN Hash slot not served\r\n"}) {
    answers["EXISTS"] = answer;
    const auto made = dial();
    ASSERT_FALSE(made) << answer;
    EXPECT_NE(made.error().detail.find("redis-cluster://"), std::string::npos)
        << made.error().detail;
  }
  login.database = 1;
  answers["SELECT"] = "-ERR SELECT is not allowed in cluster mode\r\n";
  expect_refused(Errc::rejected, "redis-cluster://");
}

TEST_F(LoginTest, AProxyThatHangsUpOnACommandIsNamed) {
  answers["SCRIPT"] = "";
  for (const std::size_t bytes : {0U, 7U, 7U + 4U + 5U}) {
    server->read_breaks_after = bytes;
    expect_refused(Errc::unavailable, bytes == 16 ? "SCRIPT LOAD" : "twemproxy");
  }
}

TEST_F(LoginTest, RepliesThatNobodyAskedForAreCorrupt) {
  answers["SCRIPT"] = "$3\r\nsha\r\n+more\r\n";
  expect_refused(Errc::corrupt, "nobody asked for");
}

}  // namespace
}  // namespace websession::testing
