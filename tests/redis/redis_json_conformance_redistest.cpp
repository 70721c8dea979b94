// The conformance suite on one JSON text a session. No case is left out: what one text cannot is
// seen only beside writers that do not use the library (redis_json_store.hpp).
#include <gtest/gtest.h>

#include <string>

#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

class RedisJsonStoreConformance : public RedisTest,
                                  public ::testing::WithParamInterface<ConformanceCase> {};

TEST_P(RedisJsonStoreConformance, Conforms) {
  RedisJsonOptions options;
  options.redis = patient_options(clock);
  RedisHarness harness(connect_redis_json(server->url(), options).value(), clock,
                       connect_redis_json(server->url(), options).value());
  expect_conformance(GetParam(), harness, *server, "");
}

INSTANTIATE_TEST_SUITE_P(Case, RedisJsonStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Directory, RedisJsonStoreConformance,
                         ::testing::ValuesIn(session_directory_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
