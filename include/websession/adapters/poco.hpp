// Sessions for Poco's HTTPServer (1.11 and newer): wrap a handler that takes a Session&.
//
//   const auto page = with_session(manager, [](Request& req, Response& res, Session& session) {
//     res.body << "Hello " << session.value("name", "stranger");
//   });
//   …
//   void handleRequest(HTTPServerRequest& req, HTTPServerResponse& res) override { page(req, res);
//   }
#pragma once

#include <Poco/Net/HTTPMessage.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/String.h>

#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "websession/adapters/with_session.hpp"

namespace websession::adapters::poco {

using Request = Poco::Net::HTTPServerRequest;

// Poco sends the headers with the first byte of a body. But the session's cookie is known only when
// the handler is done: so it sends nothing (nor calls redirect() or the like, which do), but sets
// status and headers, and writes the body here.
struct Response {
  Poco::Net::HTTPServerResponse& head;
  std::ostringstream body{};
};

using Options = AdapterOptions<Request, Response>;

// A request of Poco's with its response, which outlive this.
class Exchange {
 public:
  Exchange(const Options& its_options, Request& request, Response& response)
      : options(its_options), request_(request), response_(response), before_(response.head) {}

  const Options& options;

  [[nodiscard]] std::string header(const char* name, const char* separator) const {
    return joined(request_, name, separator);
  }
  [[nodiscard]] bool https() const { return request_.secure(); }
  [[nodiscard]] bool passive() const { return options.passive && options.passive(request_); }
  void put(const Header& header) {
    std::optional<std::string> value = header.value;
    if (header.mode != Header::Mode::append) {
      value = header.over(joined(response_.head, header.name, ", "));
      if (value) response_.head.erase(header.name);
    }
    if (value) response_.head.add(header.name, *value);
  }
  void fail(const Error& error) {
    static_cast<Poco::Net::HTTPResponse&>(response_.head) = before_;
    response_.body.str({});
    const bool gone = error.code == Errc::gone;
    if (gone && options.on_gone) return options.on_gone(request_, response_);
    if (!gone && options.on_error) return options.on_error(error, request_, response_);
    response_.head.setStatusAndReason(
        static_cast<Poco::Net::HTTPResponse::HTTPStatus>(http_status(error)));
    response_.head.setContentType("text/plain");
    response_.body << http_text(error);
  }
  void session_gone() {
    if (options.on_gone) options.on_gone(request_, response_);
  }

 private:
  static std::string joined(const Poco::Net::HTTPMessage& message, const std::string& name,
                            const char* separator) {
    std::string all;
    for (const auto& [field, value] : message) {
      if (Poco::icompare(field, name) == 0) join_header(all, value, separator);
    }
    return all;
  }

  Request& request_;
  Response& response_;
  const Poco::Net::HTTPResponse before_;  // as it was before the handler
};

namespace internal {

inline bool has_unread_body(Request& request) {
  const bool has_body = request.getChunkedTransferEncoding() ||
                        (request.hasContentLength() && request.getContentLength64() > 0);
  return has_body && !request.stream().eof();
}

// However the handler ends.
class SentEarly {
 public:
  SentEarly(const SessionManager& manager, const Poco::Net::HTTPServerResponse& head,
            const Session& session) noexcept
      : manager_(manager), head_(head), session_(session) {}
  SentEarly(const SentEarly&) = delete;
  SentEarly& operator=(const SentEarly&) = delete;
  ~SentEarly() {
    if (!head_.sent()) return;
    manager_.report(make_error(Errc::invalid_argument,
                               "the handler has sent the response itself, so the session's cookie "
                               "is not on it: write to Response::body instead"),
                    session_);
  }

 private:
  const SessionManager& manager_;
  const Poco::Net::HTTPServerResponse& head_;
  const Session& session_;
};

}  // namespace internal

// `handler` is called as handler(Request&, Response&, Session&). Gives what handleRequest needs; it
// sends the response.
template <class Handler>
auto with_session(const SessionManager& manager, Handler handler, const Options& options = {}) {
  return [=](Request& request, Poco::Net::HTTPServerResponse& head) {
    Response response{head};
    adapters::with_session(manager, Exchange(options, request, response), [&](Session& session) {
      const internal::SentEarly told(manager, head, session);
      handler(request, response, session);
    });
    if (head.sent()) return;
    // What nobody has read of this request would be read as the next one, whoever has written it.
    if (internal::has_unread_body(request)) head.setKeepAlive(false);
    const std::string body = response.body.str();
    head.sendBuffer(body.data(), body.size());
  };
}

}  // namespace websession::adapters::poco
