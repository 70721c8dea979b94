// What core's parsers and checks say about single characters.
#pragma once

namespace websession::internal {

// C0 and DEL: what neither a header nor a log line may carry.
constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace websession::internal
