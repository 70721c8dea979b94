// All SQL that the SQLite store runs while it works, by name. That of the schema is in schema.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace websession::sqlite {

enum class Sql : std::uint8_t {
  begin_write,
  commit,
  find,          // ?1 key → a row as in row_verbs.cpp
  insert,        // ?1 key, then as change_all, ?10 now; none is changed when the key is taken
  change,        // ?1 id, ?2… created_at, label, data, bytes, until
  change_all,    // the same, ?7 expires_at, ?8 principal, ?9 listed_at
  renew,         // ?1 id, ?2 expires_at
  freeze,        // ?1 id, ?2 expires_at, ?3 successor
  end,           // ?1 id, ?2 expires_at, ?3 mark, ?4 successor: nothing can be read any more
  strip,         // ?1 key: the same for one that is frozen
  drop,          // ?1 id
  list,          // ?1 principal, ?2 now, ?3 limit → keys
  drop_expired,  // ?1 now, ?2 limit
  page,          // ?1 id, ?2 now, ?3 limit → id, key, whether it is a session that lives
  sample,        // ?1 now, ?2 limit → rows, those that have not expired, sessions among these
  unexpired,     // ?1 now → how many rows
};
inline constexpr std::size_t statement_count = 16;

[[nodiscard]] const char* text_of(Sql sql) noexcept;

}  // namespace websession::sqlite
