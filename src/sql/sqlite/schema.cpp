#include "schema.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace websession::sqlite {
namespace {

// docs/sql-layout.md shows it and tells what each column is.
constexpr std::array steps = {
    R"sql(CREATE TABLE websession_sessions (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
  expires_at INTEGER NOT NULL CHECK (typeof(expires_at) = 'integer'),
  principal TEXT,
  label TEXT,
  data TEXT NOT NULL,
  bytes TEXT,
  until TEXT,
  mark TEXT CHECK (mark IN ('frozen', 'over', 'passed')),
  successor TEXT,
  listed_at INTEGER CHECK (typeof(listed_at) IN ('integer', 'null')),
  CHECK (principal IS NULL OR mark IS NULL OR mark = 'frozen')
);
CREATE INDEX websession_by_end ON websession_sessions (expires_at);
CREATE INDEX websession_by_principal ON websession_sessions (principal, listed_at)
  WHERE principal IS NOT NULL;
)sql"};

Result<bool> has_table(Connection& connection, std::string_view name) {
  Statement statement(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1");
  return statement.bind(1, name).step();
}

Result<std::int64_t> version_of(Connection& connection) {
  const Result<bool> has_version = has_table(connection, "websession_schema");
  if (!has_version.has_value()) return has_version.error();
  if (!*has_version) {
    const Result<bool> has_sessions = has_table(connection, "websession_sessions");
    if (!has_sessions.has_value()) return has_sessions.error();
    if (!*has_sessions) return 0;
    return make_error(Errc::rejected,
                      "SQLite: the file has a table websession_sessions that this library did not "
                      "make: take another file");
  }
  Statement statement(connection, "SELECT max(version) FROM websession_schema");
  const Result<bool> row = statement.step();
  if (!row.has_value()) return row.error();
  return statement.integer(0);
}

// A file of others may be in another encoding, in which not all that is UTF-8 comes back.
Result<void> check_encoding(Connection& connection) {
  Statement statement(connection, "PRAGMA encoding");
  const Result<bool> row = statement.step();
  if (!row.has_value()) return row.error();
  if (*row && statement.text(0) == "UTF-8") return {};
  return make_error(Errc::rejected, "SQLite: the file's encoding is not UTF-8: take another file");
}

Result<void> bring_up_to_date(Connection& connection, std::span<const char* const> all) {
  const Result<std::int64_t> found = version_of(connection);
  if (!found) return found.error();
  const auto last = static_cast<std::int64_t>(all.size());
  if (*found > last) {
    return make_error(
        Errc::rejected,
        "SQLite: a newer version of this library has written the file (its schema is " +
            std::to_string(*found) + ", and this version knows those up to " +
            std::to_string(last) + "): update this program, too");
  }
  if (*found < 0) {
    return make_error(Errc::corrupt, "SQLite: websession_schema holds no version of this library");
  }
  if (*found == last) return {};
  std::string sql = "CREATE TABLE IF NOT EXISTS websession_schema (version INTEGER NOT NULL);\n";
  for (std::int64_t i = *found; i < last; ++i) sql += all[static_cast<std::size_t>(i)];
  sql += "DELETE FROM websession_schema; INSERT INTO websession_schema VALUES (" +
         std::to_string(last) + ")";
  return connection.run(sql.c_str());
}

}  // namespace

std::span<const char* const> schema_steps() noexcept { return steps; }

Result<void> migrate(Connection& connection, std::span<const char* const> all) {
  if (auto begun = connection.run("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done = check_encoding(connection);
  if (done) done = bring_up_to_date(connection, all);
  if (done) done = connection.run("COMMIT");
  if (!done) connection.roll_back();
  return done;
}

Result<void> check_schema(Connection& connection, std::span<const char* const> all) {
  const Result<std::int64_t> found = version_of(connection);
  if (!found) return found.error();
  if (*found == static_cast<std::int64_t>(all.size())) return {};
  return make_error(Errc::rejected,
                    *found == 0 ? "SQLite: there are no sessions of this library in the file"
                                : "SQLite: another version of this library has written the file: "
                                  "use its tools, or let the store change it "
                                  "(SqliteOptions::create_tables)");
}

}  // namespace websession::sqlite
