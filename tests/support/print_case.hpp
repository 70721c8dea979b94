// Conformance cases as GoogleTest runs them.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

// Test reports show a case by its name.
inline void PrintTo(const ConformanceCase& which, std::ostream* out) { *out << which.name; }

// What stores can do beside their verbs, but for the index alone.
inline std::vector<ConformanceCase> ability_cases() {
  std::vector<ConformanceCase> all = session_directory_cases();
  for (ConformanceCase& one : alias_cases()) all.push_back(std::move(one));
  return all;
}

inline void expect_conformance(const ConformanceCase& tested, StoreHarness& harness) {
  for (const std::string& failure : run_conformance_case(tested, harness)) {
    ADD_FAILURE() << failure;
  }
}

}  // namespace websession::testing
