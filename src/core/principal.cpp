#include "principal.hpp"

#include <algorithm>

#include "characters.hpp"
#include "invalid.hpp"
#include "utf8.hpp"
#include "websession/session_store.hpp"

namespace websession {
namespace {

constexpr std::size_t principal_bytes_max = 256;
constexpr std::size_t label_bytes_max = 128;

// C1 controls, U+0080 to U+009F: terminals obey some of them.
bool is_c1(std::string_view character) {
  return character.size() == 2 && character[0] == '\xc2' &&
         static_cast<unsigned char>(character[1]) < 0xa0;
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
    std::size_t size = internal::utf8_character_bytes(label);
    if (is_c1(label.substr(0, size))) size = 0;
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

}  // namespace internal
}  // namespace websession
