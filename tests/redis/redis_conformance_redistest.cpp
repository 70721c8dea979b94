#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "certificates.hpp"
#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

class RedisStoreConformance : public RedisTest,
                              public ::testing::WithParamInterface<ConformanceCase> {
 protected:
  void run(const std::string& url, RedisOptions options);
};

class RedisStoreOverTls : public RedisStoreConformance {
 protected:
  std::vector<std::string> server_options() override { return {"--tls-auth-clients", "no"}; }
  std::optional<RedisTls> server_tls() override {
    const Identity identity = authority.issue_for_localhost();
    return RedisTls{identity.certificate_file, identity.key_file, authority.certificate_file()};
  }
  Authority authority;
};

void RedisStoreConformance::run(const std::string& url, RedisOptions options) {
  options.clock = clock;
  // The cases ask what is right, not how fast: a loaded machine, or a sanitizer, may be slow.
  options.operation_timeout = std::chrono::seconds(20);
  options.record_bytes_max = 1024 * 1024;
  RedisHarness harness(RedisStore::connect(url, std::move(options)).value(), clock);

  // P3, watched from outside while the case runs: no key is ever without a time to live.
  std::atomic<bool> done = false;
  std::thread watcher([&] {
    RedisProbe outside(*server);
    while (!done) {
      for (const std::string& key : outside.keys("sid_")) {
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

TEST_P(RedisStoreConformance, Conforms) { run(server->url(), {}); }

TEST_P(RedisStoreOverTls, Conforms) {
  RedisOptions options;
  options.tls.ca_file = authority.certificate_file();
  run(server->tls_url(), std::move(options));
}

INSTANTIATE_TEST_SUITE_P(Case, RedisStoreOverTls, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Case, RedisStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, RedisStoreConformance, ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
