// The slots of a Redis Cluster, and keys that lie in a slot of one's choice.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "websession/result.hpp"
#include "websession/session_id.hpp"

namespace websession::redis {

inline constexpr std::size_t slots_count = 16'384;
using Slot = std::uint16_t;

// Where a Cluster keeps a key: by what stands between the first '{' and the next '}', if that is
// anything, else by all of it.
[[nodiscard]] Slot slot_of(std::string_view key) noexcept;

// Whether all keys that begin with the prefix lie in one slot, by the tag in it.
[[nodiscard]] inline bool has_tag(std::string_view prefix) noexcept {
  return prefix.find('{') != std::string_view::npos;
}

// A new id, so that `prefix` and the id lie in that slot: the last three of its characters are
// drawn among those that fit, 8 to 23, and the others at will, so at least 177 of its bits are
// random. Precondition: the prefix has no tag. Error: no_randomness.
Result<SessionId> draw_id(std::string_view prefix, Slot slot);

// Three characters that lie in that slot when they are a tag; always the same ones.
[[nodiscard]] std::string tag_of(Slot slot);

}  // namespace websession::redis
