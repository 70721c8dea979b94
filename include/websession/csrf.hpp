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

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A token for this session: 86 base64url characters, fit for HTML, headers and URLs as they are.
// All tokens of a session stay valid as long as it lives, in every tab, or until renew_csrf.
//
// Each call gives another one: the session's secret under a fresh random mask, so that the size of
// compressed pages betrays nothing of it (BREACH). A page with a token belongs to one visitor: keep
// it out of shared caches.
//
// The first call makes the secret: on a stored session at once (one round trip; of several first
// calls at the same time all give valid tokens), on a new one with the commit, which stores the
// session. Later calls cost nothing.
//
// Errors: invalid_argument (the session was invalidated), gone, corrupt, no_randomness, those of
// the store.
[[nodiscard]] Result<std::string> csrf_token(Session& session);

// Whether csrf_token gave this for this session. False for any other text, and for a session that
// never gave a token or is over. Compares in constant time; takes no round trip.
[[nodiscard]] bool csrf_valid(const Session& session, std::string_view token);

// Ends all tokens given so far, with the commit. Call it where privileges change, next to
// Session::regenerate: a token from before must not serve afterwards. On the session's next
// csrf_token a new secret is made.
void renew_csrf(Session& session);

}  // namespace websession
WEBSESSION_API_END
