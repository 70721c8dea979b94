#include "websession/async/epoll_reactor.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stream_pair.hpp"
#include "websession/async/stop.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class EpollReactorTest : public ::testing::Test {
 protected:
  void rounds(int count) {
    for (int i = 0; i < count; ++i) loop->run_once(milliseconds(0));
  }
  const std::shared_ptr<EpollReactor> loop = EpollReactor::make().value();
  StreamPair pair;
};

// One that goes holds another, and that a timer.
TEST_F(EpollReactorTest, WhatGoesMayHoldOthers) {
  StreamPair second;
  struct Held {
    std::unique_ptr<Watch> watch{};
    std::unique_ptr<Timer> timer{};
  };
  auto inner = std::make_shared<Held>();
  inner->timer = loop->timer([] {});
  inner->watch = loop->watch(second.near(), [](unsigned) {}).value();
  std::unique_ptr<Watch> outer;
  outer = loop->watch(pair.near(), [&outer, inner](unsigned) { outer.reset(); }).value();
  outer->want(Reactor::readable);
  const std::weak_ptr<Held> gone = inner;
  inner.reset();
  pair.write("x");
  rounds(1);
  EXPECT_TRUE(gone.expired());
}

// Within another loop its descriptor tells when there is something to do.
TEST_F(EpollReactorTest, ItsDescriptorIsReadableWhenThereIsWork) {
  if (loop->descriptor() < 0) GTEST_SKIP() << "this system has no such descriptor";
  const auto has_work = [&] {
    pollfd now{loop->descriptor(), POLLIN, 0};
    return ::poll(&now, 1, 0) > 0;
  };
  EXPECT_FALSE(has_work());
  int calls = 0;
  loop->post([&] {
    ++calls;
    loop->post([&] { ++calls; });
  });
  EXPECT_TRUE(has_work());
  rounds(1);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(has_work()) << "for what was posted meanwhile";
  rounds(1);
  EXPECT_EQ(calls, 2);
  rounds(1);
  EXPECT_FALSE(has_work());
  const auto timer = loop->timer([&] { ++calls; });
  timer->arm(loop->now());
  EXPECT_TRUE(has_work());
}

TEST_F(EpollReactorTest, AStopBeforeTheRunCounts) {
  int calls = 0;
  loop->post([&] { ++calls; });
  loop->stop();
  loop->run();
  EXPECT_EQ(calls, 0);
  rounds(1);
  EXPECT_EQ(calls, 1);
}

// What it was given and has not called goes with it, and what outlives it does no harm.
TEST_F(EpollReactorTest, EndsWithoutCallingWhatIsLeft) {
  const auto counted = std::make_shared<int>(0);
  auto mine = EpollReactor::make().value();
  const auto watch = mine->watch(pair.near(), [counted](unsigned) { FAIL(); }).value();
  watch->want(Reactor::readable);
  const auto timer = mine->timer([counted] { FAIL(); });
  timer->arm(mine->now());
  mine->post([counted] { FAIL(); });
  EXPECT_EQ(counted.use_count(), 4);
  mine.reset();
  EXPECT_EQ(counted.use_count(), 1);
}

// Whoever is called may destroy the loop, too; then nobody else is called.
TEST_F(EpollReactorTest, ACallbackMayDestroyTheLoop) {
  for (const bool in_a_timer : {false, true}) {
    auto mine = EpollReactor::make().value();
    auto watch = mine->watch(pair.near(), [](unsigned) {}).value();
    watch->want(Reactor::writable);
    auto timer = mine->timer([] {});
    bool ended = false;
    const auto end = [&] {
      watch.reset();
      timer.reset();
      ended = true;
      mine.reset();
    };
    const auto ends = in_a_timer ? mine->timer(end) : nullptr;
    in_a_timer ? ends->arm(mine->now()) : mine->post(end);
    mine->post([&] {
      if (!ended && in_a_timer) return;
      ADD_FAILURE() << "called after the end";
    });
    mine->run();
    EXPECT_TRUE(ended);
  }
}

TEST_F(EpollReactorTest, ATurnWithinACallbackIsOneOfTheSameLoop) {
  std::string order;
  loop->post([&] {
    loop->post([&] { order += 'i'; });
    loop->run_once(milliseconds(0));
    order += loop->here() ? 'h' : '-';
  });
  rounds(1);
  EXPECT_EQ(order, "ih");
  EXPECT_FALSE(loop->here());
}

TEST_F(EpollReactorTest, AnIoThreadMayEndOnItselfAndDropsWhatComesLater) {
  auto thread = std::make_unique<IoThread>(IoThread::start().value());
  const std::shared_ptr<EpollReactor> reactor = thread->reactor();
  std::atomic<bool> over = false;
  reactor->post([&] {
    thread.reset();
    over = true;
  });
  while (!over) std::this_thread::yield();

  thread = std::make_unique<IoThread>(IoThread::start().value());
  const std::shared_ptr<EpollReactor> ended = thread->reactor();
  thread.reset();
  const auto counted = std::make_shared<int>(0);
  for (const auto& after : {reactor, ended}) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    do {  // the one that ended on itself does so a moment later
      after->post([counted] { FAIL(); });
    } while (counted.use_count() > 1 && std::chrono::steady_clock::now() < end);
    EXPECT_EQ(counted.use_count(), 1);
  }
}

