#include "websession/session_id.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "base64.hpp"
#include "random_bytes.hpp"

namespace websession {
namespace {

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// Whatever a format asks for, an id fits into a cookie.
constexpr std::size_t length_limit = 256;
bool is_cookie_safe(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f &&
         std::string_view("\",;\\:").find(c) == std::string_view::npos;
}

constexpr std::size_t id_bytes = 24;
constexpr std::size_t id_characters = id_bytes / 3 * 4;

}  // namespace

Result<void> validate(const IdFormat& format) {
  if (format.length_min < 16 || format.length_max > length_limit ||
      format.length_min > id_characters || format.length_max < id_characters) {
    return make_error(Errc::invalid_argument,
                      "id_format: lengths are 16 to 256 and must include our own, 32");
  }
  if (!std::all_of(format.other_characters.begin(), format.other_characters.end(),
                   is_cookie_safe)) {
    return make_error(
        Errc::invalid_argument,
        "id_format.other_characters: only characters that a cookie can carry, no ':'");
  }
  return {};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<SessionId> SessionId::generate() {
  std::array<unsigned char, id_bytes> bytes{};
  if (!internal::fill_random(bytes)) {
    return make_error(Errc::no_randomness, "OpenSSL's random generator failed; no id was made");
  }
  return SessionId(
      internal::encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

std::optional<SessionId> SessionId::parse(std::string_view text, const IdFormat& format) {
  if (text.size() < format.length_min || text.size() > format.length_max) return std::nullopt;
  if (text.size() > length_limit) return std::nullopt;
  const bool well_formed = std::all_of(text.begin(), text.end(), [&](char c) {
    return is_base64url(c) ||
           (is_cookie_safe(c) && format.other_characters.find(c) != std::string::npos);
  });
  if (!well_formed) return std::nullopt;
  return SessionId(std::string(text));
}

}  // namespace websession
