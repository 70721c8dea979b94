// What every Reactor promises (async/reactor.hpp), over the loops of all libraries that are there.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "host_loop.hpp"
#include "stream_pair.hpp"
#include "websession/async/reactor.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {

// For the names of the cases.
void PrintTo(const HostKind& kind, std::ostream* out) { *out << kind.name; }

namespace {

using std::chrono::milliseconds;

class ReactorContract : public ::testing::TestWithParam<HostKind> {
 protected:
  void SetUp() override { host = GetParam().make(); }
  [[nodiscard]] std::shared_ptr<Reactor> loop() const { return host->reactor(); }
  void turns(int count = 20) const {
    for (int i = 0; i < count; ++i) host->turn();
  }
  // Turns until it is so.
  template <class Predicate>
  [[nodiscard]] bool comes(const Predicate& is_so) const {
    for (int i = 0; i < 3000; ++i) {
      bool done = false;
      host->on_loop([&] { done = is_so(); });
      if (done) return true;
      host->turn();
    }
    return false;
  }
  void on_loop(const std::function<void()>& function) const { host->on_loop(function); }
  std::unique_ptr<Watch> watch(int fd, Callback<void(unsigned)> ready) const {
    return loop()->watch(fd, std::move(ready)).value();
  }

  std::unique_ptr<HostLoop> host;
};

TEST_P(ReactorContract, TellsOnlyWhatIsWantedAndByLevel) {
  StreamPair pair;
  unsigned told = 0;
  int count = 0;
  std::unique_ptr<Watch> one;
  on_loop([&] {
    one = watch(pair.near(), [&](unsigned events) {
      told |= events;
      ++count;
    });
  });
  pair.write("x");
  turns();
  on_loop([&] {
    EXPECT_EQ(told, 0U) << "nothing at first";
    one->want(Reactor::readable);
  });
  EXPECT_TRUE(comes([&] { return count >= 3; })) << "again and again, as nobody reads";
  on_loop([&] {
    EXPECT_EQ(told, Reactor::readable);
    one->want(Reactor::writable);
    told = 0;
    count = 0;
  });
  EXPECT_TRUE(comes([&] { return count >= 3; }));
  on_loop([&] {
    EXPECT_EQ(told, Reactor::writable);
    one->want(Reactor::readable | Reactor::writable);
  });
  EXPECT_TRUE(comes([&] { return told == (Reactor::readable | Reactor::writable); }));
  on_loop([&] {
    one->want(Reactor::none);
    told = 0;
  });
  pair.close_far();
  turns();
  on_loop([&] {
    EXPECT_EQ(told, 0U) << "not even an end";
    one->want(Reactor::readable | Reactor::writable);
  });
  EXPECT_TRUE(comes([&] { return told == (Reactor::readable | Reactor::writable); }))
      << "an end is both";
  on_loop([&] { one.reset(); });
}

// As libuv stops by itself to watch what has an error.
TEST_P(ReactorContract, TellsErrorsAgainAndAgain) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);  // nobody listens
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  std::unique_ptr<Watch> one;
  int told = 0;
  on_loop([&] {
    one = watch(fd, [&](unsigned events) {
      EXPECT_EQ(events, Reactor::writable);
      ++told;
    });
    static_cast<void>(::connect(fd, reinterpret_cast<const sockaddr*>(&address), size));
    one->want(Reactor::writable);
  });
  EXPECT_TRUE(comes([&] { return told >= 3; }));
  on_loop([&] { one.reset(); });
  ::close(fd);
  ::close(listener);
}

TEST_P(ReactorContract, AWatchMayGoInItsOwnCallbackAndInAnothersOfTheSameTurn) {
  StreamPair pair;
  StreamPair second;
  std::unique_ptr<Watch> one;
  std::unique_ptr<Watch> other;
  const auto held = std::make_shared<int>(0);
  const auto both_go = [&, held](unsigned) {
    ++*held;
    one.reset();
    other.reset();
  };
  on_loop([&] {
    one = watch(pair.near(), both_go);
    other = watch(second.near(), both_go);
    one->want(Reactor::readable);
    other->want(Reactor::readable);
  });
  pair.write("x");
  second.write("x");
  EXPECT_TRUE(comes([&] { return *held == 1; }));
  turns();
  on_loop([&] { EXPECT_EQ(*held, 1); });
  EXPECT_TRUE(comes([&] { return held.use_count() == 2; })) << "what they hold goes with them";
}

