// Sessions for Drogon (1.8 and newer): wrap a handler that takes an AsyncSession, or (1.9.5 and
// newer) use a middleware for all of them.
//
//   const Sessions sessions([](const auto& loops) {
//     auto store = AsyncRedisStore::connect_later("redis://127.0.0.1", loops).value();
//     return AsyncSessionManager::make(store).value();
//   });
//   app().registerHandler("/", with_session(sessions, [](HttpRequestPtr, AsyncSession session)
//                                                         -> Task<HttpResponsePtr> {…}));
//
// Drogon keeps of a request the cookies and not their header, of several with one name the last
// one; and of each header the first line only, X-Forwarded-Proto as well: the proxy must replace
// what a client has sent, as it should anyway.
#pragma once

#include <drogon/Cookie.h>
#include <drogon/HttpAppFramework.h>
#include <drogon/HttpRequest.h>
#include <drogon/HttpResponse.h>
#include <drogon/utils/coroutine.h>

#if __has_include(<drogon/HttpMiddleware.h>)
#include <drogon/HttpMiddleware.h>
#endif

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "websession/adapters/async_with_session.hpp"
#include "websession/async/trantor_reactor.hpp"

namespace websession::adapters::drogon {

using ::drogon::HttpRequestPtr;
using ::drogon::HttpResponsePtr;
using Options = AdapterOptions<HttpRequestPtr, HttpResponsePtr>;

// The sessions of an application. Copies are the same ones.
class Sessions {
 public:
  using Make = std::function<AsyncSessionManager(const AsyncSessionStore::Reactors& loops)>;

  // `make` is called once, when Drogon begins and has its loops, before it listens: a store on them
  // needs no thread besides, and a request's operations run where the request is served. What it
  // throws leaves app().run().
  explicit Sessions(Make make) {
    ::drogon::app().registerBeginningAdvice([manager = manager_, make = std::move(make)] {
      AsyncSessionStore::Reactors loops;
      for (std::size_t i = 0; i < ::drogon::app().getThreadNum(); ++i) {
        loops.push_back(trantor_reactor(*::drogon::app().getIOLoop(i)).value());
      }
      manager->emplace(make(loops));
    });
  }
  // With a store on other loops, such as an IoThread's.
  explicit Sessions(const AsyncSessionManager& manager) { manager_->emplace(manager); }

  // Not before Drogon has begun.
  [[nodiscard]] const AsyncSessionManager& manager() const { return manager_->value(); }

 private:
  std::shared_ptr<std::optional<AsyncSessionManager>> manager_ =
      std::make_shared<std::optional<AsyncSessionManager>>();
};

// A request of Drogon's, and its response once the handler has made one.
class Exchange {
 public:
  Exchange(std::shared_ptr<const Options> its_options, HttpRequestPtr request)
      : options(*its_options), kept_(std::move(its_options)), request_(std::move(request)) {}

  const Options& options;

  [[nodiscard]] std::string header(std::string_view name, std::string_view separator) const {
    if (name != "Cookie") return request_->getHeader(std::string(name));
    std::string all;
    for (const auto& [key, value] : request_->cookies()) {
      join_header(all, key + "=" + value, separator);
    }
    return all;
  }
  [[nodiscard]] bool https() const noexcept { return request_->isOnSecureConnection(); }
  [[nodiscard]] bool passive() const { return options.passive && options.passive(request_); }
  void put(const Header& header) {
    const auto value = header.over(response_->getHeader(header.name));
    if (value) response_->addHeader(header.name, *value);  // it replaces
  }
  void put_cookie(const SetCookie& cookie) {
    ::drogon::Cookie line(cookie.name, cookie.value);
    line.setPath(cookie.path);
    line.setDomain(cookie.domain);
    if (cookie.max_age) line.setMaxAge(static_cast<int>(cookie.max_age->count()));
    if (cookie.expires) {
      const std::chrono::microseconds since = cookie.expires->time_since_epoch();
      line.setExpiresDate(trantor::Date(since.count()));
    }
    line.setSecure(cookie.secure);
    line.setHttpOnly(cookie.http_only);
    if (cookie.same_site) line.setSameSite(same_site(*cookie.same_site));
    set_partitioned(line, cookie.partitioned);
    response_->addCookie(std::move(line));
  }
  void fail(const Error& error) {
    response_ = ::drogon::HttpResponse::newHttpResponse();
    const bool gone = error.code == Errc::gone;
    if (gone && options.on_gone) return options.on_gone(request_, response_);
    if (!gone && options.on_error) return options.on_error(error, request_, response_);
    response_->setStatusCode(static_cast<::drogon::HttpStatusCode>(http_status(error)));
    response_->setContentTypeCode(::drogon::CT_TEXT_PLAIN);
    response_->setBody(http_text(error));
  }
  void session_gone() {
    if (options.on_gone) options.on_gone(request_, response_);
  }

