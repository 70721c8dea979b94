// What a record says of its times. It may have been written by anybody, so all who want to know ask
// here, and nothing that comes out overflows.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/clock.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// How far the clocks of servers may be apart (docs/operations.md says a second or two). A
// `@created` beyond it was written by a clock that was wrong.
inline constexpr std::chrono::milliseconds clock_skew_max = std::chrono::seconds(5);

// Unix ms, up to the year 9999; nullopt: it is none.
[[nodiscard]] std::optional<WallTime> time_of(std::string_view text);
// `@created`; none: a foreign hash. Error: corrupt, it is no time up to the year 9999.
Result<std::optional<WallTime>> created_of(const Fields& fields);

// How it is written.
[[nodiscard]] std::string created_text(WallTime created);
// The fields with `@created` added. Inline as below.
[[nodiscard]] inline Fields with_created(const Fields& fields, std::string_view created) {
  std::vector<Field> all(fields.begin(), fields.end());
  all.push_back({created_field, created});
  return Fields(all);
}
// Whether it lies so far in the future that a wrong clock has written it.
[[nodiscard]] bool is_ahead(WallTime created, WallTime now) noexcept;

// The time to live that is left: 0 to 400 days.
[[nodiscard]] std::chrono::milliseconds remaining_of(const Record& record) noexcept;

// What a session may have left at most, as the store sees it, for an update to renew it
// (is_renewal_due). -1: only one that has no end, which always gets one. The most that there is:
// any.
//
// Inline, since the stores need it, and a shared library shows only what public headers declare.
[[nodiscard]] inline std::chrono::milliseconds renewal_due_at(const Lifetime& lifetime) noexcept {
  constexpr std::chrono::milliseconds any(1);
  if (lifetime.shortens) return std::max(ttl_max, lifetime.ttl);
  const std::chrono::milliseconds least = std::max(lifetime.renew_after, any);
  const bool is_known_to_be_due = lifetime.left && *lifetime.left <= lifetime.ttl - least;
  return std::max(lifetime.ttl - (is_known_to_be_due ? any : least), std::chrono::milliseconds(-1));
}

// When the principal signed in, for an order that all servers share, whatever their clocks say. A
// `@created` from a wrong clock cannot tell: then it is the last renewal, which the store has
// timed.
[[nodiscard]] WallTime signed_in_at(WallTime created, std::chrono::milliseconds remaining,
                                    std::chrono::milliseconds idle_timeout, WallTime now) noexcept;

// When the time to live was last renewed, as far as what is left of it tells.
[[nodiscard]] WallTime renewed_at(WallTime created, std::chrono::milliseconds remaining,
                                  std::chrono::milliseconds idle_timeout, WallTime now);

}  // namespace websession::internal
