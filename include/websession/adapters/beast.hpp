// Sessions for Boost.Beast (Boost 1.74 and newer): wrap a handler that takes an AsyncSession.
//
//   const auto page = with_session(manager, [](const Request& req, Response& res,
//                                              AsyncSession session) -> awaitable<void> {…});
//   …
//   co_await page(req, res);      // then write res
#pragma once

#include <utility>  // Boost 1.74 uses it, and does not include it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#endif
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "websession/adapters/async_with_session.hpp"
#include "websession/async/boost_asio.hpp"

namespace websession::adapters::beast {

using Request = boost::beast::http::request<boost::beast::http::string_body>;
using Response = boost::beast::http::response<boost::beast::http::string_body>;

struct Options : AdapterOptions<Request, Response> {
  // The server ends TLS itself: a message does not tell.
  bool https = false;
};

// A message of Beast's with its response, which outlive this.
class Exchange {
 public:
  Exchange(const Options& its_options, const Request& request, Response& response)
      : options(its_options), request_(request), response_(response), before_(response) {}

  const Options& options;

  [[nodiscard]] std::string header(const char* name, const char* separator) const {
    return joined(request_, name, separator);
  }
  [[nodiscard]] bool https() const noexcept { return options.https; }
  [[nodiscard]] bool passive() const { return options.passive && options.passive(request_); }
  void put(const Header& header) {
    if (header.mode == Header::Mode::append) return response_.insert(header.name, header.value);
    const auto value = header.over(joined(response_, header.name, ", "));
    if (value) response_.set(header.name, *value);
  }
  void fail(const Error& error) {
    response_ = std::move(before_);
    if (error.code == Errc::gone && options.on_gone) {
      options.on_gone(request_, response_);
    } else if (error.code != Errc::gone && options.on_error) {
      options.on_error(error, request_, response_);
    } else {
      response_.result(static_cast<unsigned>(http_status(error)));
      response_.set(boost::beast::http::field::content_type, "text/plain");
      response_.body() = http_text(error);
    }
    prepare();
  }
  void session_gone() {
    if (!options.on_gone) return;
    options.on_gone(request_, response_);
    prepare();
  }

 private:
  // The length of the body; that itself is not for who has asked for the head.
  void prepare() {
    response_.prepare_payload();
    if (request_.method() == boost::beast::http::verb::head) response_.body().clear();
  }
  template <class Fields>
  static std::string joined(const Fields& fields, std::string_view name,
                            std::string_view separator) {
    std::string all;
    const auto [first, last] = fields.equal_range({name.data(), name.size()});
    for (auto line = first; line != last; ++line) {
      const auto value = line->value();
      join_header(all, {value.data(), value.size()}, separator);
    }
    return all;
  }

  const Request& request_;
  Response& response_;
  Response before_;  // as it was before the handler
};

// What with_session makes of a handler. Copies share it. It may go before its calls have ended.
template <class Handler>
class Page {
 public:
  Page(const AsyncSessionManager& manager, Handler handler, Options options)
      : parts_(
            std::make_shared<const Parts>(Parts{manager, std::move(handler), std::move(options)})) {
  }

  // For a handler that is a coroutine, with an asio::awaitable<void>. Request and response outlive
  // what this gives. Cancelling it (Boost 1.77 and newer) ends a session's opening, and what the
  // handler waits for; what a sign-in or a logout has begun goes on to its end.
  boost::asio::awaitable<void> operator()(const Request& request, Response& response) const {
    return run(parts_, request, response);
  }
  // For one that takes a Finish: `answered` is called when the response is to be sent.
  void operator()(const Request& request, Response& response, Callback<void()> answered) const {
    auto exchange = std::make_shared<Exchange>(parts_->options, request, response);
    auto handler = [parts = parts_, &request, &response](const AsyncSession& session,
                                                         const Finish& finish) {
      parts->handler(request, response, session, finish);
    };
    adapters::with_session(
        parts_->manager, std::move(exchange), std::move(handler),
        [parts = parts_, answered = std::move(answered)]() mutable { answered(); });
  }

 private:
  struct Parts {
    AsyncSessionManager manager;
    Handler handler;
    Options options;
  };

  static boost::asio::awaitable<void> run(std::shared_ptr<const Parts> parts,
                                          const Request& request, Response& response) {
    Exchange exchange(parts->options, request, response);
    auto opening = begin(parts->manager, exchange);
    const Result<AsyncSession> session =
        co_await async_run(std::move(opening), boost::asio::use_awaitable);
    if (!session) co_return refuse(parts->manager, exchange, session.error());

    adapters::internal::Thrown thrown;
    try {
      co_await parts->handler(request, response, *session);
    } catch (const Exception& exception) {
      thrown.error = exception.error();
    } catch (...) {
      thrown.other = std::current_exception();
    }
    auto finishing = parts->manager.finish(*session, thrown.failure());
#if BOOST_ASIO_VERSION >= 101900
    // Also in a coroutine that has been cancelled, where any await would throw.
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    const Result<Finished> result = co_await async_run(
        std::move(finishing), boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                                                  boost::asio::use_awaitable));
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
#else
    const Result<Finished> result =
        co_await async_run(std::move(finishing), boost::asio::use_awaitable);
#endif
    const Finished finished = result ? *result : Finished{result.error(), {}};
    if (!thrown.other) co_return answer(exchange, finished);
    adapters::put(exchange, finished.commit);
    std::rethrow_exception(thrown.other);
  }

  std::shared_ptr<const Parts> parts_;
};

// `handler` is called as handler(const Request&, Response&, AsyncSession): an
// asio::awaitable<void>; or with a Finish as the last argument, which it calls when it is done.
template <class Handler>
Page<Handler> with_session(const AsyncSessionManager& manager, Handler handler,
                           Options options = {}) {
  return Page<Handler>(manager, std::move(handler), std::move(options));
}

}  // namespace websession::adapters::beast