TEST_P(ReactorContract, ADescriptorMayBeClosedAndItsNumberUsedAgain) {
  std::unique_ptr<Watch> one;
  int told = 0;
  for (int round = 0; round < 3; ++round) {
    StreamPair pair;
    pair.write("x");
    on_loop([&] {
      one = watch(pair.near(), [&](unsigned) { ++told; });
      one->want(Reactor::readable);
    });
    EXPECT_TRUE(comes([&] { return told > 0; }));
    on_loop([&] {
      one.reset();
      pair.close_near();
      told = 0;
      StreamPair again;  // of the same number
      auto second = watch(again.near(), [&](unsigned) { ++told; });
      second->want(Reactor::readable);
      second.reset();
    });
    turns();
    on_loop([&] { EXPECT_EQ(told, 0); });
  }
}

TEST_P(ReactorContract, TimersFireOnceInOrderNeverEarlyAndMayBeArmedAnew) {
  std::string fired;
  std::unique_ptr<Timer> first;
  std::unique_ptr<Timer> second;
  std::unique_ptr<Timer> never;
  SteadyTime due{};
  on_loop([&] {
    first = loop()->timer([&] { fired += '1'; });
    second = loop()->timer([&] {
      EXPECT_GE(loop()->now(), due);
      fired += '2';
      if (fired.size() < 4) second->arm(loop()->now());
    });
    never = loop()->timer([&] { fired += 'n'; });
    due = loop()->now() + milliseconds(20);
    second->arm(loop()->now() + milliseconds(1));
    second->arm(due);
    first->arm(loop()->now() + milliseconds(5));
    never->arm(loop()->now() + milliseconds(1));
    never->disarm();
    EXPECT_EQ(fired, "");
  });
  EXPECT_TRUE(comes([&] { return fired.size() >= 4; }));
  turns();
  on_loop([&] {
    EXPECT_EQ(fired, "1222");
    first.reset();
    second.reset();
    never.reset();
  });
}

TEST_P(ReactorContract, ATimerMayGoInItsOwnCallbackAndInAnothers) {
  const auto fired = std::make_shared<int>(0);
  std::unique_ptr<Timer> one;
  std::unique_ptr<Timer> other;
  const auto both_go = [&, fired] {
    ++*fired;
    one.reset();
    other.reset();
  };
  on_loop([&] {
    one = loop()->timer(both_go);
    other = loop()->timer(both_go);
    one->arm(loop()->now());
    other->arm(loop()->now());
  });
  EXPECT_TRUE(comes([&] { return *fired > 0; }));
  turns();
  on_loop([&] { EXPECT_EQ(*fired, 1); });
  EXPECT_TRUE(comes([&] { return fired.use_count() == 2; }));
}

TEST_P(ReactorContract, ATimerThatIsDisarmedByAnotherOfTheSameTurnDoesNotFire) {
  std::string fired;
  std::unique_ptr<Timer> one;
  std::unique_ptr<Timer> other;
  on_loop([&] {
    one = loop()->timer([&] {
      fired += '1';
      other->disarm();
    });
    other = loop()->timer([&] {
      fired += '2';
      one->disarm();
    });
    const SteadyTime at = loop()->now();
    one->arm(at);
    other->arm(at);
  });
  EXPECT_TRUE(comes([&] { return !fired.empty(); }));
  turns();
  on_loop([&] {
    EXPECT_EQ(fired.size(), 1U) << fired;
    one.reset();
    other.reset();
  });
}

TEST_P(ReactorContract, PostedFunctionsRunInOrderOnTheLoopAndNeverInside) {
  std::string order;
  bool was_here = false;
  on_loop([&] {
    loop()->post([&] {
      was_here = loop()->here();
      order += 'a';
      loop()->post([&] { order += 'c'; });
      order += 'b';
    });
    EXPECT_EQ(order, "");
  });
  EXPECT_TRUE(comes([&] { return order.size() == 3; }));
  EXPECT_EQ(order, "abc");
  EXPECT_TRUE(was_here);
  bool elsewhere = true;
  std::thread([&] { elsewhere = loop()->here(); }).join();
  EXPECT_FALSE(elsewhere);
}

TEST_P(ReactorContract, ManyThreadsPost) {
  std::atomic<int> calls = 0;
  constexpr int each = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i) loop()->post([&] { ++calls; });
    });
  }
  EXPECT_TRUE(comes([&] { return calls == 4 * each; }));
  for (std::thread& thread : threads) thread.join();
}

// As a connection does that has more to read than one turn is for.
TEST_P(ReactorContract, WhatPostsItselfLeavesTimeForOthers) {
  StreamPair pair;
  pair.write("x");
  bool told = false;
  bool fired = false;
  std::unique_ptr<Watch> one;
  std::unique_ptr<Timer> timer;
  std::function<void()> again = [&] {
    if (!told || !fired) loop()->post([&] { again(); });
  };
  on_loop([&] {
    one = watch(pair.near(), [&](unsigned) {
      told = true;
      one->want(Reactor::none);
    });
    one->want(Reactor::readable);
    timer = loop()->timer([&] { fired = true; });
    timer->arm(loop()->now() + milliseconds(1));
    again();
  });
  EXPECT_TRUE(comes([&] { return told && fired; }));
  turns();
  on_loop([&] {
    one.reset();
    timer.reset();
  });
}

