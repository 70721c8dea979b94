// UTF-8 as RFC 3629 has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace websession::internal {

// How many bytes the character at the beginning of the text has (no overlong form, no surrogate,
// nothing above U+10FFFF); 0: it is none. Precondition: the text is not empty.
inline std::size_t utf8_character_bytes(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc0 || lead > 0xf4 || text.size() < size) return 0;
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  const std::uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < least || code > 0x10ffff || surrogate ? 0 : size;
}

}  // namespace websession::internal
