#include "websession/value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "invalid.hpp"
#include "utf8.hpp"

namespace websession {
namespace {

using nlohmann::json;

constexpr std::size_t depth_max = 128;

using internal::invalid;

// RFC 8259 §2: the blanks that may stand around a value.
std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\n\r";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Accepts what reads_as_json promises and builds nothing.
class Acceptor final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t value, const string_t&) override { return std::isfinite(value); }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= depth_max; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t) override { return ++depth_ <= depth_max; }
  bool end_array() override { return depth_-- > 0; }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

 private:
  std::size_t depth_ = 0;
};

// Calls part(first, end) for each part of an array or object, with the blanks around it trimmed.
// Precondition: the text reads as JSON, and is one of the two.
template <class Take>
void for_each_part(std::string_view text, Take take) {
  std::size_t depth = 0;
  std::size_t begin = 1;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    }
    const bool ends = !quoted && (depth == 0 || (depth == 1 && (c == ',' || c == ':')));
    if (!ends) continue;
    const std::string_view part = trim(text.substr(begin, i - begin));
    if (!part.empty()) take(part);  // `[]` has none
    begin = i + 1;
  }
}

Result<std::vector<std::string_view>> parts_of(std::string_view text, char opening,
                                               std::string_view what) {
  const std::string_view trimmed = trim(text);
  if (!trimmed.starts_with(opening) || !reads_as_json(text)) {
    return invalid("the stored text is not " + std::string(what));
  }
  std::vector<std::string_view> parts;
  for_each_part(trimmed, [&](std::string_view part) { parts.push_back(part); });
  return parts;
}

// A JSON number, exactly: digits × 10^exponent.
struct Decimal {
  bool negative = false;
  bool plain_integer = true;  // no fraction, no exponent
  std::string digits;
  long exponent = 0;
};

std::size_t take_digits(std::string_view text, std::size_t i, std::string& digits) {
  while (i < text.size() && text[i] >= '0' && text[i] <= '9') digits += text[i++];
  return i;
}

// Precondition: the text reads as JSON. nullopt: it is not a number.
std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal number;
  std::size_t i = 0;
  if (text.starts_with('-')) {
    number.negative = true;
    i = 1;
  }
  const std::size_t integer_at = i;
  i = take_digits(text, i, number.digits);
  if (i == integer_at) return std::nullopt;
  if (i < text.size() && text[i] == '.') {
    number.plain_integer = false;
    const std::size_t end = take_digits(text, i + 1, number.digits);
    number.exponent = -static_cast<long>(end - i - 1);
    i = end;
  }
  if (i < text.size()) {  // what is left is the exponent
    number.plain_integer = false;
    std::string exponent(text.substr(i + 1));
    constexpr long huge = 1'000'000;  // beyond every double; strtol's own limits don't matter
    number.exponent += std::clamp(std::strtol(exponent.c_str(), nullptr, 10), -huge, huge);
  }
  return number;
}

std::optional<Decimal> read_decimal(std::string_view text) {
  return reads_as_json(text) ? parse_decimal(trim(text)) : std::nullopt;
}

// The number as a decimal integer; nullopt when it is none, or has over 20 digits.
std::optional<std::string> integer_text(const Decimal& number) {
  std::string digits =
      number.digits.substr(std::min(number.digits.find_first_not_of('0'), number.digits.size()));
  if (digits.empty()) return "0";
  long exponent = number.exponent;
  while (digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  if (exponent < 0 || exponent > 20) return std::nullopt;
  digits.append(static_cast<std::size_t>(exponent), '0');
  return number.negative ? '-' + digits : digits;
}

template <class T>
Result<T> decode_integer(std::string_view text) {
  const std::optional<Decimal> number = read_decimal(text);
  if (!number) return invalid("the stored text is not a number");
  const std::optional<std::string> digits = integer_text(*number);
  T value{};
  if (digits) {
    const char* end = digits->data() + digits->size();
    const auto [last, error] = std::from_chars(digits->data(), end, value);
    if (error == std::errc() && last == end) return value;
  }
  return internal::narrowing_error();
}

}  // namespace

