// The lane over a server without a socket: who does the I/O, and what each kind of failure means.
#include "lane.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "fake_redis.hpp"
#include "random.hpp"

namespace websession::testing {
namespace {

using redis::Lane;
using redis::Replies;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Answers PING, and every "ECHO <word>" line with the word: enough to see whose reply is whose.
// Keeps half a line until the rest comes.
FakeRedis::Answer echo() {
  return [rest = std::string()](std::string_view bytes) mutable {
    rest += bytes;
    std::string out;
    for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      const std::string line = rest.substr(0, end - 1);
      rest.erase(0, end + 1);
      if (line == "PING") out += "+PONG\r\n";
      if (line == "ECHO garbage") out += "HTTP/1.1 400 Bad Request\r\n\r\n";
      if (line.starts_with("ECHO ")) out += "+" + line.substr(5) + "\r\n";
    }
    return out;
  };
}

std::string ask(std::string_view word) { return "ECHO " + std::string(word) + "\r\n"; }

class LaneTest : public ::testing::Test {
 protected:
  std::shared_ptr<FakeRedis> server = std::make_shared<FakeRedis>(echo());
  redis::EngineOptions options{.connect_timeout = milliseconds(100),
                               .operation_timeout = milliseconds(60),
                               .pending_max = 4096,
                               .reply_bytes_max = 64 * 1024};
  std::unique_ptr<redis::Dialer> dialer;
  redis::Silence silence;
  std::unique_ptr<Lane> lane;

  void SetUp() override { make(); }
  // A lane of its own for what follows.
  void make() {
    lane.reset();
    dialer = std::make_unique<redis::Dialer>(server, redis::Login{}, options);
    lane = std::make_unique<Lane>(*dialer, silence, options);
  }
  Result<Replies> execute_by(SteadyTime deadline, const std::string& bytes,
                             redis::ReplyCount replies) {
    const auto append = [&bytes](std::string& out) { out += bytes; };
    return lane->execute({replies, append}, deadline, deadline);
  }
  Result<Replies> execute(const std::string& bytes, redis::ReplyCount replies = 1) {
    return execute_by(SteadyClock::now() + options.operation_timeout, bytes, replies);
  }
  void expect_echo(std::string_view word) {
    const Result<Replies> replies = execute(ask(word));
    ASSERT_TRUE(replies) << replies.error().message();
    EXPECT_EQ((*replies)[0].text(), word);
  }
  void expect_error(const Result<Replies>& result, Errc code, bool maybe_applied) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().message();
    EXPECT_EQ(result.error().maybe_applied, maybe_applied) << result.error().message();
  }
};

TEST_F(LaneTest, ALoneCallerWritesOnceAndReadsOnce) {
  expect_echo("first");
  EXPECT_EQ(server->connects, 1);
  const int writes = server->writes;
  const int reads = server->reads;
  for (int i = 0; i < 10; ++i) expect_echo("again");
  EXPECT_EQ(server->writes - writes, 10);
  EXPECT_EQ(server->reads - reads, 10);
  EXPECT_EQ(server->connects, 1);
}

TEST_F(LaneTest, SeveralCommandsAreOneWrite) {
  expect_echo("first");
  const int writes = server->writes;
  const Result<Replies> replies = execute(ask("a") + ask("b"), 2);
  ASSERT_TRUE(replies);
  ASSERT_EQ(replies->size(), 2U);
  EXPECT_EQ((*replies)[1].text(), "b");
  EXPECT_EQ(server->writes - writes, 1);
}

TEST_F(LaneTest, BytesInSmallPiecesAreNoMatter) {
  server->write_at_most = 1;
  server->read_at_most = 1;
  for (int i = 0; i < 5; ++i) expect_echo("word" + std::to_string(i));
}

// P7, P8
TEST_F(LaneTest, ASilentServerCostsTheDeadlineAndNoMore) {
  expect_echo("first");
  server->silent = true;
  const auto start = SteadyClock::now();
  expect_error(execute(ask("lost")), Errc::timeout, true);
  EXPECT_GE(SteadyClock::now() - start, options.operation_timeout);
}

TEST_F(LaneTest, ALateReplyIsDropped) {
  expect_echo("first");
  server->silent = true;
  expect_error(execute(ask("late")), Errc::timeout, true);
  server->silent = false;
  server->send("+late\r\n");
  expect_echo("mine");
  expect_echo("mine too");
  EXPECT_EQ(server->connects, 1) << "the connection is still in step";
}

