// Signed session cookies: a cookie that was not signed here costs an HMAC, and never reaches the
// store.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/key_ring.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// How a signed id is written. Both carry a whole HMAC-SHA256 and nothing else.
enum class CookieFormat {
  // The library's own. It is `<id>.<HMAC in base64url>`. The key is derived from the secret, and
  // the cookie's name is signed along, so nothing that is signed for another purpose or cookie
  // passes for a session's.
  websession,
  // What express-session, cookie-parser and cookie-signature make and take, so that one login
  // serves a Node program, too. It is `s:<id>.<HMAC in base64>`, percent-encoded. The key is the
  // secret itself, and the name is not signed: give Express no other cookie to sign with this
  // secret.
  express,
};

// Whether session cookies are signed, and how.
struct CookieSigning {
  // The newest signs, all verify. Empty: the cookie holds the id as it is. A secret can be taken
  // away one absolute timeout after a newer one was put in front of it: no cookie lives longer.
  KeyRing keys{};
  CookieFormat format = CookieFormat::websession;
};

// Turns ids into the values of one cookie and back. Pure. Cheap to copy; safe to call from many
// threads at once.
class CookieSigner {
 public:
  // `cookie_name`: a valid one (validate(CookieOptions)). `id_format`: of the ids that verify
  // gives. Errors: invalid_argument (no secret; a name that leaves no room within a cookie's 4,096
  // bytes).
  static Result<CookieSigner> make(const std::string& cookie_name, const CookieSigning& signing,
                                   IdFormat id_format = {});

  // The cookie's value: cookie-safe, and as secret as the id.
  [[nodiscard]] std::string sign(const SessionId& id) const;

  // The id in a cookie's value; nullopt unless it is exactly what sign gives under one of the
  // secrets. With CookieFormat::express, hex digits may be in either case, and a value without any
  // '%' is taken as not encoded, as Express does. Takes time that depends on the value's length and
  // on which secret matches, not on how much of a signature is right.
  [[nodiscard]] std::optional<SessionId> verify(std::string_view value) const;

 private:
  CookieSigner() = default;
  [[nodiscard]] std::string signature(const std::string& key, const SessionId& id) const;

  std::vector<std::string> keys_;  // the newest first
  std::string signed_before_id_;   // what the signature covers besides the id
  CookieFormat format_ = CookieFormat::websession;
  IdFormat id_format_;
};

}  // namespace websession
WEBSESSION_API_END
