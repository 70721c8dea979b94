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

// When the principal was last asked to prove who it is, after the sign-in (reauthenticate): Unix
// ms; 0: nobody knows.
inline constexpr std::string_view authenticated_field = "@authenticated";
// Another name of the session, as alias_text makes it (alias.hpp).
inline constexpr std::string_view alias_field = "@alias";
// Timeouts of the session's own: the idle one and the absolute one in ms, a blank between.
inline constexpr std::string_view timeouts_field = "@timeouts";
// Whether its cookie outlives the browser's window: 1, or 0. None: as the options say.
inline constexpr std::string_view persistent_field = "@persistent";

}  // namespace websession::internal
