// The conformance suite on one JSON text a session. No case is left out: what one text cannot is
// seen only beside writers that do not use the library (redis_json_store.hpp).
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

class JsonHarness final : public StoreHarness {
 public:
  JsonHarness(std::shared_ptr<RedisJsonStore> store, std::shared_ptr<ManualClock> clock)
      : store_(std::move(store)), clock_(std::move(clock)) {}

  SessionStore& store() override { return *store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(milliseconds duration) override {
    clock_->advance(duration);
    std::this_thread::sleep_for(duration);  // Redis counts real time
  }

 private:
  std::shared_ptr<RedisJsonStore> store_;
  std::shared_ptr<ManualClock> clock_;
};

class RedisJsonStoreConformance : public RedisTest,
                                  public ::testing::WithParamInterface<ConformanceCase> {};

TEST_P(RedisJsonStoreConformance, Conforms) {
  RedisJsonOptions options;
  options.redis.clock = clock;
  // The cases ask what is right, not how fast: a loaded machine, or a sanitizer, may be slow.
  options.redis.operation_timeout = std::chrono::seconds(20);
  options.redis.record_bytes_max = 1024 * 1024;
  JsonHarness harness(RedisJsonStore::connect(server->url(), std::move(options)).value(), clock);

  // P3, watched from outside while the case runs: no key is ever without a time to live.
  std::atomic<bool> done = false;
  std::thread watcher([&] {
    RedisProbe outside(*server);
    while (!done) {
      for (const std::string& key : outside.keys("")) {
        EXPECT_NE(outside.integer({"PTTL", key}), -1) << "a key without a time to live";
      }
    }
  });
  for (const std::string& failure : run_conformance_case(GetParam(), harness)) {
    ADD_FAILURE() << failure;
  }
  done = true;
  watcher.join();
}

INSTANTIATE_TEST_SUITE_P(Case, RedisJsonStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
