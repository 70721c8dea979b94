#include "brought.hpp"

#include <optional>

#include "http_words.hpp"
#include "invalid.hpp"
#include "websession/cookie.hpp"

namespace websession {
namespace {

using internal::equal_words;
using internal::invalid;

// The host limits the header's size; this, what work and events one header can cause.
constexpr std::size_t cookies_considered_max = 16;

// The values of cookies that may name the session.
std::vector<std::string_view> cookies_of(std::string_view header, const std::string& name) {
  std::vector<std::string_view> values = find_cookies(header, name);
  // A browser sends at most one cookie with a __Host- name; a second one was planted.
  const std::size_t considered = has_host_prefix(name) ? 1 : cookies_considered_max;
  if (values.size() > considered) values.resize(considered);
  return values;
}

// RFC 9110 §11.4: a scheme, blanks, and what goes with it.
std::optional<std::string_view> bearer_in(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer";
  authorization = internal::trim(authorization);
  if (!equal_words(authorization.substr(0, scheme.size()), scheme)) return std::nullopt;
  authorization.remove_prefix(scheme.size());
  if (!authorization.empty() && !internal::is_blank(authorization.front())) return std::nullopt;
  return internal::trim(authorization);
}

}  // namespace

internal::Brought internal::brought_by(const RequestInfo& request, const SessionOptions& options) {
  const TransportOptions& transport = options.transport;
  if (transport.bearer) {
    if (const auto id = bearer_in(request.authorization)) return {Transport::bearer, {*id}};
  }
  const std::string_view header = trim(request.session_header);
  if (!transport.header.empty() && !header.empty()) return {Transport::header, {header}};
  if (!transport.cookie) return {};
  std::vector<std::string_view> cookies = cookies_of(request.cookie_header, options.cookie.name);
  if (cookies.empty()) return {};
  return {Transport::cookie, std::move(cookies)};
}

Result<void> validate(const TransportOptions& options) {
  if (!options.cookie && !options.bearer && options.header.empty()) {
    return invalid("transport: no way for an id to come: set cookie, bearer or header");
  }
  const auto has_another_meaning = [](std::string_view name) {
    for (const std::string_view taken :
         {"Authorization", "Cache-Control", "Connection", "Content-Length", "Content-Type",
          "Cookie", "Forwarded", "Host", "Location", "Set-Cookie", "Transfer-Encoding", "Vary",
          "X-Forwarded-Proto"}) {
      if (equal_words(name, taken)) return true;
    }
    return false;
  };
  if (!options.header.empty() &&
      (!internal::is_token(options.header) || has_another_meaning(options.header))) {
    return invalid(
        "transport.header: must be the name of a header of its own, like \"X-Session-Token\"");
  }
  if (!internal::is_token(options.response_header) ||
      has_another_meaning(options.response_header)) {
    return invalid(
        "transport.response_header: must be the name of a header of its own, like "
        "\"X-Session-Token\"");
  }
  return {};
}

}  // namespace websession
