// How attribute values become text and back: readable, and without loss.
//
// A number, bool, null, array or object is its JSON text. A string is stored as it is, unless it
// reads as JSON itself (`123`, `true`, `"x"`, `{`…): then it is stored as a JSON string. So a count
// is `1` and a name is `Ada` to every other program that looks into the store.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A string that is stored as its bytes are, whatever they read as: for programs that keep plain
// strings in the same place (a postcode `10115` stays `10115`, and reads as a number here).
struct Text {
  std::string bytes;
  friend bool operator==(const Text&, const Text&) = default;
};

namespace internal {

template <class T>
concept Character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !Character<T>;

template <class T>
concept StringLike = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

template <class T>
inline constexpr bool is_char_array = false;
template <std::size_t N>
inline constexpr bool is_char_array<char[N]> = true;

// A char array holds a string up to its first NUL.
template <class T>
requires StringLike<T> || is_char_array<T> std::string_view view_of(const T& value)
noexcept {
  if constexpr (is_char_array<T>) {
    return {value, ::strnlen(value, sizeof(value))};
  } else {
    return value;
  }
}

Result<std::int64_t> decode_signed(std::string_view text);
Result<std::uint64_t> decode_unsigned(std::string_view text);
Result<double> decode_double(std::string_view text);
Result<bool> decode_bool(std::string_view text);
std::string decode_string(std::string_view text);
// The stored texts that read as this string: its bytes, and those of it as a JSON string.
std::vector<std::string> forms_of(std::string_view value);
// A template, so that a reader of this header needs the complete nlohmann::json only to use it.
template <std::same_as<nlohmann::json> Json>
Result<Json> decode_json(std::string_view text);
Error narrowing_error();

}  // namespace internal

// What can be an attribute's value. Pointers are not among them, `const char*` included: a pointer
// would silently become a bool. Wrap one in std::string_view.
template <class T>
concept Value = std::same_as<T, bool> || internal::Integer<T> || std::same_as<T, float> ||
    std::same_as<T, double> || internal::StringLike<T> || internal::is_char_array<T> ||
    std::same_as<T, Text> || std::same_as<T, nlohmann::json>;

// True when the whole text is one JSON value (RFC 8259) with finite numbers, nested at most 128
// deep. A NUL or a byte order mark makes it no JSON. The encoder and the decoder both decide by it.
[[nodiscard]] bool reads_as_json(std::string_view text);

// The stored text of a value.
// Errors: invalid_argument for NaN and infinities, for JSON values that hold invalid UTF-8, binary
// data, or nest deeper than 128.
Result<std::string> encode(std::string_view value);
Result<std::string> encode(bool value);
Result<std::string> encode(std::int64_t value);
Result<std::string> encode(std::uint64_t value);
Result<std::string> encode(double value);
Result<std::string> encode(const Text& value);
Result<std::string> encode(const nlohmann::json& value);

template <Value T>
Result<std::string> encode_value(const T& value) {
  if constexpr (internal::is_char_array<T> || internal::StringLike<T>) {
    return encode(internal::view_of(value));
  } else if constexpr (std::same_as<T, float>) {
    return encode(static_cast<double>(value));
  } else if constexpr (internal::Integer<T> && std::signed_integral<T>) {
    return encode(static_cast<std::int64_t>(value));
  } else if constexpr (internal::Integer<T>) {
    return encode(static_cast<std::uint64_t>(value));
  } else {
    return encode(value);
  }
}

// The value of a stored text. A number is exact or an error: nothing is narrowed or truncated, no
// bool is a number (1.0 reads as the integer 1; a decimal fraction reads as the nearest double, as
// everywhere in JSON). std::string gives the text itself for anything that is not a JSON string.
// Error: invalid_argument when the text is of another type.
template <class T>
requires Value<T> &&(!std::same_as<T, std::string_view>)&&(!internal::is_char_array<T>)
    Result<T> decode(std::string_view text) {
  if constexpr (std::same_as<T, std::string>) {
    return internal::decode_string(text);
  } else if constexpr (std::same_as<T, Text>) {
    return Text{std::string(text)};
  } else if constexpr (std::same_as<T, bool>) {
    return internal::decode_bool(text);
  } else if constexpr (std::same_as<T, nlohmann::json>) {
    return internal::decode_json<T>(text);
  } else if constexpr (std::floating_point<T>) {
    Result<double> number = internal::decode_double(text);
    if (!number) return std::move(number).error();
    constexpr double limit = std::numeric_limits<T>::max();
    if (*number < -limit || *number > limit) return internal::narrowing_error();
    const T narrow = static_cast<T>(*number);
    if (static_cast<double>(narrow) != *number) return internal::narrowing_error();
    return narrow;
  } else {
    auto number = [text] {
      if constexpr (std::signed_integral<T>) {
        return internal::decode_signed(text);
      } else {
        return internal::decode_unsigned(text);
      }
    }();
    if (!number) return std::move(number).error();
    if (*number < std::numeric_limits<T>::min() || *number > std::numeric_limits<T>::max()) {
      return internal::narrowing_error();
    }
    return static_cast<T>(*number);
  }
}

}  // namespace websession
WEBSESSION_API_END