// A closure that is dropped by a thread that posts may hold a timer.
TEST_F(EpollReactorTest, WhatIsPostedTooLateGoesOnAnyThread) {
  const auto counted = std::make_shared<int>(0);
  for (int round = 0; round < 50; ++round) {
    std::optional<IoThread> io = IoThread::start().value();
    const std::shared_ptr<EpollReactor> reactor = io->reactor();
    std::vector<std::vector<std::unique_ptr<Timer>>> timers(4);
    std::atomic<bool> made = false;
    reactor->post([&] {
      for (auto& each : timers) {
        for (int i = 0; i < 20; ++i) {
          each.push_back(reactor->timer([counted] {}));
          each.back()->arm(reactor->now() + std::chrono::hours(1));
        }
      }
      made = true;
    });
    while (!made) std::this_thread::yield();
    std::vector<std::thread> threads;
    for (auto& each : timers) {
      threads.emplace_back([&reactor, &each] {
        for (auto& timer : each) reactor->post([held = std::move(timer)] {});
      });
    }
    io.reset();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(counted.use_count(), 1);
  }
}

TEST_F(EpollReactorTest, NoTimeLeftIsNoWait) {
  loop->run_once(milliseconds(-5));
  int calls = 0;
  loop->post([&] { ++calls; });
  loop->run_once(milliseconds::min());
  EXPECT_EQ(calls, 1);
}

TEST_F(EpollReactorTest, AnIoThreadRunsUntilItEnds) {
  std::atomic<bool> ran = false;
  {
    const IoThread thread = IoThread::start().value();
    EXPECT_FALSE(thread.reactor()->here());
    std::atomic<bool> here = false;
    thread.reactor()->post([&, loop = thread.reactor().get()] {
      here = loop->here();
      ran = true;
    });
    while (!ran) std::this_thread::yield();
    EXPECT_TRUE(here);
  }
  EXPECT_TRUE(ran);
}

TEST(StopTest, CallsEachOnceAndNoneThatHasGone) {
  StopSource source;
  int calls = 0;
  const StopCallback first(source.token(), [&] { ++calls; });
  {
    const StopCallback gone(source.token(), [&] { calls += 100; });
  }
  EXPECT_FALSE(source.token().stop_requested());
  source.request_stop();
  source.request_stop();
  EXPECT_EQ(calls, 1);
  const StopCallback late(source.token(), [&] { ++calls; });
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(source.token().stop_requested());
  EXPECT_FALSE(StopToken().stop_possible());
  EXPECT_FALSE(StopToken().stop_requested());
  StopSource moved = std::move(source);
  source.request_stop();  // NOLINT(bugprone-use-after-move): it is a copy
  EXPECT_TRUE(moved.token().stop_requested());
}

TEST(StopTest, ACallbackMayDestroyItselfAndOthers) {
  StopSource source;
  std::optional<StopCallback> one;
  std::optional<StopCallback> other;
  int calls = 0;
  const auto both_go = [&] {
    ++calls;
    one.reset();
    other.reset();
  };
  one.emplace(source.token(), both_go);
  other.emplace(source.token(), both_go);
  source.request_stop();
  EXPECT_EQ(calls, 1);
}

TEST(StopTest, ACallbackMayDestroyTheLastThatKnowsOfTheStop) {
  auto source = std::make_unique<StopSource>();
  std::optional<StopCallback> callback;
  int calls = 0;
  callback.emplace(source->token(), [&] {
    ++calls;
    callback.reset();
    source.reset();
  });
  source->request_stop();
  EXPECT_EQ(calls, 1);
#if defined(__cpp_lib_jthread)
  std::stop_source standard;
  callback.emplace(StopToken(standard.get_token()), [&] {
    ++calls;
    callback.reset();
  });
  standard.request_stop();
  EXPECT_EQ(calls, 2);
#endif
}

#if defined(__cpp_lib_jthread)
TEST(StopTest, TheStandardsTokenIsOne) {
  std::stop_source source;
  const StopToken token = source.get_token();
  int calls = 0;
  const StopCallback callback(token, [&] { ++calls; });
  source.request_stop();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(token.stop_requested());
  EXPECT_FALSE(StopToken(std::stop_token()).stop_possible());
}
#endif

// Stops race the end of who waits for them.
TEST(StopTest, AStopRacesTheEndOfWhoWaitsForIt) {
  for (int round = 0; round < 300; ++round) {
    StopSource source;
    std::atomic<int> calls = 0;
    std::thread stops([&] { source.request_stop(); });
    {
      auto counted = std::make_shared<int>(0);
      const StopCallback callback(source.token(), [&calls, held = std::weak_ptr(counted)] {
        if (held.lock() != nullptr) ++calls;
      });
    }
    const int after = calls;
    stops.join();
    EXPECT_EQ(calls, after) << "it ran after its end";
  }
}

TEST(CallbackTest, HoldsWhatCanOnlyBeMoved) {
  auto owned = std::make_unique<int>(7);
  Callback<int()> small([owned = std::move(owned)] { return *owned; });
  Callback<int()> moved = std::move(small);
  EXPECT_FALSE(small);  // NOLINT(bugprone-use-after-move): that it is empty is promised
  EXPECT_EQ(moved(), 7);
  struct Link {
    std::unique_ptr<Callback<int()>> next;
    int operator()() const { return next ? 1 : 2; }
  };
  Callback<int()> head(Link{std::make_unique<Callback<int()>>(Link{})});
  EXPECT_EQ(head(), 1);
  Callback<void()> drops([] { return 5; });
  drops();
  const std::array<char, 100> large{'x'};
  Callback<char(std::size_t)> on_heap([large](std::size_t i) { return large.at(i); });
  Callback<char(std::size_t)> there;
  there = std::move(on_heap);
  EXPECT_EQ(there(0), 'x');
  const auto counted = std::make_shared<int>(0);
  Callback<void()> counts([counted] { ++*counted; });
  counts();
  EXPECT_EQ(counted.use_count(), 2);
  counts = {};
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_EQ(*counted, 1);
}

}  // namespace
}  // namespace websession::testing
