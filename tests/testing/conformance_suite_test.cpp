// The suite itself is tested: it passes a correct store and fails on each broken one.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "defective_store.hpp"
#include "memory_harness.hpp"

namespace websession::testing {
namespace {

class DefectiveHarness final : public ClockedHarness<DefectiveStore> {
 public:
  using ClockedHarness<DefectiveStore>::ClockedHarness;
  bool let_backend_fail(bool fails) override {
    static_cast<DefectiveStore&>(store()).set_down(fails);
    return true;
  }
  // The defects let others go first, so that a few threads are enough to meet.
  [[nodiscard]] int race_threads() const override { return 8; }
  [[nodiscard]] int race_rounds() const override { return 5; }
};

std::vector<std::string> failures_with(Defect defect) {
  std::vector<std::string> failures;
  for (const ConformanceCase& tested : conformance_cases()) {
    DefectiveHarness harness(defect);
    for (const std::string& failure : run_conformance_case(tested, harness)) {
      failures.push_back(tested.name + ": " + failure);
    }
  }
  return failures;
}

TEST(ConformanceSuite, PassesACorrectStore) {
  for (const std::string& failure : failures_with(Defect::none)) ADD_FAILURE() << failure;
}

// Each process has sessions of its own.
class LonelyHarness final : public ClockedHarness<MemoryStore> {
 public:
  SessionStore& another_store() override { return other_; }
  [[nodiscard]] int race_threads() const override { return 4; }
  [[nodiscard]] int race_rounds() const override { return 2; }

 private:
  MemoryStore other_;
};

TEST(ConformanceSuite, NoticesThatProcessesDoNotShareTheirSessions) {
  std::size_t noticed = 0;
  for (const ConformanceCase& tested : conformance_cases()) {
    LonelyHarness harness;
    const bool is_race = tested.name.starts_with("race_");
    const bool failed = !run_conformance_case(tested, harness).empty();
    EXPECT_FALSE(failed && !is_race) << tested.name;
    noticed += failed ? 1 : 0;
  }
  EXPECT_GE(noticed, 5U);
}

class EachDefect : public ::testing::TestWithParam<int> {};

TEST_P(EachDefect, IsNoticed) {
  const std::vector<std::string> failures = failures_with(static_cast<Defect>(GetParam()));
  ASSERT_FALSE(failures.empty()) << "no case failed on defect number " << GetParam();
  std::cout << failures.size() << " failures, the first: " << failures.front() << '\n';
}

INSTANTIATE_TEST_SUITE_P(Defects, EachDefect,
                         ::testing::Range(1, static_cast<int>(Defect::last) + 1));

TEST(ConformanceSuite, CaseNamesAreIdentifiersAndUnique) {
  std::vector<std::string> names;
  for (const ConformanceCase& tested : conformance_cases()) {
    EXPECT_EQ(tested.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos)
        << tested.name;
    EXPECT_EQ(std::find(names.begin(), names.end(), tested.name), names.end()) << tested.name;
    EXPECT_TRUE(tested.promise.starts_with("P")) << tested.name;
    names.push_back(tested.name);
  }
  for (const ConformanceCase& tested : principal_index_cases()) {
    EXPECT_EQ(std::find(names.begin(), names.end(), tested.name), names.end()) << tested.name;
    EXPECT_EQ(tested.promise, "index") << tested.name;
    names.push_back(tested.name);
  }
  for (const auto& cases : {session_directory_cases(), end_event_cases(), alias_cases()}) {
    for (const ConformanceCase& tested : cases) {
      EXPECT_EQ(std::find(names.begin(), names.end(), tested.name), names.end()) << tested.name;
      names.push_back(tested.name);
    }
  }
}

}  // namespace
}  // namespace websession::testing
