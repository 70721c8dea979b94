// A RedisStore as the conformance suite wants it.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "websession/redis_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

class RedisHarness final : public StoreHarness {
 public:
  RedisHarness(std::shared_ptr<RedisStore> store, std::shared_ptr<ManualClock> clock)
      : store_(std::move(store)), clock_(std::move(clock)) {}

  SessionStore& store() override { return *store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override {
    clock_->advance(duration);
    std::this_thread::sleep_for(duration);  // Redis counts real time
  }

 private:
  std::shared_ptr<RedisStore> store_;
  std::shared_ptr<ManualClock> clock_;
};

}  // namespace websession::testing
