// The door from the public Session to what it holds, for the library's own parts.
#pragma once

#include "blocking_flow.hpp"
#include "session_state.hpp"
#include "websession/session.hpp"

namespace websession::internal {

class SessionAccess {
 public:
  [[nodiscard]] static SessionState& state(SessionBase& session) noexcept {
    return *session.state_;
  }
  [[nodiscard]] static const SessionState& state(const SessionBase& session) noexcept {
    return *session.state_;
  }

  // A session that another manager of the same sessions has opened goes by this one's options and
  // store from now on.
  static void hand_over(Session& session, const ContextPtr& context, SessionStore& store) {
    session.state_->set_context(context);
    session.store_ = &store;
  }

  // Runs an operation in the session's store, by its deadline. `make(flow, state)` gives the Task.
  template <class Make>
  static auto run(Session& session, const Make& make) {
    SessionState& state = *session.state_;
    return run_blocking(*session.store_, state.clock(), state.context().options.operation_timeout,
                        [&](StoreFlow& flow) { return make(flow, state); });
  }
};

}  // namespace websession::internal
