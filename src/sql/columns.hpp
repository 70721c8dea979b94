// A session's fields as the columns of a row, the same in every database. No I/O.
//
//   created_at  `@created`, Unix ms
//   principal   `@user`
//   label       `@label`
//   data        {"<name>":"<stored text>", …}: all others, as far as JSON can hold them
//   bytes       {"<base64 of the name>":["<base64 of the text>", <deadline>], …}: the rest
//   until       {"<name>":<Unix ms>, …}: deadlines of what is in data
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "websession/config.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"

// Exported, as the stores that share it are components of their own.
WEBSESSION_API_BEGIN
namespace websession::sql {

struct Columns {
  std::int64_t created_at = 0;
  std::optional<std::string> principal{};
  std::optional<std::string> label{};
  std::string data = "{}";
  std::optional<std::string> bytes{};
  std::optional<std::string> until{};
};

// Precondition: there is a valid `@created` (validate).
Columns columns_of(const Fields& fields);

// Columns as a database shows them.
struct ColumnViews {
  std::int64_t created_at = 0;
  std::optional<std::string_view> principal{};
  std::optional<std::string_view> label{};
  std::string_view data{};
  std::optional<std::string_view> bytes{};
  std::optional<std::string_view> until{};
};

// Deadlines that have passed are still there. A value that somebody else has put into data as a
// number, true, an array… is the text of that. Error: corrupt.
Result<Fields> fields_of(const ColumnViews& columns);

// The error of a column that holds what the library does not write.
Error corrupt(std::string_view column);

// Whether a text can stand in JSON, and in a text column of any database: UTF-8 without NUL.
bool is_text(std::string_view bytes) noexcept;

}  // namespace websession::sql
WEBSESSION_API_END
