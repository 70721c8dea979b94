// Conformance cases as GoogleTest runs them.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

// Test reports show a case by its name.
inline void PrintTo(const ConformanceCase& which, std::ostream* out) { *out << which.name; }

inline void expect_conformance(const ConformanceCase& tested, StoreHarness& harness) {
  for (const std::string& failure : run_conformance_case(tested, harness)) {
    ADD_FAILURE() << failure;
  }
}

}  // namespace websession::testing
