// Sessions on event loops with threads of their own: stores that block, waiting, stops and ends
// from outside.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "loop_store.hpp"
#include "memory_harness.hpp"
#include "print_case.hpp"
#include "random.hpp"
#include "websession/async/encrypted_store.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"
#include "websession/store_decorator.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// A MemoryStore that is reached through a loop.
class LoopHarness final : public StoreHarness {
 public:
  enum class Kind { immediate, threads, encrypted };

  LoopHarness(Kind kind, const ConformanceCase& tested) {
    const auto memory = std::make_shared<MemoryStore>(clock_);
    auto thread = std::make_unique<IoThread>(IoThread::start().value());
    const AsyncSessionStore::Reactors loops{thread->reactor()};
    auto store = kind == Kind::immediate ? immediate(memory, loops).value()
                                         : on_threads(memory, loops).value();
    if (kind == Kind::encrypted) {
      EncryptionOptions options;
      options.keys = KeyRing::make({std::string(32, 'k')}).value();
      options.countable = tested.counters;
      options.retry_for = std::chrono::seconds(20);
      store = encrypted(std::move(store), std::move(options)).value();
    }
    store_ = std::make_unique<LoopStore>(std::move(thread), std::move(store));
  }
  SessionStore& store() override { return *store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(milliseconds duration) override { clock_->advance(duration); }
  [[nodiscard]] int race_rounds() const override { return 10; }

 private:
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::unique_ptr<LoopStore> store_;
};

class AsyncStoreConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(AsyncStoreConformance, Conforms) {
  using Kind = LoopHarness::Kind;
  for (const Kind kind : {Kind::immediate, Kind::threads, Kind::encrypted}) {
    SCOPED_TRACE(static_cast<int>(kind));
    LoopHarness harness(kind, GetParam());
    expect_conformance(GetParam(), harness);
  }
}

INSTANTIATE_TEST_SUITE_P(Case, AsyncStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, AsyncStoreConformance, ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, AsyncStoreConformance, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

// A store whose loads wait until they may go on.
class Gated final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<std::optional<Record>> load(const StoreKey& key) override {
    std::unique_lock lock(mutex_);
    ++waiting;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    lock.unlock();
    return inner().load(key);
  }
  void wait_for(int calls) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting >= calls; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int waiting = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class OnThreads : public ::testing::Test {
 protected:
  OnThreads() { make({.threads = 2, .pending_max = 2}); }
  ~OnThreads() override { gate->open(); }
  void make(const ThreadOptions& options) {
    manager.emplace(
        AsyncSessionManager::make(on_threads(gate, {io.reactor()}, options).value()).value());
  }
  // Starts the operation from outside; what it gives is waited for with `answer`.
  template <class T>
  struct Started {
    internal::Signal signal{};
    std::optional<Result<T>> result{};
    Result<T>& answer() {
      signal.wait();
      return *result;
    }
  };
  template <class T>
  static std::shared_ptr<Started<T>> start(Op<T> op) {
    auto started = std::make_shared<Started<T>>();
    std::move(op).start([started](Result<T> result) {
      started->result.emplace(std::move(result));
      started->signal.give();
    });
    return started;
  }
  static RequestInfo request() {
    static const std::string cookie = "sid=" + std::string(32, 'A');
    return {cookie, true};
  }

  IoThread io = IoThread::start().value();
  std::shared_ptr<Gated> gate = std::make_shared<Gated>(std::make_shared<MemoryStore>());
  std::optional<AsyncSessionManager> manager;
};

TEST_F(OnThreads, ALoopGoesOnWhileAStoreWaits) {
  const auto opening = start(manager->open(request()));
  gate->wait_for(1);
  EXPECT_TRUE(manager->open({}).wait()) << "needs no store, and the loop is free";
  gate->open();
  EXPECT_TRUE(opening->answer());
}

TEST_F(OnThreads, NoMoreThanSoManyWaitForAThread) {
  std::vector<std::shared_ptr<Started<AsyncSession>>> all;
  for (int i = 0; i < 2; ++i) all.push_back(start(manager->open(request())));
  gate->wait_for(2);
  for (int i = 0; i < 2; ++i) all.push_back(start(manager->open(request())));
  const Result<AsyncSession> refused = manager->open(request()).wait();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  gate->open();
  for (const auto& started : all) EXPECT_TRUE(started->answer());
}

TEST_F(OnThreads, AStopIsAnsweredThoughTheThreadStillWaits) {
  StopSource source;
  const auto opening = start(manager->open(request()).stop_on(source.token()));
  gate->wait_for(1);
  source.request_stop();
  ASSERT_FALSE(opening->answer());
  EXPECT_EQ(opening->answer().error().code, Errc::canceled);
}

TEST_F(OnThreads, ADeadlineIsKeptThoughTheThreadStillWaits) {
  const auto by = std::chrono::steady_clock::now() + milliseconds(20);
  const Result<AsyncSession> late = manager->open(request()).by(by).wait();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);
  EXPECT_FALSE(late.error().maybe_applied);
}

TEST_F(OnThreads, TheEndOfTheStoreAnswersWhatWaitsAndWaitsForWhatRuns) {
  std::vector<std::shared_ptr<Started<AsyncSession>>> all;
  for (int i = 0; i < 2; ++i) all.push_back(start(manager->open(request())));
  gate->wait_for(2);
  for (int i = 0; i < 2; ++i) all.push_back(start(manager->open(request())));
  EXPECT_TRUE(manager->open({}).wait());  // so all have begun
  std::thread opens([this] { gate->open(); });
  manager.reset();
  opens.join();
  int refused = 0;
  for (const auto& started : all) {
    if (!started->answer()) {
      EXPECT_EQ(started->answer().error().code, Errc::unavailable);
      ++refused;
    }
  }
  EXPECT_LE(refused, 2);
}

TEST_F(OnThreads, WaitingForALoopThatEndsIsAnError) {
  std::optional<IoThread> ends = IoThread::start().value();
  std::optional<AsyncSessionManager> on_it =
      AsyncSessionManager::make(on_threads(gate, {ends->reactor()}).value()).value();
  std::thread waits([&] {
    const Result<AsyncSession> waited = on_it->open(request()).wait();
    EXPECT_FALSE(waited);
    EXPECT_EQ(waited.error().code, Errc::unavailable);
  });
  gate->wait_for(1);
  ends.reset();
  gate->open();  // too late: the answer comes to a loop that nobody runs
  on_it.reset();
  waits.join();
}

// The answer comes to a loop that has ended, so the thread that made the call drops what waits for
// it, and with that the last manager: the store then ends on one of its own threads.
TEST_F(OnThreads, AStoreMayEndOnOneOfItsOwnThreads) {
  std::optional<IoThread> ends = IoThread::start().value();
  auto store = on_threads(gate, {ends->reactor()}).value();
  const std::weak_ptr<AsyncSessionStore> known = store;
  std::optional<AsyncSessionManager> on_it = AsyncSessionManager::make(std::move(store)).value();
  on_it->open(request()).start([kept = *on_it](const auto&) { FAIL() << "nobody is told"; });
  gate->wait_for(1);
  on_it.reset();
  ends.reset();
  EXPECT_FALSE(known.expired());
  gate->open();
  while (!known.expired()) std::this_thread::yield();
}

// What a loop has been given to begin must not keep that loop.
TEST_F(OnThreads, AnOperationThatResumesOnItsOwnLoopGoesWithIt) {
  const auto counted = std::make_shared<int>(0);
  for (const bool is_own : {true, false}) {
    auto one = EpollReactor::make().value();
    auto other = EpollReactor::make().value();
    const std::weak_ptr<EpollReactor> known = one;
    std::optional<AsyncSessionManager> on_one =
        AsyncSessionManager::make(immediate(std::make_shared<MemoryStore>(), {one}).value())
            .value();
    std::optional<AsyncSessionManager> on_other =
        AsyncSessionManager::make(immediate(std::make_shared<MemoryStore>(), {other}).value())
            .value();
    on_one->open({}).resume_on(is_own ? one : other).start([counted](const auto&) {});
    on_other->open({}).resume_on(one).start([counted](const auto&) {});
    on_one.reset();
    on_other.reset();
    one.reset();
    other.reset();
    EXPECT_TRUE(known.expired());
    EXPECT_EQ(counted.use_count(), 1);
  }
}

TEST_F(OnThreads, WaitingForALoopThatHasEndedIsAnError) {
  std::optional<IoThread> ends = IoThread::start().value();
  const auto on_it = AsyncSessionManager::make(
                         immediate(std::make_shared<MemoryStore>(), {ends->reactor()}).value())
                         .value();
  ends.reset();
  const Result<AsyncSession> waited = on_it.open({}).wait();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::unavailable);
}

