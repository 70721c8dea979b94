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

// A connection does transactions when a whole one was done.
TEST_F(LoginTest, TransactionsAreFoundOut) {
  const auto does_transactions = [&] {
    const auto made = dial();
    EXPECT_TRUE(made);
    return made && (*made)->abilities.parts_max > 0;
  };
  EXPECT_FALSE(does_transactions()) << "nobody wants them";
  login.transactions = true;
  for (const char* word : {"HSET", "PEXPIREAT", "HDEL", "PEXPIRE"}) answers[word] = "+QUEUED\r\n";
  answers["MULTI"] = "+OK\r\n";
  answers["HSETEX"] = "-ERR unknown command 'HSETEX', with args beginning with: 'key'\r\n";
  answers["EXEC"] = "*4\r\n:1\r\n:1\r\n:0\r\n:0\r\n";
  EXPECT_TRUE(does_transactions());
  const auto without = [&](const char* word, const std::string& answer) {
    const std::string before = std::exchange(answers[word], answer);
    EXPECT_FALSE(does_transactions()) << word;
    answers[word] = before;
  };
  const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  without("EXEC", aborted);
  without("EXEC", "-NOPERM no\r\n");
  without("EXEC", "*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n");  // NX means nothing to it
  without("EXEC", "*0\r\n");
  without("EXEC", "$-1\r\n");
  for (const char* word : {"HSET", "PEXPIREAT", "HDEL", "PEXPIRE"}) {
    answers["EXEC"] = aborted;
    without(word, "-NOPERM no\r\n");
  }
  // Bare commands, as MULTI is refused.
  answers["EXEC"] = "-ERR EXEC without MULTI\r\n";
  without("MULTI", "-NOPERM no\r\n");
}

// HSETEX is used when it does nothing for what is not there, and PEXPIRE is to be had with it.
TEST_F(LoginTest, HsetexIsFoundOut) {
  const auto guards = [&] {
    const auto made = dial();
    EXPECT_TRUE(made);
    return made && (*made)->abilities.guarded;
  };
  EXPECT_FALSE(guards()) << "nobody wants it";
  for (const char* word : {"MULTI", "HSET", "PEXPIREAT", "HDEL", "EXEC"}) answers[word] = "+OK\r\n";
  answers["PEXPIRE"] = answers["HSETEX"] = ":0\r\n";
  login.guarded = true;
  EXPECT_TRUE(guards());
  const auto without = [&](const char* word, const std::string& answer) {
    const std::string before = std::exchange(answers[word], answer);
    EXPECT_FALSE(guards()) << word << " " << answer;
    answers[word] = before;
  };
  for (const char* word : {"PEXPIRE", "HSETEX"}) {
    without(word, "-NOPERM no\r\n");
    without(word, "-ERR unknown command\r\n");
    without(word, ":1\r\n");
    without(word, "+OK\r\n");
  }
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
  expect_refused(Errc::rejected, "Sentinel");
  login.database = 1;
  expect_refused(Errc::rejected, "GET-MASTER-ADDR-BY-NAME");
}

TEST_F(LoginTest, ANodeOfAClusterIsNamed) {
  for (const char* answer :
       {"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
        "-MOVED 3999 127.0.0.1:6381\r\n", "-CLUSTERDOWN Hash slot not served\r\n"}) {
    answers["EXISTS"] = answer;
    const auto made = dial();
    ASSERT_FALSE(made) << answer;
    EXPECT_NE(made.error().detail.find("cluster-enabled no"), std::string::npos)
        << made.error().detail;
  }
  login.database = 1;
  answers["SELECT"] = "-ERR SELECT is not allowed in cluster mode\r\n";
  expect_refused(Errc::rejected, "cluster-enabled no");
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
