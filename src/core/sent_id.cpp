#include "sent_id.hpp"

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

void warn_of_plain_http(const SessionState& state, std::string_view text) {
  if (state.is_https()) return;
  state.context().warn_once(state.context().warned_of_plain_http, text);
}

void put(Commit& commit, Header header) {
  commit.headers = {std::move(header), {"Cache-Control", "no-store", Header::Mode::replace}};
}

void put_cookie(Commit& commit, SetCookie cookie, const SessionState& state) {
  if (cookie.secure) {
    warn_of_plain_http(
        state,
        "a Secure session cookie was sent over plain http: browsers drop it (except on localhost), "
        "so every request starts a new session. Serve https, or, behind a proxy that ends TLS, "
        "tell the adapter to trust X-Forwarded-Proto, or, for a cookie whose name has no prefix "
        "(__Host-, __Secure-), set cookie.secure to Secure::automatic");
  }
  // Options and ids were checked when they were made, so this cannot fail.
  std::string text = serialize(cookie).value();
  put(commit, {"Set-Cookie", std::move(text), Header::Mode::append});
  commit.cookie = std::move(cookie);
}

std::string text_of_id(const SessionState& state) {
  const std::optional<CookieSigner>& signer = state.context().signer;
  return signer ? signer->sign(*state.id()) : state.id()->secret();
}

void send_cookie(Commit& commit, const SessionState& state) {
  SetCookie cookie = cookie_of(state);
  cookie.value = text_of_id(state);
  if (state.is_persistent()) {
    const WallTime now = state.clock().wall();
    cookie.max_age = std::chrono::ceil<std::chrono::seconds>(
        absolute_left(state.created(), state.policy(), now));
    cookie.expires = now + *cookie.max_age;
  }
  put_cookie(commit, std::move(cookie), state);
}

bool is_by_token(const SessionState& state) {
  return state.transport() == Transport::bearer || state.transport() == Transport::header;
}

}  // namespace

void send_id(Commit& commit, const SessionState& state) {
  if (state.sends_token()) {
    warn_of_plain_http(state,
                       "a session's id was sent in a header over plain http, where anybody on the "
                       "way can read it. Serve https, or, behind a proxy that ends TLS, tell the "
                       "adapter to trust X-Forwarded-Proto");
    return put(commit, {state.context().options.transport.response_header, text_of_id(state),
                        Header::Mode::replace});
  }
  send_cookie(commit, state);
}

void send_again(Commit& commit, const SessionState& state) {
  if (!is_by_token(state) && state.context().options.transport.cookie) send_cookie(commit, state);
}

void take_id_away(Commit& commit, const SessionState& state) {
  if (is_by_token(state) || !state.context().options.transport.cookie) return;
  SetCookie cookie = cookie_of(state);
  cookie.max_age = std::chrono::seconds(0);
  cookie.expires = WallTime();
  put_cookie(commit, std::move(cookie), state);
}

}  // namespace websession::internal
