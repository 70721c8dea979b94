#include "schema.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace websession::postgres {
namespace {

// docs/sql-layout.md shows it and tells what each column is.
constexpr std::array steps = {
    R"sql(CREATE TABLE websession_sessions (
  key text COLLATE "C" PRIMARY KEY,
  created_at bigint NOT NULL,
  expires_at timestamptz NOT NULL CHECK (isfinite(expires_at)),
  principal text COLLATE "C",
  label text,
  data jsonb NOT NULL,
  bytes jsonb,
  until jsonb,
  mark text CHECK (mark IN ('frozen', 'over', 'passed')),
  successor text COLLATE "C",
  listed_at timestamptz CHECK (isfinite(listed_at)),
  CHECK (principal IS NULL OR mark IS NULL OR mark = 'frozen')
);
CREATE INDEX websession_by_end ON websession_sessions (expires_at);
CREATE INDEX websession_by_principal ON websession_sessions (principal, listed_at)
  WHERE principal IS NOT NULL;
)sql"};

// Whether these are applied is no concern of the call that needs the connection.
Query statements(const std::string& text) { return Query{{nullptr, text.c_str()}}; }

Result<std::int64_t> version_in(const Rows& rows, std::int64_t last) {
  const std::int64_t version = rows.size() > 0 ? rows.integer(0, 0) : 0;
  if (version > last) {
    return make_error(
        Errc::rejected,
        "PostgreSQL: a newer version of this library has made the tables (their schema is " +
            std::to_string(version) + ", and this version knows those up to " +
            std::to_string(last) + "): update this program, too");
  }
  if (version < 0) {
    return make_error(Errc::corrupt,
                      "PostgreSQL: websession_schema holds no version of this library");
  }
  return version;
}

Task<Result<void>> run_once(QueryFlow& flow, const std::string& text, Rows* last) {
  const Query query = statements(text);
  auto asked = flow.run(query);
  Result<Rows>& rows = co_await asked;
  if (!rows) co_return std::move(rows).error();
  if (!rows->refusal().empty()) co_return rows->error();
  if (last != nullptr) *last = *std::move(rows);
  co_return Result<void>();
}

// In one transaction, after whoever does the same: the lock's number is the library's own.
Task<Result<void>> migrate(QueryFlow& flow, const Setup& setup) {
  const std::string begin =
      "BEGIN; SELECT pg_advisory_xact_lock(2019914611); "
      "CREATE TABLE IF NOT EXISTS websession_schema (version integer NOT NULL); "
      "SELECT max(version) FROM websession_schema";
  Rows rows{nullptr};
  auto beginning = run_once(flow, begin, &rows);
  Result<void> begun = co_await beginning;
  if (!begun) co_return std::move(begun).error();
  const auto last = static_cast<std::int64_t>(setup.steps.size());
  const Result<std::int64_t> version = version_in(rows, last);
  if (!version) co_return version.error();
  std::string text;
  for (std::int64_t i = *version; i < last; ++i) text += setup.steps[static_cast<std::size_t>(i)];
  text += "DELETE FROM websession_schema; INSERT INTO websession_schema VALUES (" +
          std::to_string(last) + "); COMMIT";
  auto ending = run_once(flow, text, nullptr);
  Result<void> ended = co_await ending;
  if (!ended) co_return std::move(ended).error();
  co_return Result<void>();
}

}  // namespace

std::span<const char* const> schema_steps() noexcept { return steps; }

Task<Result<void>> set_up(QueryFlow& flow, const Setup& setup) {
  if (setup.statement_timeout.count() > 0) {
    // A statement whose caller has gone ends, too; and what the database sets for others is not
    // meant for these.
    const std::string text =
        "SET statement_timeout = " + std::to_string(setup.statement_timeout.count()) +
        "; SET default_transaction_isolation = 'read committed'";
    auto setting = run_once(flow, text, nullptr);
    Result<void> set = co_await setting;
    if (!set) co_return std::move(set).error();
  }
  const std::string text = "SELECT max(version) FROM websession_schema";
  const Query query = statements(text);
  auto asked = flow.run(query);
  Result<Rows>& rows = co_await asked;
  if (!rows) co_return std::move(rows).error();
  const bool is_missing = rows->refusal() == refusal::undefined_table;
  if (!rows->refusal().empty() && !(is_missing && setup.creates_tables)) co_return rows->error();
  const auto last = static_cast<std::int64_t>(setup.steps.size());
  if (!is_missing) {
    const Result<std::int64_t> version = version_in(*rows, last);
    if (!version) co_return version.error();
    if (*version == last) co_return Result<void>();
    if (!setup.creates_tables) {
      co_return make_error(
          Errc::rejected,
          "PostgreSQL: the tables are those of an older version of this library: "
          "let the store change them (PostgresOptions::create_tables), or do so by "
          "docs/sql-layout.md");
    }
  }
  auto migrating = migrate(flow, setup);
  Result<void> migrated = co_await migrating;
  if (!migrated) co_return std::move(migrated).error();
  co_return Result<void>();
}

}  // namespace websession::postgres
