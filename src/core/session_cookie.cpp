#include "session_cookie.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "websession/cookie.hpp"

namespace websession::internal {
namespace {

// Without value and end.
SetCookie cookie_of(const SessionState& state) {
  const CookieOptions& options = state.context().options.cookie;
  SetCookie cookie;
  cookie.name = options.name;
  cookie.path = options.path;
  cookie.domain = options.domain;
  cookie.same_site = options.same_site;
  cookie.secure =
      options.secure == Secure::always || (options.secure == Secure::automatic && state.is_https());
  cookie.http_only = options.http_only;
  cookie.partitioned = options.partitioned;
  return cookie;
}

void put(Commit& commit, SetCookie cookie, const SessionState& state) {
  if (cookie.secure && !state.is_https()) {
    const SessionContext& context = state.context();
    context.warn_once(
        context.warned_of_plain_http,
        "a Secure session cookie was sent over plain http: browsers drop it (except on localhost), "
        "so every request starts a new session. Serve https, or, behind a proxy that ends TLS, "
        "tell the adapter to trust X-Forwarded-Proto, or, for a cookie whose name has no prefix "
        "(__Host-, __Secure-), set cookie.secure to Secure::automatic");
  }
  // Options and ids were checked when they were made, so this cannot fail.
  std::string text = serialize(cookie).value();
  commit.headers = {{"Set-Cookie", std::move(text), Header::Mode::append},
                    {"Cache-Control", "no-store", Header::Mode::replace}};
  commit.cookie = std::move(cookie);
}

}  // namespace

void send_cookie(Commit& commit, const SessionState& state) {
  const SessionContext& context = state.context();
  SetCookie cookie = cookie_of(state);
  cookie.value = context.signer ? context.signer->sign(*state.id()) : state.id()->secret();
  if (context.options.cookie.persistent) {
    const WallTime now = state.clock().wall();
    cookie.max_age =
        std::chrono::ceil<std::chrono::seconds>(absolute_left(state.created(), context.plan, now));
    cookie.expires = now + *cookie.max_age;
  }
  put(commit, std::move(cookie), state);
}

void delete_cookie(Commit& commit, const SessionState& state) {
  SetCookie cookie = cookie_of(state);
  cookie.max_age = std::chrono::seconds(0);
  cookie.expires = WallTime();
  put(commit, std::move(cookie), state);
}

}  // namespace websession::internal
