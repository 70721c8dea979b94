// A store in Redis as the conformance suite wants it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "patient.hpp"
#include "print_case.hpp"
#include "redis_server.hpp"
#include "tcp_proxy.hpp"
#include "websession/redis_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

inline RedisOptions patient_options(std::shared_ptr<const Clock> clock) {
  RedisOptions options = patient();
  options.clock = std::move(clock);
  options.record_bytes_max = 1024 * 1024;
  return options;
}

class RedisHarness final : public StoreHarness {
 public:
  // `another`: as another process has it. `proxy`: through which the store reaches its server.
  RedisHarness(std::shared_ptr<SessionStore> store, std::shared_ptr<ManualClock> clock,
               std::shared_ptr<SessionStore> another = {}, TcpProxy* proxy = nullptr)
      : store_(std::move(store)),
        clock_(std::move(clock)),
        another_(another ? std::move(another) : store_),
        proxy_(proxy) {}

  SessionStore& store() override { return *store_; }
  SessionStore& another_store() override { return *another_; }
  bool let_backend_fail(bool fails) override {
    if (proxy_ == nullptr) return false;
    if (!fails) {
      proxy_->forward();
      return true;
    }
    proxy_->refuse();
    proxy_->close_all();
    return true;
  }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override {
    clock_->advance(duration);
    std::this_thread::sleep_for(duration);  // Redis counts real time
  }

 private:
  std::shared_ptr<SessionStore> store_;
  std::shared_ptr<ManualClock> clock_;
  std::shared_ptr<SessionStore> another_;
  TcpProxy* proxy_;
};

// expect_conformance with P3 watched from outside while the case runs: no key that begins with
// `prefix` is ever without a time to live.
inline void expect_conformance(const ConformanceCase& tested, StoreHarness& harness,
                               RedisServer& server, const std::string& prefix) {
  std::atomic<bool> done = false;
  std::thread watcher([&] {
    RedisProbe outside(server);
    while (!done) {
      for (const std::string& key : outside.keys(prefix)) {
        EXPECT_NE(outside.integer({"PTTL", key}), -1) << "a key without a time to live";
      }
    }
  });
  expect_conformance(tested, harness);
  done = true;
  watcher.join();
}

}  // namespace websession::testing
