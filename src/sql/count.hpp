// How many sessions a table has, from a part of its rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "websession/session_directory.hpp"

namespace websession::sql {

// So many rows are counted one by one.
inline constexpr std::int64_t counted_max = 100'000;

struct Sample {
  std::int64_t rows = 0;
  std::int64_t unexpired = 0;  // of these
  std::int64_t sessions = 0;   // of those

  [[nodiscard]] bool is_all() const noexcept { return rows <= counted_max; }
  [[nodiscard]] SessionCount all() const noexcept {
    return {static_cast<std::uint64_t>(sessions), true};
  }
  // When the table has so many.
  [[nodiscard]] SessionCount of_unexpired(std::int64_t all_unexpired) const noexcept {
    return share(sessions, unexpired, all_unexpired);
  }
  [[nodiscard]] SessionCount of_rows(std::int64_t all_rows) const noexcept {
    return share(sessions, rows, all_rows);
  }

 private:
  static SessionCount share(std::int64_t part, std::int64_t whole, std::int64_t all) noexcept {
    const double reckoned = static_cast<double>(std::max(all, whole)) * static_cast<double>(part) /
                            static_cast<double>(std::max<std::int64_t>(whole, 1));
    return {static_cast<std::uint64_t>(reckoned), false};
  }
};

}  // namespace websession::sql
