// Cookies as RFC 6265bis has them: reading the Cookie header, writing Set-Cookie.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Which requests from other sites carry the cookie (RFC 6265bis §4.1.2.7).
enum class SameSite { strict, lax, none };

// When the session cookie carries the Secure attribute.
enum class Secure {
  automatic,  // exactly when the request came over https
  always,     // browsers drop it on plain http, except on localhost
  never,
};

// How the session cookie looks. SessionManager::make refuses what clients would drop:
// - `__Secure-`, `__Host-` and `__Http-` names, SameSite::none and `partitioned` need
//   Secure::always; a `__Host-` name needs the path "/" and no domain; a `__Http-` or
//   `__Host-Http-` name needs `http_only` (RFC 6265bis §4.1.3);
// - a domain is a host name: letters, digits, '-' and '_' between dots, none of them at the end.
// (An
//   underscore is no part of RFC 1123's names, but works in the field.)
// - a path begins with '/', and has no blank and no quote in it.
struct CookieOptions {
  std::string name = "sid";
  std::string path = "/";
  std::string domain{};  // empty: this host only, which is the safest
  // None: the attribute is not sent. Most browsers take that for lax, some with an exception: for
  // two minutes the new cookie comes with POSTs from other sites, too.
  std::optional<SameSite> same_site = SameSite::lax;
  Secure secure = Secure::automatic;
  bool http_only = true;
  bool partitioned = false;
  // With Max-Age and Expires, it outlives the browser's window; without, it does not. They say what
  // is left of SessionOptions::absolute_timeout: the idle one is the store's business, and moves
  // with each request.
  bool persistent = true;
  // Send it again with every commit that writes, not only when the id is new.
  bool rolling = false;
};

// Errors: invalid_argument, naming the field.
Result<void> validate(const CookieOptions& options);

// Whether a cookie's name starts with `__Host-`, in any case, as browsers compare it (RFC 6265bis
// §5.4). Browsers keep at most one such cookie of a name.
[[nodiscard]] bool has_host_prefix(std::string_view name) noexcept;

// One cookie that a browser sent.
struct Cookie {
  std::string_view name;
  std::string_view value;  // as it was sent: not decoded, quotes included
};

// The cookies of a Cookie header, in its order. Pieces without a '=' or without a name are passed
// over. Never fails: a header from outside can hold anything. The views point into `header`.
std::vector<Cookie> parse_cookies(std::string_view header);

// The values of all cookies called `name`, in the header's order.
std::vector<std::string_view> find_cookies(std::string_view header, std::string_view name);

// One Set-Cookie header to be.
struct SetCookie {
  std::string name;
  std::string value;
  std::string path{};                             // empty: not sent
  std::string domain{};                           // empty: not sent
  std::optional<std::chrono::seconds> max_age{};  // zero or less deletes the cookie
  std::optional<WallTime> expires{};
  std::optional<SameSite> same_site{};
  bool secure = false;
  bool http_only = false;
  bool partitioned = false;
};

// The value of the Set-Cookie header.
// Errors: invalid_argument when the name is no token, or a part holds a character that a header
// cannot carry (a CR, LF, ';', control byte…; it is refused, never stripped); too_large when name
// and value exceed 4,096 bytes, or path or domain 1,024 (RFC 6265bis §5.6: browsers drop those).
Result<std::string> serialize(const SetCookie& cookie);

}  // namespace websession
WEBSESSION_API_END
