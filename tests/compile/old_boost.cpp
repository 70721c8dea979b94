// What Boost 1.74, this distribution's default, compiles: reactors, callbacks, use_awaitable, and
// the adapter of Beast. Cancellation slots are younger.
#include <websession/adapters/beast.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_future.hpp>

namespace asio = boost::asio;
using websession::AsyncSession;
using websession::AsyncSessionManager;
using websession::Result;
using websession::adapters::Finish;
using websession::adapters::beast::Request;
using websession::adapters::beast::Response;
using websession::adapters::beast::with_session;

std::shared_ptr<websession::Reactor> loops(asio::io_context& context) {
  websession::asio_reactor(asio::make_strand(context))->post([] {});
  websession::asio_reactor(asio::any_io_executor(context.get_executor()))->post([] {});
  return websession::asio_reactor_of_one_thread(context);
}

void run(const AsyncSessionManager& manager, asio::io_context& context, Request& req,
         Response& res) {
  async_run(manager.create(), [](const Result<AsyncSession>&) {});
  static_cast<void>(async_run(manager.create(), asio::use_future).get());
  const auto page = with_session(
      manager, [](const Request&, Response&, AsyncSession session) -> asio::awaitable<void> {
        auto counting = session.increment("n");
        static_cast<void>(co_await async_run(std::move(counting), asio::use_awaitable));
      });
  co_spawn(context, page(req, res), asio::detached);
  const auto other = with_session(manager, [](const Request&, Response&, const AsyncSession&,
                                              const Finish& finish) { finish(); });
  other(req, res, [] {});
}
