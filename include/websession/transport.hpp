// How a session's id travels: in a cookie, or in headers that a client without cookies sets itself.
#pragma once

#include <string>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// By what a request named its session.
enum class Transport {
  none,    // by nothing: a new visitor
  cookie,  // the Cookie header
  bearer,  // Authorization: Bearer (RFC 6750 §2.1)
  header,  // TransportOptions::header
};

// Which of them a SessionManager takes. The first that is there counts, in this order, and the ones
// after it are not looked at: `Authorization: Bearer`, `header`, the cookie. So a request that
// comes with a token is never answered by the session of a browser that sends its cookie along, not
// even when the token is worth nothing.
//
// New ids go out by the way by which the request came: for a token that is the header
// `response_header` in place of a cookie, with `Cache-Control: no-store`. A request that named
// nothing gets the cookie, or, where there are no cookies, or the handler says so
// (SessionBase::use_token), the header. A session that ends takes its cookie away; a token is not
// taken back, it is worth nothing any more.
//
// A token is what the cookie's value would be: the id, signed if cookies are. It is a secret, like
// a password: https only, and never in a URL. A page's scripts can read the response header, so
// browsers are better off with a cookie that they cannot read (docs/tokens.md).
struct TransportOptions {
  bool cookie = true;
  // Takes the id from `Authorization: Bearer <id>`, the scheme in any case. Other schemes are as if
  // the header were not there.
  bool bearer = false;
  // Takes it from this request header, such as X-Session-Token; empty: from none. An empty value is
  // as if the header were not there.
  std::string header{};
  std::string response_header = "X-Session-Token";
};

// Errors: invalid_argument, naming the field: there is no way at all; a header's name is no token
// (RFC 9110 §5.6.2), or is one that has another meaning here.
Result<void> validate(const TransportOptions& options);

}  // namespace websession
WEBSESSION_API_END
