#include "session_access.hpp"

#include <algorithm>
#include <utility>

#include "base64.hpp"
#include "random_bytes.hpp"
#include "session_state.hpp"

namespace websession::internal {
namespace {

constexpr std::size_t secret_bytes = 32;

}  // namespace

const Clock& SessionAccess::clock(const Session& session) noexcept {
  return *session.state_->shared->clock;
}

SessionStore& SessionAccess::store(const Session& session) noexcept {
  return session.state_->shared->store.by_key();
}

bool SessionAccess::is_https(const Session& session) noexcept { return session.state_->https; }

bool SessionAccess::is_or_will_be_stored(const Session& session) {
  const Session::State& state = *session.state_;
  if (state.life != Session::State::Life::alive) return false;
  return state.stored || state.plan().action == Plan::Action::create;
}

Result<void> SessionAccess::check_alive(const Session& session) {
  return session.state_->check_alive();
}

Result<void> SessionAccess::check_open(const Session& session) {
  return session.state_->check_open();
}

bool SessionAccess::is_frozen(const Session& session) noexcept {
  return session.state_->stored && session.state_->stored->frozen;
}

void SessionAccess::fail(Session& session, Error error) { session.state_->fail(std::move(error)); }

std::optional<std::string_view> SessionAccess::find(const Session& session, std::string_view name) {
  const Session::State& state = *session.state_;
  if (state.life != Session::State::Life::alive) return std::nullopt;
  std::optional<std::string_view> text;
  std::optional<WallTime> deadline;
  if (const auto change = state.library.find(name); change != state.library.end()) {
    if (change->second.text) text = *change->second.text;
    deadline = change->second.deadline;
  } else if (const auto field = state.snapshot().find_field(name)) {
    text = field->value;
    deadline = field->deadline;
  }
  if (deadline && *deadline <= clock(session).wall()) return std::nullopt;
  return text;
}

std::vector<std::string> SessionAccess::names(const Session& session, std::string_view prefix) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view name) {
    if (name.starts_with(prefix) && find(session, name)) names.emplace_back(name);
  };
  const Session::State& state = *session.state_;
  for (const Field& field : state.snapshot()) {
    if (!state.library.contains(field.name)) add(field.name);
  }
  for (const auto& [name, change] : state.library) add(name);
  std::sort(names.begin(), names.end());
  return names;
}

bool SessionAccess::is_local(const Session& session, std::string_view name) {
  const Session::State& state = *session.state_;
  return !state.stored || state.library.contains(name);
}

void SessionAccess::put(Session& session, std::string_view name, std::optional<std::string> text,
                        std::optional<WallTime> deadline) {
  Session::State& state = *session.state_;
  if (auto alive = state.check_alive(); !alive) return state.fail(std::move(alive).error());
  state.library.insert_or_assign(std::string(name),
                                 Session::State::Pending{std::move(text), deadline});
}

void SessionAccess::withdraw(Session& session, std::string_view name) {
  Session::State::PendingByName& library = session.state_->library;
  if (const auto found = library.find(name); found != library.end()) library.erase(found);
}

Result<void> SessionAccess::set(Session& session, std::string_view name, std::string text,
                                std::optional<WallTime> deadline) {
  if (auto alive = check_alive(session); !alive) return alive;
  if (is_local(session, name)) {
    put(session, name, std::move(text), deadline);
    return {};
  }
  Changes changes;
  changes.set.push_back({std::string(name), std::move(text), deadline});
  Result<Outcome> outcome = write_now(session, std::move(changes));
  if (!outcome) return std::move(outcome).error();
  return {};
}

Result<bool> SessionAccess::replace(Session& session, std::string_view name,
                                    std::optional<std::string_view> expected, std::string text,
                                    std::optional<WallTime> deadline) {
  if (auto alive = check_alive(session); !alive) return std::move(alive).error();
  if (is_local(session, name)) {
    if (find(session, name) != expected) return false;
    put(session, name, std::move(text), deadline);
    return true;
  }
  Changes changes;
  changes.expect.push_back({std::string(name), {}});
  if (expected) changes.expect[0].any_of.emplace_back(*expected);
  changes.set.push_back({std::string(name), std::move(text), deadline});
  Result<Outcome> outcome = write_now(session, std::move(changes));
  if (!outcome) return std::move(outcome).error();
  return outcome->status == Outcome::Status::applied;
}

Result<std::string> SessionAccess::secret(Session& session, std::string_view name) {
  if (auto alive = check_alive(session); !alive) return std::move(alive).error();
  if (const auto known = find(session, name)) return std::string(*known);
  Result<std::string> bytes = random_string(secret_bytes);
  if (!bytes) return bytes;
  std::string ours = encode_base64(*bytes);
  const Result<bool> first = replace(session, name, std::nullopt, ours, std::nullopt);
  if (!first.has_value()) return first.error();
  if (*first) return ours;
  // Another request was first, and has shown its secret to someone: it holds.
  return std::string(find(session, name).value_or(""));
}

Result<Outcome> SessionAccess::write_now(Session& session, Changes changes) {
  return session.state_->write_now(std::move(changes));
}

}  // namespace websession::internal
