#include "base64.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace websession::internal {
namespace {

constexpr std::string_view url_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view standard_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::string_view digits_of(Base64 alphabet) {
  return alphabet == Base64::url ? url_digits : standard_digits;
}

// The value of each character as a digit, or no_digit.
constexpr std::uint8_t no_digit = 64;
constexpr std::array<std::uint8_t, 256> values_of(std::string_view digits) {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr auto url_values = values_of(url_digits);
constexpr auto standard_values = values_of(standard_digits);

}  // namespace

std::string encode_base64(std::string_view bytes, Base64 alphabet) {
  const char* const digits = digits_of(alphabet).data();
  const auto byte = [bytes](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
  };
  std::string text((bytes.size() * 4 + 2) / 3, '\0');
  char* to = text.data();
  const auto put = [&to, digits](std::uint32_t group, int count) {
    for (int shift = 18; count > 0; shift -= 6, --count) *to++ = digits[(group >> shift) & 63U];
  };
  // Three bytes are four digits; one or two at the end are two or three.
  const std::size_t rest = bytes.size() % 3;
  const std::size_t whole = bytes.size() - rest;
  for (std::size_t i = 0; i < whole; i += 3) {
    put((byte(i) << 16U) | (byte(i + 1) << 8U) | byte(i + 2), 4);
  }
  if (rest == 1) put(byte(whole) << 16U, 2);
  if (rest == 2) put((byte(whole) << 16U) | (byte(whole + 1) << 8U), 3);
  return text;
}

std::optional<std::string> decode_base64(std::string_view text, Base64 alphabet) {
  if (text.size() % 4 == 1) return std::nullopt;
  const auto& values = alphabet == Base64::url ? url_values : standard_values;
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::uint32_t digit = values[static_cast<unsigned char>(c)];
    if (digit == no_digit) return std::nullopt;
    bits = (bits << 6U) | digit;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>((bits >> held) & 0xffU);
  }
  const bool spare_bits_set = (bits & ((1U << held) - 1U)) != 0;
  if (spare_bits_set) return std::nullopt;
  return bytes;
}

}  // namespace websession::internal
