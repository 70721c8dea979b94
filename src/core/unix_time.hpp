// Wall times as the numbers that they are stored as: Unix milliseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "websession/clock.hpp"

namespace websession::internal {

[[nodiscard]] inline std::int64_t unix_ms(WallTime time) noexcept {
  return time.time_since_epoch().count();
}

[[nodiscard]] inline WallTime from_unix_ms(std::int64_t ms) noexcept {
  return WallTime(std::chrono::milliseconds(ms));
}

// None: it is no integer.
[[nodiscard]] inline std::optional<WallTime> time_of(const nlohmann::json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  return from_unix_ms(value.get<std::int64_t>());
}

}  // namespace websession::internal
