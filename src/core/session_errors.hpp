// What a session answers to what cannot be done with it, and small questions that its parts share.
#pragma once

#include <optional>
#include <string_view>

#include "invalid.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::internal {

inline bool is_attribute(std::string_view name) { return !name.starts_with('@'); }

inline bool has_passed(const std::optional<WallTime>& deadline, const Clock& clock) {
  return deadline && *deadline <= clock.wall();
}

inline Error ended_error() {
  return make_error(Errc::gone, "the session ended while this request used it; open a new one");
}

inline Error over_error() { return invalid("the session has ended; open a new one"); }

inline Error busy_error() {
  return invalid(
      "another operation on this session is still running: await it, or give each task a session "
      "of its own (open)");
}

}  // namespace websession::internal
