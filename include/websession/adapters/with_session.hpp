// What every adapter does, whatever the framework: open before the handler, commit after it.
#pragma once

#include <algorithm>
#include <cctype>
#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "websession/session_manager.hpp"

namespace websession::adapters {

// What an application can decide, with its framework's request and response.
template <class Request, class Response>
struct AdapterOptions {
  // Believe X-Forwarded-Proto. Only for a server that nobody reaches but through a proxy that sets
  // the header: anybody else can write into it what he likes.
  bool trust_forwarded_proto = false;
  // Answers when the session could not be loaded or stored, instead of a plain 503 or 500. The
  // response is as it was before the handler.
  std::function<void(const Error&, const Request&, Response&)> on_error{};
  // Called when the session ended while the handler ran, so that its changes were not kept. The
  // response is the handler's; no cookie is sent.
  std::function<void(const Request&, Response&)> on_gone{};
};

// One request with its response, as an adapter shows it to with_session.
template <class E>
concept Exchange = requires(E& exchange, const Header& header, const Error& error) {
  // All lines of a header, joined.
  { exchange.header("Cookie", "; ") } -> std::convertible_to<std::string>;
  { exchange.https() } -> std::convertible_to<bool>;  // of the transport itself
  { exchange.options.trust_forwarded_proto } -> std::convertible_to<bool>;
  exchange.put(header);  // appends it, or replaces all of that name (Header::mode)
  exchange.fail(error);  // answers with an error in place of whatever is in the response
  exchange.session_gone();
};

// Adds one of several lines of a header to the others.
inline void join_header(std::string& all, std::string_view line, std::string_view separator) {
  if (!all.empty()) all += separator;
  all += line;
}

// What a line of X-Forwarded-Proto says of the nearest proxy's client: its last element.
[[nodiscard]] inline bool forwarded_https_line(std::string_view header) {
  const std::size_t comma = header.rfind(',');
  if (comma != std::string_view::npos) header.remove_prefix(comma + 1);
  while (header.starts_with(' ')) header.remove_prefix(1);
  while (header.ends_with(' ')) header.remove_suffix(1);
  constexpr std::string_view https = "https";
  return std::equal(header.begin(), header.end(), https.begin(), https.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

// Lines come one below the other. Some frameworks do not keep their order, so all must agree: a
// client's own line beside the proxy's must not win.
[[nodiscard]] inline bool forwarded_https(std::string_view lines) {
  bool https = !lines.empty();
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    https = https && forwarded_https_line(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return https;
}

// 503 when the store is at fault (try again later), 500 when the program or its data is.
[[nodiscard]] inline int http_status(const Error& error) noexcept {
  const bool store = error.code == Errc::unavailable || error.code == Errc::timeout ||
                     error.code == Errc::overloaded || error.code == Errc::rejected;
  return store ? 503 : 500;
}

// What a visitor is told; the error itself is for a log.
[[nodiscard]] inline const char* http_text(const Error& error) noexcept {
  return http_status(error) == 503 ? "The session store is unavailable. Please try again soon.\n"
                                   : "Internal error.\n";
}

// Runs the handler with the request's session. When it throws, nothing is committed, and the
// exception goes on to the framework. Safe to call from many threads at once.
template <Exchange E, std::invocable<Session&> Handler>
void with_session(const SessionManager& manager, E&& exchange, Handler&& handler) {
  const std::string cookies = exchange.header("Cookie", "; ");  // HTTP/2 splits it: RFC 9113 §8.2.3
  const bool https =
      exchange.https() || (exchange.options.trust_forwarded_proto &&
                           forwarded_https(exchange.header("X-Forwarded-Proto", "\n")));
  Result<Session> session = manager.open({cookies, https});
  if (!session) return exchange.fail(session.error());
  std::forward<Handler>(handler)(*session);
  const Result<Commit> commit = manager.commit(*session);
  if (!commit) return exchange.fail(commit.error());
  if (commit->status == Commit::Status::gone) return exchange.session_gone();
  for (const Header& header : commit->headers) exchange.put(header);
}

}  // namespace websession::adapters
