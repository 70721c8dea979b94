#include "websession/memory_store.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fork_support.hpp"
#include "memory_harness.hpp"
#include "print_case.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class MemoryStoreConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(MemoryStoreConformance, Conforms) {
  MemoryHarness harness;
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, MemoryStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, MemoryStoreConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, MemoryStoreConformance, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

// Tells of ends.
class TellingHarness final : public StoreHarness {
 public:
  SessionStore& store() override { return store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(milliseconds duration) override { clock_->advance(duration); }
  std::shared_ptr<EndLog> end_log() override { return log_; }

 private:
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<EndLog> log_ = std::make_shared<EndLog>();
  MemoryStore store_{MemoryOptions{.clock = clock_, .observer = log_}};
};

class MemoryStoreEnds : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(MemoryStoreEnds, AreTold) {
  TellingHarness harness;
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, MemoryStoreEnds, ::testing::ValuesIn(end_event_cases()),
                         [](const auto& tested) { return tested.param.name; });

// Whoever comes across an expired session removes it, and one of them tells of it.
TEST(MemoryStore, EachEndIsToldOnceAmongThreads) {
  class Counting final : public Observer {
   public:
    std::mutex mutex;
    std::map<std::string, int> told;

   protected:
    void on_session(const SessionEvent& event) override {
      const std::lock_guard lock(mutex);
      ++told[label(event.session)];
    }
  };
  constexpr int threads = 8;
  constexpr int each = 300;
  const auto clock = std::make_shared<ManualClock>();
  const auto observer = std::make_shared<Counting>();
  MemoryStore store(MemoryOptions{.clock = clock, .observer = observer});
  const auto at_once = [&](const auto& work) {
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) running.emplace_back([&work, t] { work(t); });
    for (std::thread& thread : running) thread.join();
  };
  const auto key_of = [](int t, int i) { return StoreKey("k" + std::to_string(each * t + i)); };
  at_once([&](int t) {
    for (int i = 0; i < each; ++i) {
      ASSERT_TRUE(store.create(key_of(t, i), {{"@created", "1"}}, {milliseconds(1000)}));
    }
  });
  clock->advance(milliseconds(1001));
  at_once([&](int t) {
    for (int i = 0; i < each; ++i) {
      EXPECT_FALSE(*store.load(key_of((t + i) % threads, i)));
      if (i % 50 == 0) store.sweep(20);
    }
  });
  store.sweep(threads * each);
  EXPECT_EQ(observer->told.size(), std::size_t{threads * each});
  for (const auto& [label, times] : observer->told) EXPECT_EQ(times, 1) << label;
}

Fields fields() { return {{"@created", "1"}, {"a", "1"}}; }

StoreKey key(int i) { return StoreKey("key" + std::to_string(i)); }

TEST(MemoryStore, SizeCountsRecords) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  EXPECT_EQ(store.size(), 0U);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store.create(key(i), fields(), {milliseconds(1000)}));
  EXPECT_EQ(store.size(), 100U);
  ASSERT_TRUE(store.erase(key(3)).has_value());
  EXPECT_EQ(store.size(), 99U);
}

// P3: sessions that nobody asks for again leave by themselves while other calls come in.
TEST(MemoryStore, ExpiredRecordsLeaveWithOtherCalls) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  constexpr int count = 5000;
  for (int i = 0; i < count; ++i) ASSERT_TRUE(store.create(key(i), fields(), {milliseconds(1000)}));
  clock->advance(milliseconds(1001));
  EXPECT_EQ(store.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) ASSERT_TRUE(store.load(key(count + i)).has_value());
  EXPECT_LT(store.size(), 100U) << "unknown keys were asked for, in all shards";
}

TEST(MemoryStore, OneCallRemovesOnlyAFew) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(store.create(key(i), fields(), {milliseconds(1000)}));
  clock->advance(milliseconds(1001));
  ASSERT_TRUE(store.load(key(0)).has_value());
  EXPECT_GE(store.size(), 4998U);
}

TEST(MemoryStore, RenewedRecordsStay) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  ASSERT_TRUE(store.create(key(0), fields(), {milliseconds(1000)}));
  for (int i = 0; i < 100; ++i) {
    clock->advance(milliseconds(900));
    const Result<Outcome> touched = store.update(key(0), {}, {milliseconds(1000)});
    ASSERT_TRUE(touched);
    ASSERT_EQ(touched->status, Outcome::Status::applied) << "after " << i << " renewals";
  }
  EXPECT_EQ(store.size(), 1U);
  clock->advance(milliseconds(1000));
  EXPECT_FALSE(store.load(key(0)).value().has_value());
  EXPECT_EQ(store.size(), 0U);
}

// A loaded record is a snapshot: it stays as it is, whatever happens to the session.
TEST(MemoryStore, RecordsAreSnapshots) {
  MemoryStore store;
  ASSERT_TRUE(store.create(key(0), fields(), {milliseconds(60'000)}));
  const Record record = store.load(key(0)).value().value();
  Changes changes;
  changes.set.push_back({"a", "2"});
  ASSERT_TRUE(store.update(key(0), changes, {milliseconds(60'000)}));
  ASSERT_TRUE(store.erase(key(0)).has_value());
  EXPECT_EQ(record.fields.find("a"), "1");
}

// Threads are in the midst of changes when the process forks, and their locks stay taken in the
// child. It is told what to do instead of hanging.
TEST(MemoryStore, AChildOfAForkIsRefusedAndDoesNotHang) {
  auto store = std::make_unique<MemoryStore>();
  const Fields fields{{"@created", "1"}, {"@user", "ada"}};
  const Lifetime minute{std::chrono::minutes(1), "ada"};
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t n = 0; !done; ++n) {
        const StoreKey key(std::to_string(i) + "-" + std::to_string(n % 5000));
        if (!store->create(key, fields, minute)) (void)store->erase(key);
      }
    });
  }
  // No allocation of the child's own, beyond what the calls need for their errors, and no
  // destructor.
  const auto is_refused = [&] {
    const StoreKey key("k");
    const auto rejected = [](const auto& result) {
      return !result.has_value() && result.error().code == Errc::rejected &&
             !result.error().maybe_applied;
    };
    return rejected(store->load(key)) && rejected(store->create(key, fields, minute)) &&
           rejected(store->update(key, {}, minute)) &&
           rejected(store->rekey(key, StoreKey("l"), {}, minute, {})) &&
           rejected(store->erase(key)) && rejected(store->entries("ada")) &&
           rejected(store->forget("ada", {}, BeingMade::stays)) &&
           rejected(store->end_frozen(key)) && store->sweep(10) == 0 &&
           store->stats().sessions <= 20'000;
  };
  for (int round = 0; round < 100 && child_may_allocate; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::alarm(60);  // it must not hang; if it does, it dies
      const bool refused = is_refused();
      store.reset();
      MemoryStore own;
      ::_exit(refused && own.create(StoreKey("k"), fields, minute) ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "child " << round;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(store->create(StoreKey("k"), fields, minute)) << "the parent goes on";
}

}  // namespace
}  // namespace websession::testing
