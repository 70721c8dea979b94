#include "websession/csrf.hpp"

#include <optional>
#include <utility>

#include "base64.hpp"
#include "random_bytes.hpp"
#include "session_access.hpp"

namespace websession {
namespace {

using internal::SessionAccess;

constexpr std::string_view field = internal::csrf_field;
constexpr std::size_t secret_bytes = 32;

// Masks, and unmasks what was masked. Precondition: the same size.
std::string combine(std::string_view mask, std::string_view bytes) {
  std::string combined(bytes);
  for (std::size_t i = 0; i < combined.size(); ++i) {
    combined[i] = static_cast<char>(static_cast<unsigned char>(combined[i]) ^
                                    static_cast<unsigned char>(mask[i]));
  }
  return combined;
}

std::optional<std::string> decode_secret(std::string_view text) {
  std::optional<std::string> secret = internal::decode_base64(text);
  if (secret && secret->size() != secret_bytes) secret.reset();
  return secret;
}

}  // namespace

Result<std::string> csrf_token(Session& session) {
  const Result<std::string> text = SessionAccess::secret(session, field);
  if (!text) return text.error();
  const std::optional<std::string> secret = decode_secret(*text);
  if (!secret) return make_error(Errc::corrupt, "a session's CSRF secret cannot be read");
  Result<std::string> mask = internal::random_string(secret_bytes);
  if (!mask) return mask;
  return internal::encode_base64(*mask + combine(*mask, *secret));
}

bool csrf_valid(const Session& session, std::string_view token) {
  const auto text = SessionAccess::find(session, field);
  if (!text) return false;
  const std::optional<std::string> secret = decode_secret(*text);
  const std::optional<std::string> bytes = internal::decode_base64(token);
  if (!secret || !bytes || bytes->size() != 2 * secret_bytes) return false;
  const std::string_view mask = std::string_view(*bytes).substr(0, secret_bytes);
  const std::string_view masked = std::string_view(*bytes).substr(secret_bytes);
  return equal_in_constant_time(combine(mask, masked), *secret);
}

void renew_csrf(Session& session) {
  if (!SessionAccess::check_alive(session)) return;  // its tokens are over already
  // Also when this request sees no secret: another one may just be making it.
  SessionAccess::put(session, field, std::nullopt);
}

}  // namespace websession
