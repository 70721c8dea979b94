#include "base64.hpp"

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
  const std::string_view digits = digits_of(alphabet);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(digit);
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
