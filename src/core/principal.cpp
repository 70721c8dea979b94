#include "principal.hpp"

#include <algorithm>
#include <cstdint>

#include "base64.hpp"
#include "characters.hpp"
#include "digest.hpp"
#include "websession/session_store.hpp"

namespace websession {
namespace {

constexpr std::size_t principal_bytes_max = 256;
constexpr std::size_t label_bytes_max = 128;
constexpr std::size_t handle_bytes = 16;

Error invalid(std::string detail) { return make_error(Errc::invalid_argument, std::move(detail)); }

// How many bytes the UTF-8 character at the beginning of the text has (RFC 3629: no overlong form,
// no surrogate, nothing above U+10FFFF); 0: it is none. Precondition: the text is not empty.
std::size_t character_bytes(std::string_view text) {
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
  const bool control = code < 0xa0;  // C1: terminals obey some of them
  return code < least || code > 0x10ffff || surrogate || control ? 0 : size;
}

}  // namespace

std::string_view principal_of(const Fields& fields) noexcept {
  return fields.find(user_field).value_or(std::string_view());
}

namespace internal {

Result<void> validate_principal(std::string_view principal) {
  if (principal.empty()) return invalid("a principal must not be empty");
  if (principal.size() > principal_bytes_max) {
    return invalid("a principal has at most 256 bytes: use an account's id");
  }
  if (std::any_of(principal.begin(), principal.end(), is_control)) {
    return invalid("a principal must not hold control bytes");
  }
  return {};
}

std::string clean_label(std::string_view label) {
  std::string clean;
  while (!label.empty()) {
    const std::size_t size = character_bytes(label);
    const bool bad = size == 0 || is_control(label.front());
    if (clean.size() + std::max<std::size_t>(size, 1) > label_bytes_max) break;
    if (bad) {
      clean += '?';
    } else {
      clean += label.substr(0, size);
    }
    label.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return clean;
}

std::string handle_of(const StoreKey& key) {
  const std::string digest = sha256("websession handle:" + key.secret());
  return encode_base64(std::string_view(digest).substr(0, handle_bytes));
}

}  // namespace internal
}  // namespace websession
