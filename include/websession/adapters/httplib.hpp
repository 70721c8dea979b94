// Sessions for cpp-httplib (0.11 and newer): wrap a handler that takes a Session&.
//
//   server.Get("/", with_session(manager, [](const auto& req, auto& res, Session& session) {…}));
#pragma once

#include <httplib.h>

#include <optional>
#include <string>

#include "websession/adapters/with_session.hpp"

namespace websession::adapters::httplib {

using Request = ::httplib::Request;
using Response = ::httplib::Response;
using Options = AdapterOptions<Request, Response>;

// A request of cpp-httplib with its response, for adapters::with_session.
struct Exchange {
  const Options& options;
  const Request& req;
  Response& res;
  Response before = res;  // as it was before the handler

  [[nodiscard]] std::string header(const char* name, const char* separator) const {
    return joined(req.headers, name, separator);
  }
  static std::string joined(const ::httplib::Headers& headers, const std::string& name,
                            const char* separator) {
    std::string all;
    const auto [first, last] = headers.equal_range(name);
    for (auto line = first; line != last; ++line) join_header(all, line->second, separator);
    return all;
  }
  template <class AnyRequest>
  static bool over_tls(const AnyRequest& r) {
    if constexpr (requires { r.ssl; }) return r.ssl != nullptr;  // built without TLS, it has none
    return false;
  }
  [[nodiscard]] bool https() const { return over_tls(req); }
  void put(const Header& header) {
    std::optional<std::string> value = header.value;
    if (header.mode != Header::Mode::append) {
      value = header.over(joined(res.headers, header.name, ", "));
      if (value) res.headers.erase(header.name);
    }
    if (value) res.headers.emplace(header.name, *value);  // set_header drops what it does not like
  }
  void fail(const Error& error) {
    std::swap(res, before);  // the handler's response ends with this, and frees what it holds
    const bool gone = error.code == Errc::gone;
    if (gone && options.on_gone) return options.on_gone(req, res);
    if (!gone && options.on_error) return options.on_error(error, req, res);
    res.status = http_status(error);
    res.set_content(http_text(error), "text/plain");
  }
  void session_gone() { options.on_gone ? options.on_gone(req, res) : void(); }
};

// `handler` is called as handler(const Request&, Response&, Session&).
template <class Handler>
auto with_session(SessionManager manager, Handler handler, Options options = {}) {
  return [=](const Request& req, Response& res) {
    adapters::with_session(manager, Exchange{options, req, res},
                           [&](Session& session) { handler(req, res, session); });
  };
}

}  // namespace websession::adapters::httplib
