// Rows that others have written into a database. The input is read as the columns
// "data|bytes|until", and as "name|deadline|" and the text of an attribute, which is written and
// read again.

#include "columns.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "printable.hpp"
#include "websession/session_store.hpp"

namespace {

using namespace websession;  // NOLINT(google-build-using-namespace): a program of one file
using fuzz::Input;
using fuzz::require;
using nlohmann::json;
using sql::Columns;
using sql::ColumnViews;

Result<Fields> read(const Columns& columns) {
  return sql::fields_of({columns.created_at, columns.principal, columns.label, columns.data,
                         columns.bytes, columns.until});
}

void check_written(const Fields& fields) {
  const Columns columns = sql::columns_of(fields);
  for (const auto& text : {std::optional(columns.data), columns.bytes, columns.until}) {
    if (!text) continue;
    require(json::accept(*text), "what is written is JSON");
    require(sql::is_text(*text), "and fit for a column of text");
  }
  const Result<Fields> again = read(columns);
  require(again && *again == fields, "any fields come back as they were");
}

void check_row(Input input) {
  ColumnViews columns;
  const std::string data = input.piece();
  const std::string bytes = input.piece();
  const std::string_view until = input.rest();
  columns.data = data;
  if (!bytes.empty()) columns.bytes = bytes;
  if (!until.empty()) columns.until = until;
  const Result<Fields> fields = sql::fields_of(columns);
  if (!fields) {
    require(fields.error().code == Errc::corrupt, "what is no row is corrupt");
    return fuzz::require_printable(fields.error());
  }
  require(fields->find(created_field) == "0" && !fields->contains(user_field),
          "what has a column comes from there");
  check_written(*fields);
}

void check_attribute(Input input) {
  const std::string name = input.piece();
  const std::optional<std::int64_t> deadline = input.number();
  if (name == created_field || name == user_field) return;
  Field field{name, input.rest()};
  if (deadline) field.deadline = WallTime(std::chrono::milliseconds(*deadline));
  check_written(Fields{{created_field, "1700000000000"}, field});
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input(data, size);
  check_row(input);
  check_attribute(input);
  return 0;
}
