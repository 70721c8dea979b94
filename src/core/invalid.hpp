// The error of most checks: a caller's mistake.
#pragma once

#include <string>
#include <utility>

#include "websession/result.hpp"

namespace websession::internal {

inline Error invalid(std::string detail) {
  return make_error(Errc::invalid_argument, std::move(detail));
}

}  // namespace websession::internal