  // What the handler answers. A response may be everybody's: Drogon's own page of a 404 is, one
  // that an application keeps, and one that Drogon is to cache. The session's cookie must not go on
  // that, so it is copied, and never cached (but for a stream, which answers one request anyway,
  // and a custom status code, which cannot be read).
  void respond(HttpResponsePtr response) {
    const bool is_ours = response.use_count() == 1 && response->expiredTime() < 0;
    response_ = is_ours || is_stream(*response) ? std::move(response) : copy(*response);
    response_->setExpiredTime(-1);
  }
  // True once: who is first answers.
  [[nodiscard]] bool claim() noexcept { return !is_claimed_.exchange(true); }
  [[nodiscard]] const HttpRequestPtr& request() const noexcept { return request_; }
  [[nodiscard]] HttpResponsePtr take() { return std::move(response_); }

 private:
  static ::drogon::Cookie::SameSite same_site(SameSite value) {
    if (value == SameSite::strict) return ::drogon::Cookie::SameSite::kStrict;
    if (value == SameSite::lax) return ::drogon::Cookie::SameSite::kLax;
    return ::drogon::Cookie::SameSite::kNone;
  }
  // Templates, as not every version has these.
  template <class Cookie>
  static void set_partitioned(Cookie& cookie, bool partitioned) {
    if constexpr (requires { cookie.setPartitioned(partitioned); }) {
      if (partitioned) cookie.setPartitioned(true);
    }
  }
  template <class Response>
  static bool is_stream(const Response& response) {
    bool is = false;
    if constexpr (requires { response.streamCallback(); }) {
      is = static_cast<bool>(response.streamCallback());
    }
    if constexpr (requires { response.asyncStreamCallback(); }) {
      is = is || static_cast<bool>(response.asyncStreamCallback());
    }
    return is;
  }
  static HttpResponsePtr copy(const ::drogon::HttpResponse& response) {
    HttpResponsePtr mine;
    if (response.sendfileName().empty()) {
      mine = ::drogon::HttpResponse::newHttpResponse();
      mine->setBody(std::string(response.getBody()));
    } else {
      mine = copy_of_file(response);
    }
    mine->setStatusCode(response.statusCode());
    mine->setContentTypeString(std::string(response.contentTypeString()));
    mine->setCloseConnection(response.ifCloseConnection());
    for (const auto& [name, value] : response.headers()) mine->addHeader(name, value);
    for (const auto& [name, cookie] : response.cookies()) mine->addCookie(cookie);
    return mine;
  }
  template <class Response>
  static HttpResponsePtr copy_of_file(const Response& response) {
    const std::string& path = response.sendfileName();
    if constexpr (requires { response.sendfileRange(); }) {
      const auto [offset, length] = response.sendfileRange();
      if (length > 0) return Response::newFileResponse(path, offset, length, false);
    }
    return Response::newFileResponse(path);
  }

