// What a record says of its times. It may have been written by anybody, so all who want to know ask
// here, and nothing that comes out overflows.
#pragma once

#include <chrono>
#include <optional>

#include "websession/clock.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// How far the clocks of servers may be apart (docs/operations.md says a second or two). A
// `@created` beyond it was written by a clock that was wrong.
inline constexpr std::chrono::milliseconds clock_skew_max = std::chrono::seconds(5);

// `@created`; none: a foreign hash. Error: corrupt, it is no time up to the year 9999.
Result<std::optional<WallTime>> created_of(const Fields& fields);

// The time to live that is left: 0 to 400 days.
[[nodiscard]] std::chrono::milliseconds remaining_of(const Record& record) noexcept;

// When the time to live was last renewed, as far as what is left of it tells.
[[nodiscard]] WallTime renewed_at(WallTime created, std::chrono::milliseconds remaining,
                                  std::chrono::milliseconds idle_timeout, WallTime now);

}  // namespace websession::internal
