// The conformance suite on SQLite: two stores on one file, as two processes have it; encrypted; and
// on an event loop.
#include <gtest/gtest.h>

#include <memory>

#include "encrypted_harness.hpp"
#include "print_case.hpp"
#include "sqlite_fixture.hpp"

namespace websession::testing {
namespace {

// The first of two stores is called from a loop.
class OnALoop final : public StoreHarness {
 public:
  SessionStore& store() override { return *store_; }
  SessionStore& another_store() override { return blocking_.another_store(); }
  ManualClock& clock() override { return blocking_.clock(); }
  void let_pass(std::chrono::milliseconds duration) override { blocking_.let_pass(duration); }

 private:
  SqliteHarness blocking_;
  std::shared_ptr<SessionStore> store_ =
      on_a_loop(std::shared_ptr<SessionStore>(std::shared_ptr<void>(), &blocking_.store()));
};

class SqliteStoreConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(SqliteStoreConformance, Blocking) {
  SqliteHarness harness;
  expect_conformance(GetParam(), harness);
}
TEST_P(SqliteStoreConformance, OnALoop) {
  OnALoop harness;
  expect_conformance(GetParam(), harness);
}
TEST_P(SqliteStoreConformance, Encrypted) {
  SqliteHarness inner;
  EncryptedHarness harness(inner, GetParam());
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, SqliteStoreConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, SqliteStoreConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Abilities, SqliteStoreConformance, ::testing::ValuesIn(ability_cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace websession::testing
