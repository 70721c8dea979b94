// How random bytes become decimal digits, and what people make of the digits when they type them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace websession::internal {

// The digit that a random byte stands for. 256 is no multiple of 10, so bytes from 250 on would
// make some digits likelier than others: they stand for none.
constexpr std::optional<char> digit_of(unsigned char byte) noexcept {
  if (byte >= 250) return std::nullopt;
  return static_cast<char>('0' + byte % 10);
}

// The digits of a code as it was typed: blanks and hyphens are left out. nullopt when anything else
// is among them, or when there are none or more than `most`.
inline std::optional<std::string> typed_digits(std::string_view text, std::size_t most) {
  std::string digits;
  for (const char c : text) {
    if (c == ' ' || c == '-' || c == '\t' || c == '\r' || c == '\n') continue;
    if (c < '0' || c > '9' || digits.size() == most) return std::nullopt;
    digits += c;
  }
  if (digits.empty()) return std::nullopt;
  return digits;
}

}  // namespace websession::internal
