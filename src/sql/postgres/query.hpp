// What is asked of PostgreSQL, and its answer.
#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "statements.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

// Null when there is none.
using Parameter = std::optional<std::string>;

struct Query {
  Sql sql;  // without a name: statements without parameters, which are not prepared
  std::vector<Parameter> parameters{};
  bool writes = false;
};

// An answer: rows, as text, and how many were changed; or that the statement was refused, and then
// nothing of it is kept.
class Rows {
 public:
  // Not null.
  explicit Rows(PGresult* result) noexcept : result_(result) {}

  // Five characters ("23505"); empty: it was not refused.
  [[nodiscard]] std::string_view refusal() const noexcept;
  // Precondition: it was.
  [[nodiscard]] Error error() const;

  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(PQntuples(result_.get()));
  }
  [[nodiscard]] std::optional<std::string_view> optional_text(std::size_t row,
                                                              int column) const noexcept {
    const int i = static_cast<int>(row);
    if (PQgetisnull(result_.get(), i, column) != 0) return std::nullopt;
    return std::string_view(PQgetvalue(result_.get(), i, column),
                            static_cast<std::size_t>(PQgetlength(result_.get(), i, column)));
  }
  // Precondition: the column is never null.
  [[nodiscard]] std::string_view text(std::size_t row, int column) const noexcept {
    return optional_text(row, column).value_or(std::string_view());
  }
  [[nodiscard]] std::int64_t integer(std::size_t row, int column) const noexcept;
  [[nodiscard]] std::size_t changed() const noexcept;

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

// What became of a connection. Unavailable.
Error connection_error(const PGconn* connection, std::string_view what);
// The same for one that could not be made: rejected, if the server said no.
Error cannot_connect(const PGconn* connection);

namespace refusal {
inline constexpr std::string_view unique_violation = "23505";
inline constexpr std::string_view undefined_table = "42P01";
}  // namespace refusal
// Whether others were in the statement's way, and it may be asked again as it is.
bool is_transient(std::string_view refusal) noexcept;
// Whether a prepared statement is of no use any more, since somebody has changed the table, or
// dropped the statement. It was not executed.
bool is_stale(std::string_view refusal) noexcept;

}  // namespace websession::postgres
