#include "websession/memory_store.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "memory_harness.hpp"
#include "print_case.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class MemoryStoreConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(MemoryStoreConformance, Conforms) {
  MemoryHarness harness;
  for (const std::string& failure : run_conformance_case(GetParam(), harness)) {
    ADD_FAILURE() << failure;
  }
}

INSTANTIATE_TEST_SUITE_P(Case, MemoryStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, MemoryStoreConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });

Fields fields() { return {{"@created", "1"}, {"a", "1"}}; }

StoreKey key(int i) { return StoreKey("key" + std::to_string(i)); }

TEST(MemoryStore, SizeCountsRecords) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  EXPECT_EQ(store.size(), 0U);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store.create(key(i), fields(), {milliseconds(1000)}));
  EXPECT_EQ(store.size(), 100U);
  ASSERT_TRUE(store.erase(key(3)));
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
  for (int i = 0; i < count; ++i) ASSERT_TRUE(store.load(key(count + i)));
  EXPECT_LT(store.size(), 100U) << "unknown keys were asked for, in all shards";
}

TEST(MemoryStore, OneCallRemovesOnlyAFew) {
  auto clock = std::make_shared<ManualClock>();
  MemoryStore store(clock);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(store.create(key(i), fields(), {milliseconds(1000)}));
  clock->advance(milliseconds(1001));
  ASSERT_TRUE(store.load(key(0)));
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
  ASSERT_TRUE(store.erase(key(0)));
  EXPECT_EQ(record.fields.find("a"), "1");
}

}  // namespace
}  // namespace websession::testing
