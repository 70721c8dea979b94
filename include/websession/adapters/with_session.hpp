// What every adapter does, whatever the framework: open before the handler, commit after it.
#pragma once

#include <algorithm>
#include <cctype>
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/session_manager.hpp"

WEBSESSION_API_BEGIN
namespace websession::adapters {

// What an application can decide, with its framework's request and response.
template <class Request, class Response>
struct AdapterOptions {
  // Believe X-Forwarded-Proto. Only for a server that nobody reaches but through a proxy that sets
  // the header: anybody else can write into it what he likes.
  bool trust_forwarded_proto = false;
  // Answers when the session could not be loaded or stored, or when the handler threw an Exception
  // of ours (`session.increment("views").value()` while the store is away), instead of a plain 503,
  // 409 or 500 (http_status). The response is as it was before the handler. Without this the error
  // is only seen by SessionOptions::observer.
  std::function<void(const Error&, const Request&, Response&)> on_error{};
  // Called when the session ended while the handler ran, so that its changes were not kept. The
  // response is the handler's; no cookie is sent. If the handler threw an Exception that says so
  // (Errc::gone), the response is as it was before the handler, and without this hook a plain 409.
  std::function<void(const Request&, Response&)> on_gone{};
};

// One request with its response, as an adapter shows it to with_session.
template <class E>
concept Exchange = requires(E& exchange, const Header& header, const Error& error) {
  // All lines of a header, joined.
  { exchange.header("Cookie", "; ") } -> std::convertible_to<std::string>;
  { exchange.https() } -> std::convertible_to<bool>;  // of the transport itself
  { exchange.options.trust_forwarded_proto } -> std::convertible_to<bool>;
  exchange.put(header);     // appends it, or replaces all of that name (Header::mode)
  exchange.fail(error);     // answers with on_gone (Errc::gone), on_error, or http_status and
                            // http_text, in place of whatever is in the response
  exchange.session_gone();  // on_gone, if there is one, upon the handler's response
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

// 503 when the store is at fault (try again later), 409 when the session ended under the request
// (which the visitor can mend by loading the page again) or a sign-in was one too many, 500 when
// the program or its data is.
[[nodiscard]] inline int http_status(const Error& error) noexcept {
  if (error.code == Errc::gone || error.code == Errc::too_many_sessions) return 409;
  const bool store = error.code == Errc::unavailable || error.code == Errc::timeout ||
                     error.code == Errc::overloaded || error.code == Errc::rejected;
  return store ? 503 : 500;
}

// What a visitor is told; the error itself is for a log.
[[nodiscard]] inline const char* http_text(const Error& error) noexcept {
  switch (http_status(error)) {
    case 503:
      return "The session store is unavailable. Please try again soon.\n";
    case 409:
      if (error.code == Errc::too_many_sessions) {
        return "You are signed in in too many places. Please sign out in another one first.\n";
      }
      return "Your session has ended. Please load the page again.\n";
    default:
      return "Internal error.\n";
  }
}

namespace internal {
// A handler with its response.
struct HandlerCall {
  void* self;
  void (*run)(void* self);
  void (*put)(void* self, const Header& header);
};
// Runs it, and gives the error of an Exception that it throws. Others pass, when the session has
// ended if it was asked to, and the response has the headers that it needs. It is in the library,
// so that programs without exceptions can include this.
std::optional<Error> error_thrown_by(const HandlerCall& call, const SessionManager& manager,
                                     Session& session, const RequestInfo& request);
}  // namespace internal

// Runs the handler with the request's session. When it throws, nothing is committed; what it did
// directly (Session::increment…) stays done. An Exception of ours, which Result::value() throws, is
// answered like an error of the commit; any other goes on to the framework, with what caches have
// to know on the response. Logging out happens all the same (SessionManager::abandon). Safe to call
// from many threads at once.
//
// The session ends with the handler. What runs later (a streamed body, a task) takes a
// Session::snapshot() along, not the Session&.
template <Exchange E, std::invocable<Session&> Handler>
void with_session(const SessionManager& manager, E&& exchange, Handler&& handler) {
  const std::string cookies = exchange.header("Cookie", "; ");  // HTTP/2 splits it: RFC 9113 §8.2.3
  const bool https =
      exchange.https() || (exchange.options.trust_forwarded_proto &&
                           forwarded_https(exchange.header("X-Forwarded-Proto", "\n")));
  const RequestInfo request{cookies, https};
  const auto fail = [&](const Error& error, const std::vector<Header>& headers) {
    exchange.fail(error);
    for (const Header& header : headers) exchange.put(header);
  };
  Result<Session> session = manager.open(request);
  if (!session) return fail(session.error(), manager.cache_headers(request));
  auto run = [&] { std::forward<Handler>(handler)(*session); };
  auto put = [&](const Header& header) { exchange.put(header); };
  std::pair call{run, put};
  const auto fail_and_end = [&](const Error& error) {
    const Result<Commit> abandoned = manager.abandon(*session);
    fail(error, abandoned ? abandoned->headers : manager.cache_headers(request));
  };
  using Call = decltype(call);
  const std::optional<Error> thrown = internal::error_thrown_by(
      {&call, [](void* self) { static_cast<Call*>(self)->first(); },
       [](void* self, const Header& header) { static_cast<Call*>(self)->second(header); }},
      manager, *session, request);
  if (thrown) return fail_and_end(*thrown);
  const Result<Commit> commit = manager.commit(*session);
  if (!commit) return fail_and_end(commit.error());
  if (commit->status == Commit::Status::gone) exchange.session_gone();
  for (const Header& header : commit->headers) exchange.put(header);
}

}  // namespace websession::adapters
WEBSESSION_API_END
