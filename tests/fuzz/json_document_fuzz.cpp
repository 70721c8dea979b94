// Sessions as express-session writes them. The input is read as the text of a session, and as
// "name|deadline|" and the text of an attribute, which is written and read again.

#include "json_document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "printable.hpp"
#include "websession/value.hpp"

namespace {

using namespace websession;  // NOLINT(google-build-using-namespace): a program of one file
using fuzz::Input;
using fuzz::require;
using nlohmann::json;
using redis::JsonDocument;
using redis::parse_document;
using redis::write_document;

const WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
const std::string library = "__websession";

// What nlohmann's parser makes of the text; of members with one name, the last. nullopt: it is no
// session.
std::optional<json> plainly_read(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  // Its byte order mark is one more thing that JSON.parse refuses.
  if (text.starts_with("\xef\xbb\xbf")) return std::nullopt;
  json read = json::parse(text.begin(), text.end(), nullptr, false);
  if (!read.is_object() || !read.contains("cookie") || !read["cookie"].is_object()) {
    return std::nullopt;
  }
  return read;
}

bool is_attribute(const std::string& name) {
  return name != "cookie" && name != library && !name.starts_with('@');
}

// The attributes that are kept as bytes.
std::set<std::string> kept_as_bytes(const json& read) {
  std::set<std::string> names;
  const JsonDocument only_library =
      parse_document(
          json({{"cookie", json::object()}, {library, read.value(library, json::object())}}).dump())
          .value();
  for (const Field& field : only_library.fields) names.emplace(field.name);
  return names;
}

// A JSON string is kept so that it is a string for every reader, anything else as it stands there.
void check_value(std::string_view stored, const json& value, std::string_view text) {
  if (value.is_string()) {
    require(*decode<std::string>(stored) == value.get<std::string>(), "a string stays that string");
    require(!decode<double>(stored) && !decode<bool>(stored).has_value(),
            "a string is nothing else");
    return;
  }
  require(text.find(stored) != std::string_view::npos, "anything else is cut out of the text");
  require(json::parse(stored) == value, "a member has its value");
}

void check_fields(const JsonDocument& document, const json& read, std::string_view text) {
  const std::set<std::string> as_bytes = kept_as_bytes(read);
  const json until = read.value(library, json::object()).value("until", json::object());
  for (const auto& [name, value] : read.items()) {
    if (!is_attribute(name) || as_bytes.contains(name)) continue;
    const std::optional<Field> field = document.fields.find_field(name);
    require(field.has_value(), "each member of the session is an attribute");
    check_value(field->value, value, text);
    require(field->deadline.has_value() == until.contains(name), "a deadline is one that is noted");
  }
  for (const Field& field : document.fields) {
    const std::string name(field.name);
    require(as_bytes.contains(name) || (is_attribute(name) && read.contains(name)),
            "no attribute comes from nowhere");
    require(name != "@created" || (parse_integer(field.value) && !field.deadline),
            "a session is made at some time, once and for all");
  }
}

// What Express sees of a session, apart from these members.
json seen_by_express(json read, const std::set<std::string>& without) {
  for (const std::string& name : without) read.erase(name);
  read.erase(library);
  return read;
}

// Writing changes only what is to change.
void check_written(const JsonDocument& document, const json& read) {
  const std::string same = write_document(document.fields, document.kept);
  const auto again = parse_document(same);
  require(again && again->fields == document.fields, "what was written reads as it was");
  require(again->kept == document.kept, "what is not ours is kept to the byte");

  std::set<std::string> without = kept_as_bytes(read);
  require(seen_by_express(json::parse(same), without) == seen_by_express(read, without),
          "Express sees what it has written");

  Changes changes;
  changes.set.push_back({"a", "text"});
  const Result<Applied> applied = apply(document.fields, changes, now);
  require(applied.has_value(), "an attribute can be set");
  for (const Field& field : document.fields) {
    if (!applied->fields.contains(field.name)) without.emplace(field.name);  // it has expired
  }
  const json changed = json::parse(write_document(applied->fields, document.kept));
  require(changed.at("a") == "text", "Express sees what was set");
  without.insert("a");
  require(seen_by_express(changed, without) == seen_by_express(read, without),
          "what nobody has changed stays as it is");
}

void check_session(std::string_view text) {
  const Result<JsonDocument> document = parse_document(text);
  const std::optional<json> read = plainly_read(text);
  if (!document) {
    require(document.error().code == Errc::corrupt, "what is no session is corrupt");
    return fuzz::require_printable(document.error());
  }
  require(read.has_value(), "what Express fails on is no session");
  check_fields(*document, *read, text);
  check_written(*document, *read);
}

void check_attribute(Input input) {
  const std::string name = input.piece();
  const std::optional<std::int64_t> deadline = input.number();
  Field field{name, input.rest()};
  if (deadline) field.deadline = WallTime(std::chrono::milliseconds(*deadline));
  const Fields fields{field};
  if (!redis::validate_names(fields)) return;
  if (name == "@created" && (deadline || !parse_integer(field.value))) return;
  const std::string kept = redis::write_cookie({}, now);
  const std::string text = write_document(fields, kept);
  require(json::accept(text), "what is written is JSON");
  const Result<JsonDocument> again = parse_document(text);
  require(again && again->fields == fields, "any text comes back as it was");
  require(again->kept == kept, "the cookie stays as it was");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input(data, size);
  check_session(input.rest());
  check_attribute(input);
  return 0;
}
