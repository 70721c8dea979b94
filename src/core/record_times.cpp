#include "record_times.hpp"

#include <algorithm>
#include <cstdint>

namespace websession::internal {

using std::chrono::milliseconds;

std::optional<WallTime> time_of(std::string_view text) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  // What is beyond would overflow the clock's arithmetic.
  if (!ms || *ms < 0 || *ms > 253'402'300'799'999) return std::nullopt;
  return WallTime(milliseconds(*ms));
}

Result<std::optional<WallTime>> created_of(const Fields& fields) {
  const std::optional<std::string_view> text = fields.find(created_field);
  if (!text) return std::optional<WallTime>();
  const std::optional<WallTime> created = time_of(*text);
  if (!created) return make_error(Errc::corrupt, "a session's @created is not a time");
  return created;
}

std::string created_text(WallTime created) {
  return std::to_string(created.time_since_epoch().count());
}

bool is_ahead(WallTime created, WallTime now) noexcept { return created - now > clock_skew_max; }

milliseconds remaining_of(const Record& record) noexcept {
  return std::clamp(record.remaining, milliseconds(0), ttl_max);
}

WallTime signed_in_at(WallTime created, milliseconds remaining, milliseconds idle_timeout,
                      WallTime now) noexcept {
  if (!is_ahead(created, now)) return created;
  return now - std::max(idle_timeout - remaining, milliseconds(0));
}

WallTime renewed_at(WallTime created, milliseconds remaining, milliseconds idle_timeout,
                    WallTime now) {
  // The last renewal gave the idle timeout. (Or less, close to the absolute timeout: how much less,
  // nobody knows.)
  return std::clamp(now + remaining - idle_timeout, std::min(created, now), now);
}

}  // namespace websession::internal
