// Tokens against cross-site request forgery (OWASP ASVS 5.0 3.5.1): a form of the site carries what
// a page of another site cannot know.
//
//   page << "<input type=hidden name=csrf value=" << csrf_token(session).value() << ">";  // GET
//
//   if (!csrf_valid(session, form["csrf"])) return respond(403);  // POST, before anything is done
//
// Scripts of the site send it in a header (X-CSRF-Token) instead. SameSite cookies, the default,
// stop most of these attacks; the token stops those from a sister subdomain, too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/cookie.hpp"
#include "websession/http.hpp"
#include "websession/key_ring.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class AsyncSession;  // async/session.hpp
template <class T>
class Op;

namespace internal {
class SessionState;
class StoreFlow;
template <class T>
class Task;
}  // namespace internal

// A token for this session: 86 base64url characters, fit for HTML, headers and URLs as they are.
// All tokens of a session stay valid as long as it lives, in every tab, or until renew_csrf.
//
// Each call gives another one: the session's secret under a fresh random mask, so that the size of
// compressed pages betrays nothing of it (BREACH). A page with a token belongs to one visitor: keep
// it out of shared caches.
//
// The first call makes the secret: on a stored session at once (one round trip; of several first
// calls at the same time all give valid tokens), on a new one with the commit, which stores the
// session. Later calls cost nothing. So a token on a page that anybody may look at makes a session
// for each visitor without cookies, robots included: give such pages one of a CsrfCookie (below).
//
// Errors: invalid_argument (the session was invalidated), gone, corrupt, no_randomness, those of
// the store.
[[nodiscard]] Result<std::string> csrf_token(Session& session);
[[nodiscard]] Op<std::string> csrf_token(const AsyncSession& session);

// Whether csrf_token gave this for this session. False for any other text, and for a session that
// never gave a token or is over. Compares in constant time; takes no round trip.
[[nodiscard]] bool csrf_valid(const SessionBase& session, std::string_view token);

// Ends all tokens given so far, with the commit. Call it where privileges change, next to
// Session::regenerate: a token from before must not serve afterwards. On the session's next
// csrf_token a new secret is made.
void renew_csrf(SessionBase& session);

// Tokens that need no session: for pages with a form that anybody may look at, such as the first
// page of a sign-in. A visitor without a session gets a cookie with a random text, and the token is
// made of that text with a key (OWASP's "signed double-submit cookie"): nothing is stored.
//
//   const auto csrf = CsrfCookie::make(key_ring, options.cookie).value();  // once, at start-up
//
//   const auto token = csrf.token(session, cookie_header).value();         // GET
//   page << "<input type=hidden name=csrf value=" << token.text << ">";    // and token.headers
//
//   if (!csrf.valid(session, cookie_header, form["csrf"])) return respond(403);  // POST
//
// Where there is a session, or will be one with the commit, the token is that of csrf_token. Both
// kinds are valid as long as nobody is signed in, so a page that was loaded before the session
// began works on. Once somebody is signed in, only the session's own count, and those from before
// do not.
//
// Without a session a token is as good as its cookie. Whoever can plant cookies for the site (from
// a sister subdomain, or over plain http) can plant one with a token that he was given himself, and
// so forge what an anonymous visitor may do, a sign-in included. Browsers prevent that for
// `__Host-` names only.
//
// Cheap to copy. Const members are safe to call from many threads at once, on different Session
// objects.
class CsrfCookie {
 public:
  struct Token {
    std::string text;  // as csrf_token gives it, masked anew each time
    // For the response: Cache-Control: no-store, since the page is this visitor's only; and the
    // cookie, when there is neither that nor a session.
    std::vector<Header> headers{};
  };

  // `session_cookie`: SessionOptions::cookie. This cookie is like that one, but ends with the
  // browser's window and has "-csrf" behind its name. Tokens made with any secret of the ring are
  // valid. Errors: invalid_argument (the ring is empty; what SessionManager::make refuses).
  static Result<CsrfCookie> make(const KeyRing& keys, const CookieOptions& session_cookie);

  // `cookie_header`: of this request. Without a session no round trip. Errors: no_randomness; where
  // there is a session, those of csrf_token.
  [[nodiscard]] Result<Token> token(Session& session, std::string_view cookie_header) const;
  [[nodiscard]] Op<Token> token(const AsyncSession& session, std::string_view cookie_header) const;

  // Whether `token` gave this, to this session or with a cookie of this request. Compares in
  // constant time; takes no round trip.
  [[nodiscard]] bool valid(const SessionBase& session, std::string_view cookie_header,
                           std::string_view token) const;

 private:
  CsrfCookie() = default;
  [[nodiscard]] std::vector<std::string_view> find(std::string_view cookie_header) const;
  internal::Task<Result<Token>> token(internal::StoreFlow& flow, internal::SessionState& state,
                                      std::string_view cookie_header) const;
  [[nodiscard]] Result<Token> cookie_token(const internal::SessionState& state,
                                           std::string_view cookie_header) const;
  [[nodiscard]] Result<std::string> set_cookie(const internal::SessionState& state,
                                               std::string value) const;
  [[nodiscard]] std::string secret_of(const std::string& key, std::string_view value) const;

  std::vector<std::string> keys_;  // derived from the ring's secrets, in their order
  CookieOptions cookie_;
};

}  // namespace websession
WEBSESSION_API_END
