#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "certificates.hpp"
#include "hinting_store.hpp"
#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

class RedisStoreConformance : public RedisTest,
                              public ::testing::WithParamInterface<ConformanceCase> {
 protected:
  void run(const std::string& url, const RedisOptions& options) {
    run(connect_redis(url, options).value(), connect_redis(url, options).value());
  }
  void run(std::shared_ptr<SessionStore> store, std::shared_ptr<SessionStore> another) {
    RedisHarness harness(std::move(store), clock, std::move(another));
    expect_conformance(GetParam(), harness, *server, "sid_");
  }
};

class RedisStoreOutage : public RedisTest {};

class RedisStoreOverTls : public RedisStoreConformance {
 protected:
  std::vector<std::string> server_options() override { return {"--tls-auth-clients", "no"}; }
  std::optional<RedisTls> server_tls() override {
    const Identity identity = authority.issue_for_localhost();
    return RedisTls{identity.certificate_file, identity.key_file, authority.certificate_file()};
  }
  Authority authority;
};

// What is known of a session leads to transactions.
class RedisStoreWithHints : public RedisStoreConformance {};

TEST_P(RedisStoreWithHints, Conforms) {
  const auto connect = [&] {
    return std::make_shared<HintingStore>(connect_redis(url(), patient_options(clock)).value());
  };
  run(connect(), connect());
}

// The cases about a backend that fails, with one that does.
TEST_F(RedisStoreOutage, Conforms) {
  TcpProxy proxy(server->port());
  RedisOptions options = patient_options(clock);
  options.operation_timeout = std::chrono::seconds(5);  // each call in the outage may take as long
  RedisHarness harness(connect_redis(proxy.url(), options).value(), clock, {}, &proxy);
  for (const ConformanceCase& tested : conformance_cases()) {
    if (tested.name.find("outage") != std::string::npos) expect_conformance(tested, harness);
  }
}

TEST_P(RedisStoreConformance, Conforms) { run(url(), patient_options(clock)); }

TEST_P(RedisStoreOverTls, Conforms) {
  RedisOptions options = patient_options(clock);
  options.tls.ca_file = authority.certificate_file();
  run(server->tls_url(), options);
}

INSTANTIATE_TEST_SUITE_P(Case, RedisStoreOverTls, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Case, RedisStoreWithHints, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, RedisStoreWithHints, ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Case, RedisStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, RedisStoreConformance, ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, RedisStoreConformance, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
