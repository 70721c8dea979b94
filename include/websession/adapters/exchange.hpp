// What adapters share, whatever the framework: a request with its response, and what is answered.
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/http.hpp"
#include "websession/result.hpp"
#include "websession/session_options.hpp"
#include "websession/transport.hpp"

WEBSESSION_API_BEGIN
namespace websession::adapters {

// A header by which a proxy tells that the browser came by https.
enum class ForwardedHeader {
  x_forwarded_proto,           // X-Forwarded-Proto: https (nginx, Caddy, Traefik, AWS ELB, …)
  x_forwarded_ssl,             // X-Forwarded-Ssl: on
  forwarded,                   // Forwarded: for=…;proto=https (RFC 7239)
  cloudfront_forwarded_proto,  // CloudFront-Forwarded-Proto: https
};

// What an application can decide, with its framework's request and response. The hooks must not
// throw: in an asynchronous adapter nobody would catch it.
template <class Request, class Response>
struct AdapterOptions {
  // Believe X-Forwarded-Proto, or what `forwarded_header` says. Only for a server that nobody
  // reaches but through a proxy that sets the header: anybody else can write into it what he likes.
  bool trust_forwarded_proto = false;
  // Which header it is that this proxy sets.
  ForwardedHeader forwarded_header = ForwardedHeader::x_forwarded_proto;
  // Which requests are RequestInfo::passive; unset: none.
  std::function<bool(const Request&)> passive{};
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

// One request with its response, as an adapter shows it. With a function put_cookie(SetCookie),
// that is called in place of put for the session's cookie: for frameworks that keep cookies apart.
template <class E>
concept Exchange = requires(E& exchange, const Header& header, const Error& error) {
  // All lines of a header, joined.
  { exchange.header("Cookie", "; ") } -> std::convertible_to<std::string>;
  { exchange.https() } -> std::convertible_to<bool>;  // of the transport itself
  { exchange.options.trust_forwarded_proto } -> std::convertible_to<bool>;
  { exchange.options.forwarded_header } -> std::convertible_to<ForwardedHeader>;
  { exchange.passive() } -> std::convertible_to<bool>;  // what AdapterOptions::passive says
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

// What a line of such a header says of the nearest proxy's client: its last element.
[[nodiscard]] bool forwarded_https_line(std::string_view line, ForwardedHeader header);

// Lines come one below the other. Some frameworks do not keep their order, so all must agree: a
// client's own line beside the proxy's must not win.
[[nodiscard]] bool forwarded_https(std::string_view lines,
                                   ForwardedHeader header = ForwardedHeader::x_forwarded_proto);

// The header's name.
[[nodiscard]] const char* to_text(ForwardedHeader header) noexcept;

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

// What a manager has to know of a request.
struct RequestFacts {
  std::string cookies{};
  std::string authorization{};
  std::string session_header{};
  bool https = false;
  bool passive = false;
  [[nodiscard]] RequestInfo info() const noexcept {  // views of this
    return {cookies, https, authorization, session_header, passive};
  }
};

// `options`: the manager's.
template <Exchange E>
RequestFacts facts_of(E& exchange, const SessionOptions& options) {
  const TransportOptions& transport = options.transport;
  RequestFacts facts;
  if (transport.cookie) facts.cookies = exchange.header("Cookie", "; ");  // RFC 9113 §8.2.3
  if (transport.bearer) facts.authorization = exchange.header("Authorization", ", ");
  if (!transport.header.empty()) {
    facts.session_header = exchange.header(transport.header.c_str(), ", ");
  }
  const ForwardedHeader forwarded = exchange.options.forwarded_header;
  facts.https =
      exchange.https() || (exchange.options.trust_forwarded_proto &&
                           forwarded_https(exchange.header(to_text(forwarded), "\n"), forwarded));
  facts.passive = exchange.passive();
  return facts;
}

// Puts the headers of a commit on the response.
template <Exchange E>
void put(E& exchange, const Commit& commit) {
  constexpr bool keeps_cookies_apart = requires(const SetCookie& cookie) {
    exchange.put_cookie(cookie);
  };
  for (const Header& header : commit.headers) {
    if (!keeps_cookies_apart || header.name != "Set-Cookie") exchange.put(header);
  }
  if constexpr (keeps_cookies_apart) {
    if (commit.cookie) exchange.put_cookie(*commit.cookie);
  }
}

// Makes the response of a request that is finished.
template <Exchange E>
void answer(E& exchange, const Finished& finished) {
  if (finished.error) {
    exchange.fail(*finished.error);
  } else if (finished.commit.status == Commit::Status::gone) {
    exchange.session_gone();
  }
  put(exchange, finished.commit);
}

// Makes the response of a request whose session could not be opened. `Manager`: either.
template <Exchange E, class Manager>
void refuse(const Manager& manager, E& exchange, const Error& error) {
  Finished refused{error, {}};
  refused.commit.headers = manager.cache_headers(facts_of(exchange, manager.options()).info());
  answer(exchange, refused);
}

namespace internal {
// What a session is told of a handler that has failed for a reason of its own.
[[nodiscard]] inline Error handler_failed() {
  return make_error(Errc::canceled, "the handler has failed");
}

// What came out of a handler that did not return.
struct Thrown {
  std::optional<Error> error{};  // that of an Exception of ours
  std::exception_ptr other{};
  // Why nothing is committed; nullopt: it did return.
  [[nodiscard]] std::optional<Error> failure() const {
    if (other) return handler_failed();
    return error;
  }
};
// Calls run(self), and catches. It is in the library, so that programs without exceptions can
// include this.
Thrown thrown_by(void* self, void (*run)(void* self));

template <class Function>
Thrown thrown_by(Function& function) {
  return thrown_by(&function, [](void* self) { (*static_cast<Function*>(self))(); });
}
}  // namespace internal

}  // namespace websession::adapters
WEBSESSION_API_END
