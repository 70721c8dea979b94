#include "websession/csrf.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "async/session_operation.hpp"
#include "base64.hpp"
#include "decisions.hpp"
#include "digest.hpp"
#include "library_names.hpp"
#include "random_bytes.hpp"
#include "session_access.hpp"

namespace websession {
namespace {

using internal::SessionAccess;
using internal::SessionState;
using internal::StoreFlow;
using internal::Task;

constexpr std::string_view field = internal::csrf_field;
constexpr std::size_t secret_bytes = 32;
static_assert(secret_bytes == internal::digest_bytes);
constexpr std::string_view key_purpose = "websession csrf cookie v1";
constexpr std::string_view name_end = "-csrf";
// A browser can have several cookies of one name; a header from elsewhere any number.
constexpr std::size_t cookies_max = 4;

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

Result<std::string> masked(std::string_view secret) {
  Result<std::string> mask = internal::random_string(secret_bytes);
  if (!mask) return mask;
  return internal::encode_base64(*mask + combine(*mask, secret));
}

CsrfCookie::Token for_one_visitor() {
  CsrfCookie::Token token;
  token.headers = {{"Cache-Control", "no-store", Header::Mode::replace}};
  return token;
}

bool holds(std::string_view token, std::string_view secret) {
  const std::optional<std::string> bytes = internal::decode_base64(token);
  if (!bytes || bytes->size() != 2 * secret_bytes) return false;
  const std::string_view mask = std::string_view(*bytes).substr(0, secret_bytes);
  return equal_in_constant_time(combine(mask, std::string_view(*bytes).substr(secret_bytes)),
                                secret);
}

}  // namespace

Task<Result<std::string>> internal::csrf_token(StoreFlow& flow, SessionState& state) {
  const OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return std::move(alone).error();
  auto find = library_secret(flow, state, field);
  const Result<std::string> text = co_await find;
  if (!text) co_return text.error();
  const std::optional<std::string> secret = decode_secret(*text);
  if (!secret) co_return make_error(Errc::corrupt, "a session's CSRF secret cannot be read");
  co_return masked(*secret);
}

Result<std::string> csrf_token(Session& session) {
  return SessionAccess::run(session, [](StoreFlow& flow, SessionState& state) {
    return internal::csrf_token(flow, state);
  });
}

Op<std::string> csrf_token(const AsyncSession& session) {
  return internal::session_operation<std::string>(
      session,
      [](StoreFlow& flow, SessionState& state) { return internal::csrf_token(flow, state); });
}

bool csrf_valid(const SessionBase& session, std::string_view token) {
  const auto text = SessionAccess::state(session).library_field(field);
  if (!text) return false;
  const std::optional<std::string> secret = decode_secret(*text);
  return secret && holds(token, *secret);
}

void renew_csrf(SessionBase& session) { SessionAccess::state(session).renew_csrf(); }

Result<CsrfCookie> CsrfCookie::make(const KeyRing& keys, const CookieOptions& session_cookie) {
  if (keys.empty()) {
    return make_error(Errc::invalid_argument, "a CsrfCookie needs a key ring with a secret");
  }
  CsrfCookie made;
  made.cookie_ = session_cookie;
  made.cookie_.name += name_end;
  if (auto valid = validate(made.cookie_); !valid) return std::move(valid).error();
  for (const std::string& secret : keys.secrets()) {
    made.keys_.push_back(internal::derive_key(secret, key_purpose));
  }
  return made;
}

// The values that may be ours.
std::vector<std::string_view> CsrfCookie::find(std::string_view cookie_header) const {
  std::vector<std::string_view> values = find_cookies(cookie_header, cookie_.name);
  // A browser sends at most one cookie with a __Host- name; a second one was planted.
  if (has_host_prefix(cookie_.name) && values.size() > 1) values.resize(1);
  std::erase_if(values, [](std::string_view value) { return !decode_secret(value); });
  if (values.size() > cookies_max) values.resize(cookies_max);
  return values;
}

// A name holds no '=', so no other name and value make the same text.
std::string CsrfCookie::secret_of(const std::string& key, std::string_view value) const {
  return internal::hmac_sha256(key, cookie_.name + '=' + std::string(value));
}

Task<Result<CsrfCookie::Token>> CsrfCookie::token(StoreFlow& flow, SessionState& state,
                                                  std::string_view cookie_header) const {
  if (!state.is_or_will_be_stored()) co_return cookie_token(state, cookie_header);
  auto ask = internal::csrf_token(flow, state);
  Result<std::string> text = co_await ask;
  if (!text) co_return std::move(text).error();
  Token token = for_one_visitor();
  token.text = *std::move(text);
  co_return std::move(token);
}

// Without a session.
Result<CsrfCookie::Token> CsrfCookie::cookie_token(const SessionState& state,
                                                   std::string_view cookie_header) const {
  Token token = for_one_visitor();
  std::string value;
  if (const std::vector<std::string_view> values = find(cookie_header); !values.empty()) {
    value = values.front();
  } else {
    const Result<std::string> random = internal::random_string(secret_bytes);
    if (!random) return random.error();
    value = internal::encode_base64(*random);
    Result<std::string> header = set_cookie(state, value);
    if (!header) return std::move(header).error();
    token.headers.push_back({"Set-Cookie", *std::move(header), Header::Mode::append});
  }
  Result<std::string> text = masked(secret_of(keys_.front(), value));
  if (!text) return std::move(text).error();
  token.text = *std::move(text);
  return token;
}

Result<CsrfCookie::Token> CsrfCookie::token(Session& session,
                                            std::string_view cookie_header) const {
  return SessionAccess::run(session, [&](StoreFlow& flow, SessionState& state) {
    return token(flow, state, cookie_header);
  });
}

Op<CsrfCookie::Token> CsrfCookie::token(const AsyncSession& session,
                                        std::string_view cookie_header) const {
  return internal::session_operation<Token>(
      session,
      [self = *this, header = std::string(cookie_header)](StoreFlow& flow, SessionState& state) {
        return self.token(flow, state, header);
      });
}

Result<std::string> CsrfCookie::set_cookie(const SessionState& state, std::string value) const {
  SetCookie cookie;
  cookie.name = cookie_.name;
  cookie.value = std::move(value);
  cookie.path = cookie_.path;
  cookie.domain = cookie_.domain;
  cookie.same_site = cookie_.same_site;
  cookie.secure =
      cookie_.secure == Secure::always || (cookie_.secure == Secure::automatic && state.is_https());
  cookie.http_only = cookie_.http_only;
  cookie.partitioned = cookie_.partitioned;
  return serialize(cookie);
}

bool CsrfCookie::valid(const SessionBase& session, std::string_view cookie_header,
                       std::string_view token) const {
  if (csrf_valid(session, token)) return true;
  if (session.principal()) return false;
  for (const std::string_view value : find(cookie_header)) {
    for (const std::string& key : keys_) {
      if (holds(token, secret_of(key, value))) return true;
    }
  }
  return false;
}

}  // namespace websession
