// What is left of operations that were stopped, destroyed, or whose store, loop or process went: of
// a million of them no memory and no descriptor.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "handler.hpp"
#include "host_loop.hpp"
#include "possessions.hpp"
#include "redis_fixture.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/redis_store.hpp"
#include "websession/async/session_manager.hpp"

namespace websession::testing {
namespace {

// A sanitizer takes ten times as long for each, and looks more closely.
constexpr int operations = sanitized ? 50'000 : 1'000'000;
constexpr int at_once = 500;

class AsyncLeaks : public RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    if (server) manager.emplace(make_manager(loop));
  }
  AsyncSessionManager make_manager(const std::shared_ptr<EpollReactor>& on) const {
    auto store = AsyncRedisStore::connect_later(server->unix_url(), {on}, patient());
    return AsyncSessionManager::make(*std::move(store)).value();
  }
  // The loop runs until so many have been told.
  void run_until(const int& told, int due) const {
    while (told < due) loop->run_once();
  }
  // Rounds of `at_once` operations leave what there was after the first sixth of them.
  template <class Round>
  static void expect_nothing_left(int rounds, const Round& round) {
    std::size_t early = 0;
    std::optional<std::size_t> descriptors;
    for (int i = 0; i < rounds; ++i) {
      round();
      if (i <= rounds / 6) early = std::max(early, possessions().resident_bytes);
      if (i == rounds / 6) descriptors = possessions().descriptors;
    }
    const Possessions late = possessions();
    EXPECT_EQ(late.descriptors, descriptors);
    if (!sanitized) {
      EXPECT_LT(late.resident_bytes, early + (std::size_t{4} << 20)) << "memory grows";
    }
  }

  static inline const std::string cookie = "sid=" + std::string(32, 'A');
  const std::shared_ptr<EpollReactor> loop = EpollReactor::make().value();
  std::optional<AsyncSessionManager> manager;
};

// Before anything is sent, and after it.
TEST_F(AsyncLeaks, StoppedOperationsLeaveNothing) {
  bool sends = false;
  expect_nothing_left(operations / at_once, [&] {
    sends = !sends;
    int told = 0;
    std::vector<StopSource> sources(at_once);
    for (const StopSource& source : sources) {
      manager->open({cookie, true}).stop_on(source.token()).start([&](const auto&) { ++told; });
    }
    if (sends) loop->run_once(milliseconds(0));
    for (const StopSource& source : sources) source.request_stop();
    run_until(told, at_once);
  });
  int told = 0;
  manager->open({cookie, true}).start([&](const auto& session) {
    EXPECT_TRUE(session) << "the connection is as it was";
    ++told;
  });
  run_until(told, 1);
}

TEST_F(AsyncLeaks, DestroyedHandlersLeaveNothing) {
  const auto handle = [](const AsyncSessionManager& with, int& told) -> Handler {
    auto opened = with.open({cookie, true});
    const Result<AsyncSession> session = co_await std::move(opened);
    ++told;
  };
  expect_nothing_left(operations / at_once, [&] {
    int told = 0;
    std::vector<Handler> handlers;
    for (int i = 0; i < at_once; ++i) handlers.push_back(handle(*manager, told));
    for (const Handler& handler : handlers) handler.handle.destroy();
    int last = 0;
    manager->open({cookie, true}).start([&](const auto&) { ++last; });
    run_until(last, 1);
    EXPECT_EQ(told, 0);
  });
}

TEST_F(AsyncLeaks, DestroyedStoresTellAndLeaveNothing) {
  int told = 0;
  int begun = 0;
  expect_nothing_left(operations / at_once / 4, [&] {
    std::optional<AsyncSessionManager> mine = make_manager(loop);
    const int turns = begun % 7;
    for (int i = 0; i < 5; ++i) {
      ++begun;
      mine->open({cookie, true}).start([&](const auto& session) {
        ++told;
        if (!session) {
          EXPECT_EQ(session.error().code, Errc::unavailable);
        }
      });
    }
    for (int i = 0; i < turns; ++i) loop->run_once(milliseconds(0));
    mine.reset();
    run_until(told, begun);
    loop->run_once(milliseconds(0));  // when all had been told before, it is closed now
  });
  EXPECT_EQ(told, begun);
}

TEST_F(AsyncLeaks, LoopsThatEndLeaveNothing) {
  expect_nothing_left(operations / at_once / 4, [&] {
    const auto mine = EpollReactor::make().value();
    const AsyncSessionManager on_it = make_manager(mine);
    const auto counted = std::make_shared<int>(0);
    for (int i = 0; i < 5; ++i) {
      mine->post([&on_it, counted] {
        on_it.open({cookie, true}).start([counted](const auto&) { ++*counted; });
      });
    }
    mine->run_once();
  });
}

