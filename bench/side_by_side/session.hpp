// The session that every client works on: six fields, 275 bytes of names and values.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>

#include "client.hpp"
#include "websession/session_store.hpp"

namespace websession::bench {

using NameAndValue = std::pair<std::string_view, std::string_view>;

inline constexpr std::array<NameAndValue, 6> session_fields = {{
    {"@created", "1760000000000"},
    {"user", "grace.hopper@example.org"},
    {"csrf", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    {"cart", R"([{"sku":"A-10017","count":12},{"sku":"B-200234","count":11}])"},
    {"return_to", "/orders/2025/checkout?step=payment&coupon=SUMMER2025"},
    {"last_seen", "2025-10-09T08:53:20.000Z"},
}};

// What SAVE writes, with a value as long as this one.
inline constexpr std::string_view saved_field = "last_seen";
inline constexpr std::chrono::seconds time_to_live{1800};

// What a `Session` that was loaded a moment ago says with an update. It renews when that lengthens
// the session's life by a tenth; `always`: each time, as the peers do.
Lifetime lifetime_of(Renewal renewal);

// As many ids as that, under a prefix that nothing else uses.
Keys draw_keys(std::size_t count);

consteval std::size_t bytes_of(const std::array<NameAndValue, 6>& fields) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : fields) bytes += name.size() + value.size();
  return bytes;
}
static_assert(bytes_of(session_fields) == 275);

}  // namespace websession::bench
