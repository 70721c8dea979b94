// What changes do to the field of one name.
#pragma once

#include <algorithm>
#include <string_view>

#include "websession/session_store.hpp"

namespace websession::internal {

// Null: they set it not.
inline const Changes::Set* find_set(const Changes& changes, std::string_view name) {
  const auto found = std::find_if(changes.set.begin(), changes.set.end(),
                                  [name](const Changes::Set& set) { return set.name == name; });
  return found == changes.set.end() ? nullptr : &*found;
}

inline bool removes(const Changes& changes, std::string_view name) {
  return std::find(changes.remove.begin(), changes.remove.end(), name) != changes.remove.end();
}

enum class Clear { nothing, attributes, all };

inline Clear clear_of(const Changes& changes) {
  if (!changes.clear) return Clear::nothing;
  return changes.clear_reserved ? Clear::all : Clear::attributes;
}

// Whether a field goes, unless it is set.
inline bool clears(Clear clear, std::string_view name) {
  if (clear == Clear::nothing) return false;
  if (!name.starts_with('@')) return true;
  return clear == Clear::all && name != created_field && name != user_field;
}

// Whether the field holds something else afterwards, whatever it holds now.
inline bool replaces(const Changes& changes, std::string_view name) {
  return find_set(changes, name) != nullptr || removes(changes, name) ||
         clears(clear_of(changes), name);
}

}  // namespace websession::internal
