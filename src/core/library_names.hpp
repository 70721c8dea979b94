// What the library itself keeps in a session, under names that start with '@': so a handler's set,
// remove and clear do not reach it, and a new id takes it along. It does not count into the
// session's limits: whoever keeps something there bounds it.
#pragma once

#include <string_view>

namespace websession::internal {

// One-time codes: `@code` and all that begin with `@code.`.
inline constexpr std::string_view code_field = "@code";
inline constexpr std::string_view csrf_field = "@csrf";
inline constexpr std::string_view flash_prefix = "@flash.";

}  // namespace websession::internal