bool reads_as_json(std::string_view text) {
  // Most strings are none, and their first character tells. nlohmann's parser takes a NUL for the
  // end of the text and skips a byte order mark, so both are refused here.
  const std::string_view trimmed = trim(text);
  if (trimmed.empty() ||
      std::string_view("{[\"-0123456789tfn").find(trimmed[0]) == std::string_view::npos ||
      text.find('\0') != std::string_view::npos) {
    return false;
  }
  Acceptor acceptor;
  return json::sax_parse(text.begin(), text.end(), &acceptor);
}

std::string encode(std::string_view value) {
  // What reads as JSON is UTF-8.
  return reads_as_json(value) ? json(value).dump() : std::string(value);
}

namespace internal {

Error narrowing_error() { return invalid("the stored number does not fit this type exactly"); }

Result<std::int64_t> decode_signed(std::string_view text) {
  return decode_integer<std::int64_t>(text);
}

Result<std::uint64_t> decode_unsigned(std::string_view text) {
  return decode_integer<std::uint64_t>(text);
}

Result<double> decode_double(std::string_view text) {
  const std::optional<Decimal> number = read_decimal(text);
  if (!number) return invalid("the stored text is not a number");
  const std::string_view digits = trim(text);
  double value = 0;
  const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc()) return narrowing_error();
  if (number->plain_integer && std::abs(value) >= 0x1p53) {
    // An integer that a double cannot hold must not come back as its neighbour.
    std::array<char, 400> exact{};
    const auto end = std::to_chars(exact.data(), exact.data() + exact.size(), value,
                                   std::chars_format::fixed, 0);
    if (digits != std::string_view(exact.data(), end.ptr)) return narrowing_error();
  }
  return value;
}

Result<bool> decode_bool(std::string_view text) {
  const std::string_view trimmed = trim(text);
  if (trimmed == "true") return true;
  if (trimmed == "false") return false;
  return invalid("the stored text is not a bool");
}

std::string decode_string(std::string_view text) {
  if (!trim(text).starts_with('"') || !reads_as_json(text)) return std::string(text);
  return json::parse(text).get<std::string>();
}

bool is_null(std::string_view text) { return trim(text) == "null"; }

std::vector<std::string> forms_of(std::string_view value) {
  std::vector<std::string> forms;
  if (!reads_as_json(value) || json::parse(value).type() != json::value_t::string) {
    forms.emplace_back(value);
  }
  // What is not UTF-8 has no form as JSON.
  if (Result<std::string> text = json_string(value)) forms.push_back(*std::move(text));
  return forms;
}

Result<std::string> json_form(std::string_view text) {
  if (reads_as_json(text)) return std::string(text);
  Result<std::string> string = json_string(text);
  if (!string) return invalid("the stored text is neither JSON nor UTF-8; read it as std::string");
  return string;
}

Result<std::vector<std::string_view>> elements_of(std::string_view text) {
  return parts_of(text, '[', "a JSON array");
}

Result<std::vector<std::string_view>> members_of(std::string_view text) {
  return parts_of(text, '{', "a JSON object");
}

Result<std::string> unquoted(std::string_view text) {
  if (!trim(text).starts_with('"') || !reads_as_json(text)) {
    return invalid("the stored text is not a JSON string");
  }
  return json::parse(text).get<std::string>();
}

Result<std::string> json_text(double value) {
  if (!std::isfinite(value)) return invalid("NaN and infinities are no JSON numbers");
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

Result<std::string> json_string(std::string_view value) {
  if (!is_utf8(value)) return invalid("a string inside a JSON value is not UTF-8");
  return json(value).dump();
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = utf8_character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

Result<std::string> stored_form(Result<std::string> text) {
  if (!text || !text->starts_with('"')) return text;
  return encode(json::parse(*text).get_ref<const std::string&>());
}

Result<std::string> shallow(Result<std::string> text) {
  if (text && !reads_as_json(*text)) return invalid("a JSON value nests deeper than 128");
  return text;
}

Result<void> from_json_by(void (*call)(void*), void* argument) {
  try {
    call(argument);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {  // what() may quote the value
    return invalid("the stored JSON is not of this type: its from_json threw");
  }
  return {};
}

}  // namespace internal
}  // namespace websession