TEST_F(LaneTest, AConnectionThatHasGoneDeafIsReplaced) {
  expect_echo("first");
  server->silent = true;
  for (int i = 0; i < 10 && server->connects == 1; ++i) {
    const Result<Replies> lost = execute(ask("lost"));
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Errc::timeout);
  }
  EXPECT_EQ(server->connects, 2) << "after two timeouts without a word";
  server->silent = false;
  Result<Replies> replies = execute(ask("heard"));
  while (!replies) replies = execute(ask("heard"));  // until the breaker closes
  EXPECT_EQ((*replies)[0].text(), "heard");
}

// P7: bytes that never make a reply are no answer, however many come.
TEST_F(LaneTest, AConnectionThatNeverCompletesAReplyIsReplaced) {
  expect_echo("first");
  server->silent = true;
  expect_error(execute(ask("lost")), Errc::timeout, true);
  server->send("+");
  for (int i = 0; i < 10 && server->connects == 1; ++i) {
    server->send("still talking ");
    const Result<Replies> lost = execute(ask("lost"));
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Errc::timeout);
  }
  EXPECT_EQ(server->connects, 2);
}

// P8: the error is exact about whether the server can have seen the command.
TEST_F(LaneTest, WhatWasNotWrittenWholeWasNotApplied) {
  const std::string command = ask("word");
  for (std::size_t bytes = 0; bytes < command.size(); ++bytes) {
    make();
    expect_echo("first");
    server->write_breaks_after = bytes;
    expect_error(execute(command), Errc::unavailable, false);
    server->write_breaks_after.reset();
    expect_echo("afterwards");
  }
}

TEST_F(LaneTest, WhatWasWrittenMayHaveBeenApplied) {
  const std::string reply = "+word\r\n";
  for (std::size_t bytes = 0; bytes < reply.size(); ++bytes) {
    make();
    expect_echo("first");
    server->read_breaks_after = bytes;
    expect_error(execute(ask("word")), Errc::unavailable, true);
    server->read_breaks_after.reset();
    expect_echo("afterwards");
  }
}

