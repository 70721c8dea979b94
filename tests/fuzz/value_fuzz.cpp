// Stored texts as values, and back. The input is read as a stored text, as a string to store, and
// its first eight bytes as a number.

#include "websession/value.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "websession/session_store.hpp"

namespace {

using nlohmann::json;
using websession::decode;
using websession::encode_value;
using websession::reads_as_json;
using websession::Text;
using websession::fuzz::Input;
using websession::fuzz::require;

template <class T>
void check_round_trip(const T& value) {
  const auto text = encode_value(value);
  require(text.has_value(), "what can be read can be stored");
  const auto back = decode<T>(*text);
  require(back && *back == value, "a value comes back as it was");
}

// The text as the widest integers.
struct Wide {
  websession::Result<std::int64_t> with_sign;
  websession::Result<std::uint64_t> without;
};

// All integer types say the same as the widest ones, within their range.
template <class T>
void check_integer(std::string_view text, const Wide& wide) {
  const bool fits = (wide.with_sign && std::in_range<T>(*wide.with_sign)) ||
                    (wide.without && std::in_range<T>(*wide.without));
  const auto narrow = decode<T>(text);
  require(narrow.has_value() == fits, "an integer is read exactly when it fits");
  if (!narrow) return;
  require(wide.with_sign ? std::cmp_equal(*narrow, *wide.with_sign)
                         : std::cmp_equal(*narrow, *wide.without),
          "an integer is the same in each type");
  check_round_trip(*narrow);
}

void check_numbers(std::string_view text, const json* parsed) {
  const Wide wide{decode<std::int64_t>(text), decode<std::uint64_t>(text)};
  check_integer<std::int8_t>(text, wide);
  check_integer<std::uint8_t>(text, wide);
  check_integer<std::int32_t>(text, wide);
  check_integer<std::uint32_t>(text, wide);
  check_integer<std::int64_t>(text, wide);
  check_integer<std::uint64_t>(text, wide);

  const auto& integer = wide.with_sign;
  require(!integer || (parsed != nullptr && parsed->is_number()), "only a number is an integer");
  const auto counter = websession::parse_integer(text);
  require(!counter || (integer && *integer == *counter && std::to_string(*counter) == text),
          "a counter is an integer in its only form");

  const auto number = decode<double>(text);
  if (number) {
    require(parsed != nullptr && parsed->is_number(), "only a number is a double");
    require(std::isfinite(*number), "a double is finite");
    require(*number == parsed->get<double>(), "a double is the one that JSON means");
    check_round_trip(*number);
  }
  if (integer && std::abs(static_cast<double>(*integer)) < 0x1p53) {
    require(number && *number == static_cast<double>(*integer), "a small integer is a double");
  }
  const auto single = decode<float>(text);
  require(!single || (number && static_cast<double>(*single) == *number),
          "a float is the double, and not a neighbour of it");
}

void check_stored_text(std::string_view text) {
  const bool is_json = reads_as_json(text);
  const json parsed = is_json ? json::parse(text) : json();
  check_numbers(text, is_json ? &parsed : nullptr);

  const auto flag = decode<bool>(text);
  require(flag.has_value() == (is_json && parsed.is_boolean()), "a bool is true or false");
  if (flag.has_value()) require(*flag == parsed.get<bool>(), "a bool is the one that JSON means");

  const auto string = decode<std::string>(text);
  require(string.has_value(), "every text can be read as a string");
  require(*string == (is_json && parsed.is_string() ? parsed.get<std::string>() : text),
          "a string is what a JSON string holds, or else the text");
  require(decode<Text>(text)->bytes == text, "a Text is the text");

  const auto value = decode<json>(text);
  if (is_json) {
    require(value && *value == parsed, "what reads as JSON is that JSON value");
  } else if (value) {
    require(value->is_string() && *value == *string, "any other text is a JSON string");
  }
  if (value) check_round_trip(*value);
}

void check_string(const std::string& string) {
  const std::string text = websession::encode(string);
  require(text == string || reads_as_json(string), "only what reads as JSON is quoted");
  require(*decode<std::string>(text) == string, "a string comes back as it was");
  require(!decode<double>(text) && !decode<bool>(text).has_value() && !decode<std::int64_t>(text),
          "a string never comes back as a number or a bool");

  const auto forms = websession::internal::forms_of(string);
  require(std::find(forms.begin(), forms.end(), text) != forms.end(),
          "how a string is stored is one of its forms");
  for (const std::string& form : forms) {
    require(*decode<std::string>(form) == string, "each form of a string reads as the string");
  }
}

void check_number_bits(std::string_view input) {
  if (input.size() < 8) return;
  std::int64_t integer = 0;
  double number = 0;
  float single = 0;
  std::memcpy(&integer, input.data(), sizeof integer);
  std::memcpy(&number, input.data(), sizeof number);
  std::memcpy(&single, input.data(), sizeof single);
  check_round_trip(integer);
  check_round_trip(static_cast<std::uint64_t>(integer));
  check_round_trip(static_cast<std::int16_t>(integer));
  require(encode_value(number).has_value() == std::isfinite(number), "NaN is refused");
  if (std::isfinite(number)) check_round_trip(number);
  if (std::isfinite(single)) check_round_trip(single);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(Input(data, size).rest());
  check_stored_text(input);
  check_string(input);
  check_number_bits(input);
  return 0;
}
