// A line to Redis on a loop that the test drives, over a server without a socket: so each race is a
// list of plain calls.
#include "event/event_line.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blocking_flow.hpp"
#include "fake_reactor.hpp"
#include "fake_redis.hpp"
#include "random.hpp"

namespace websession::testing {
namespace {

using redis::EventLine;
using redis::EventRequest;
using redis::Replies;
using std::chrono::milliseconds;

// Answers PING, and every "ECHO <word>" line with the word. Keeps half a line until the rest comes.
FakeRedis::Answer echo() {
  return [rest = std::string()](std::string_view bytes) mutable {
    rest += bytes;
    std::string out;
    for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      const std::string line = rest.substr(0, end - 1);
      rest.erase(0, end + 1);
      if (line == "PING") out += "+PONG\r\n";
      if (line == "ECHO readonly") {
        out += "-READONLY You can't write against a read only replica.\r\n";
      } else if (line == "ECHO garbage") {
        out += "HTTP/1.1 400 Bad Request\r\n\r\n";
      } else if (line.starts_with("ECHO ")) {
        out += "+" + line.substr(5) + "\r\n";
      }
    }
    return out;
  };
}

// Connects to the fake server in a turn of the loop; or never, before the deadline.
class FakeLoopConnector final : public redis::LoopConnector {
 public:
  FakeLoopConnector(std::shared_ptr<FakeRedis> server, FakeReactor& loop)
      : server_(std::move(server)), loop_(loop) {}

  std::unique_ptr<redis::Attempt> connect(SteadyTime deadline, Callback<void(Made)> made) override {
    auto steps = std::make_shared<Steps>();
    steps->made = std::move(made);
    if (server_->silent_connects) {
      steps->timer = loop_.timer([steps = steps.get()] {
        std::exchange(steps->made, {})(make_error(Errc::timeout, "silent"));
      });
      steps->timer->arm(deadline);
    } else {
      loop_.post([weak = std::weak_ptr(steps), server = server_] {
        const auto here = weak.lock();
        if (here != nullptr) std::exchange(here->made, {})(server->connect(SteadyTime()));
      });
    }
    return std::make_unique<Held>(std::move(steps));
  }
  void forget_address() noexcept override { ++forgotten; }
  void when_moved(Callback<void()> its_told) override { told = std::move(its_told); }
  void close() noexcept override { told = {}; }
  int forgotten = 0;
  Callback<void()> told{};

