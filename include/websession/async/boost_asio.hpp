// Boost.Asio (1.74 and newer) as the loop of sessions: its executors as reactors, its completion
// tokens for operations.
//
//   boost::asio::io_context io;
//   const auto loop = websession::asio_reactor_of_one_thread(io);
//   const auto store = AsyncRedisStore::connect_later("redis://127.0.0.1", {loop}).value();
//   …
//   Result<AsyncSession> session = co_await async_run(manager.open(request), use_awaitable);
//
// After a fork, the child leaves alone what is the parent's, as with an EpollReactor, whatever
// notify_fork() does for the rest of Asio.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/associated_cancellation_slot.hpp>
#endif

#include <chrono>
#include <memory>
#include <utility>

#include "websession/async/internal/asio_of.hpp"
#include "websession/async/op.hpp"
#include "websession/async/reactor.hpp"

namespace websession {

namespace internal {
struct BoostAsio {
  using error_code = boost::system::error_code;
  using execution_context = boost::asio::execution_context;
  template <class Executor>
  using descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;
  template <class Executor>
  using steady_timer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  template <class Executor>
  static execution_context& context_of(const Executor& executor) {
    return boost::asio::query(executor, boost::asio::execution::context);
  }
  template <class Executor, class Function>
  static void post(const Executor& executor, Function function) {
    boost::asio::post(executor, std::move(function));
  }
  template <class Executor, class Function>
  static void dispatch(const Executor& executor, Function function) {
    boost::asio::dispatch(executor, std::move(function));
  }
  template <class Handler>
  static auto work_of(const Handler& handler) {
    return boost::asio::make_work_guard(boost::asio::get_associated_executor(handler));
  }
#if BOOST_ASIO_VERSION >= 101900
  static constexpr bool has_cancellation = true;
  template <class Handler>
  static auto cancellation_slot_of(const Handler& handler) {
    return boost::asio::get_associated_cancellation_slot(handler);
  }
#else
  static constexpr bool has_cancellation = false;
#endif
};
}  // namespace internal

// A program that includes asio.hpp as well says which of the two it means:
// websession::with_boost_asio::async_run.
inline namespace with_boost_asio {

// A reactor on a strand, or on a new one of an executor, so that several threads may run the
// context. Operations that begin on the strand need one hop less: share yours, and run your
// handlers on it.
//
// The context is kept busy for as long as a store has a connection on it: run() returns when the
// stores are gone, or after stop(). A context that ends drops what waits for it; stores may outlive
// it, and answer nobody any more. No other thread begins anything while it ends.
template <class Executor>
std::shared_ptr<Reactor> asio_reactor(const boost::asio::strand<Executor>& strand) {
  return internal::asio_reactor_on<internal::BoostAsio>(strand);
}
template <class Executor>
std::shared_ptr<Reactor> asio_reactor(const Executor& executor) {
  return asio_reactor(boost::asio::make_strand(executor));
}

// For a context that one thread runs, which is a strand already.
inline std::shared_ptr<Reactor> asio_reactor_of_one_thread(boost::asio::io_context& context) {
  return internal::asio_reactor_on<internal::BoostAsio>(context.get_executor());
}

// Runs an operation for a completion token: a function that takes a Result<T>, use_awaitable,
// use_future, deferred… It completes on the token's executor, or without one on the operation's
// loop. A cancellation slot (Asio 1.19, Boost 1.77) takes the place of Op::stop_on, for every type
// of cancellation: what has not begun to write ends with `canceled`, and the rest goes on to its
// end. cancel_after (Boost 1.86) needs its overload that takes a timer. A function must not throw.
template <class T, class Token>
auto async_run(Op<T> op, Token&& token) {
  return boost::asio::async_initiate<Token, void(Result<T>)>(
      internal::AsioRun<internal::BoostAsio>(), token, std::move(op));
}

}  // namespace with_boost_asio
}  // namespace websession
