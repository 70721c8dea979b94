#include "json_document.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "base64.hpp"
#include "unix_time.hpp"
#include "websession/value.hpp"

namespace websession::redis {
namespace {

using internal::time_of;
using internal::unix_ms;
using nlohmann::json;

constexpr std::string_view cookie_member = "cookie";
constexpr std::string_view library_member = "__websession";
constexpr std::string_view blanks = " \t\n\r";

// What express-session's Session has by itself; `prop in this` keeps such members from being
// loaded.
constexpr std::array taken_names = {
    cookie_member, library_member,
    // its properties and methods
    std::string_view("req"), std::string_view("id"), std::string_view("touch"),
    std::string_view("resetMaxAge"), std::string_view("save"), std::string_view("reload"),
    std::string_view("destroy"), std::string_view("regenerate"),
    // those of every object in JavaScript
    std::string_view("__proto__"), std::string_view("__defineGetter__"),
    std::string_view("__defineSetter__"), std::string_view("__lookupGetter__"),
    std::string_view("__lookupSetter__"), std::string_view("constructor"),
    std::string_view("hasOwnProperty"), std::string_view("isPrototypeOf"),
    std::string_view("propertyIsEnumerable"), std::string_view("toLocaleString"),
    std::string_view("toString"), std::string_view("valueOf")};

Error corrupt(std::string detail) { return make_error(Errc::corrupt, std::move(detail)); }

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// nlohmann's parser takes a NUL for the end of the text. However deep the text nests, it needs no
// stack.
bool is_json(std::string_view text) {
  return text.find('\0') == std::string_view::npos && json::accept(text.begin(), text.end());
}

// The members of an object, cut out of its text.
class Members {
 public:
  struct Member {
    std::string_view name;   // with its quotes
    std::string_view value;  // without blanks around it
  };

  // Precondition: a valid object, without blanks around it.
  explicit Members(std::string_view object) : rest_(object.substr(1)) {}

  std::optional<Member> next() {
    skip(" \t\n\r,");
    if (rest_.front() == '}') return std::nullopt;
    const std::string_view name = take_value();
    skip(" \t\n\r:");
    return Member{name, take_value()};
  }

 private:
  void skip(std::string_view characters) {
    rest_.remove_prefix(rest_.find_first_not_of(characters));
  }

  std::string_view take_value() {
    const std::string_view value = rest_.substr(0, end_of_value());
    rest_.remove_prefix(value.size());
    return value;
  }

  [[nodiscard]] std::size_t end_of_value() const {
    if (std::string_view("\"{[").find(rest_.front()) == std::string_view::npos) {
      return rest_.find_first_of(" \t\n\r,}");
    }
    std::size_t open = 0;
    std::size_t i = 0;
    do {
      const char c = rest_[i];
      if (c == '{' || c == '[') ++open;
      if (c == '}' || c == ']') --open;
      i = c == '"' ? end_of_string(i) : i + 1;
    } while (open > 0);
    return i;
  }

  [[nodiscard]] std::size_t end_of_string(std::size_t i) const {
    for (++i; rest_[i] != '"';) i += rest_[i] == '\\' ? 2 : 1;
    return i + 1;
  }

