// Sessions for cpp-httplib (0.11 and newer): wrap a handler that takes a Session&.
//
//   server.Get("/", with_session(manager, [](const auto& req, auto& res, Session& session) {…}));
#pragma once

#include <httplib.h>

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

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
  [[nodiscard]] bool passive() const { return options.passive && options.passive(req); }
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

// `handler` is called as handler(const Request&, Response&, Session&); or, for a request whose body
// it reads piece by piece, as handler(const Request&, Response&, const ContentReader&, Session&).
// Gives what Server::Get, Post and the like take.
template <class Handler>
auto with_session(SessionManager manager, Handler handler, Options options = {}) {
  using ContentReader = ::httplib::ContentReader;
  if constexpr (std::is_invocable_v<const Handler&, const Request&, Response&, const ContentReader&,
                                    Session&>) {
    return [=](const Request& req, Response& res, const ContentReader& read) {
      adapters::with_session(manager, Exchange{options, req, res},
                             [&](Session& session) { handler(req, res, read, session); });
    };
  } else {
    return [=](const Request& req, Response& res) {
      adapters::with_session(manager, Exchange{options, req, res},
                             [&](Session& session) { handler(req, res, session); });
    };
  }
}

// A session for every handler of a server (cpp-httplib 0.21 and newer):
//
//   ServerSessions sessions(server, manager);
//   server.Get("/", [&](const Request& req, Response& res) {
//     Session& session = sessions.of(req);
//
// It sets the server's pre-request, post-routing and exception handlers, and outlives the server's
// work. An Exception of ours is answered like an error of the commit; any other one is a 500, and a
// response of 500 or more commits nothing. Files and paths without a handler have no session.
//
// The commit comes when the server has prepared the response (ranges, compression). So a hook of
// Pages begins with the response as it was before the handler, and its body is a text
// (set_content): one that is streamed or a file is left out.
template <class Server>
class ServerSessions {
 public:
  using Pages = AdapterOptions<Request, Response>;

  ServerSessions(Server& server, SessionManager manager, Pages options = {})
      : manager_(std::move(manager)), options_(std::move(options)) {
    server.set_pre_request_handler([this](const Request& req, Response& res) {
      return begin(req, res) ? Server::HandlerResponse::Unhandled
                             : Server::HandlerResponse::Handled;
    });
    server.set_exception_handler(
        [this](const Request& req, Response& res, const std::exception_ptr& what) {
          auto rethrow = [&] { std::rethrow_exception(what); };
          res.status = 500;
          if (Visit* const visit = find(req)) visit->failed = internal::thrown_by(rethrow).error;
        });
    server.set_post_routing_handler([this](const Request& req, Response& res) { end(req, res); });
  }
  ServerSessions(const ServerSessions&) = delete;
  ServerSessions& operator=(const ServerSessions&) = delete;

  // That of the request which is being handled.
  [[nodiscard]] Session& of(const Request& req) {
    if (Visit* const visit = find(req)) return *visit->session;
    websession::internal::raise(
        make_error(Errc::invalid_argument, "this request has no session: it has no handler"));
  }

 private:
  struct Visit {
    Exchange exchange;
    std::optional<Session> session{};
    std::optional<Error> failed{};
  };

  bool begin(const Request& req, Response& res) {
    auto visit = std::make_unique<Visit>(Visit{Exchange{options_, req, res}});
    Result<Session> session = adapters::begin(manager_, visit->exchange);
    if (!session) return false;
    visit->session.emplace(*std::move(session));
    const std::lock_guard lock(mutex_);
    visits_[&req] = std::move(visit);
    return true;
  }
  void end(const Request& req, Response& res) {
    std::unique_ptr<Visit> visit;
    {
      const std::lock_guard lock(mutex_);
      const auto found = visits_.find(&req);
      if (found == visits_.end()) return;
      visit = std::move(found->second);
      visits_.erase(found);
    }
    const bool has_failed = res.status >= 500 && !visit->failed;
    Finished finished =
        manager_.finish(*visit->session, has_failed ? internal::handler_failed() : visit->failed);
    if (has_failed) finished.error.reset();  // it has its response
    const bool gone = finished.commit.status == Commit::Status::gone && options_.on_gone;
    if (!finished.error && !gone) return put(visit->exchange, finished.commit);
    answer_anew(visit->exchange, finished, res);
  }
  // The server has prepared the handler's response to the last byte: what is answered in its place
  // has nothing of it but what is about the connection.
  void answer_anew(Exchange& exchange, const Finished& finished, Response& res) {
    const ::httplib::Headers prepared = res.headers;
    if (!finished.error) std::swap(res, exchange.before);
    answer(exchange, finished);
    for (const char* name : {"Connection", "Keep-Alive"}) {
      const auto line = prepared.find(name);
      if (line != prepared.end() && !res.has_header(name)) res.headers.insert(*line);
    }
    if (is_streamed(res)) {  // by a hook, which comes too late for that
      Response plain;
      plain.status = res.status;
      plain.headers = res.headers;
      if (finished.error) plain.body = http_text(*finished.error);
      std::swap(res, plain);
    }
    for (const char* name : {"Content-Length", "Transfer-Encoding"}) res.headers.erase(name);
    res.headers.emplace("Content-Length", std::to_string(res.body.size()));
  }
  template <class AnyResponse>
  static bool is_streamed(const AnyResponse& res) {
    if constexpr (requires { res.file_content_path_; }) {
      if (!res.file_content_path_.empty()) return true;
    }
    return static_cast<bool>(res.content_provider_);
  }
  Visit* find(const Request& req) {
    const std::lock_guard lock(mutex_);
    const auto found = visits_.find(&req);
    return found != visits_.end() ? found->second.get() : nullptr;
  }

  const SessionManager manager_;
  const Pages options_;
  std::mutex mutex_;
  std::unordered_map<const Request*, std::unique_ptr<Visit>> visits_;
};

}  // namespace websession::adapters::httplib
