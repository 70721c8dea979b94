// What a rekey answers that was made already.
#pragma once

#include "websession/session_store.hpp"

namespace websession::internal {

// `held`: what the new key holds by now; nothing if it has ended.
inline Outcome repeated_rekey(const Changes& changes, const Fields& held) {
  Outcome outcome;
  outcome.counters.reserve(changes.increment.size());
  for (const Changes::Increment& increment : changes.increment) {
    const auto text = held.find(increment.name);
    outcome.counters.push_back(text ? parse_integer(*text).value_or(0) : 0);
  }
  return outcome;
}

}  // namespace websession::internal
