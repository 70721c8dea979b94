#include "columns.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base64.hpp"
#include "unix_time.hpp"
#include "utf8.hpp"
#include "websession/session_store.hpp"

namespace websession::sql {
namespace {

using internal::Base64;
using internal::decode_base64;
using internal::encode_base64;
using internal::time_of;
using internal::unix_ms;
using nlohmann::json;

constexpr int depth_max = 128;

// The members of an object, as they are written one after the other.
class ObjectText {
 public:
  // Begins a member; its value follows.
  std::string& member(std::string_view name) {
    text_ += text_.empty() ? '{' : ',';
    quote(name);
    text_ += ':';
    return text_;
  }
  // Precondition: is_text.
  void quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr std::string_view digits = "0123456789abcdef";
        text_ += "\\u00";
        text_ += digits[static_cast<unsigned char>(c) >> 4U];
        text_ += digits[static_cast<unsigned char>(c) & 0xfU];
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  void reserve(std::size_t size) { text_.reserve(size); }
  // None: there was no member.
  std::optional<std::string> finish() && {
    if (text_.empty()) return std::nullopt;
    text_ += '}';
    return std::move(text_);
  }

 private:
  std::string text_;
};

// Fields while they are gathered.
struct Owned {
  std::string name;
  std::string text;
  std::optional<WallTime> deadline{};
};

// What the library writes: strings in one object. `is_other` when it is something else, and has to
// be looked at as a whole.
class Strings final : public nlohmann::json_sax<json> {
 public:
  explicit Strings(std::vector<Owned>& fields) : fields_(fields) {}
  [[nodiscard]] bool is_other() const noexcept { return is_other_; }

  bool start_object(std::size_t) override { return std::exchange(is_open_, true) ? other() : true; }
  bool key(string_t& name) override {
    fields_.push_back({std::move(name), {}});
    return true;
  }
  bool string(string_t& value) override {
    if (!is_open_) return other();
    fields_.back().text = std::move(value);
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return other(); }
  bool end_array() override { return true; }
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

 private:
  bool other() noexcept {
    is_other_ = true;
    return false;
  }

  std::vector<Owned>& fields_;
  bool is_open_ = false;
  bool is_other_ = false;
};

// Somebody else has written it.
bool read_others(std::string_view data, std::vector<Owned>& fields) {
  bool is_too_deep = false;  // printing takes stack for each level
  const auto keeps = [&is_too_deep](int depth, json::parse_event_t, json&) {
    is_too_deep = is_too_deep || depth > depth_max;
    return !is_too_deep;
  };
  const json object = json::parse(data.begin(), data.end(), keeps, false);
  if (is_too_deep || !object.is_object()) return false;
  for (const auto& [name, value] : object.items()) {
    fields.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  return true;
}

bool read_data(std::string_view data, std::vector<Owned>& fields) {
  Strings strings(fields);
  if (json::sax_parse(data.begin(), data.end(), &strings)) return true;
  fields.clear();
  return strings.is_other() && read_others(data, fields);
}

bool read_until(std::string_view until, std::vector<Owned>& fields) {
  const json object = json::parse(until.begin(), until.end(), nullptr, false);
  if (!object.is_object()) return false;
  for (Owned& field : fields) {
    const auto found = object.find(field.name);
    if (found == object.end()) continue;
    field.deadline = time_of(*found);
    if (!field.deadline) return false;
  }
  return true;
}

bool read_bytes(std::string_view bytes, std::vector<Owned>& fields) {
  const json object = json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (!object.is_object()) return false;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_array() || value.empty() || value.size() > 2 || !value[0].is_string()) {
      return false;
    }
    std::optional<std::string> name = decode_base64(key, Base64::standard);
    std::optional<std::string> text =
        decode_base64(value[0].get_ref<const std::string&>(), Base64::standard);
    if (!name || !text) return false;
    Owned field{*std::move(name), *std::move(text)};
    if (value.size() == 2) {
      field.deadline = time_of(value[1]);
      if (!field.deadline) return false;
    }
    fields.push_back(std::move(field));
  }
  return true;
}

}  // namespace

Error corrupt(std::string_view column) {
  return make_error(Errc::corrupt, "a session's column " + std::string(column) +
                                       " holds something that the library does not write");
}

bool is_text(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t size = internal::utf8_character_bytes(bytes);
    if (size == 0 || bytes.front() == '\0') return false;
    bytes.remove_prefix(size);
  }
  return true;
}

Columns columns_of(const Fields& fields) {
  Columns columns;
  ObjectText data;
  ObjectText bytes;
  ObjectText until;
  data.reserve(fields.block_bytes());
  for (const Field& field : fields) {
    if (field.name == created_field) {
      columns.created_at = parse_integer(field.value).value_or(0);
    } else if (field.name == user_field) {
      columns.principal = field.value;
    } else if (field.name == label_field && !field.deadline && is_text(field.value)) {
      columns.label = field.value;
    } else if (is_text(field.name) && is_text(field.value)) {
      data.member(field.name);
      data.quote(field.value);
      if (field.deadline) until.member(field.name) += std::to_string(unix_ms(*field.deadline));
    } else {
      std::string& text = bytes.member(encode_base64(field.name, Base64::standard));
      text.append("[\"").append(encode_base64(field.value, Base64::standard)).append("\"");
      if (field.deadline) text.append(",").append(std::to_string(unix_ms(*field.deadline)));
      text += ']';
    }
  }
  if (auto text = std::move(data).finish()) columns.data = *std::move(text);
  columns.bytes = std::move(bytes).finish();
  columns.until = std::move(until).finish();
  return columns;
}

Result<Fields> fields_of(const ColumnViews& columns) {
  std::vector<Owned> owned;
  if (columns.data != "{}" && !read_data(columns.data, owned)) return corrupt("data");
  if (columns.until && !read_until(*columns.until, owned)) return corrupt("until");
  std::vector<Owned> bytes;
  if (columns.bytes && !read_bytes(*columns.bytes, bytes)) return corrupt("bytes");
  owned.insert(owned.begin(), bytes.begin(), bytes.end());
  const std::string created = std::to_string(columns.created_at);
  std::vector<Field> fields;
  fields.reserve(owned.size() + 3);
  for (const Owned& field : owned) {
    // These are columns, and nowhere else.
    if (field.name == created_field || field.name == user_field) continue;
    fields.push_back({field.name, field.text, field.deadline});
  }
  // Of two with one name the last one counts: another program writes into data.
  fields.push_back({created_field, created});
  if (columns.principal) fields.push_back({user_field, *columns.principal});
  if (columns.label) fields.push_back({label_field, *columns.label});
  return Fields(fields);
}

}  // namespace websession::sql
