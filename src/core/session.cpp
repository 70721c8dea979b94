#include "websession/session.hpp"

#include <algorithm>

#include "characters.hpp"
#include "invalid.hpp"
#include "record_times.hpp"
#include "session_state.hpp"

namespace websession {
namespace {

using internal::is_control;

using internal::invalid;

bool is_attribute(std::string_view name) { return !name.starts_with('@'); }

// A name can come from a caller's mistake (a value in its place), so a long one is cut and control
// bytes do not reach a log.
std::string shown(std::string_view name) {
  std::string shown(name.substr(0, 40));
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return shown;
}

// What a conflict tells of the one attribute that was expected to hold something else.
Changes found_instead(const std::string& name, const std::optional<std::string>& text) {
  Changes seen;
  if (text) {
    seen.set.push_back({name, *text});
  } else {
    seen.remove.push_back(name);
  }
  return seen;
}

Error ended_error() {
  return make_error(Errc::gone, "the session ended while this request used it; open a new one");
}

}  // namespace

// State

const Session::State::Pending* Session::State::find_pending(std::string_view name) const {
  const auto found = pending.find(name);
  return found == pending.end() ? nullptr : &found->second;
}

bool Session::State::is_local(std::string_view name) const {
  return !stored || cleared || find_pending(name) != nullptr;
}

std::optional<std::string_view> Session::State::find(std::string_view name) const {
  if (life != Life::alive || !is_attribute(name)) return std::nullopt;
  const auto over = [this](const std::optional<WallTime>& deadline) {
    return deadline && *deadline <= shared->clock->wall();
  };
  if (const Pending* change = find_pending(name)) {
    if (!change->text || over(change->deadline)) return std::nullopt;
    return *change->text;
  }
  if (cleared) return std::nullopt;
  const std::optional<Field> field = snapshot().find_field(name);
  if (!field || over(field->deadline)) return std::nullopt;
  return field->value;
}

void Session::State::fail(Error error) {
  if (!first_error) first_error = std::move(error);
}

Result<void> Session::State::check_alive() const {
  if (life == Life::gone) return ended_error();
  if (life != Life::alive) return invalid("the session has ended; open a new one");
  return {};
}

Result<void> Session::State::check_open() const {
  if (auto alive = check_alive(); !alive) return alive;
  if (is_late()) return ended_error();
  if (outage) return *outage;
  return {};
}

Result<void> Session::State::check_name(std::string_view name) const {
  if (auto alive = check_alive(); !alive) return alive;
  if (name.empty()) return invalid("an attribute needs a name");
  if (name.size() > shared->options.name_bytes_max) {
    return invalid("an attribute's name is longer than " +
                   std::to_string(shared->options.name_bytes_max) + " bytes (name_bytes_max)");
  }
  if (!is_attribute(name)) return invalid("names that start with '@' are the library's own");
  if (std::any_of(name.begin(), name.end(), is_control)) {
    return invalid("an attribute's name holds a control byte");
  }
  return {};
}

bool Session::State::is_oversized(std::string_view name, std::string_view text) const {
  if (name.size() + text.size() <= shared->options.session_bytes_max) return false;
  const std::optional<std::string_view> held = snapshot().find(name);
  return !held || text.size() > held->size();
}

Result<void> Session::State::check_direct(std::string_view name) const {
  if (auto valid = check_name(name); !valid) return valid;
  return check_open();
}

void Session::State::change(std::string_view name, std::optional<std::string> text,
                            std::optional<WallTime> deadline) {
  const std::optional<Field> before = cleared ? std::nullopt : snapshot().find_field(name);
  const bool same = text ? before && before->value == *text && !before->deadline && !deadline
                         : !before.has_value();
  const auto found = pending.find(name);
  if (same && (cleared || knows_store())) {
    if (found != pending.end()) pending.erase(found);
  } else if (found != pending.end()) {
    found->second = {std::move(text), deadline};
  } else {
    pending.emplace(name, Pending{std::move(text), deadline});
  }
}

void Session::State::leave() {
  pending.clear();
  cleared = true;
  has_left = true;
}

void Session::State::begin_anew() {
  stored.reset();
  unread.clear();
  is_over = false;
  next_id.reset();
  cleared = false;
  has_left = false;
}

void Session::State::become_over() {
  if (stored) unread = {stored->id};
  if (stored && next_id) unread.push_back(*next_id);
  stored.reset();
  next_id.reset();
  is_over = true;
  life = Life::alive;
  cleared = false;
  // What it refused since is refused no more.
  if (first_error && first_error->code == Errc::gone) first_error.reset();
}

void Session::State::forget_wishes() {
  pending.clear();
  library.clear();
  cleared = false;
  regenerate = false;
  transition.reset();
  has_left = false;
  has_ended = false;
  maybe_ended = false;
}

bool Session::State::has_changes() const { return cleared || !pending.empty() || !library.empty(); }

Changes Session::State::limited() const {
  Changes none;
  none.bytes_max = shared->options.session_bytes_max;
  none.attributes_max = shared->options.attributes_max;
  return none;
}

Changes Session::State::changes() const {
  Changes changes = limited();
  changes.clear = cleared;
  changes.clear_reserved = cleared && has_left;
  const bool hints = may_hint();
  const auto add = [&](const PendingByName& all, bool with_removals) {
    for (const auto& [name, change] : all) {
      if (change.text) {
        changes.set.push_back({name, *change.text, change.deadline, hints && was_plain(name)});
      } else if (with_removals) {
        changes.remove.push_back(name);
      }
    }
  };
  add(pending, !cleared);
  add(library, true);
  if (stored) changes.reap = stored->expired;
  if (transition) {
    add_transition(changes);
  } else {
    add_created(changes);
  }
  return changes;
}

// What was seen long ago is no hint: the more attributes were removed since, the more would come
// back past the limits (docs/decisions.md#sessions-in-redis).
bool Session::State::may_hint() const {
  constexpr std::chrono::minutes hint_age_max(1);
  return stored && shared->clock->steady() - stored->loaded_at <= hint_age_max;
}

bool Session::State::was_plain(std::string_view name) const {
  const std::optional<Field> field = snapshot().find_field(name);
  return field && !field->deadline;
}

void Session::State::add_created(Changes& changes) const {
  if (!stored || !stored->is_created_wrong) return;
  changes.set.push_back({std::string(created_field), internal::created_text(*stored->created)});
}

const Fields& Session::State::snapshot() const {
  static const Fields& none = *new Fields;  // threads may need it until the very end
  return stored ? stored->fields : none;
}

Result<Fields> Session::State::with(const Changes& changes) const {
  Result<Applied> applied = apply(snapshot(), changes, shared->clock->wall());
  if (!applied) return std::move(applied).error();
  return std::move(applied->fields);
}

internal::milliseconds Session::State::remaining() const {
  const auto left = stored->expires_at - shared->clock->steady();
  return std::max(std::chrono::floor<internal::milliseconds>(left), internal::milliseconds(0));
}

internal::Plan Session::State::plan() const {
  std::optional<internal::Loaded> loaded;
  if (stored) loaded = {stored->created, remaining(), stored->frozen};
  if (stored && transition) loaded->created = transition->at;
  internal::Wishes wishes;
  const auto sets = [](const auto& change) { return change.second.text.has_value(); };
  wishes.has_attributes = std::any_of(pending.begin(), pending.end(), sets) ||
                          std::any_of(library.begin(), library.end(), sets);
  wishes.changed = has_changes();
  wishes.regenerate = regenerate;
  wishes.invalidate = life == Life::invalidated;
  wishes.sign_in = signs_in();
  wishes.sign_out = signs_out();
  wishes.brought_cookie = brought_cookie && !came_late;
  wishes.unread = !unread.empty();
  return session_plan(loaded, wishes, shared->plan, shared->clock->wall());
}

void Session::State::settle(Fields fields, const Lifetime& lifetime) {
  stored->fields = std::move(fields);
  note_renewal(lifetime);
}

void Session::State::note_renewal(const Lifetime& lifetime) {
  stored->expired.clear();
  stored->is_created_wrong = false;
  stored->fresh = false;
  // By what the store was told: it need not have looked.
  if (!is_renewal_due(lifetime, lifetime.left.value_or(remaining()))) return;
  stored->expires_at = shared->clock->steady() + lifetime.ttl;
}

void Session::State::note(const Changes& seen) {
  // Nothing in these can be refused.
  stored->fields = apply(stored->fields, seen, shared->clock->wall()).value().fields;
}

Result<Outcome> Session::State::write_now(Changes changes) {
  if (next_id) {
    return invalid("a commit with regenerate has failed: repeat it before anything else");
  }
  changes.reap = stored->expired;
  add_created(changes);
  // The store's value counts, not the snapshot's; here only the limits are asked.
  Changes after = limited();
  changes.bytes_max = after.bytes_max;
  changes.attributes_max = after.attributes_max;
  after.set = changes.set;
  for (const Changes::Increment& increment : changes.increment) {
    const std::optional<std::string_view> text = find(increment.name);
    const std::optional<std::int64_t> before = text ? parse_integer(*text) : 0;
    std::int64_t sum = 0;
    if (before && !__builtin_add_overflow(*before, increment.by, &sum)) {
      after.set.push_back({increment.name, std::to_string(sum)});
    }
  }
  if (auto fits = with(after); !fits) return std::move(fits).error();

  const auto ttl = internal::time_to_live(stored->created, shared->plan, shared->clock->wall());
  stored->fresh = false;
  Lifetime told = lifetime(ttl, stored_principal());
  Result<Outcome> outcome = shared->store.update(stored->id, stored->seen, changes, told);
  if (!outcome) return outcome;
  switch (outcome->status) {
    case Outcome::Status::gone:
      if (signs_in()) {
        become_over();  // what waits for the commit makes another session
      } else {
        life = Life::gone;
      }
      return ended_error();
    case Outcome::Status::conflict:
      if (changes.expect.size() == 1) note(found_instead(changes.expect[0].name, outcome->found));
      return outcome;
    case Outcome::Status::applied:
      break;
  }
  Changes seen;
  seen.remove = std::move(changes.remove);
  seen.set = std::move(changes.set);
  for (std::size_t i = 0; i < changes.increment.size(); ++i) {
    const std::string& name = changes.increment[i].name;
    const std::optional<Field> before = stored->fields.find_field(name);
    std::optional<WallTime> deadline = before ? before->deadline : std::nullopt;
    if (deadline && *deadline <= shared->clock->wall()) deadline.reset();
    seen.set.push_back({name, std::to_string(outcome->counters.at(i)), deadline});
  }
  told.principal = {};  // a view of what is replaced now
  note(seen);
  note_renewal(told);
  return outcome;
}

// Session

Session::Session(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

std::string Session::value(std::string_view name, std::string_view fallback) const {
  const std::optional<std::string_view> text = find(name);
  return text ? internal::decode_string(*text) : std::string(fallback);
}

bool Session::contains(std::string_view name) const { return find(name).has_value(); }

std::vector<std::string> Session::names() const {
  std::vector<std::string> names;
  if (state_->life != State::Life::alive) return names;
  for (const Field& field : state_->snapshot()) {
    if (find(field.name) && state_->find_pending(field.name) == nullptr) {
      names.emplace_back(field.name);
    }
  }
  for (const auto& [name, change] : state_->pending) {
    if (find(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

SessionSnapshot Session::snapshot() const {
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

void Session::remove(std::string_view name) {
  if (auto valid = state_->check_name(name); !valid) {
    state_->fail(with_name(std::move(valid).error(), name));
  } else {
    state_->change(name, std::nullopt, std::nullopt);
  }
}

void Session::clear() {
  if (state_->life != State::Life::alive) {
    return state_->fail(invalid("clear: the session has ended; open a new one"));
  }
  state_->pending.clear();
  const Fields& fields = state_->snapshot();
  const auto counts = [](const Field& field) { return is_attribute(field.name); };
  // Whoever has left takes along what others store meanwhile.
  state_->cleared = state_->has_left || !state_->knows_store() ||
                    std::any_of(fields.begin(), fields.end(), counts);
}

void Session::regenerate() { state_->regenerate = true; }

void Session::invalidate() {
  // Gone under this id, it may live on under another one.
  if (state_->life == State::Life::gone) state_->become_over();
  if (state_->life != State::Life::alive) return;
  state_->life = State::Life::invalidated;
  state_->transition.reset();
}

bool Session::is_new() const noexcept { return !state_->stored; }

bool Session::degraded() const noexcept { return state_->outage.has_value(); }

bool Session::ended() const noexcept { return state_->is_over; }

void Session::start_over() noexcept {
  if (!state_->is_over) return;
  state_->is_over = false;
  state_->unread.clear();
}

std::chrono::milliseconds Session::expires_in() const {
  if (state_->life != State::Life::alive) return {};
  const internal::Plan plan = state_->plan();
  if (!state_->stored) {
    const WallTime now = state_->shared->clock->wall();
    return internal::time_to_live(now, state_->shared->plan, now);
  }
  const std::chrono::milliseconds left = state_->remaining();
  const bool moves = plan.action == internal::Plan::Action::rekey;
  const Lifetime next = moves ? Lifetime{plan.ttl} : state_->lifetime(plan.ttl, {});
  return is_renewal_due(next, left) ? plan.ttl : left;
}

const SessionId* Session::id() const noexcept {
  return state_->stored ? &state_->stored->id : nullptr;
}

Result<std::int64_t> Session::increment(std::string_view name, std::int64_t by) {
  if (auto valid = state_->check_direct(name); !valid) {
    return with_name(std::move(valid).error(), name);
  }
  Changes changes;
  changes.increment.push_back({std::string(name), by});
  if (!state_->is_local(name)) {
    Result<Outcome> outcome = state_->write_now(std::move(changes));
    if (!outcome) return std::move(outcome).error();
    return outcome->counters.at(0);
  }
  std::vector<Field> here;
  const auto text = find(name);
  if (text) here.push_back({name, *text});
  const Result<Applied> applied = apply(Fields(here), changes, {});
  if (!applied) return applied.error();
  const std::int64_t sum = applied->outcome.counters.at(0);
  // One that has ended begins again, without an end.
  const State::Pending* before = text ? state_->find_pending(name) : nullptr;
  state_->change(name, std::to_string(sum), before ? before->deadline : std::nullopt);
  return sum;
}

std::optional<std::string_view> Session::find(std::string_view name) const {
  return state_->find(name);
}

Error Session::with_name(Error error, std::string_view name) {
  error.detail = "attribute \"" + shown(name) + "\": " + error.detail;
  return error;
}

void Session::report_mismatch(std::string_view name) const {
  const SessionManager::Shared& shared = *state_->shared;
  if (!shared.options.observer) return;
  const std::string attribute = shown(name);
  shared.tell_mismatch(id(), attribute);
  shared.warn_once(shared.warned_of_mismatch,
                   "value(\"" + attribute +
                       "\") gave its fallback, though the attribute is there: its value does not "
                       "fit the type that was asked for. Ask for that type (long long, double, "
                       "json), or use get, which tells");
}

void Session::put(std::string_view name, Result<std::string> text,
                  std::optional<std::chrono::milliseconds> expires_in) {
  Result<void> valid = state_->check_name(name);
  if (valid && !text) valid = text.error();
  if (valid && expires_in &&
      (*expires_in < std::chrono::milliseconds(1) || *expires_in > ttl_max)) {
    valid = invalid("expires_in: must be 1 ms to 400 days");
  }
  if (valid && state_->is_oversized(name, *text)) {
    valid = make_error(Errc::too_large, "the value is larger than a whole session may be");
  }
  if (!valid) return state_->fail(with_name(std::move(valid).error(), name));

  std::optional<WallTime> deadline;
  if (expires_in) deadline = state_->shared->clock->wall() + *expires_in;
  state_->change(name, *std::move(text), deadline);
}

bool Session::can_hold(std::string_view name, std::string_view text) const {
  return !state_->is_oversized(name, text);
}

Result<bool> Session::replace(std::string_view name, Texts any_of,
                              std::optional<Result<std::string>> desired) {
  Result<void> valid = state_->check_direct(name);
  if (valid && !any_of) valid = any_of.error();
  if (valid && desired && !*desired) valid = desired->error();
  if (!valid) return with_name(std::move(valid).error(), name);

  // What no session can hold is no match, and is not sent.
  const bool expects_absence = any_of->empty();
  std::erase_if(*any_of, [&](const std::string& text) { return !can_hold(name, text); });
  if (any_of->empty() && !expects_absence) return false;

  Changes changes;
  changes.expect.push_back({std::string(name), *std::move(any_of)});
  if (desired) {
    changes.set.push_back({std::string(name), **desired, std::nullopt});
  } else {
    changes.remove.emplace_back(name);
  }
  if (!state_->is_local(name)) {
    const Result<Outcome> outcome = state_->write_now(std::move(changes));
    if (!outcome) return outcome.error();
    return outcome->status == Outcome::Status::applied;
  }
  std::vector<Field> here;
  if (const auto text = find(name)) here.push_back({name, *text});
  const Result<Applied> applied = apply(Fields(here), changes, {});
  if (!applied) return applied.error();
  if (applied->outcome.status == Outcome::Status::conflict) return false;
  std::optional<std::string> text;
  if (desired) text = *std::move(*desired);
  state_->change(name, std::move(text), std::nullopt);
  return true;
}

}  // namespace websession
