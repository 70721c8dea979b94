// The door from the public Session to what it holds, for the library's own parts.
#pragma once

#include <memory>
#include <utility>

#include "blocking_flow.hpp"
#include "session_state.hpp"
#include "websession/async/session.hpp"
#include "websession/session.hpp"

namespace websession::internal {

// Runs an operation to its end, by its deadline. `make(flow)` gives the Task.
template <class Make>
auto run_operation(SessionStore& store, const SessionContext& context, const Make& make) {
  FrameMemory memory;
  BlockingDriver driver(store);
  StoreFlow flow(memory.arena(), driver, *context.clock, context.options.operation_timeout);
  auto result = finish(make(flow));
  if (flow.has_timed_out()) context.tell_refused(StoreFlow::timed_out());
  return result;
}

class SessionAccess {
 public:
  [[nodiscard]] static SessionState& state(SessionBase& session) noexcept {
    return *session.state_;
  }
  [[nodiscard]] static const SessionState& state(const SessionBase& session) noexcept {
    return *session.state_;
  }
  // For an operation that does not change the session, but must not meet another one.
  [[nodiscard]] static SessionState* kept(const Session* session) noexcept {
    return session != nullptr ? session->state_ : nullptr;
  }

  // A session that another manager of the same sessions has opened goes by this one's options and
  // store from now on; but not while an operation is on, which goes by those it has begun with.
  static void hand_over(Session& session, const ContextPtr& context, SessionStore& store) {
    if (session.state_->is_busy()) return;
    session.state_->set_context(context);
    session.store_ = &store;
  }

  // The same for a session that goes by its own store.
  static void hand_over(SessionState& state, const ContextPtr& context) {
    if (!state.is_busy()) state.set_context(context);
  }
  [[nodiscard]] static const std::shared_ptr<SessionState>& shared(
      const AsyncSession& session) noexcept {
    return session.owned_;
  }
  // Null of null.
  [[nodiscard]] static std::shared_ptr<SessionState> shared(const AsyncSession* session) noexcept {
    return session != nullptr ? session->owned_ : nullptr;
  }
  [[nodiscard]] static const std::shared_ptr<const AsyncHome>& home(
      const AsyncSession& session) noexcept {
    return session.home_;
  }
  [[nodiscard]] static AsyncSession make(std::shared_ptr<SessionState> state,
                                         std::shared_ptr<const AsyncHome> home) noexcept {
    return {std::move(state), std::move(home)};
  }

  // The session's own. `make(flow, state)` gives the Task.
  template <class Make>
  static auto run(Session& session, const Make& make) {
    SessionState& state = *session.state_;
    return run_operation(*session.store_, state.context(),
                         [&](StoreFlow& flow) { return make(flow, state); });
  }
};

}  // namespace websession::internal
