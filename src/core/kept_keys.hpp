// Keys under which a store holds what is no session: a record with `@created`, which no id leads
// to. Ids never contain ':', whatever IdFormat allows, and "2:" begins the keys that hold hashed
// ids.
#pragma once

#include <string>
#include <string_view>

#include "websession/session_id.hpp"

namespace websession::internal {

// A count, of one attribute.
inline constexpr std::string_view count_prefix = "3:";
// Who has sessions of an alias (alias.hpp).
inline constexpr std::string_view alias_prefix = "4:";

// `name`: says nothing about what is kept, and is nobody's guess.
inline StoreKey kept_key(std::string_view prefix, std::string_view name) {
  return StoreKey(std::string(prefix) + std::string(name));
}

inline bool is_count_key(const StoreKey& key) { return key.secret().starts_with(count_prefix); }
inline bool is_session_key(std::string_view key) noexcept {
  return !key.starts_with(count_prefix) && !key.starts_with(alias_prefix);
}
inline bool is_session_key(const StoreKey& key) noexcept { return is_session_key(key.secret()); }

}  // namespace websession::internal
