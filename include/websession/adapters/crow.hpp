// Sessions for Crow (1.0 and newer): wrap a handler that takes a Session&, or use a middleware for
// all of them.
//
//   CROW_ROUTE(app, "/")(with_session(manager, [](const auto& req, auto& res, Session& session) {
//     res.body = "Hello " + session.value("name", "stranger");
//   }));
//
// Handlers wait for the store, on Crow's threads. Crow has no handlers that end later: from 1.1 to
// 1.3.3, a response that is ended after its handler has returned destroys its connection in the
// midst of that (https://github.com/CrowCpp/Crow/issues/843).
//
// Of an exception that is not ours Crow makes a response of its own, without headers of ours.
#pragma once

#include <crow/http_request.h>
#include <crow/http_response.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "websession/adapters/with_session.hpp"

namespace websession::adapters::crow {

using Request = ::crow::request;
using Response = ::crow::response;

struct Options : AdapterOptions<Request, Response> {
  // The server ends TLS itself: a request does not tell.
  bool https = false;
};

// A request of Crow's with its response, which outlive this.
class Exchange {
 public:
  Exchange(const Options& its_options, const Request& request, Response& response)
      : options(its_options),
        request_(request),
        response_(response),
        code_(response.code),
        headers_(response.headers),
        body_(response.body) {}

  const Options& options;

  [[nodiscard]] std::string header(const char* name, const char* separator) const {
    return joined(request_.headers, name, separator);
  }
  [[nodiscard]] bool https() const noexcept { return options.https; }
  [[nodiscard]] bool passive() const { return options.passive && options.passive(request_); }
  void put(const Header& header) {
    std::optional<std::string> value = header.value;
    if (header.mode != Header::Mode::append) {
      value = header.over(joined(response_.headers, header.name, ", "));
      if (value) response_.headers.erase(header.name);
    }
    if (value) response_.headers.emplace(header.name, *value);
  }
  void fail(const Error& error) {
    response_.clear();
    response_.code = code_;
    response_.headers = headers_;
    response_.body = body_;
    if (error.code == Errc::gone && options.on_gone) {
      options.on_gone(request_, response_);
    } else if (error.code != Errc::gone && options.on_error) {
      options.on_error(error, request_, response_);
    } else {
      response_.code = http_status(error);
      response_.set_header("Content-Type", "text/plain");
      response_.body = http_text(error);
    }
    if (!response_.manual_length_header) return;
    // A middleware's, after the response to a HEAD was made.
    response_.set_header("Content-Length", std::to_string(response_.body.size()));
    response_.body.clear();
  }
  void session_gone() {
    if (options.on_gone) options.on_gone(request_, response_);
  }

 private:
  template <class Headers>
  static std::string joined(const Headers& headers, const std::string& name,
                            const char* separator) {
    std::string all;
    const auto [first, last] = headers.equal_range(name);
    for (auto line = first; line != last; ++line) join_header(all, line->second, separator);
    return all;
  }

  const Request& request_;
  Response& response_;
  // As they were before the handler.
  int code_;
  std::remove_reference_t<decltype(std::declval<Response&>().headers)> headers_;
  std::string body_;
};

// `handler` is called as handler(const request&, response&, Session&), on a thread of Crow's, which
// waits for the store. It does not call end().
template <class Handler>
auto with_session(const SessionManager& manager, Handler handler, const Options& options = {}) {
  return [=](const Request& request, Response& response) {
    adapters::with_session(manager, Exchange(options, request, response),
                           [&](Session& session) { handler(request, response, session); });
    response.end();
  };
}

// A middleware that gives every request a session, on Crow's threads, which wait for the store:
//
//   crow::App<Sessions> app(Sessions(manager));
//   CROW_ROUTE(app, "/")([&](const crow::request& req) {
//     Session& session = *app.get_context<Sessions>(req).session;
//
// A response of 500 or more, such as Crow makes of any exception (on_error does not hear of those),
// commits nothing, nor does a request that becomes a WebSocket.
class Sessions {
 public:
  struct context {
    std::optional<Session> session{};
    std::unique_ptr<Exchange> exchange{};
  };

  explicit Sessions(SessionManager manager, Options options = {})
      : manager_(std::move(manager)), options_(std::move(options)) {}

  void before_handle(Request& request, Response& response, context& its) {
    its.exchange = std::make_unique<Exchange>(options_, request, response);
    Result<Session> session = begin(manager_, *its.exchange);
    if (!session) {
      response.skip_body = request.method == ::crow::HTTPMethod::Head;
      return response.end();
    }
    its.session.emplace(*std::move(session));
  }
  void after_handle(Request&, Response& response, context& its) {
    if (!its.session) return;
    if (response.code < 500) return finish(manager_, *its.exchange, *its.session);
    put(*its.exchange, manager_.finish(*its.session, adapters::internal::handler_failed()).commit);
  }

 private:
  SessionManager manager_;
  Options options_;
};

}  // namespace websession::adapters::crow
