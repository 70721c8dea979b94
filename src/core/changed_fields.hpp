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

// Whether the field holds something else afterwards, whatever it holds now.
inline bool replaces(const Changes& changes, std::string_view name) {
  return find_set(changes, name) != nullptr || removes(changes, name) ||
         (changes.clear && !name.starts_with('@'));
}

}  // namespace websession::internal
