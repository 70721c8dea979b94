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
#include "redis_cluster.hpp"
#include "redis_server.hpp"
#include "sentinel_group.hpp"
#include "slots.hpp"
#include "websession/redis_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {

using std::chrono::milliseconds;

class RedisTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (redis_server_is_installed()) {
      if (tested_topology() == "cluster") {
        static RedisCluster all;  // takes seconds, so one serves all tests of a process
        cluster_ = &all;
        server = std::shared_ptr<RedisServer>(std::shared_ptr<void>(), &all.node(0));
      } else {
        server = std::make_shared<RedisServer>(server_options(), server_tls());
      }
      probe = std::make_unique<RedisProbe>(*server);
      if (cluster_ != nullptr) {
        for (const std::string& key : probe->keys("")) probe->integer({"UNLINK", key});
      }
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
    if (cluster_ != nullptr) return cluster_->url();
    return its_sentinel_ ? sentinel_url({its_sentinel_->port()}) : server->url();
  }

  virtual std::vector<std::string> server_options() { return {}; }
  virtual std::optional<RedisTls> server_tls() { return {}; }

  StorePtr connect(RedisOptions options = {}) {
    options.clock = clock;
    return connect_redis(url(), patient(std::move(options))).value();
  }

  // A session can be moved from each of these to each other one.
  [[nodiscard]] StoreKey fresh_key() const {
    const bool has_slots = tested_topology() == "cluster";
    return StoreKey((has_slots ? redis::draw_id("sid_", slot_) : SessionId::generate()).value());
  }
  [[nodiscard]] Fields fields(std::vector<Field> attributes = {}) const {
    attributes.push_back({"@created", "1700000000000"});
    return Fields(attributes);
  }
  static std::string redis_key(const StoreKey& key) { return "sid_" + key.secret(); }

  std::shared_ptr<RedisServer> server;  // of a Cluster, its first node
  std::unique_ptr<RedisProbe> probe;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  static constexpr Lifetime minute{milliseconds(60'000)};

 private:
  std::unique_ptr<RedisServer> its_sentinel_;
  RedisCluster* cluster_ = nullptr;
  const redis::Slot slot_ = redis::slot_of(SessionId::generate().value().secret());
};

}  // namespace websession::testing
