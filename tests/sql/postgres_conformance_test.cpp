// The conformance suite on PostgreSQL: two stores on the same tables, as two processes have them,
// of which the first one may be on an event loop; and encrypted.
#include <gtest/gtest.h>

#include "encrypted_harness.hpp"
#include "postgres_fixture.hpp"
#include "print_case.hpp"

namespace websession::testing {
namespace {

class PostgresStoreConformance : public PostgresTest,
                                 public ::testing::WithParamInterface<ConformanceCase> {};

TEST_P(PostgresStoreConformance, Blocking) {
  PostgresHarness harness(*schema);
  expect_conformance(GetParam(), harness);
}
TEST_P(PostgresStoreConformance, OnALoop) {
  PostgresHarness harness(*schema, PostgresHarness::First::on_a_loop);
  expect_conformance(GetParam(), harness);
}
TEST_P(PostgresStoreConformance, Encrypted) {
  PostgresHarness inner(*schema);
  EncryptedHarness harness(inner, GetParam());
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, PostgresStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, PostgresStoreConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, PostgresStoreConformance, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