  std::string_view rest_;
};

// The string of a JSON string.
std::string unquoted(std::string_view text) {
  if (text.find('\\') != std::string_view::npos) return json::parse(text).get<std::string>();
  return std::string(text.substr(1, text.size() - 2));
}

// nullopt: it is not UTF-8.
std::optional<std::string> quoted(std::string_view string) {
  try {
    return json(std::string(string)).dump();
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

// A member's value as attributes are stored everywhere (value.hpp).
Result<std::string> stored_text(std::string_view value) {
  if (value.front() == '"') return encode(std::string_view(unquoted(value)));
  const bool is_structured = value.front() == '{' || value.front() == '[';
  if (is_structured && !reads_as_json(value)) {
    return corrupt("an attribute nests deeper than 128");
  }
  return std::string(value);
}

// The member's value that stored_text makes this text of; nullopt: none does.
std::optional<std::string> member_value(std::string_view text) {
  if (!reads_as_json(text)) return quoted(text);
  if (trim(text).size() != text.size()) return std::nullopt;
  if (text.front() == '"') {
    const Result<std::string> again = encode(std::string_view(unquoted(text)));
    if (!again || *again != text) return std::nullopt;
  }
  return std::string(text);
}

Result<void> validate_name(std::string_view name) {
  if (std::find(taken_names.begin(), taken_names.end(), name) == taken_names.end()) return {};
  return make_error(Errc::invalid_argument, "attribute \"" + std::string(name) +
                                                "\": express-session's own sessions have this name "
                                                "already, so it would drop the attribute");
}

// Takes a document apart.
class Reader {
 public:
  Result<JsonDocument> read(std::string_view object);

 private:
  struct Owned {
    std::string name;
    std::string text;
    std::optional<WallTime> deadline{};
  };

  Result<void> add(std::string name, std::string_view value);
  Result<void> read_library(std::string_view object);
  Result<void> read_deadlines(const json& until);
  Result<void> read_bytes(const json& bytes);
  [[nodiscard]] Fields fields() const;

  std::vector<Owned> fields_;
  bool has_library_ = false;
  std::map<std::string, WallTime, std::less<>> deadlines_;
};

Error bad_library() {
  return corrupt("a session's __websession object has a form that the library does not write");
}

Result<JsonDocument> Reader::read(std::string_view object) {
  JsonDocument document;
  bool has_cookie = false;
  Members members(object);
  while (const std::optional<Members::Member> member = members.next()) {
    std::string name = unquoted(member->name);
    Result<void> read;
    if (name == library_member) {
      read = read_library(member->value);
    } else if (name == cookie_member || name.starts_with('@')) {
      if (name == cookie_member) has_cookie = member->value.front() == '{';
      if (!document.kept.empty()) document.kept += ',';
      document.kept.append(member->name).append(":").append(member->value);
    } else {
      read = add(std::move(name), member->value);
    }
    if (!read) return std::move(read).error();
  }
  if (!has_cookie) {
    return corrupt("a session has no cookie object, so express-session did not write it");
  }
  document.fields = fields();
  return document;
}

Result<void> Reader::add(std::string name, std::string_view value) {
  Result<std::string> text = stored_text(value);
  if (!text) return std::move(text).error();
  fields_.push_back({std::move(name), *std::move(text)});
  return {};
}

Result<void> Reader::read_library(std::string_view object) {
  // Of two members with one name others take the last. The library writes each once.
  if (object.front() != '{' || has_library_) return bad_library();
  has_library_ = true;
  std::set<std::string> seen;
  Members members(object);
  while (const std::optional<Members::Member> member = members.next()) {
    std::string name = unquoted(member->name);
    if (!seen.insert(name).second) return bad_library();
    Result<void> read;
    if (name.starts_with('@')) {
      if (name == created_field && !parse_integer(member->value)) return bad_library();
      read = add(std::move(name), member->value);
    } else if (name == "until") {
      read = read_deadlines(json::parse(member->value));
    } else if (name == "bytes") {
      read = read_bytes(json::parse(member->value));
    }
    if (!read) return read;
  }
  return {};
}

Result<void> Reader::read_deadlines(const json& until) {
  if (!until.is_object()) return bad_library();
  for (const auto& [name, value] : until.items()) {
    const std::optional<WallTime> deadline = time_of(value);
    if (!deadline || name == created_field) return bad_library();
    deadlines_[name] = *deadline;
  }
  return {};
}

Result<void> Reader::read_bytes(const json& bytes) {
  using internal::Base64;
  if (!bytes.is_array()) return bad_library();
  for (const json& part : bytes) {
    if (!part.is_array() || part.size() < 2 || !part[0].is_string() || !part[1].is_string()) {
      return bad_library();
    }
    const std::string& name_text = part[0].get_ref<const std::string&>();
    const std::string& value_text = part[1].get_ref<const std::string&>();
    std::optional<std::string> name = internal::decode_base64(name_text, Base64::standard);
    std::optional<std::string> text = internal::decode_base64(value_text, Base64::standard);
    const auto deadline = part.size() > 2 ? time_of(part[2]) : std::nullopt;
    if (!name || !text || (part.size() > 2 && !deadline)) return bad_library();
    if (!validate_name(*name) || *name == created_field) return bad_library();
    fields_.push_back({*std::move(name), *std::move(text), deadline});
  }
  return {};
}

Fields Reader::fields() const {
  std::vector<Field> all;
  all.reserve(fields_.size());
  for (const Owned& owned : fields_) {
    Field field{owned.name, owned.text, owned.deadline};
    if (const auto found = deadlines_.find(owned.name); found != deadlines_.end()) {
      field.deadline = found->second;
    }
    all.push_back(field);
  }
  return Fields(all);
}

// As JavaScript's Date is written: 2026-01-31T23:59:59.999Z.
std::string iso_date(WallTime time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02ld.%03ldZ",
                      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()), static_cast<long>(clock.hours().count()),
                      static_cast<long>(clock.minutes().count()),
                      static_cast<long>(clock.seconds().count()),
                      static_cast<long>(clock.subseconds().count()));
  return text.data();
}

}  // namespace

Result<JsonDocument> parse_document(std::string_view text) {
  const std::string_view object = trim(text);
  if (!object.starts_with('{') || !is_json(object)) {
    return corrupt(
        "a session is no JSON object: connect-redis may be set up with a serializer of its own");
  }
  return Reader().read(object);
}

std::string write_document(const Fields& fields, std::string_view kept) {
  using internal::Base64;
  using internal::encode_base64;
  std::string attributes(kept);
  std::string library;
  json until = json::object();
  json bytes = json::array();
  for (const Field& field : fields) {
    const std::optional<std::string> name = quoted(field.name);
    const std::optional<std::string> value = member_value(field.value);
    if (!name || !value) {
      bytes.push_back({encode_base64(field.name, Base64::standard),
                       encode_base64(field.value, Base64::standard)});
      if (field.deadline) bytes.back().push_back(unix_ms(*field.deadline));
      continue;
    }
    std::string& part = field.name.starts_with('@') ? library : attributes;
    if (!part.empty()) part += ',';
    part.append(*name).append(":").append(*value);
    if (field.deadline) until[std::string(field.name)] = unix_ms(*field.deadline);
  }
  const auto add = [&library](std::string_view name, const json& value) {
    if (value.empty()) return;
    if (!library.empty()) library += ',';
    library.append(name).append(value.dump());
  };
  add("\"until\":", until);
  add("\"bytes\":", bytes);
  return '{' + attributes + ",\"" + std::string(library_member) + "\":{" + library + "}}";
}

std::string write_cookie(const ExpressCookie& cookie, WallTime now) {
  // In the order of express-session; what it leaves undefined does not show.
  nlohmann::ordered_json object;
  if (cookie.max_age) {
    object["originalMaxAge"] = cookie.max_age->count();
    object["expires"] = iso_date(now + *cookie.max_age);
  } else {
    object["originalMaxAge"] = nullptr;
    object["expires"] = nullptr;
  }
  if (cookie.secure) object["secure"] = true;
  object["httpOnly"] = cookie.http_only;
  if (!cookie.domain.empty()) object["domain"] = cookie.domain;
  object["path"] = cookie.path;
  if (cookie.same_site) {
    constexpr std::array names = {"strict", "lax", "none"};
    object["sameSite"] = names[static_cast<std::size_t>(*cookie.same_site)];
  }
  return '"' + std::string(cookie_member) + "\":" + object.dump();
}

Result<void> validate_names(const Fields& fields) {
  for (const Field& field : fields) {
    if (auto valid = validate_name(field.name); !valid) return valid;
  }
  return {};
}

Result<void> validate_names(const Changes& changes) {
  for (const Changes::Set& set : changes.set) {
    if (auto valid = validate_name(set.name); !valid) return valid;
  }
  for (const Changes::Increment& increment : changes.increment) {
    if (auto valid = validate_name(increment.name); !valid) return valid;
  }
  return {};
}

}  // namespace websession::redis
