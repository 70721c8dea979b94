// Who takes which lane, over a server without a socket.
#include "lanes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fake_redis.hpp"

namespace websession::testing {
namespace {

using redis::Lanes;
using redis::Replies;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Answers PING, and "ECHO <word>" with the word, unless the word is "hold": those it counts.
std::string answer(std::string_view bytes, std::atomic<int>& held) {
  std::string out;
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
    bytes.remove_prefix(line.size() + 2);
    if (line == "PING") out += "+PONG\r\n";
    if (line == "ECHO hold") {
      ++held;
    } else if (line.starts_with("ECHO ")) {
      out += "+" + std::string(line.substr(5)) + "\r\n";
    }
  }
  return out;
}

class LanesTest : public ::testing::Test {
 protected:
  std::atomic<int> held = 0;
  std::shared_ptr<FakeRedis> server =
      std::make_shared<FakeRedis>([this](std::string_view bytes) { return answer(bytes, held); });
  std::unique_ptr<Lanes> lanes;

  LanesTest() { make(milliseconds(20'000), 2); }
  void make(milliseconds timeout, std::size_t connections) {
    const redis::EngineOptions options{.connect_timeout = timeout,
                                       .operation_timeout = timeout,
                                       .pending_max = 16,
                                       .reply_bytes_max = 1024,
                                       .connections = connections};
    lanes = std::make_unique<Lanes>(server, redis::Login{}, options);
  }

  Result<Replies> ask(const std::string& word, milliseconds wait = milliseconds(20'000)) {
    const auto append = [&](std::string& out) { out += "ECHO " + word + "\r\n"; };
    return lanes->execute({1, append}, SteadyClock::now() + wait);
  }
  void expect_echo(const std::string& word) {
    const Result<Replies> replies = ask(word);
    ASSERT_TRUE(replies) << replies.error().message();
    EXPECT_EQ((*replies)[0].text(), word);
  }
  // Somebody who stays in a lane until the server says "+hold".
  std::thread hold() {
    const int before = held;
    std::thread holder([this] { expect_echo("hold"); });
    while (held == before) std::this_thread::yield();
    return holder;
  }
};

TEST_F(LanesTest, ASecondCallerHasALaneOfItsOwn) {
  expect_echo("first");
  std::thread holder = hold();
  expect_echo("not held up");
  EXPECT_EQ(server->connects_so_far(), 2);
  server->send("+hold\r\n");
  holder.join();
}

// With maxclients reached, or a path that is dead for new connections.
TEST_F(LanesTest, AConnectionThatIsNotToBeHadFailsNobodyWhileAnotherWorks) {
  expect_echo("first");
  std::thread holder = hold();
  server->refuse_connects = true;
  const int connects = server->connects_so_far();
  std::thread second([this] { expect_echo("second"); });
  while (server->connects_so_far() == connects) std::this_thread::yield();
  server->send("+hold\r\n");
  holder.join();
  second.join();
  for (int i = 0; i < 10; ++i) expect_echo("again");
  EXPECT_EQ(server->connects_so_far(), connects + 1) << "it is not tried again at once";
}

TEST_F(LanesTest, LateAnswersDoNotKeepALaneFromUse) {
  expect_echo("first");
  std::thread holder = hold();
  ASSERT_FALSE(ask("hold", milliseconds(20))) << "in the second lane, where an answer stays due";
  server->send("+hold\r\n");
  holder.join();
  holder = hold();  // in the first lane again
  expect_echo("in the second");
  server->send("+hold\r\n");
  holder.join();
  EXPECT_EQ(server->connects_so_far(), 2);
}

// One lane alone would notice after two timeouts of its own callers, and the next one after two
// more.
TEST_F(LanesTest, ADeadPathIsLearntByAllLanesAtOnce) {
  make(milliseconds(50), 4);
  std::vector<std::thread> holders;
  for (int i = 0; i < 4; ++i) holders.push_back(hold());
  server->send("+hold\r\n");
  for (std::thread& holder : holders) holder.join();
  ASSERT_EQ(server->connects_so_far(), 4);

  server->silent = true;
  int calls = 0;
  while (server->connects_so_far() == 4) {
    ASSERT_LE(++calls, 4) << "two timeouts, and a margin";
    ASSERT_FALSE(ask("lost", milliseconds(50)));
  }
  server->silent = false;
  Result<Replies> replies = ask("heard");
  while (!replies) replies = ask("heard");  // until the breaker closes
  for (int i = 0; i < 8; ++i) expect_echo("again");
}

TEST_F(LanesTest, WhatManyFindOutAboutAGenerationCostsOneRenewal) {
  expect_echo("first");
  const std::uint64_t generation = lanes->generation();
  lanes->renew(generation);
  expect_echo("on a new connection");
  EXPECT_EQ(server->connects_so_far(), 2);
  lanes->renew(generation);  // by somebody who was slower to say the same
  expect_echo("on the same");
  EXPECT_EQ(server->connects_so_far(), 2);
}

TEST_F(LanesTest, ARenewalDisturbsNobodyInFlight) {
  std::thread holder = hold();
  lanes->renew(lanes->generation());
  expect_echo("on a new connection");
  server->send("+hold\r\n");
  holder.join();
}

}  // namespace
}  // namespace websession::testing
