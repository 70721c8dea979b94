// What tests against a real Redis start from.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "connect_redis.hpp"
#include "patient.hpp"
#include "redis_server.hpp"
#include "sentinel_group.hpp"
#include "websession/redis_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {

using std::chrono::milliseconds;

class RedisTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (redis_server_is_installed()) {
      server = std::make_unique<RedisServer>(server_options(), server_tls());
      probe = std::make_unique<RedisProbe>(*server);
      if (tested_topology() == "sentinel") its_sentinel_ = start_sentinel(server->port());
      return;
    }
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "redis-server is not installed, and under CI nothing is skipped";
    }
    GTEST_SKIP() << "redis-server is not installed";
  }

  // How the store finds the server, in the topology that is tested.
  [[nodiscard]] std::string url() const {
    return its_sentinel_ ? sentinel_url({its_sentinel_->port()}) : server->url();
  }

  virtual std::vector<std::string> server_options() { return {}; }
  virtual std::optional<RedisTls> server_tls() { return {}; }

  StorePtr connect(RedisOptions options = {}) {
    options.clock = clock;
    return connect_redis(url(), patient(std::move(options))).value();
  }

  static StoreKey fresh_key() { return StoreKey(SessionId::generate().value()); }
  [[nodiscard]] Fields fields(std::vector<Field> attributes = {}) const {
    attributes.push_back({"@created", "1700000000000"});
    return Fields(attributes);
  }
  static std::string redis_key(const StoreKey& key) { return "sid_" + key.secret(); }

  std::unique_ptr<RedisServer> server;
  std::unique_ptr<RedisProbe> probe;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  static constexpr Lifetime minute{milliseconds(60'000)};

 private:
  std::unique_ptr<RedisServer> its_sentinel_;
};

}  // namespace websession::testing