TEST_F(LaneTest, GarbageIsCorruptAndTheConnectionIsReplaced) {
  expect_echo("first");
  expect_error(execute(ask("garbage")), Errc::corrupt, true);
  expect_echo("afterwards");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(LaneTest, AConnectionThatEndedWhileIdleIsReplacedUnseen) {
  expect_echo("first");
  server->close_all();
  expect_echo("second");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(LaneTest, AConnectionThatWasIdleForLongIsAskedBeforeItIsUsed) {
  options.operation_timeout = milliseconds(20'000);
  options.ask_after = milliseconds(0);
  make();
  expect_echo("first");
  const int writes = server->writes;
  expect_echo("second");
  EXPECT_EQ(server->writes - writes, 2) << "PING, then the command";
  EXPECT_EQ(server->connects, 1);
}

// Whoever comes while the question is under way waits for what it finds.
TEST_F(LaneTest, CallersWhoComeWhileAConnectionIsAskedGetTheirOwnReplies) {
  options.operation_timeout = milliseconds(20'000);
  options.ask_after = milliseconds(0);
  make();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string word = std::to_string(t) + "/" + std::to_string(i);
        const Result<Replies> replies = execute(ask(word));
        ASSERT_TRUE(replies) << replies.error().message();
        ASSERT_EQ((*replies)[0].text(), word);
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server->connects, 1);
}

// What it owes does not come any more.
TEST_F(LaneTest, AConnectionThatOwesAnswersForLongIsReplaced) {
  options.ask_after = milliseconds(0);
  make();
  expect_error(execute("NOTHING\r\n"), Errc::timeout, true);
  expect_echo("second");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(LaneTest, AReplyNobodyAskedForEndsTheConnection) {
  expect_echo("first");
  server->send("+surprise\r\n");
  expect_echo("mine");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(LaneTest, ARefusedConnectIsAnErrorAtOnceAndTriedAgain) {
  server->refuse_connects = true;
  expect_error(execute(ask("word")), Errc::unavailable, false);
  expect_error(execute(ask("word")), Errc::unavailable, false);
  EXPECT_EQ(server->connects, 2);
  server->refuse_connects = false;
  expect_echo("at the first call");
}

TEST_F(LaneTest, ASilentConnectOpensTheBreaker) {
  server->silent_connects = true;
  expect_error(execute(ask("word")), Errc::timeout, false);
  const int connects = server->connects;
  for (int i = 0; i < 100; ++i) expect_error(execute(ask("word")), Errc::timeout, false);
  EXPECT_LT(server->connects - connects, 5) << "the others were told at once";
  server->silent_connects = false;
  Result<Replies> replies = execute(ask("word"));
  while (!replies) replies = execute(ask("word"));
  EXPECT_EQ((*replies)[0].text(), "word") << "it closes again";
}

// A caller with little time left says nothing about the server.
TEST_F(LaneTest, AnAttemptThatWasCutShortDoesNotOpenTheBreaker) {
  server->silent_connects = true;
  const Result<Replies> hasty = execute_by(SteadyClock::now() + milliseconds(1), ask("word"), 1);
  expect_error(hasty, Errc::timeout, false);
  server->silent_connects = false;
  expect_echo("at the first call");
}

TEST_F(LaneTest, TooManyCallersAreToldBeforeAnythingIsSent) {
  options.pending_max = 2;
  options.operation_timeout = milliseconds(20'000);
  make();
  expect_echo("first");
  server->silent = true;
  std::vector<std::thread> waiting;
  for (int i = 0; i < 2; ++i) {
    // Until both are there, it may be the third one's call that is among the two.
    waiting.emplace_back([&] {
      Result<Replies> result = execute(ask("w"));
      while (result.error().code == Errc::overloaded) result = execute(ask("w"));
    });
  }
  Result<Replies> third = make_error(Errc::timeout, "");
  while (third.error().code == Errc::timeout) {
    third = execute_by(SteadyClock::now() + milliseconds(1), ask("third"), 1);
  }
  expect_error(third, Errc::overloaded, false);
  server->close_all();
  for (std::thread& thread : waiting) thread.join();
}

TEST_F(LaneTest, ALoginErrorIsRejectedWithAdvice) {
  server = std::make_shared<FakeRedis>(
      [](std::string_view) { return "-NOAUTH Authentication required.\r\n"; });
  make();
  const Result<Replies> replies = execute(ask("word"));
  expect_error(replies, Errc::rejected, false);
  EXPECT_NE(replies.error().detail.find("redis://user:password@host"), std::string::npos);
}

TEST_F(LaneTest, EveryCallerGetsItsOwnReply) {
  Random random;
  options.operation_timeout = milliseconds(20'000);
  make();
  server->read_at_most = 1 + random.below(40);
  server->write_at_most = 1 + random.below(40);
  std::vector<std::thread> threads;
  for (int t = 0; t < 64; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string word = std::to_string(t) + "/" + std::to_string(i);
        const Result<Replies> replies = execute(ask(word));
        ASSERT_TRUE(replies) << replies.error().message();
        ASSERT_EQ((*replies)[0].text(), word);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server->connects, 1);
}

// Callers with very short deadlines come and go among others: nobody gets a reply that is not his,
// and the connection stays in step or is replaced.
TEST_F(LaneTest, CallersThatLeaveEarlyHarmNobody) {
  options.operation_timeout = milliseconds(20'000);
  make();
  server->read_at_most = 7;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 32; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const std::string word = std::to_string(t) + "/" + std::to_string(i);
        const bool hasty = t % 2 == 0;
        const auto wait = hasty ? std::chrono::microseconds(t * 3) : std::chrono::seconds(20);
        const Result<Replies> replies = execute_by(SteadyClock::now() + wait, ask(word), 1);
        if (replies) {
          ASSERT_EQ((*replies)[0].text(), word);
          ++good;
        } else {
          ASSERT_TRUE(hasty) << replies.error().message();
          ASSERT_EQ(replies.error().code, Errc::timeout);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(good, 1600) << "all who had time got their reply";
}

TEST_F(LaneTest, ALostConnectionFailsAllInFlightAndTheNextCallsWork) {
  options.operation_timeout = milliseconds(20'000);
  make();
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !done; ++i) {
        const std::string word = std::to_string(t) + "/" + std::to_string(i);
        const Result<Replies> replies = execute(ask(word));
        if (replies) {
          ASSERT_EQ((*replies)[0].text(), word);
        } else {
          ASSERT_EQ(replies.error().code, Errc::unavailable);
        }
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    server->close_all();
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  expect_echo("afterwards");
}

}  // namespace
}  // namespace websession::testing
