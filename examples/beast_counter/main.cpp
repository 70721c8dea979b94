// A web page that counts a visitor's views: Boost.Beast on one thread, its handlers coroutines.
// While one waits for Redis, others are served.
#include <websession/adapters/beast.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "counter.hpp"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using counter::Page;
using websession::AsyncSession;
using websession::AsyncSessionManager;
using websession::Result;
using websession::adapters::beast::Request;
using websession::adapters::beast::Response;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

void show(const Page& page, Response& res) {
  res.result(static_cast<unsigned>(page.status));
  if (!page.location.empty()) res.set(http::field::location, page.location);
  if (!page.content_type.empty()) res.set(http::field::content_type, page.content_type);
  res.body() = page.body;
  res.prepare_payload();
}

// The pages with a session.
awaitable<void> visit(const counter::Arguments& arguments, const Request& req, Response& res,
                      AsyncSession session) {
  if (req.target() == "/new") co_return show(counter::start_anew(session), res);
  if (req.target() == "/logout") co_return show(counter::log_out(session), res);
  // `increment` acts in the store at once, so views on two servers are both counted.
  const Result<std::int64_t> views = co_await async_run(session.increment("count"), use_awaitable);
  const std::string_view accept = view(req[http::field::accept]);
  show(counter::count(arguments, accept, views.value(), session), res);
}

// One browser's connection. `serve_page(req, res)` is a page with a session.
template <class Serve>
awaitable<void> serve(tcp::socket socket, const Serve& serve_page) {
  boost::beast::flat_buffer buffer;
  boost::system::error_code error;
  auto token = asio::redirect_error(use_awaitable, error);
  for (bool goes_on = true; goes_on && !error;) {
    Request req;
    co_await http::async_read(socket, buffer, req, token);
    if (error) break;
    Response res(http::status::ok, req.version());
    res.keep_alive(req.keep_alive());
    if (const auto page = counter::without_session(view(req.method_string()), view(req.target()))) {
      show(*page, res);
    } else {
      co_await serve_page(req, res);
    }
    goes_on = res.keep_alive();
    co_await http::async_write(socket, res, token);
  }
}

template <class Serve>
awaitable<void> accept(tcp::acceptor acceptor, const Serve& serve_page) {
  while (true) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, error));
    if (!error) {
      co_spawn(acceptor.get_executor(), serve(std::move(socket), serve_page), asio::detached);
    }
  }
}

// Nullopt: somebody has the port.
std::optional<tcp::acceptor> listen(asio::io_context& context, int port) {
  tcp::acceptor acceptor(context, tcp::v4());
  boost::system::error_code error;
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  acceptor.bind({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(port)}, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return std::nullopt;
  return acceptor;
}

int run(const counter::Arguments& arguments) {
  asio::io_context context(1);
  const auto loop = websession::asio_reactor_of_one_thread(context);
  auto store = counter::make_store(arguments, {loop});
  if (!store) return counter::complain(arguments, store.error().message());
  const auto manager = AsyncSessionManager::make(*store, counter::session_options()).value();
  if (const auto problem = counter::problem_of(manager, [&] { context.run_one(); })) {
    return counter::complain(arguments, problem->message());
  }

  websession::adapters::beast::Options options;
  options.on_error = [](const websession::Error& error, const Request&, Response& res) {
    show(counter::sorry(error), res);
  };
  options.on_gone = [](const Request&, Response& res) { show(counter::ended(), res); };
  const auto serve_page = websession::adapters::beast::with_session(
      manager,
      [&](const Request& req, Response& res, AsyncSession session) {
        return visit(arguments, req, res, std::move(session));
      },
      options);

  auto acceptor = listen(context, arguments.port);
  if (!acceptor) return counter::cannot_listen(arguments);
  context.restart();  // it has stopped when the store had answered
  counter::listening_on(acceptor->local_endpoint().port());
  asio::signal_set ends(context, SIGINT, SIGTERM);
  ends.async_wait([&](const auto&, int) { context.stop(); });
  co_spawn(context, accept(*std::move(acceptor), serve_page), asio::detached);
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = counter::parse("beast_counter", argc, argv);
  return arguments ? run(*arguments) : 2;
}
