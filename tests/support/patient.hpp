// Deadlines of tests whose subject is not time.
#pragma once

#include <chrono>

#include "websession/redis_store.hpp"

namespace websession::testing {

// The options with long deadlines where the test has set none: a loaded machine, or a sanitizer,
// may be slow.
inline RedisOptions patient(RedisOptions options = {}) {
  const RedisOptions defaults;
  constexpr std::chrono::seconds long_enough(20);
  if (options.connect_timeout == defaults.connect_timeout) options.connect_timeout = long_enough;
  if (options.operation_timeout == defaults.operation_timeout) {
    options.operation_timeout = long_enough;
  }
  return options;
}

}  // namespace websession::testing
