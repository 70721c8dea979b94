// The door from the public AsyncSession to what it holds, and operations on it.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "async/operation.hpp"
#include "session_access.hpp"
#include "session_context.hpp"
#include "session_state.hpp"
#include "websession/async/session.hpp"

namespace websession::internal {

// What a StoreRun makes, on a session or a manager. `ask(flow)` gives the Task, `convert(result)`
// what the operation gives.
template <class Ask, class Convert>
struct Making {
  auto operator()(StoreFlow& flow) { return ask(flow); }
  template <class R>
  auto give(R result) {
    return convert(std::move(result));
  }
  [[nodiscard]] const Clock& clock() const noexcept { return *context->clock; }
  void timed_out() const { context->tell_refused(StoreFlow::timed_out()); }

  ContextPtr context;
  Ask ask;
  Convert convert;
};

struct AsIs {
  template <class R>
  R operator()(R result) const {
    return result;
  }
};

template <class T, class Ask, class Convert = AsIs>
Op<T> make_operation(const ContextPtr& context, std::shared_ptr<const AsyncHome> home, Ask ask,
                     Convert convert = {}) {
  using Make = Making<Ask, Convert>;
  return Op<T>(std::make_shared<StoreOperation<T, Make>>(
      context, std::move(home), Make{context, std::move(ask), std::move(convert)}));
}

// What open and the like give.
struct ToSession {
  Result<AsyncSession> operator()(Result<std::unique_ptr<SessionState>> state) const {
    if (!state) return std::move(state).error();
    return SessionAccess::make(*std::move(state), home);
  }
  std::shared_ptr<const AsyncHome> home;
};

// `ask(flow, state)` gives the Task. The session lives as long.
template <class T, class Ask>
Op<T> session_operation(const AsyncSession& session, Ask ask) {
  const std::shared_ptr<SessionState>& state = SessionAccess::shared(session);
  return make_operation<T>(
      state->shared_context(), SessionAccess::home(session),
      [state, ask = std::move(ask)](StoreFlow& flow) mutable { return ask(flow, *state); });
}

}  // namespace websession::internal
