#include "statements.hpp"

namespace websession::sqlite {

const char* text_of(Sql sql) noexcept {
  switch (sql) {
    case Sql::begin_write:
      return "BEGIN IMMEDIATE";
    case Sql::commit:
      return "COMMIT";
    case Sql::find:
      return "SELECT id, expires_at, mark, successor, created_at, principal, label, data, bytes, "
             "until FROM websession_sessions WHERE key = ?1";
    case Sql::insert:
      // What has expired under this key is not there.
      return "INSERT INTO websession_sessions "
             "(key, created_at, label, data, bytes, until, expires_at, principal, listed_at) "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (key) DO UPDATE SET "
             "mark = NULL, successor = NULL, created_at = excluded.created_at, "
             "label = excluded.label, data = excluded.data, bytes = excluded.bytes, "
             "until = excluded.until, expires_at = excluded.expires_at, "
             "principal = excluded.principal, listed_at = excluded.listed_at "
             "WHERE websession_sessions.expires_at <= ?10";
    case Sql::change:
      // Without what is in an index, which would be written anew.
      return "UPDATE websession_sessions SET created_at = ?2, label = ?3, data = ?4, bytes = ?5, "
             "until = ?6 WHERE id = ?1";
    case Sql::change_all:
      return "UPDATE websession_sessions SET created_at = ?2, label = ?3, data = ?4, bytes = ?5, "
             "until = ?6, expires_at = ?7, principal = ?8, "
             "listed_at = CASE WHEN principal IS ?8 THEN listed_at ELSE ?9 END WHERE id = ?1";
    case Sql::renew:
      return "UPDATE websession_sessions SET expires_at = ?2 WHERE id = ?1";
    case Sql::freeze:
      return "UPDATE websession_sessions SET expires_at = ?2, mark = 'frozen', successor = ?3 "
             "WHERE id = ?1";
    case Sql::end:
      return "UPDATE websession_sessions SET expires_at = ?2, mark = ?3, successor = ?4, "
             "principal = NULL, label = NULL, data = '{}', bytes = NULL, until = NULL, "
             "listed_at = NULL WHERE id = ?1";
    case Sql::strip:
      return "UPDATE websession_sessions SET mark = 'over', principal = NULL, label = NULL, "
             "data = '{}', bytes = NULL, until = NULL, listed_at = NULL "
             "WHERE key = ?1 AND mark = 'frozen'";
    case Sql::drop:
      return "DELETE FROM websession_sessions WHERE id = ?1";
    case Sql::list:
      return "SELECT key FROM websession_sessions WHERE principal = ?1 AND expires_at > ?2 "
             "ORDER BY listed_at, id LIMIT ?3";
    case Sql::drop_expired:
      return "DELETE FROM websession_sessions WHERE id IN (SELECT id FROM websession_sessions "
             "WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    case Sql::page:
      return "SELECT id, key, mark IS NULL AND expires_at > ?2 FROM websession_sessions "
             "WHERE id > ?1 ORDER BY id LIMIT ?3";
    case Sql::sample:
      return "SELECT count(*), total(lives), total(lives AND is_session) FROM ("
             "SELECT expires_at > ?1 AS lives, "
             "mark IS NULL AND key NOT GLOB '3:*' AND key NOT GLOB '4:*' AS is_session "
             "FROM websession_sessions LIMIT ?2)";
    case Sql::unexpired:
      return "SELECT count(*) FROM websession_sessions WHERE expires_at > ?1";
  }
  return "";
}

}  // namespace websession::sqlite
