// A process that forks while its threads are in flight. A child uses connections of its own, and
// nothing that another thread may have held at that moment.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "fault_fixture.hpp"
#include "fork_support.hpp"

namespace websession::testing {
namespace {

class RedisFork : public RedisFaultTest {
 protected:
  // What the child does with the store; true: all was well.
  bool work_as_child(SessionStore& store, const StoreKey& shared, int child) {
    ::alarm(60);  // a child that hangs dies
    if (!store.update(shared, one_more(), minute)) return false;
    const StoreKey key = fresh_key();
    const std::string own = "child " + std::to_string(child);
    for (int i = 0; i < 20; ++i) {
      if (i == 0 && !store.create(key, fields({{"own", own}}), minute)) return false;
      const auto loaded = store.load(key);
      if (!loaded.has_value() || !loaded->has_value() || (**loaded).fields.find("own") != own)
        return false;
    }
    return store.erase(key).value_or(false);
  }

  static void expect_success(pid_t child) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "the child died of signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the child failed";
  }
};

TEST_F(RedisFork, ChildrenAndParentGoOnWhile64ThreadsAreInFlight) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  const auto store = connect(patient(options));
  const StoreKey shared = make_session();
  Tally tally(options.operation_timeout, scheduling_margin);
  Random random;
  constexpr int rounds = 10;
  constexpr int siblings = 2;
  {
    Crowd crowd(*store, tally, random.bits());
    for (int i = 0; i < rounds; ++i) {
      wait_for_successes(tally, 100);
      std::vector<pid_t> children;
      for (int sibling = 0; sibling < siblings; ++sibling) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) ::_exit(work_as_child(*store, shared, i * siblings + sibling) ? 0 : 1);
        children.push_back(child);
      }
      for (const pid_t child : children) expect_success(child);
    }
    crowd.settle();
  }
  for (const std::string& failure : tally.failures()) ADD_FAILURE() << failure;
  EXPECT_EQ(tally.calls(), tally.successes()) << "the parent did not notice its children";
  expect_own(*store, shared, std::to_string(rounds * siblings));
}

TEST_F(RedisFork, AGrandchildConnectsAnewAsWell) {
  const auto store = connect(patient(options));
  const StoreKey shared = make_session();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    bool well = work_as_child(*store, shared, 1);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) ::_exit(work_as_child(*store, shared, 2) ? 0 : 1);
    int status = -1;
    well = ::waitpid(grandchild, &status, 0) == grandchild && status == 0 && well;
    ::_exit(well && work_as_child(*store, shared, 3) ? 0 : 1);
  }
  expect_success(child);
  expect_own(*store, shared, "3");
}

TEST_F(RedisFork, ThreadsOfAChildShareTheNewConnection) {
  proxy.reset();  // and with it the last other thread: TSan allows a child threads of its own then
  const auto store = connect(patient(options));
  const StoreKey shared = make_session();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::atomic<int> well = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] { well += work_as_child(*store, shared, t) ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
    ::_exit(well == 8 ? 0 : 1);
  }
  expect_success(child);
  expect_own(*store, shared, "8");
}

}  // namespace
}  // namespace websession::testing
