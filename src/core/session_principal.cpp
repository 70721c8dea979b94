// Who is signed in to a session and since when, how long it lives, and its end, as a handler asks
// for them.
#include <algorithm>
#include <string>
#include <utility>

#include "alias.hpp"
#include "library_names.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "session_errors.hpp"
#include "session_state.hpp"

namespace websession::internal {

void SessionState::fail_in(std::string_view call, Error error) {
  error.detail = std::string(call) + ": " + error.detail;
  fail(std::move(error));
}

std::string_view SessionState::stored_principal() const noexcept {
  return principal_of(snapshot());
}

std::string_view SessionState::principal() const noexcept {
  return transition_ ? std::string_view(transition_->principal) : stored_principal();
}

void SessionState::sign_in(std::string_view principal, std::string_view label) {
  if (!may_change()) return;
  Result<void> valid = validate_principal(principal);
  // Copied first: what they view may be part of what goes.
  Transition next{std::string(principal), clean_label(label), clock().wall()};
  // What belongs to another principal is none of this one's business.
  const std::string_view before = this->principal();
  const bool is_another = !before.empty() && before != next.principal;
  if (life_ == Life::gone) become_over();
  if (life_ != Life::alive) valid = over_error();
  if (life_ == Life::alive && is_another) leave();
  if (!valid) return fail_in("sign_in", std::move(valid).error());
  renew_csrf();  // a token from before must not serve afterwards
  transition_ = std::move(next);
  reauthenticated_.reset();  // this says more
  alias_.reset();
}

void SessionState::sign_out() {
  if (!may_change()) return;
  if (life_ == Life::gone) become_over();
  if (life_ != Life::alive) return invalidate();
  leave();
  renew_csrf();
  transition_ = {{}, {}, clock().wall()};
  reauthenticated_.reset();
  alias_.reset();
}

void SessionState::leave() {
  timeouts_.reset();
  persistent_.reset();
  pending_.clear();
  cleared_ = true;
  has_left_ = true;
  for (const std::string_view prefix : {flash_prefix, code_field}) {
    for (const std::string& name : library_names(prefix)) put_library(name, std::nullopt);
  }
}

void SessionState::regenerate() {
  if (!may_change()) return;
  regenerate_ = true;
}

void SessionState::reauthenticate() {
  if (!may_change()) return;
  Result<void> valid = check_alive();
  if (valid && outage_) valid = *outage_;
  if (valid && !is_late() && principal().empty()) {
    valid = invalid("nobody is signed in: sign_in does that");
  }
  if (!valid) return fail_in("reauthenticate", std::move(valid).error());
  if (signs_in()) return;  // that says more
  regenerate_ = true;
  reauthenticated_ = clock().wall();
}

std::optional<WallTime> SessionState::signed_in_at() const {
  if (life_ != Life::alive || principal().empty()) return std::nullopt;
  if (transition_) return transition_->at;
  const WallTime now = clock().wall();
  return std::min(stored_->created.value_or(now), now);
}

bool SessionState::recently_authenticated(milliseconds within) const {
  if (life_ != Life::alive || principal().empty()) return false;
  const WallTime now = clock().wall();
  WallTime at;
  if (transition_ || reauthenticated_) {
    at = transition_ ? transition_->at : *reauthenticated_;
  } else if (const auto text = snapshot().find(authenticated_field)) {
    at = time_of(*text).value_or(WallTime());
  } else if (stored_->created && !stored_->is_created_wrong) {
    at = *stored_->created;
  }
  return !is_ahead(at, now) && now - at <= within;
}

void SessionState::set_timeouts(const Timeouts& timeouts) {
  if (!may_change()) return;
  Result<void> valid = check_alive();
  if (valid) valid = validate(timeouts, context_->options);
  if (!valid) return fail_in("set_timeouts", std::move(valid).error());
  timeouts_ = timeouts;
}

void SessionState::set_persistent(bool persistent) {
  if (!may_change()) return;
  if (auto alive = check_alive(); !alive)
    return fail_in("set_persistent", std::move(alive).error());
  persistent_ = persistent;
}

void SessionState::set_alias(std::string_view alias) {
  if (!may_change()) return;
  Result<void> valid = check_alive();
  if (valid && outage_) valid = *outage_;
  if (valid && !is_late() && principal().empty()) {
    valid = invalid("nobody is signed in: call sign_in first");
  }
  if (valid) valid = validate_alias(alias);
  if (!valid) return fail_in("set_alias", std::move(valid).error());
  alias_ = alias_text(alias, context_->options.id_namespace);
}

std::optional<std::string> SessionState::alias_to_announce() const {
  if (alias_) return alias_;
  // Other timeouts may be longer.
  const auto stored = snapshot().find(alias_field);
  if (timeouts_ && !transition_ && stored) return std::string(*stored);
  return std::nullopt;
}

void SessionState::use_token() {
  if (!may_change()) return;
  const TransportOptions& transport = context_->options.transport;
  if (!transport.bearer && transport.header.empty()) {
    return fail_in("use_token", invalid("no request could bring the token back; set "
                                        "SessionOptions::transport.bearer or transport.header"));
  }
  sends_token_ = true;
}

bool SessionState::was_persistent() const {
  const auto text = snapshot().find(persistent_field);
  return text ? *text != "0" : context_->options.cookie.persistent;
}

bool SessionState::is_persistent() const {
  if (persistent_) return *persistent_;
  return transition_ ? context_->options.cookie.persistent : was_persistent();
}

PlanOptions SessionState::policy() const {
  const std::optional<Timeouts> stored = stored_ ? stored_->own : std::nullopt;
  // A sign-in begins with those of all sessions.
  PlanOptions plan =
      plan_with(context_->plan, context_->options, timeouts_ || transition_ ? timeouts_ : stored);
  plan.may_shorten = plan.may_shorten || stored;
  return plan;
}

void SessionState::invalidate() {
  if (!may_change()) return;
  // Gone under this id, it may live on under another one.
  if (life_ == Life::gone) become_over();
  if (life_ != Life::alive) return;
  life_ = Life::invalidated;
  transition_.reset();
}

void SessionState::start_over() noexcept {
  if (!is_over_ || !may_change()) return;
  is_over_ = false;
  unread_.clear();
}

void SessionState::become_over() {
  if (stored_) unread_ = {stored_->id};
  if (stored_ && next_id_) unread_.push_back(*next_id_);
  stored_.reset();
  next_id_.reset();
  is_over_ = true;
  life_ = Life::alive;
  cleared_ = false;
  // What it refused since is refused no more.
  if (first_error_ && first_error_->code == Errc::gone) first_error_.reset();
}

bool SessionState::must_end() const {
  return (life_ == Life::invalidated || has_left_) && (stored_ || !unread_.empty());
}

}  // namespace websession::internal