TEST_F(OnThreads, WaitingForTheLoopThatItResumesOnIsAnError) {
  const auto here = EpollReactor::make().value();
  std::optional<Result<AsyncSession>> waited;
  here->post([&] { waited.emplace(manager->open({}).resume_on(here).wait()); });
  here->run_once();
  ASSERT_FALSE(*waited);
  EXPECT_EQ(waited->error().code, Errc::invalid_argument);
}

TEST_F(OnThreads, ACallOfAManagerEndsByTheOptionsOfTheThreads) {
  make({.threads = 2, .pending_max = 2, .operation_timeout = milliseconds(20)});
  const Result<AsyncSession> late = manager->open(request()).wait();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);
}

// Two loops and four threads that start, stop and drop at random: each is told at most once, and
// those who wait exactly once.
TEST(AsyncThreads, AnyHistoryOnTwoLoops) {
  const IoThread first = IoThread::start().value();
  const IoThread second = IoThread::start().value();
  const auto memory = std::make_shared<MemoryStore>();
  const auto store = on_threads(memory, {first.reactor(), second.reactor()}).value();
  const auto manager = AsyncSessionManager::make(store).value();
  std::atomic<int> told = 0;
  std::atomic<int> begun = 0;
  Random seeds;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, seed = seeds.bits()] {
      std::mt19937_64 random(seed);
      const auto one_of = [&random](unsigned count) { return random() % count == 0; };
      for (int i = 0; i < 300; ++i) {
        const StopSource source;
        auto op = manager.create({}).stop_on(source.token());
        const auto& loop = one_of(2) ? first.reactor() : second.reactor();
        ++begun;
        if (one_of(2)) {
          const auto shared = std::make_shared<Op<AsyncSession>>(std::move(op));
          loop->post([shared, &told] {
            std::move(*shared).start([&told](const Result<AsyncSession>&) { ++told; });
          });
        } else {
          std::move(op).resume_on(loop).start([&told](const Result<AsyncSession>&) { ++told; });
        }
        if (one_of(3)) source.request_stop();
        if (one_of(5)) {
          EXPECT_TRUE(manager.open({}).wait());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (told < begun && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(told, begun);
}

}  // namespace
}  // namespace websession::testing
