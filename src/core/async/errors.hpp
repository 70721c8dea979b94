// The errors of operations on event loops, whatever the store. Inline, as every component gives
// them.
#pragma once

#include <string>

#include "websession/result.hpp"

namespace websession::internal {

// What a store, a clock or a callback of the host has thrown.
[[nodiscard]] inline Error thrown(const char* what) {
  return make_error(Errc::unavailable,
                    std::string("a store, a clock or a callback has thrown: ") + what);
}

[[nodiscard]] inline Error canceled() {
  return make_error(Errc::canceled, "a stop was requested before anything was written");
}

[[nodiscard]] inline Error store_gone() {
  return make_error(Errc::unavailable, "the store has been destroyed");
}

[[nodiscard]] inline Error inherited() {
  return make_error(Errc::unavailable, "after a fork, a child needs a store of its own");
}

}  // namespace websession::internal
