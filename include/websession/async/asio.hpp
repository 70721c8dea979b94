// Asio without Boost (1.18 and newer) as the loop of sessions: what boost_asio.hpp is for the
// other, with the same functions. Their contracts are there.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/dispatch.hpp>
#include <asio/execution/context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/strand.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION >= 101900
#include <asio/associated_cancellation_slot.hpp>
#endif

#include <chrono>
#include <memory>
#include <utility>

#include "websession/async/internal/asio_of.hpp"
#include "websession/async/op.hpp"
#include "websession/async/reactor.hpp"

namespace websession {

namespace internal {
struct StandaloneAsio {
  using error_code = ::asio::error_code;
  using execution_context = ::asio::execution_context;
  template <class Executor>
  using descriptor = ::asio::posix::basic_stream_descriptor<Executor>;
  template <class Executor>
  using steady_timer =
      ::asio::basic_waitable_timer<std::chrono::steady_clock,
                                   ::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  template <class Executor>
  static execution_context& context_of(const Executor& executor) {
    return ::asio::query(executor, ::asio::execution::context);
  }
  template <class Executor, class Function>
  static void post(const Executor& executor, Function function) {
    ::asio::post(executor, std::move(function));
  }
  template <class Executor, class Function>
  static void dispatch(const Executor& executor, Function function) {
    ::asio::dispatch(executor, std::move(function));
  }
  template <class Handler>
  static auto work_of(const Handler& handler) {
    return ::asio::make_work_guard(::asio::get_associated_executor(handler));
  }
#if ASIO_VERSION >= 101900
  static constexpr bool has_cancellation = true;
  template <class Handler>
  static auto cancellation_slot_of(const Handler& handler) {
    return ::asio::get_associated_cancellation_slot(handler);
  }
#else
  static constexpr bool has_cancellation = false;
#endif
};
}  // namespace internal

inline namespace with_asio {

// On a strand, or on a new one of an executor.
template <class Executor>
std::shared_ptr<Reactor> asio_reactor(const ::asio::strand<Executor>& strand) {
  return internal::asio_reactor_on<internal::StandaloneAsio>(strand);
}
template <class Executor>
std::shared_ptr<Reactor> asio_reactor(const Executor& executor) {
  return asio_reactor(::asio::make_strand(executor));
}

// For a context that one thread runs.
inline std::shared_ptr<Reactor> asio_reactor_of_one_thread(::asio::io_context& context) {
  return internal::asio_reactor_on<internal::StandaloneAsio>(context.get_executor());
}

// Runs an operation for a completion token.
template <class T, class Token>
auto async_run(Op<T> op, Token&& token) {
  return ::asio::async_initiate<Token, void(Result<T>)>(
      internal::AsioRun<internal::StandaloneAsio>(), token, std::move(op));
}

}  // namespace with_asio
}  // namespace websession
