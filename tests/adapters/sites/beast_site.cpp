#include "websession/adapters/beast.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <functional>
#include <map>
#include <thread>

#include "site.hpp"
#include "websession/async/stores.hpp"

namespace websession::testing {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using adapters::Finish;
using adapters::beast::Options;
using adapters::beast::Request;
using adapters::beast::Response;
using adapters::beast::with_session;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

using Page = std::function<awaitable<void>(const Request&, Response&)>;
using Pages = std::map<std::string, Page>;

Deeds begin(const SiteParts& parts, const Request& req, Response& res,
            const AsyncSession& session) {
  const auto words = req["X-Do"];
  Deeds deeds(std::string_view(words.data(), words.size()));
  for (const auto& [name, value] : deeds.headers()) res.set(name, value);
  res.insert("Set-Cookie", other_cookie);
  res.body() = half_an_answer;
  if (deeds.has("end")) parts.end(session);
  return deeds;
}
void end(const Deeds& deeds, AsyncSession session, const std::optional<std::int64_t>& counted,
         Response& res) {
  res.body() = deeds.carry_out(session, counted);
  res.prepare_payload();
}

// The two kinds of handlers.

auto coroutine_page(const SiteParts& parts) {
  return [parts](const Request& req, Response& res, AsyncSession session) -> awaitable<void> {
    const Deeds deeds = begin(parts, req, res, session);
    std::optional<std::int64_t> counted;
    if (deeds.has("count")) {
      auto counting = session.increment("count");
      const Result<std::int64_t> count = co_await async_run(std::move(counting), use_awaitable);
      counted = count.value();
    }
    end(deeds, session, counted, res);
  };
}
auto callback_page(const SiteParts& parts) {
  return [parts](const Request& req, Response& res, AsyncSession session, const Finish& finish) {
    const Deeds deeds = begin(parts, req, res, session);
    if (!deeds.has("count")) {
      end(deeds, session, std::nullopt, res);
      return finish();
    }
    session.increment("count").start([deeds, session, &res, finish](Result<std::int64_t> count) {
      if (!count) return finish(count.error());
      end(deeds, session, *count, res);
      finish();
    });
  };
}

// A page of callbacks, for a server of coroutines.
template <class Wrapped>
Page awaited(Wrapped page) {
  return [page](const Request& req, Response& res) -> awaitable<void> {
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [&](auto handler) {
          page(req, res, [handler = std::move(handler)]() mutable { std::move(handler)(); });
        },
        use_awaitable);
  };
}

template <class Wrap>
Pages pages(const AsyncSessionManager& manager, const Wrap& wrap) {
  Options hooks;
  hooks.on_error = [](const Error& error, const Request&, Response& res) {
    res.result(502U);
    res.body() = error.detail;
  };
  hooks.on_gone = [](const Request&, Response& res) {
    res.result(http::status::see_other);
    res.set(http::field::location, "/");
  };
  Options proxied;
  proxied.trust_forwarded_proto = true;
  return {{"/", wrap(manager, Options())},
          {"/hooks", wrap(manager, hooks)},
          {"/proxied", wrap(manager, proxied)}};
}

awaitable<void> serve(tcp::socket socket, const Pages& pages) {
  boost::beast::flat_buffer buffer;
  boost::system::error_code error;
  auto token = asio::redirect_error(use_awaitable, error);
  while (true) {
    Request req;
    co_await http::async_read(socket, buffer, req, token);
    if (error) co_return;
    Response res(http::status::ok, req.version());
    res.keep_alive(req.keep_alive());
    bool failed = false;
    try {
      co_await pages.at(std::string(req.target()))(req, res);
    } catch (const std::exception&) {
      failed = true;
    }
    if (failed) {
      res.result(http::status::internal_server_error);
      res.body().clear();
      res.prepare_payload();
    }
    co_await http::async_write(socket, res, token);
    if (error || !res.keep_alive()) co_return;
  }
}

awaitable<void> accept(tcp::acceptor& acceptor, const Pages& pages) {
  boost::system::error_code error;
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, error));
    if (error) co_return;
    co_spawn(acceptor.get_executor(), serve(std::move(socket), pages), asio::detached);
  }
}

class BeastSite final : public Site {
 public:
  template <class Wrap>
  BeastSite(const SiteParts& parts, const Wrap& wrap)
      : acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}) {
    const auto loop = asio_reactor_of_one_thread(context_);
    const auto manager =
        AsyncSessionManager::make(immediate(parts.store, {loop}).value(), parts.options).value();
    pages_ = pages(manager, wrap);
    co_spawn(context_, accept(acceptor_, pages_), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~BeastSite() override {
    context_.stop();
    thread_.join();
  }
  [[nodiscard]] int port() const override { return acceptor_.local_endpoint().port(); }

 private:
  asio::io_context context_{1};
  Pages pages_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace

const SiteKind beast_site{"beast", [](const SiteParts& parts) -> std::unique_ptr<Site> {
                            const auto wrap = [&](const auto& manager, const Options& options) {
                              return Page(with_session(manager, coroutine_page(parts), options));
                            };
                            return std::make_unique<BeastSite>(parts, wrap);
                          }};
const SiteKind beast_callback_site{
    "beast_callback", [](const SiteParts& parts) -> std::unique_ptr<Site> {
      const auto wrap = [&](const auto& manager, const Options& options) {
        return awaited(with_session(manager, callback_page(parts), options));
      };
      return std::make_unique<BeastSite>(parts, wrap);
    }};

}  // namespace websession::testing
