// What a session holds, as the handler of a request sees and changes it.
#include <algorithm>
#include <string>
#include <utility>

#include "characters.hpp"
#include "library_names.hpp"
#include "session_errors.hpp"
#include "session_state.hpp"

namespace websession::internal {
namespace {

// A name can come from a caller's mistake (a value in its place), so a long one is cut and control
// bytes do not reach a log.
std::string shown(std::string_view name) {
  std::string shown(name.substr(0, 40));
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return shown;
}

}  // namespace

const SessionState::Pending* SessionState::find_pending(std::string_view name) const {
  const auto found = pending_.find(name);
  return found == pending_.end() ? nullptr : &found->second;
}

bool SessionState::is_local(std::string_view name) const {
  return !stored_ || cleared_ || find_pending(name) != nullptr;
}

std::optional<std::string_view> SessionState::find(std::string_view name) const {
  if (life_ != Life::alive || !is_attribute(name)) return std::nullopt;
  if (const Pending* change = find_pending(name)) {
    if (!change->text || has_passed(change->deadline, clock())) return std::nullopt;
    return *change->text;
  }
  if (cleared_) return std::nullopt;
  const std::optional<Field> field = snapshot().find_field(name);
  if (!field || has_passed(field->deadline, clock())) return std::nullopt;
  return field->value;
}

std::vector<std::string> SessionState::names() const {
  std::vector<std::string> names;
  if (life_ != Life::alive) return names;
  for (const Field& field : snapshot()) {
    if (find(field.name) && find_pending(field.name) == nullptr) names.emplace_back(field.name);
  }
  for (const auto& [name, change] : pending_) {
    if (find(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void SessionState::fail(Error error) {
  // A commit that is on must not take for its own what came after it had begun.
  std::optional<Error>& kept = is_busy_ ? error_meanwhile_ : first_error_;
  if (!kept) kept = std::move(error);
}

bool SessionState::may_change() {
  if (is_busy_) fail(busy_error());
  return !is_busy_;
}

Error SessionState::with_name(Error error, std::string_view name) {
  error.detail = "attribute \"" + shown(name) + "\": " + error.detail;
  return error;
}

void SessionState::tell_mismatch(std::string_view name) const {
  if (!context_->options.observer) return;
  const std::string attribute = shown(name);
  context_->tell({SessionEvent::Kind::value_mismatch, {}, {}, attribute}, id());
  context_->warn_once(context_->warned_of_mismatch,
                      "value(\"" + attribute +
                          "\") gave its fallback, though the attribute is there: its value does "
                          "not fit the type that was asked for. Ask for that type (long long, "
                          "double, json), or use get, which tells");
}

Result<void> SessionState::check_alive() const {
  if (life_ == Life::gone) return ended_error();
  if (life_ != Life::alive) return over_error();
  return {};
}

Result<void> SessionState::check_open() const {
  if (auto alive = check_alive(); !alive) return alive;
  if (is_late()) return ended_error();
  if (outage_) return *outage_;
  return {};
}

Result<void> SessionState::check_name(std::string_view name) const {
  if (auto alive = check_alive(); !alive) return alive;
  if (name.empty()) return invalid("an attribute needs a name");
  const std::size_t most = context_->options.name_bytes_max;
  if (name.size() > most) {
    return invalid("an attribute's name is longer than " + std::to_string(most) +
                   " bytes (name_bytes_max)");
  }
  if (!is_attribute(name)) return invalid("names that start with '@' are the library's own");
  if (std::any_of(name.begin(), name.end(), is_control)) {
    return invalid("an attribute's name holds a control byte");
  }
  return {};
}

Result<void> SessionState::check_direct(std::string_view name) const {
  if (auto valid = check_name(name); !valid) return valid;
  return check_open();
}

bool SessionState::is_oversized(std::string_view name, std::string_view text) const {
  if (name.size() + text.size() <= context_->options.session_bytes_max) return false;
  const std::optional<std::string_view> held = snapshot().find(name);
  return !held || text.size() > held->size();
}

bool SessionState::can_hold(std::string_view name, std::string_view text) const {
  return !is_oversized(name, text);
}

void SessionState::put(std::string_view name, Result<std::string> text,
                       std::optional<std::chrono::milliseconds> expires_in) {
  Result<void> valid = is_busy_ ? Result<void>(busy_error()) : check_name(name);
  if (valid && !text) valid = text.error();
  if (valid && expires_in &&
      (*expires_in < std::chrono::milliseconds(1) || *expires_in > ttl_max)) {
    valid = invalid("expires_in: must be 1 ms to 400 days");
  }
  if (valid && is_oversized(name, *text)) {
    valid = make_error(Errc::too_large, "the value is larger than a whole session may be");
  }
  if (!valid) return fail(with_name(std::move(valid).error(), name));

  std::optional<WallTime> deadline;
  if (expires_in) deadline = clock().wall() + *expires_in;
  change(name, *std::move(text), deadline);
}

void SessionState::remove(std::string_view name) {
  Result<void> valid = is_busy_ ? Result<void>(busy_error()) : check_name(name);
  if (!valid) return fail(with_name(std::move(valid).error(), name));
  change(name, std::nullopt, std::nullopt);
}

void SessionState::clear() {
  if (!may_change()) return;
  if (life_ != Life::alive) return fail(invalid("clear: the session has ended; open a new one"));
  pending_.clear();
  const Fields& fields = snapshot();
  const auto counts = [](const Field& field) { return is_attribute(field.name); };
  // Whoever has left takes along what others store meanwhile.
  cleared_ = has_left_ || !knows_store() || std::any_of(fields.begin(), fields.end(), counts);
}

void SessionState::put_local(std::string_view name, std::optional<std::string> text,
                             bool keeps_deadline) {
  // One that has ended begins again, without an end.
  const Pending* const before = find(name) ? find_pending(name) : nullptr;
  change(name, std::move(text),
         keeps_deadline && before != nullptr ? before->deadline : std::nullopt);
}

void SessionState::change(std::string_view name, std::optional<std::string> text,
                          std::optional<WallTime> deadline) {
  const std::optional<Field> before = cleared_ ? std::nullopt : snapshot().find_field(name);
  const bool same = text ? before && before->value == *text && !before->deadline && !deadline
                         : !before.has_value();
  const auto found = pending_.find(name);
  if (same && (cleared_ || knows_store())) {
    if (found != pending_.end()) pending_.erase(found);
  } else if (found != pending_.end()) {
    found->second = {std::move(text), deadline};
  } else {
    pending_.emplace(name, Pending{std::move(text), deadline});
  }
}

// The library's own

std::optional<std::string_view> SessionState::library_field(std::string_view name) const {
  if (life_ != Life::alive) return std::nullopt;
  std::optional<std::string_view> text;
  std::optional<WallTime> deadline;
  if (const auto change = library_.find(name); change != library_.end()) {
    if (change->second.text) text = *change->second.text;
    deadline = change->second.deadline;
  } else if (const auto field = snapshot().find_field(name)) {
    text = field->value;
    deadline = field->deadline;
  }
  if (has_passed(deadline, clock())) return std::nullopt;
  return text;
}

std::vector<std::string> SessionState::library_names(std::string_view prefix) const {
  std::vector<std::string> names;
  const auto add = [&](std::string_view name) {
    if (name.starts_with(prefix) && library_field(name)) names.emplace_back(name);
  };
  for (const Field& field : snapshot()) {
    if (!library_.contains(field.name)) add(field.name);
  }
  for (const auto& [name, change] : library_) add(name);
  std::sort(names.begin(), names.end());
  return names;
}

bool SessionState::is_library_local(std::string_view name) const {
  return !stored_ || library_.contains(name);
}

void SessionState::put_library(std::string_view name, std::optional<std::string> text,
                               std::optional<WallTime> deadline) {
  if (auto alive = check_alive(); !alive) return fail(std::move(alive).error());
  library_.insert_or_assign(std::string(name), Pending{std::move(text), deadline});
}

void SessionState::withdraw_library(std::string_view name) {
  if (const auto found = library_.find(name); found != library_.end()) library_.erase(found);
}

void SessionState::renew_csrf() {
  if (!may_change() || !check_alive()) return;
  // Also when this request sees no secret: another one may just be making it.
  put_library(csrf_field, std::nullopt);
}

}  // namespace websession::internal