// On loops of others, which go on without the reactor: whatever is in flight is told.
TEST_F(AsyncLeaks, TheLastToHaveAReactorMayEndAtAnyTurnOnAnyThread) {
  for (const HostKind& kind : host_kinds()) {
    if (!kind.may_end_first && std::string_view(kind.name) != "uv") continue;
    for (int turns = 0; turns < 6; ++turns) {
      for (const bool elsewhere : {true, false}) {
        SCOPED_TRACE(std::string(kind.name) + " " + std::to_string(turns));
        int told = 0;
        const std::unique_ptr<HostLoop> host = kind.make();
        auto store =
            AsyncRedisStore::connect_later(server->unix_url(), {host->reactor()}, patient());
        std::optional<AsyncSessionManager> mine =
            AsyncSessionManager::make(*std::move(store)).value();
        host->let_go();
        host->on_loop([&] {
          for (int i = 0; i < 3; ++i)
            mine->open({cookie, true}).start([&](const auto&) { ++told; });
        });
        for (int i = 0; i < turns; ++i) host->turn();
        if (elsewhere) {
          std::thread([&] { mine.reset(); }).join();
        } else {
          host->on_loop([&] { mine.reset(); });
        }
        for (int i = 0; i < 2000 && told < 3; ++i) host->turn();
        EXPECT_EQ(told, 3);
      }
    }
  }
}

// Two answers come at once; whoever has the first one destroys everything, and the second one is of
// a verb that would go on: it follows what a new id leads to.
TEST_F(AsyncLeaks, WhoeverIsToldMayDestroyStoreAndLoopBetweenTheAnswers) {
  for (int round = 0; round < 20; ++round) {
    auto mine = EpollReactor::make().value();
    std::optional<AsyncSessionManager> on_it = make_manager(mine);
    const auto done = [&mine]<class T>(Op<T> op) {
      std::optional<T> result;
      std::move(op).start([&](auto given) { result.emplace(*std::move(given)); });
      while (!result) mine->run_once();
      return *std::move(result);
    };
    AsyncSession first = done(on_it->create(Fields{{"a", "1"}}));
    AsyncSession second = done(on_it->create(Fields{{"a", "1"}}));
    const SessionId old = *second.id();
    second.regenerate();
    static_cast<void>(done(on_it->commit(second)));
    on_it->find(*first.id()).start([&](const auto& found) {
      EXPECT_TRUE(found.has_value());
      on_it.reset();
      mine.reset();
    });
    on_it->find(old).start([](const auto&) {});
    on_it->erase(old).start([](const auto&) {});
    EpollReactor* const running = mine.get();
    while (mine != nullptr) running->run_once();
  }
}

// Stores are made and destroyed elsewhere than on their loop, which others are busy on.
TEST_F(AsyncLeaks, StoresAreMadeAndDestroyedOnAnyThread) {
  const IoThread io = IoThread::start().value();
  const AsyncSessionManager busy = make_manager(io.reactor());
  for (int i = 0; i < 200; ++i) {
    std::optional<AsyncSessionManager> mine = make_manager(io.reactor());
    busy.open({cookie, true}).start([](const auto&) {});
    if (i % 3 == 0) mine->open({cookie, true}).start([](const auto&) {});
    if (i % 3 == 1) {
      EXPECT_TRUE(mine->open({cookie, true}).wait());
    }
    mine.reset();
  }
  EXPECT_TRUE(busy.open({cookie, true}).wait());
}

// With a Redis that does not answer: the end of the store is told, and that of the loop is not, but
// nothing is left in either case.
TEST_F(AsyncLeaks, TheEndOfAStoreAndOfItsLoopLeaveNothing) {
  server->pause();
  for (const bool store_first : {true, false}) {
    for (int turns = 0; turns < 4; ++turns) {
      const auto counted = std::make_shared<int>(0);
      {
        auto mine = EpollReactor::make().value();
        std::optional<AsyncSessionManager> on_it = make_manager(mine);
        mine->post([&] {
          on_it->open({cookie, true}).start([counted](const auto&) { ++*counted; });
        });
        mine->run_once();
        for (int i = 0; i < turns; ++i) mine->run_once(milliseconds(0));
        if (store_first) {
          mine->post([&] { on_it.reset(); });
          mine->run_once();
        }
      }
      EXPECT_EQ(counted.use_count(), 1) << "of what the loop had";

      std::optional<IoThread> io = IoThread::start().value();
      std::optional<AsyncSessionManager> on_it = make_manager(io->reactor());
      on_it->open({cookie, true}).start([counted](const auto&) { ++*counted; });
      if (store_first) on_it.reset();
      io.reset();
      EXPECT_EQ(counted.use_count(), 1);
      EXPECT_EQ(*counted, store_first ? 1 : 0);
    }
  }
  server->resume();
}

// The child has neither the threads nor, for its own use, the connections of its parent.
TEST_F(AsyncLeaks, AChildOfAForkIsToldAndItsParentGoesOn) {
  int told = 0;
  manager->open({cookie, true}).start([&](const auto& session) {
    EXPECT_TRUE(session);
    ++told;
  });
  run_until(told, 1);
  manager->open({cookie, true}).start([&](const auto& session) {
    EXPECT_TRUE(session) << "in flight when the process forked";
    ++told;
  });
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(20);
    bool was_told = false;
    // Of no loop that runs here: the parent's must not be touched.
    const auto mine = EpollReactor::make().value();
    const AsyncSessionManager anew = make_manager(mine);
    bool works = false;
    anew.open({cookie, true}).start([&](const auto& session) {
      works = session.has_value();
      was_told = true;
    });
    while (!was_told) mine->run_once();
    manager.reset();
    ::_exit(works ? 0 : 1);
  }
  run_until(told, 2);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  manager->open({cookie, true}).start([&](const auto& session) {
    EXPECT_TRUE(session) << "after the child has gone";
    ++told;
  });
  run_until(told, 3);
}

}  // namespace
}  // namespace websession::testing
