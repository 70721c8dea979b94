// Test reports show a case by its name.
#pragma once

#include <ostream>

#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

inline void PrintTo(const ConformanceCase& which, std::ostream* out) { *out << which.name; }

}  // namespace websession::testing