  const std::shared_ptr<const Options> kept_;
  const HttpRequestPtr request_;
  HttpResponsePtr response_{};
  std::atomic<bool> is_claimed_ = false;
};

// What a handler of callbacks answers with, once. When nobody does, the request fails.
class Reply {
 public:
  Reply(std::shared_ptr<Exchange> exchange, Finish finish)
      : exchange_(std::move(exchange)), finish_(std::move(finish)) {}
  void operator()(HttpResponsePtr response) const {
    if (!exchange_->claim()) return;
    exchange_->respond(std::move(response));
    finish_();
  }
  // Nothing is committed, and the response is that of the error.
  void operator()(const Error& error) const {
    if (exchange_->claim()) finish_(error);
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  Finish finish_;
};

namespace internal {

// Serves one request: `handle(request, session)` gives a Task<HttpResponsePtr>.
template <class Handle>
::drogon::Task<HttpResponsePtr> serve(Sessions sessions, std::shared_ptr<const Options> options,
                                      HttpRequestPtr request, Handle handle) {
  const AsyncSessionManager& manager = sessions.manager();
  Exchange exchange(std::move(options), request);
  auto opening = begin(manager, exchange);
  const Result<AsyncSession> session = co_await std::move(opening);
  if (!session) {
    refuse(manager, exchange, session.error());
    co_return exchange.take();
  }
  adapters::internal::Thrown thrown;
  try {
    exchange.respond(co_await handle(request, *session));
  } catch (const Exception& exception) {
    thrown.error = exception.error();
  } catch (...) {
    thrown.other = std::current_exception();
  }
  auto finishing = manager.finish(*session, thrown.failure());
  const Result<Finished> finished = co_await std::move(finishing);
  // Drogon makes the response of that, without headers of ours.
  if (thrown.other) std::rethrow_exception(thrown.other);
  answer(exchange, finished ? *finished : Finished{finished.error(), {}});
  co_return exchange.take();
}

}  // namespace internal

// `handler` is called as handler(HttpRequestPtr, AsyncSession), and gives a Task<HttpResponsePtr>;
// or as handler(HttpRequestPtr, AsyncSession, Reply), and calls that when it is done. Gives what
// registerHandler takes. Of an exception that is not ours, Drogon makes a response of its own if
// the handler is a coroutine; else it is a plain 500.
template <class Handler>
auto with_session(const Sessions& sessions, Handler handler, Options options = {}) {
  const auto shared = std::make_shared<const Options>(std::move(options));
  if constexpr (std::is_invocable_v<const Handler&, const HttpRequestPtr&, const AsyncSession&>) {
    return [=](HttpRequestPtr request) -> ::drogon::Task<HttpResponsePtr> {
      return internal::serve(sessions, shared, std::move(request), handler);
    };
  } else {
    return
        [=](const HttpRequestPtr& request, std::function<void(const HttpResponsePtr&)>&& respond) {
          auto exchange = std::make_shared<Exchange>(shared, request);
          auto call = [handler, exchange](const AsyncSession& session, const Finish& finish) {
            handler(exchange->request(), session, Reply(exchange, finish));
          };
          adapters::with_session(
              sessions.manager(), exchange, std::move(call),
              [exchange, respond = std::move(respond)] { respond(exchange->take()); });
        };
  }
}

#if __has_include(<drogon/HttpMiddleware.h>)
// Gives every request of its paths a session: session_of(request).
//
//   app().registerMiddleware(std::make_shared<SessionMiddleware>(sessions));
//   app().registerHandler("/", handler, {"websession::adapters::drogon::SessionMiddleware"});
//
// A response of 500 or more, such as Drogon makes of any exception (on_error does not hear of
// those), commits nothing.
class SessionMiddleware : public ::drogon::HttpCoroMiddleware<SessionMiddleware, false> {
 public:
  explicit SessionMiddleware(Sessions sessions, Options options = {})
      : sessions_(std::move(sessions)),
        options_(std::make_shared<const Options>(std::move(options))) {}

  ::drogon::Task<HttpResponsePtr> invoke(const HttpRequestPtr& request,
                                         ::drogon::MiddlewareNextAwaiter&& next) override {
    const AsyncSessionManager& manager = sessions_.manager();
    Exchange exchange(options_, request);
    auto opening = begin(manager, exchange);
    const Result<AsyncSession> session = co_await std::move(opening);
    if (!session) {
      refuse(manager, exchange, session.error());
      co_return exchange.take();
    }
    request->attributes()->insert(attribute, std::optional<AsyncSession>(*session));
    HttpResponsePtr response = co_await std::move(next);
    const bool failed = response->statusCode() >= ::drogon::k500InternalServerError;
    exchange.respond(std::move(response));
    std::optional<Error> failure;
    if (failed) failure = adapters::internal::handler_failed();
    auto finishing = manager.finish(*session, failure);
    const Result<Finished> finished = co_await std::move(finishing);
    if (finished && failed) {
      adapters::put(exchange, finished->commit);
    } else {
      answer(exchange, finished ? *finished : Finished{finished.error(), {}});
    }
    co_return exchange.take();
  }

  static constexpr const char* attribute = "websession";

 private:
  const Sessions sessions_;
  const std::shared_ptr<const Options> options_;
};

// Throws when the request's path is none of the middleware's.
inline AsyncSession session_of(const HttpRequestPtr& request) {
  const auto& session =
      request->attributes()->get<std::optional<AsyncSession>>(SessionMiddleware::attribute);
  if (session) return *session;
  websession::internal::raise(make_error(
      Errc::invalid_argument,
      "this path has no session: name the SessionMiddleware where its handler is registered"));
}
#endif

}  // namespace websession::adapters::drogon
