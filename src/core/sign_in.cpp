#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "invalid.hpp"
#include "principal.hpp"
#include "session_access.hpp"
#include "session_state.hpp"
#include "websession/csrf.hpp"
#include "websession/session_store.hpp"

namespace websession {
namespace {

using internal::SessionAccess;

using internal::invalid;

// What the library keeps for whoever is signed in.
void forget_messages_and_codes(Session& session) {
  for (const std::string_view prefix : {internal::flash_prefix, internal::code_field}) {
    for (const std::string& name : SessionAccess::names(session, prefix)) {
      SessionAccess::put(session, name, std::nullopt);
    }
  }
}

}  // namespace

std::string_view Session::State::stored_principal() const noexcept {
  return principal_of(snapshot());
}

std::string_view Session::State::principal() const noexcept {
  return transition ? std::string_view(transition->principal) : stored_principal();
}

void Session::State::add_transition(Changes& changes) const {
  const auto remove = [&](std::string_view name) {
    if (snapshot().contains(name)) changes.remove.emplace_back(name);
  };
  if (stored) {
    const auto at = transition->at.time_since_epoch().count();
    changes.set.push_back({std::string(created_field), std::to_string(at)});
  }
  if (signs_out()) {
    remove(user_field);
    remove(label_field);
    return;
  }
  changes.set.push_back({std::string(user_field), transition->principal});
  if (!transition->label.empty()) {
    changes.set.push_back({std::string(label_field), transition->label});
  } else if (transition->principal != stored_principal()) {
    remove(label_field);
  }
}

void Session::sign_in(std::string_view principal, std::string_view label) {
  State& state = *state_;
  Result<void> valid = internal::validate_principal(principal);
  // Copied first: what they view may be part of what goes.
  State::Transition next{std::string(principal), internal::clean_label(label),
                         state.shared->clock->wall()};
  // What belongs to another principal is none of this one's business.
  const std::string_view before = state.principal();
  const bool is_another = !before.empty() && before != next.principal;
  if (state.life == State::Life::gone) state.become_over();
  if (state.life != State::Life::alive) valid = invalid("the session has ended; open a new one");
  if (state.life == State::Life::alive && is_another) {
    state.leave();
    forget_messages_and_codes(*this);
  }
  if (!valid) {
    Error error = std::move(valid).error();
    error.detail = "sign_in: " + error.detail;
    return state.fail(std::move(error));
  }
  renew_csrf(*this);  // a token from before must not serve afterwards
  state.transition = std::move(next);
}

void Session::sign_out() {
  if (state_->life == State::Life::gone) state_->become_over();
  if (state_->life != State::Life::alive) return invalidate();
  state_->leave();
  forget_messages_and_codes(*this);
  renew_csrf(*this);
  state_->transition = {{}, {}, state_->shared->clock->wall()};
}

std::optional<std::string_view> Session::principal() const noexcept {
  if (state_->life != State::Life::alive) return std::nullopt;
  const std::string_view principal = state_->principal();
  return principal.empty() ? std::nullopt : std::optional(principal);
}

}  // namespace websession