 private:
  struct Steps {
    Callback<void(Made)> made{};
    std::unique_ptr<Timer> timer{};
  };
  struct Held final : redis::Attempt {
    explicit Held(std::shared_ptr<Steps> its_steps) : steps(std::move(its_steps)) {}
    std::shared_ptr<Steps> steps;
  };
  const std::shared_ptr<FakeRedis> server_;
  FakeReactor& loop_;
};

// What was asked of a line, and what came of it.
class Asked : public std::enable_shared_from_this<Asked> {
 public:
  static inline int alive = 0;
  explicit Asked(std::string bytes)
      : bytes_(std::move(bytes)), append_{&bytes_}, commands_(1, append_) {
    ++alive;
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  ~Asked() {
    --alive;
    if (is_waiting_) waiting_.handle.destroy();
  }

  void send(EventLine& line, SteadyTime until) {
    wait();
    request_.emplace(line, commands_, until, *answer_, shared_from_this());
    if (std::optional<Error> refused = line.send(*request_)) {
      request_->owner.reset();
      result = *std::move(refused);
    }
  }
  void cancel(EventLine& line) {
    line.cancel(*request_, make_error(Errc::canceled, "nobody waits"));
  }
  std::optional<Result<Replies>> result{};
  int answers = 0;
  Callback<void()> then{};

 private:
  struct Append {
    const std::string* bytes;
    void operator()(std::string& out) const { out += *bytes; }
  };
  // The coroutine that waits for the answer.
  struct Waiter {
    struct promise_type {
      Waiter get_return_object() {
        return {std::coroutine_handle<promise_type>::from_promise(*this)};
      }
      static std::suspend_never initial_suspend() noexcept { return {}; }
      static std::suspend_never final_suspend() noexcept { return {}; }
      static void return_void() noexcept {}
      static void unhandled_exception() noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };
  void wait() {
    const auto start = [this](internal::Answer<Result<Replies>>& answer) {
      answer_ = &answer;
      return false;
    };
    waiting_ = [](Asked& self, auto begin) -> Waiter {
      internal::Ask<Result<Replies>, decltype(begin)> ask(begin);
      Result<Replies>& came = co_await ask;
      ++self.answers;
      self.result.emplace(std::move(came));
      self.is_waiting_ = false;
      if (self.then) std::exchange(self.then, {})();
    }(*this, start);
    is_waiting_ = true;
  }

  const std::string bytes_;
  const Append append_;
  const redis::Commands commands_;
  internal::Answer<Result<Replies>>* answer_ = nullptr;
  std::optional<EventRequest> request_{};
  Waiter waiting_{};
  bool is_waiting_ = false;
};
using AskedPtr = std::shared_ptr<Asked>;

class EventLineTest : public ::testing::Test {
 protected:
  EventLineTest() { make(); }
  ~EventLineTest() override {
    close();
    loop.turns(3);
    EXPECT_EQ(loop.watches(), 0U);
    EXPECT_EQ(loop.timers(), 0U);
  }
  void make() {
    auto made = std::make_unique<FakeLoopConnector>(server, loop);
    connector = made.get();
    const std::shared_ptr<Reactor> its_loop(&loop, [](Reactor*) {});
    line = std::make_shared<EventLine>(its_loop, std::move(made), redis::Login{}, options);
  }
  void close() {
    if (line != nullptr) line->close();
    line.reset();
  }
  AskedPtr ask(const std::string& word, milliseconds time = milliseconds(60)) {
    auto asked = std::make_shared<Asked>("ECHO " + word + "\r\n");
    asked->send(*line, loop.now() + time);
    return asked;
  }
  static void expect_echo(const AskedPtr& asked, std::string_view word) {
    ASSERT_TRUE(asked->result) << word;
    ASSERT_TRUE(*asked->result) << asked->result->error().message();
    EXPECT_EQ((**asked->result)[0].text(), word);
    EXPECT_EQ(asked->answers, 1);
  }
  static void expect_error(const AskedPtr& asked, Errc code, bool maybe_applied) {
    ASSERT_TRUE(asked->result);
    ASSERT_FALSE(*asked->result);
    EXPECT_EQ(asked->result->error().code, code) << asked->result->error().message();
    EXPECT_EQ(asked->result->error().maybe_applied, maybe_applied)
        << asked->result->error().message();
  }

  FakeReactor loop;
  std::shared_ptr<FakeRedis> server = std::make_shared<FakeRedis>(echo());
  redis::EngineOptions options{.connect_timeout = milliseconds(100),
                               .operation_timeout = milliseconds(60),
                               .pending_max = 8,
                               .reply_bytes_max = 64 * 1024};
  FakeLoopConnector* connector = nullptr;
  std::shared_ptr<EventLine> line;
};

TEST_F(EventLineTest, NothingHappensInsideOfACall) {
  const AskedPtr first = ask("first");
  EXPECT_EQ(server->connects, 0);
  loop.turns(6);
  expect_echo(first, "first");
  const int writes = server->writes;
  const AskedPtr second = ask("second");
  EXPECT_EQ(server->writes, writes);
  EXPECT_FALSE(second->result);
  loop.turns(2);
  expect_echo(second, "second");
  EXPECT_EQ(server->connects, 1);
}

TEST_F(EventLineTest, WhatIsAskedInOneTurnIsWrittenAtOnce) {
  loop.turns(1);
  ask("warm up");
  loop.turns(6);
  const int writes = server->writes;
  std::vector<AskedPtr> all;
  for (int i = 0; i < 5; ++i) all.push_back(ask(std::to_string(i)));
  loop.turns(2);
  EXPECT_EQ(server->writes, writes + 1);
  for (int i = 0; i < 5; ++i) expect_echo(all[static_cast<std::size_t>(i)], std::to_string(i));
}

// What those do who have just been answered goes out with the next write, in the same turn.
TEST_F(EventLineTest, AnAnswerMayAskAgain) {
  const AskedPtr first = ask("first");
  AskedPtr second;
  first->then = [&] { second = ask("second"); };
  loop.turns(8);
  expect_echo(first, "first");
  expect_echo(second, "second");
}

TEST_F(EventLineTest, SoManyMayWaitAndNoMore) {
  std::vector<AskedPtr> all;
  for (int i = 0; i < 8; ++i) all.push_back(ask("x"));
  expect_error(ask("one too many"), Errc::overloaded, false);
  loop.turns(6);
  for (const AskedPtr& asked : all) expect_echo(asked, "x");
  server->silent = true;
  for (int i = 0; i < 8; ++i) ask("y");
  loop.turns(2);
  expect_error(ask("one too many"), Errc::overloaded, false);
}

TEST_F(EventLineTest, ADeadlineIsKeptWhateverTheServerDoes) {
  server->silent_connects = true;
  const AskedPtr connecting = ask("x", milliseconds(30));
  loop.advance(milliseconds(31));
  expect_error(connecting, Errc::timeout, false);

  close();
  server->silent_connects = false;
  server->silent = true;
  make();
  const AskedPtr greeting = ask("x", milliseconds(30));
  loop.turns(4);
  loop.advance(milliseconds(31));
  expect_error(greeting, Errc::timeout, false);

  close();
  server->silent = false;
  make();
  ask("warm up");
  loop.turns(6);
  server->silent = true;
  const AskedPtr in_flight = ask("x", milliseconds(30));
  loop.turns(2);
  loop.advance(milliseconds(31));
  expect_error(in_flight, Errc::timeout, true);
}

TEST_F(EventLineTest, WhatWasNotWrittenByTheDeadlineWasNotApplied) {
  ask("warm up");
  loop.turns(6);
  server->full = true;
  const AskedPtr asked = ask("x", milliseconds(30));
  loop.turns(2);
  const AskedPtr behind = ask("y", milliseconds(30));
  loop.turns(2);
  loop.advance(milliseconds(31));
  ASSERT_TRUE(asked->result);
  expect_error(behind, Errc::timeout, false);  // queued behind it, and taken back
  server->full = false;
}

TEST_F(EventLineTest, ALateAnswerIsNobodys) {
  ask("warm up");
  loop.turns(6);
  server->silent = true;
  const AskedPtr late = ask("late", milliseconds(30));
  loop.turns(2);
  loop.advance(milliseconds(31));
  expect_error(late, Errc::timeout, true);
  server->silent = false;
  const AskedPtr next = ask("next");
  loop.turns(1);
  server->send("+late\r\n");
  loop.turns(3);
  EXPECT_EQ(late->answers, 1);
  // The fake server answered "next" first, so it is taken for the late one; then comes "late".
  ASSERT_TRUE(next->result);
}

TEST_F(EventLineTest, AServerThatWasSilentForLongIsLeft) {
  ask("warm up");
  loop.turns(6);
  server->silent = true;
  for (int i = 0; i < 2; ++i) {
    const AskedPtr asked = ask("x");
    loop.turns(2);
    loop.advance(milliseconds(61));
    expect_error(asked, Errc::timeout, true);
  }
  EXPECT_EQ(connector->forgotten, 1);
  server->silent = false;
  const AskedPtr next = ask("next");
  loop.turns(6);
  expect_echo(next, "next");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(EventLineTest, AConnectionThatWasIdleForLongIsAskedFirst) {
  ask("warm up");
  loop.turns(6);
  loop.advance(std::chrono::seconds(11));
  const int writes = server->writes;
  const AskedPtr asked = ask("x");
  loop.turns(4);
  expect_echo(asked, "x");
  EXPECT_EQ(server->writes, writes + 2);  // PING, and what was asked

  loop.advance(std::chrono::seconds(11));
  server->silent = true;
  const AskedPtr forgotten = ask("y", milliseconds(400));
  loop.turns(2);
  server->silent = false;
  loop.advance(milliseconds(201));
  loop.turns(6);
  expect_echo(forgotten, "y");  // on a new connection
  EXPECT_EQ(server->connects, 2);
}

TEST_F(EventLineTest, AnEndThatNobodySawIsFoundBeforeAnythingIsSent) {
  ask("warm up");
  loop.turns(6);
  server->close_all();
  const AskedPtr asked = ask("x");
  loop.turns(6);
  expect_echo(asked, "x");
  EXPECT_EQ(server->connects, 2);
}

TEST_F(EventLineTest, ARefusalIsToldToAllWhoWaitAndTriedAgainByTheNext) {
  server->refuse_connects = true;
  const AskedPtr a = ask("a");
  const AskedPtr b = ask("b");
  loop.turns(3);
  expect_error(a, Errc::unavailable, false);
  expect_error(b, Errc::unavailable, false);
  server->refuse_connects = false;
  const AskedPtr c = ask("c");
  loop.turns(6);
  expect_echo(c, "c");
}

TEST_F(EventLineTest, AfterALongAttemptOthersAreToldAtOnceForAWhile) {
  server->silent_connects = true;
  const AskedPtr a = ask("a");
  loop.advance(milliseconds(101));
  expect_error(a, Errc::timeout, false);
  const int connects = server->connects;
  const AskedPtr b = ask("b");
  expect_error(b, Errc::timeout, false);  // at once
  EXPECT_EQ(server->connects, connects);
  server->silent_connects = false;
  loop.advance(milliseconds(400));
  const AskedPtr c = ask("c");
  loop.turns(6);
  expect_echo(c, "c");
}

TEST_F(EventLineTest, AServerThatRefersElsewhereGetsNothingMore) {
  ask("warm up");
  loop.turns(6);
  const AskedPtr before = ask("before");
  const AskedPtr readonly = ask("readonly");
  const AskedPtr behind = ask("behind");
  loop.turns(3);
  expect_echo(before, "before");
  expect_echo(behind, "behind");
  ASSERT_TRUE(readonly->result && *readonly->result);
  EXPECT_EQ(connector->forgotten, 1);
  const AskedPtr next = ask("next");
  loop.turns(6);
  expect_echo(next, "next");
  EXPECT_EQ(server->connects, 2);
}

// As Sentinels tell of a failover: what is in flight goes on where it is.
TEST_F(EventLineTest, AServerThatHasMovedGetsNothingMore) {
  connector->told();
  EXPECT_EQ(server->connects, 0) << "nobody has asked yet";
  const AskedPtr before = ask("before");
  loop.turns(6);
  expect_echo(before, "before");
  const AskedPtr in_flight = ask("in_flight");
  loop.turns(1);
  connector->told();
  const AskedPtr after = ask("after");
  loop.turns(6);
  expect_echo(in_flight, "in_flight");
  expect_echo(after, "after");
  EXPECT_EQ(server->connects, 2);
  EXPECT_EQ(connector->forgotten, 0) << "who tells of it knows the new one";

  // A breaker that the old one has opened is no reason not to try the new one.
  connector->told();
  server->silent_connects = true;
  const AskedPtr silent = ask("silent", milliseconds(200));
  loop.advance(milliseconds(150));
  expect_error(silent, Errc::timeout, false);
  server->silent_connects = false;
  connector->told();
  const AskedPtr last = ask("last");
  loop.turns(6);
  expect_echo(last, "last");
}

// Also while it is at the other end of a connection that is not ready yet.
TEST_F(EventLineTest, AMoveThatIsToldWhileConnectingIsFollowed) {
  server->silent_connects = true;
  const AskedPtr connecting = ask("connecting", milliseconds(200));
  loop.turns(3);
  server->silent_connects = false;
  connector->told();
  loop.turns(6);
  expect_echo(connecting, "connecting");
  EXPECT_EQ(server->connects, 1) << "the silent one was given up";

  loop.advance(std::chrono::seconds(11));  // idle for so long, it is asked first
  server->silent = true;
  const AskedPtr asking = ask("asking", milliseconds(200));
  loop.turns(3);
  server->silent = false;
  connector->told();
  loop.turns(6);
  expect_echo(asking, "asking");
  EXPECT_EQ(server->connects, 2);
}

// What was asked on a connection that has been left says nothing about the next one.
TEST_F(EventLineTest, ASilentServerThatWasLeftIsNoReasonToLeaveTheNextOne) {
  expect_echo(
      [&] {
        const AskedPtr first = ask("first");
        loop.turns(6);
        return first;
      }(),
      "first");
  server->silent = true;
  std::vector<AskedPtr> unanswered;
  for (int i = 0; i < 3; ++i) {
    unanswered.push_back(ask("unanswered", milliseconds(60 * (i + 1))));
    loop.turns(1);
  }
  connector->told();
  server->silent = false;
  const AskedPtr next = ask("next");
  loop.turns(6);
  expect_echo(next, "next");
  const int connects = server->connects;
  loop.advance(milliseconds(200));
  for (const AskedPtr& asked : unanswered) expect_error(asked, Errc::timeout, true);
  const AskedPtr last = ask("last");
  loop.turns(6);
  expect_echo(last, "last");
  EXPECT_EQ(server->connects, connects) << "the good one stays";
  EXPECT_EQ(connector->forgotten, 0);
}

TEST_F(EventLineTest, GarbageEndsTheConnectionAndIsTheFaultOfWhoeverItWasFor) {
  ask("warm up");
  loop.turns(6);
  const AskedPtr a = ask("garbage");
  const AskedPtr b = ask("b");
  loop.turns(2);
  expect_error(a, Errc::corrupt, true);
  expect_error(b, Errc::unavailable, true);
  const AskedPtr c = ask("c");
  loop.turns(6);
  expect_echo(c, "c");
}

// The connection is lost after each number of bytes that were read, or written, from the first of
// the login on; and what comes does so in pieces of each size.
TEST_F(EventLineTest, CutAtEveryByteEachIsAnsweredOnceAndHonestly) {
  for (const bool cuts_reading : {true, false}) {
    for (std::size_t cut = 0; cut < 60; ++cut) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
        SCOPED_TRACE(std::to_string(cut) + " bytes " + (cuts_reading ? "read" : "written") +
                     " in pieces of " + std::to_string(piece));
        close();
        server = std::make_shared<FakeRedis>(echo());
        server->read_at_most = piece;
        server->write_at_most = piece;
        (cuts_reading ? server->read_breaks_after : server->write_breaks_after) = cut;
        make();
        std::vector<AskedPtr> all;
        for (const char* word : {"one", "two", "three"}) all.push_back(ask(word));
        loop.turns(100);
        loop.advance(milliseconds(101));  // what is said is waited for until the deadline
        for (const AskedPtr& asked : all) {
          ASSERT_TRUE(asked->result);
          EXPECT_EQ(asked->answers, 1);
          if (*asked->result) continue;
          const Error& error = asked->result->error();
          EXPECT_TRUE(error.code == Errc::unavailable || error.code == Errc::timeout);
        }
        server->read_breaks_after.reset();
        server->write_breaks_after.reset();
        loop.advance(milliseconds(400));  // after a long attempt there is a pause
        const AskedPtr next = ask("next");
        loop.turns(60);
        expect_echo(next, "next");
      }
    }
  }
}

// A stop, and the end of the line, in each state, and in each order with the answer.
TEST_F(EventLineTest, StoppedOrDestroyedInEachState) {
  enum class Deed { cancel, close, drop };
  for (const Deed deed : {Deed::cancel, Deed::close, Deed::drop}) {
    for (int turns_before = 0; turns_before < 9; ++turns_before) {
      for (const bool is_silent : {false, true}) {
        SCOPED_TRACE(std::to_string(static_cast<int>(deed)) + " after " +
                     std::to_string(turns_before));
        const int alive = Asked::alive;
        {
          close();
          server = std::make_shared<FakeRedis>(echo());
          make();
          if (is_silent) {
            ask("warm up");
            loop.turns(8);
            server->silent = true;
          }
          const AskedPtr a = ask("a");
          const AskedPtr b = ask("b");
          loop.turns(turns_before);
          const bool was_answered = a->result.has_value();
          switch (deed) {
            case Deed::cancel:
              a->cancel(*line);
              break;
            case Deed::close:
              line->close();
              break;
            case Deed::drop:
              line->drop();
              break;
          }
          EXPECT_EQ(a->result.has_value(), was_answered) << "inside of it";
          loop.turns(3);
          if (deed == Deed::drop) {
            EXPECT_EQ(a->result.has_value(), was_answered);
          } else {
            ASSERT_TRUE(a->result);
            EXPECT_EQ(a->answers, 1);
            if (!was_answered) {
              ASSERT_FALSE(*a->result);
              EXPECT_EQ(a->result->error().code,
                        deed == Deed::cancel ? Errc::canceled : Errc::unavailable);
            }
          }
          if (deed == Deed::cancel && !is_silent) {
            loop.turns(9);
            expect_echo(b, "b");
          }
          close();
          loop.turns(3);
        }
        EXPECT_EQ(Asked::alive, alive);
      }
    }
  }
}

// An answer ends the line that gives it.
TEST_F(EventLineTest, AnAnswerMayDestroyTheLine) {
  const AskedPtr a = ask("a");
  const AskedPtr b = ask("b");
  a->then = [this] { close(); };
  loop.turns(9);
  expect_echo(a, "a");
  ASSERT_TRUE(b->result);
  EXPECT_EQ(b->answers, 1);
}

TEST_F(EventLineTest, NoRoomForAWatchIsAnErrorLikeOthers) {
  loop.refuses_watches = true;
  const AskedPtr a = ask("a");
  loop.turns(3);
  expect_error(a, Errc::unavailable, false);
  loop.refuses_watches = false;
  const AskedPtr b = ask("b");
  loop.turns(6);
  expect_echo(b, "b");
}

// Any order of asking, turns, time, faults and stops: each is answered once, by its deadline, and
// nothing is left.
TEST_F(EventLineTest, AnyHistoryAnswersEachOnce) {
  Random random;
  for (int round = 0; round < 300; ++round) {
    close();
    server = std::make_shared<FakeRedis>(echo());
    server->read_at_most = 1 + random.below(20);
    make();
    std::vector<std::pair<AskedPtr, SteadyTime>> all;
    for (int step = 0; step < 60; ++step) {
      switch (random.below(12)) {
        case 0:
        case 1:
        case 2: {
          const milliseconds time(1 + static_cast<int>(random.below(80)));
          all.emplace_back(ask("w" + std::to_string(step), time), loop.now() + time);
          break;
        }
        case 3:
          if (!all.empty()) all[random.below(all.size())].first->cancel(*line);
          break;
        case 4:
          server->close_all();
          break;
        case 5:
          server->silent = random.below(2) == 0;
          break;
        case 6:
          server->silent_connects = random.below(4) == 0;
          break;
        case 7:
          loop.advance(milliseconds(1 + static_cast<int>(random.below(40))));
          break;
        case 8:
          server->full = random.below(2) == 0;
          break;
        default:
          loop.turns(1 + static_cast<int>(random.below(3)));
      }
      for (const auto& [asked, until] : all) {
        ASSERT_LE(asked->answers, 1);
        if (loop.now() > until) {
          ASSERT_TRUE(asked->result) << "late";
        }
      }
    }
    close();
    loop.turns(4);
    for (const auto& [asked, until] : all) {
      ASSERT_TRUE(asked->result);
      if (!*asked->result) continue;
      ASSERT_EQ(asked->answers, 1);
    }
    all.clear();
    ASSERT_EQ(Asked::alive, 0);
  }
}

}  // namespace
}  // namespace websession::testing
