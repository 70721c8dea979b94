#include "query.hpp"

#include <algorithm>

#include "websession/session_store.hpp"

namespace websession::postgres {
namespace {

// The first line, without control bytes: it may go to a log.
std::string words(const char* message) {
  std::string_view text = message == nullptr ? "" : message;
  text = text.substr(0, text.find('\n'));
  std::string line;
  std::copy_if(text.begin(), text.end(), std::back_inserter(line), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7f;
  });
  return line;
}

bool is_of(std::string_view refusal, std::string_view its_class) {
  return refusal.starts_with(its_class);
}

// By https://www.postgresql.org/docs/current/errcodes-appendix.html
Errc code_of(std::string_view refusal) {
  if (refusal == "57014" || refusal == "55P03") return Errc::timeout;  // statement, lock
  if (refusal == "53300") return Errc::overloaded;                     // too many connections
  if (is_of(refusal, "08") || is_of(refusal, "53") || is_of(refusal, "57") ||
      is_of(refusal, "58") || is_of(refusal, "40")) {
    return Errc::unavailable;
  }
  if (is_of(refusal, "54")) return Errc::too_large;
  if (is_of(refusal, "XX")) return Errc::corrupt;
  return Errc::rejected;
}

std::string hint(std::string_view refusal) {
  if (refusal == refusal::undefined_table) {
    return ": let the store make its tables (PostgresOptions::create_tables), or make them by "
           "docs/sql-layout.md";
  }
  if (refusal == "42501") {
    return ": grant it USAGE on the schema, SELECT, INSERT, UPDATE and DELETE on "
           "websession_sessions and SELECT on websession_schema, and CREATE on the schema if the "
           "store is to make them";
  }
  if (refusal == "25006") return ": this is a standby, or read-only: connect to the primary";
  if (refusal == "57014" || refusal == "55P03") {
    return ": its time was over, as another statement held the session's row, or somebody has "
           "canceled it";
  }
  if (refusal == "3F000") {
    return ": the first schema of search_path has to be there, and the role needs USAGE on it";
  }
  if (refusal == "42P05" || refusal == "26000") {
    return ": if a pooler (PgBouncer) stands between, set PostgresOptions::transaction_pooling";
  }
  if (refusal == "42P07") {
    return ": there is a table of this name, but no version in websession_schema: "
           "docs/sql-layout.md tells how both are made";
  }
  return "";
}

}  // namespace

std::string_view Rows::refusal() const noexcept {
  const ExecStatusType status = PQresultStatus(result_.get());
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return {};
  const char* const state = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
  return state != nullptr ? state : "08006";
}

Error Rows::error() const {
  const std::string_view state = refusal();
  std::string text = "PostgreSQL refused a statement (";
  text.append(state).append(")");
  // Of data and constraints it says what they hold, which is nobody's business.
  if (!is_of(state, "22") && !is_of(state, "23")) {
    const char* const message = PQresultErrorField(result_.get(), PG_DIAG_MESSAGE_PRIMARY);
    text += ": " + words(message != nullptr ? message : "the connection was lost");
  }
  return make_error(code_of(state), text + hint(state));
}

std::int64_t Rows::integer(std::size_t row, int column) const noexcept {
  return parse_integer(text(row, column)).value_or(0);
}

std::size_t Rows::changed() const noexcept {
  const char* const count = PQcmdTuples(result_.get());
  return static_cast<std::size_t>(parse_integer(count).value_or(0));
}

Error connection_error(const PGconn* connection, std::string_view what) {
  const std::string said = words(PQerrorMessage(connection));
  return make_error(Errc::unavailable,
                    "PostgreSQL: " + std::string(what) + (said.empty() ? "" : ": " + said));
}

Error cannot_connect(const PGconn* connection) {
  Error error = connection_error(connection, "cannot connect");
  // libpq has no code for what a server says while one connects, only its words. In another
  // language than English they are not understood: then it is `unavailable`.
  const auto says = [&error](std::string_view words) {
    return error.detail.find(words) != std::string::npos;
  };
  const bool is_away = says("Is the server running");
  const bool was_refused = PQconnectionNeedsPassword(connection) != 0 ||
                           says("authentication failed") || says("pg_hba.conf") ||
                           says("does not exist") || says("does not support SSL") ||
                           says("certificate");
  if (was_refused && !is_away) error.code = make_error_code(Errc::rejected);
  return error;
}

bool is_transient(std::string_view refusal) noexcept {
  return refusal == "40001" || refusal == "40P01";  // serialization failure, deadlock
}

bool is_stale(std::string_view refusal) noexcept {
  return refusal == "0A000" || refusal == "26000";  // the plan's columns are others; no statement
}

}  // namespace websession::postgres
