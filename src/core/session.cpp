#include "websession/session.hpp"

#include <utility>

#include "decisions.hpp"
#include "session_access.hpp"
#include "session_state.hpp"
#include "websession/observer.hpp"
#include "websession/value.hpp"

namespace websession {

using internal::SessionAccess;
using internal::SessionState;
using internal::StoreFlow;

std::string SessionBase::value(std::string_view name, std::string_view fallback) const {
  const std::optional<std::string_view> text = find(name);
  return text ? internal::decode_string(*text) : std::string(fallback);
}

bool SessionBase::contains(std::string_view name) const { return find(name).has_value(); }

std::vector<std::string> SessionBase::names() const { return state_->names(); }

SessionSnapshot SessionBase::snapshot() const {
  SessionSnapshot snapshot;
  const std::vector<std::string> all = names();
  std::vector<Field> fields;
  fields.reserve(all.size());
  for (const std::string& name : all) {
    if (const auto text = find(name)) fields.push_back({name, *text});
  }
  snapshot.attributes_ = Fields(fields);
  if (const auto user = principal()) snapshot.principal_ = *user;
  return snapshot;
}

std::string SessionSnapshot::value(std::string_view name, std::string_view fallback) const {
  const std::optional<std::string_view> text = attributes_.find(name);
  return text ? internal::decode_string(*text) : std::string(fallback);
}

void SessionBase::remove(std::string_view name) { state_->remove(name); }
void SessionBase::clear() { state_->clear(); }
void SessionBase::regenerate() { state_->regenerate(); }
void SessionBase::sign_in(std::string_view principal, std::string_view label) {
  state_->sign_in(principal, label);
}
void SessionBase::sign_out() { state_->sign_out(); }
std::optional<WallTime> SessionBase::signed_in_at() const { return state_->signed_in_at(); }
bool SessionBase::recently_authenticated(std::chrono::milliseconds within) const {
  return state_->recently_authenticated(within);
}
void SessionBase::reauthenticate() { state_->reauthenticate(); }
void SessionBase::set_timeouts(std::chrono::milliseconds idle, std::chrono::milliseconds absolute) {
  state_->set_timeouts({idle, absolute});
}
void SessionBase::set_persistent(bool persistent) { state_->set_persistent(persistent); }
void SessionBase::set_alias(std::string_view alias) { state_->set_alias(alias); }
std::string SessionBase::label(const Observer& observer) const {
  const std::optional<StoreKey> key = state_->key();
  return key ? observer.label(SessionRef(*key)) : std::string();
}
Transport SessionBase::transport() const noexcept { return state_->transport(); }
void SessionBase::use_token() { state_->use_token(); }
void SessionBase::invalidate() { state_->invalidate(); }
void SessionBase::start_over() noexcept { state_->start_over(); }

std::optional<std::string_view> SessionBase::principal() const noexcept {
  if (state_->life() != SessionState::Life::alive) return std::nullopt;
  const std::string_view principal = state_->principal();
  return principal.empty() ? std::nullopt : std::optional(principal);
}

bool SessionBase::is_new() const noexcept { return !state_->is_stored(); }
bool SessionBase::degraded() const noexcept { return state_->is_degraded(); }
bool SessionBase::ended() const noexcept { return state_->is_over(); }
std::chrono::milliseconds SessionBase::expires_in() const { return state_->expires_in(); }
const SessionId* SessionBase::id() const noexcept { return state_->id(); }

std::optional<std::string_view> SessionBase::find(std::string_view name) const {
  return state_->find(name);
}

Error SessionBase::with_name(Error error, std::string_view name) {
  return SessionState::with_name(std::move(error), name);
}

void SessionBase::report_mismatch(std::string_view name) const { state_->tell_mismatch(name); }

void SessionBase::put(std::string_view name, Result<std::string> text,
                      std::optional<std::chrono::milliseconds> expires_in) {
  state_->put(name, std::move(text), expires_in);
}

bool SessionBase::can_hold(std::string_view name, std::string_view text) const {
  return state_->can_hold(name, text);
}

Session::Session(std::unique_ptr<SessionState> state, SessionStore& store) noexcept
    : SessionBase(*state), owned_(std::move(state)), store_(&store) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<std::int64_t> Session::increment(std::string_view name, std::int64_t by) {
  return SessionAccess::run(*this, [&](StoreFlow& flow, SessionState& state) {
    return internal::increment_attribute(flow, state, name, by);
  });
}

Result<bool> Session::replace(std::string_view name, Texts any_of,
                              std::optional<Result<std::string>> desired) {
  return SessionAccess::run(*this, [&](StoreFlow& flow, SessionState& state) {
    return internal::replace_attribute(flow, state, name, any_of, desired);
  });
}

}  // namespace websession
