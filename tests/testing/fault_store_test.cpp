#include "websession/testing/fault_store.hpp"

#include <gtest/gtest.h>

#include "websession/memory_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

const Fields fields{{"@created", "1"}};
const StoreKey key("key");

TEST(FaultStore, FailsExactlyTheCallItWasToldTo) {
  FaultStore store(std::make_shared<MemoryStore>());
  store.fail_call(2, make_error(Errc::timeout, "told to"));
  EXPECT_TRUE(store.load(key).has_value());
  const Result<std::optional<Record>> failed = store.load(key);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, Errc::timeout);
  EXPECT_FALSE(failed.error().maybe_applied);
  EXPECT_TRUE(store.load(key).has_value());
  EXPECT_EQ(store.calls(), 3U);
}

TEST(FaultStore, AFaultBeforeWritesNothingAndOneAfterHasWritten) {
  FaultStore store(std::make_shared<MemoryStore>());
  store.fail_call(1, make_error(Errc::unavailable, "told to"));
  EXPECT_FALSE(store.create(key, fields, {milliseconds(1000)}));
  EXPECT_FALSE(store.load(key).value().has_value());
  store.fail_call(1, make_error(Errc::unavailable, "told to"), FaultStore::Moment::after);
  const Result<void> created = store.create(key, fields, {milliseconds(1000)});
  ASSERT_FALSE(created);
  EXPECT_TRUE(created.error().maybe_applied);
  EXPECT_TRUE(store.load(key).value().has_value());
}

TEST(FaultStore, AnOutageLastsUntilItRecovers) {
  FaultStore store(std::make_shared<MemoryStore>());
  store.fail_all(make_error(Errc::unavailable, "told to"));
  EXPECT_FALSE(store.load(key).has_value());
  EXPECT_FALSE(store.update(key, {}, {milliseconds(1000)}));
  EXPECT_FALSE(store.rekey(key, StoreKey("other"), {}, {milliseconds(1000)}, {}));
  EXPECT_FALSE(store.erase(key).has_value());
  store.recover();
  EXPECT_TRUE(store.load(key).has_value());
}

}  // namespace
}  // namespace websession::testing
