// Keys under which a store holds a count in place of a session: a record with `@created` and one
// attribute, which no id leads to.
#pragma once

#include <string>
#include <string_view>

#include "websession/session_id.hpp"

namespace websession::internal {

// Ids never contain ':', whatever IdFormat allows, and "2:" begins the keys that hold hashed ids.
inline constexpr std::string_view count_prefix = "3:";

// `name`: says nothing about what is counted, and is nobody's guess.
inline StoreKey count_key(std::string_view name) {
  return StoreKey(std::string(count_prefix) + std::string(name));
}

inline bool is_count_key(const StoreKey& key) { return key.secret().starts_with(count_prefix); }

}  // namespace websession::internal