TEST_P(ReactorContract, ALoopThatEndsDropsWhatItWasGivenAndWhatIsLeftDoesNoHarm) {
  if (!GetParam().may_end_first) GTEST_SKIP() << "this loop does not end before what uses it";
  const auto held = std::make_shared<int>(0);
  const auto count = [held] { ++*held; };
  StreamPair pair;
  const auto reactor = loop();
  std::unique_ptr<Watch> one;
  std::unique_ptr<Timer> timer;
  on_loop([&] {
    one = watch(pair.near(), [held](unsigned) { ++*held; });
    one->want(Reactor::readable);
    timer = reactor->timer(count);
    timer->arm(reactor->now() + std::chrono::hours(1));
  });
  host.reset();
  reactor->post(count);
  EXPECT_FALSE(reactor->here());
  one->want(Reactor::readable | Reactor::writable);
  timer->arm(reactor->now());
  timer->disarm();
  auto late_timer = reactor->timer(count);
  late_timer->arm(reactor->now());
  static_cast<void>(reactor->watch(pair.near(), [held](unsigned) { ++*held; }).has_value());
  late_timer.reset();
  one.reset();
  timer.reset();
  EXPECT_EQ(held.use_count(), 2) << "only `count` has it still";
  EXPECT_EQ(*held, 0);
}

// As stores do: what is to be called keeps all that it needs, and goes with the loop at the latest.
TEST_P(ReactorContract, WhatEndsWithTheLoopMayHoldItsOwnTimerAndWatch) {
  if (!GetParam().may_end_first) GTEST_SKIP() << "this loop does not end before what uses it";
  struct Holds {
    std::unique_ptr<Timer> timer{};
    std::unique_ptr<Watch> watch{};
  };
  StreamPair pair;
  std::weak_ptr<Holds> last;
  on_loop([&] {
    for (const bool armed : {false, true}) {
      const auto holds = std::make_shared<Holds>();
      holds->timer = loop()->timer([holds] {});
      if (armed) holds->timer->arm(loop()->now() + std::chrono::hours(1));
      last = holds;
    }
    const auto watches = std::make_shared<Holds>();
    watches->watch = watch(pair.near(), [watches](unsigned) {});
  });
  turns();
  host.reset();
  EXPECT_TRUE(last.expired());
}

// Its loop goes on, so what the store's end leaves to be told is told.
TEST_P(ReactorContract, AStoreMayBeTheLastToHaveItsReactor) {
  for (const bool elsewhere : {false, true}) {
    int told = 0;
    std::optional<AsyncSessionManager> manager =
        AsyncSessionManager::make(immediate(std::make_shared<MemoryStore>(), {loop()}).value())
            .value();
    host->let_go();
    on_loop([&] { manager->create().start([&](const auto&) { ++told; }); });
    if (elsewhere) {
      std::thread([&] { manager.reset(); }).join();
    } else {
      on_loop([&] { manager.reset(); });
    }
    EXPECT_TRUE(comes([&] { return told > 0; }));
    turns();
    on_loop([&] { EXPECT_EQ(told, 1); });
    host = GetParam().make();
  }
}

// The child of a fork has its parent's epoll, and must take nothing out of it.
TEST_P(ReactorContract, AChildLeavesTheParentsLoopAlone) {
  StreamPair pair;
  bool told = false;
  std::unique_ptr<Watch> one;
  std::unique_ptr<Timer> timer;
  on_loop([&] {
    one = watch(pair.near(), [&](unsigned) {
      told = true;
      one->want(Reactor::none);
    });
    one->want(Reactor::readable);
    timer = loop()->timer([] {});
    timer->arm(loop()->now() + std::chrono::hours(1));
  });
  turns();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    one.reset();
    timer.reset();
    std::_Exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  pair.write("x");
  EXPECT_TRUE(comes([&] { return told; }));
  on_loop([&] {
    one.reset();
    timer.reset();
  });
}

INSTANTIATE_TEST_SUITE_P(Over, ReactorContract, ::testing::ValuesIn(host_kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(HostKinds, AreAllThere) {
  const char* ci = std::getenv("CI");
  if (ci == nullptr || std::string_view(ci) != "true") GTEST_SKIP() << "only where all have to be";
  std::string names;
  for (const HostKind& kind : host_kinds()) names += std::string(kind.name) + " ";
  for (const char* name : {"epoll ", "boost_asio ", "boost_asio_strand ", "asio ", "uv "}) {
    EXPECT_NE(names.find(name), std::string::npos) << name << "is not among " << names;
  }
}

}  // namespace
}  // namespace websession::testing
