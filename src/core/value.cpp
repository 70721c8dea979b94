#include "websession/value.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "invalid.hpp"

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

// nullopt when fine, else what is wrong with it. dump() would write NaN as null.
std::optional<std::string_view> unstorable(const json& value, std::size_t depth = 0) {
  if (value.is_structured() && depth >= depth_max) return "a JSON value nests deeper than 128";
  if (value.is_binary() || value.is_discarded()) return "binary data is no JSON value";
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    return "NaN and infinities are no JSON numbers";
  }
  if (!value.is_structured()) return std::nullopt;
  for (const json& element : value) {
    if (auto problem = unstorable(element, depth + 1)) return problem;
  }
  return std::nullopt;
}

Result<std::string> dump(const json& value) {
  try {
    return value.dump();
  } catch (const json::exception&) {
    return invalid("a string inside a JSON value is not UTF-8");
  }
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
  return number.negative ? "-" + digits : digits;
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

Result<std::string> encode(std::string_view value) {
  if (!reads_as_json(value)) return std::string(value);
  return dump(json(std::string(value)));
}

Result<std::string> encode(bool value) { return std::string(value ? "true" : "false"); }

Result<std::string> encode(std::int64_t value) { return std::to_string(value); }

Result<std::string> encode(std::uint64_t value) { return std::to_string(value); }

Result<std::string> encode(double value) {
  if (!std::isfinite(value)) return invalid("NaN and infinities are no JSON numbers");
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

Result<std::string> encode(const Text& value) { return value.bytes; }

Result<std::string> encode(const json& value) {
  if (value.is_string()) {
    if (auto valid = dump(value); !valid) return valid;
    return encode(std::string_view(value.get_ref<const std::string&>()));
  }
  if (auto problem = unstorable(value)) return invalid(std::string(*problem));
  return dump(value);
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

std::vector<std::string> forms_of(std::string_view value) {
  std::vector<std::string> forms;
  if (!reads_as_json(value) || json::parse(value).type() != json::value_t::string) {
    forms.emplace_back(value);
  }
  // What is not UTF-8 has no form as JSON.
  if (Result<std::string> quoted = dump(json(std::string(value)))) forms.push_back(*quoted);
  return forms;
}

template <std::same_as<nlohmann::json> Json>
Result<Json> decode_json(std::string_view text) {
  if (reads_as_json(text)) return json::parse(text);
  json string = std::string(text);
  if (auto valid = dump(string); !valid) {
    return invalid("the stored text is neither JSON nor UTF-8; read it as std::string");
  }
  return string;
}

template Result<json> decode_json<json>(std::string_view text);

}  // namespace internal
}  // namespace websession
