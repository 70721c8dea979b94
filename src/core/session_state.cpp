#include "session_state.hpp"

#include <algorithm>
#include <utility>

#include "invalid.hpp"
#include "library_names.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "session_errors.hpp"

namespace websession::internal {
namespace {

// Of Lifetime::renew_after.
milliseconds never(milliseconds ttl) { return ttl + milliseconds(1); }

}  // namespace

SessionState::SessionState(ContextPtr context, const SessionId& id, Record&& record, KeyForm seen,
                           std::optional<WallTime> created, bool is_created_wrong)
    : context_(std::move(context)) {
  const SteadyTime now = clock().steady();
  stored_ = {id,
             std::move(record.fields),
             created,
             now + remaining_of(record),
             record.frozen,
             std::move(record.expired)};
  stored_->seen = seen;
  stored_->loaded_at = now;
  stored_->is_created_wrong = is_created_wrong;
  stored_->own = timeouts_of(stored_->fields);
}

Result<LoadedSession> session_of(const ContextPtr& context, const SessionId& id, Found found) {
  if (!found.record) return LoadedSession();
  if (found.record->is_over()) return LoadedSession{nullptr, true};
  Result<std::optional<WallTime>> created = created_of(found.record->fields);
  if (!created.has_value()) return std::move(created).error();
  const WallTime now = context->clock->wall();
  const PlanOptions plan =
      plan_with(context->plan, context->options, timeouts_of(found.record->fields));
  if (absolute_left(*created, plan, now) <= milliseconds(0)) {
    return LoadedSession();  // the option was shortened, or a clock is off: it is over
  }
  const bool ahead = *created && is_ahead(**created, now);
  if (ahead) *created = now;
  return LoadedSession{std::make_unique<SessionState>(context, id, std::move(*found.record),
                                                      found.seen, *created, ahead)};
}

void SessionState::came_with(Transport transport, bool https, bool passive) noexcept {
  transport_ = transport;
  https_ = https;
  passive_ = passive;
  sends_token_ = transport == Transport::bearer || transport == Transport::header;
}

void SessionState::came_late(SessionId over) {
  is_over_ = came_late_ = true;
  unread_ = {std::move(over)};
}

void SessionState::could_not_read(std::vector<SessionId> unread, std::optional<Error> outage) {
  unread_ = std::move(unread);
  outage_ = std::move(outage);
}

// What a commit is to do

bool SessionState::has_changes() const {
  return cleared_ || !pending_.empty() || !library_.empty() || alias_.has_value();
}

bool SessionState::has_wishes() const {
  return has_changes() || timeouts_ || persistent_ || regenerate_ || transition_ ||
         life_ != Life::alive;
}

Plan SessionState::plan() const {
  std::optional<Loaded> loaded;
  if (stored_) loaded = {stored_->created, remaining(), stored_->frozen};
  if (stored_ && transition_) loaded->created = transition_->at;
  Wishes wishes;
  const auto sets = [](const auto& change) { return change.second.text.has_value(); };
  wishes.has_attributes = std::any_of(pending_.begin(), pending_.end(), sets) ||
                          std::any_of(library_.begin(), library_.end(), sets);
  wishes.changed = has_changes();
  wishes.regenerate = regenerate_;
  wishes.invalidate = life_ == Life::invalidated;
  wishes.sign_in = signs_in();
  wishes.sign_out = signs_out();
  wishes.brought_cookie = brought_id() && !came_late_;
  wishes.unread = !unread_.empty();
  wishes.passive = passive_;
  wishes.timeouts = timeouts_ && (!stored_ || timeouts_ != stored_->own);
  const bool looks_otherwise = persistent_ && stored_ && *persistent_ != was_persistent();
  wishes.resend_cookie = wishes.timeouts || looks_otherwise;
  return session_plan(loaded, wishes, policy(), clock().wall());
}

bool SessionState::is_idle() const {
  if (life_ != Life::alive || is_over_ || first_error_ || lost_id_ || is_busy_ || has_wishes()) {
    return false;
  }
  const Plan due = plan();  // (a commit with wishes makes its own)
  return due.action == Plan::Action::nothing && due.cookie == Plan::CookieAction::none;
}

bool SessionState::is_plain(const Plan& plan) const {
  const bool changes = plan.action == Plan::Action::touch || plan.action == Plan::Action::update;
  return changes && !first_error_ && !outage_ && !lost_id_ && !signs_in() && !alias_to_announce() &&
         unread_.empty();
}

bool SessionState::is_or_will_be_stored() const {
  if (life_ != Life::alive) return false;
  return stored_ || plan().action == Plan::Action::create;
}

std::chrono::milliseconds SessionState::expires_in() const {
  if (life_ != Life::alive) return {};
  const Plan due = plan();
  if (!stored_) {
    const WallTime now = clock().wall();
    return time_to_live(now, policy(), now);
  }
  const milliseconds left = remaining();
  if (clock().steady() > stored_->expires_at) return {};
  if (due.shortens) return due.ttl;
  const bool moves = due.action == Plan::Action::rekey;
  const Lifetime next = moves ? Lifetime{due.ttl} : lifetime(due, {});
  return is_renewal_due(next, left) ? due.ttl : left;
}

Changes SessionState::limited() const {
  Changes none;
  none.bytes_max = context_->options.session_bytes_max;
  none.attributes_max = context_->options.attributes_max;
  return none;
}

Changes SessionState::changes() const {
  Changes changes = limited();
  changes.clear = cleared_;
  changes.clear_reserved = cleared_ && has_left_;
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
  add(pending_, !cleared_);
  add(library_, true);
  if (stored_) changes.reap = stored_->expired;
  if (transition_) {
    add_transition(changes);
  } else {
    add_created(changes);
  }
  add_own(changes);
  return changes;
}

// What was seen long ago is no hint: the more attributes were removed since, the more would come
// back past the limits (docs/decisions.md#sessions-in-redis).
bool SessionState::may_hint() const {
  constexpr std::chrono::minutes hint_age_max(1);
  return stored_ && clock().steady() - stored_->loaded_at <= hint_age_max;
}

bool SessionState::was_plain(std::string_view name) const {
  const std::optional<Field> field = snapshot().find_field(name);
  return field && !field->deadline;
}

void SessionState::add_created(Changes& changes) const {
  if (!stored_ || !stored_->is_created_wrong) return;
  changes.set.push_back({std::string(created_field), created_text(*stored_->created)});
  // What is mended is no date to rely on.
  if (stored_principal().empty() || reauthenticated_) return;
  if (snapshot().contains(authenticated_field)) return;
  changes.set.push_back({std::string(authenticated_field), "0"});
}

void SessionState::add_transition(Changes& changes) const {
  const auto remove = [&](std::string_view name) {
    if (may_hold(name)) changes.remove.emplace_back(name);
  };
  if (stored_) changes.set.push_back({std::string(created_field), created_text(transition_->at)});
  if (signs_out()) {
    remove(user_field);
    remove(label_field);
    return;
  }
  changes.set.push_back({std::string(user_field), transition_->principal});
  if (!transition_->label.empty()) {
    changes.set.push_back({std::string(label_field), transition_->label});
  } else if (transition_->principal != stored_principal()) {
    remove(label_field);
  }
}

// What a lost answer has left behind may hold it, though the snapshot does not.
bool SessionState::may_hold(std::string_view name) const {
  return next_id_ || snapshot().contains(name);
}

void SessionState::add_own(Changes& changes) const {
  const auto put = [&](std::string_view name, std::optional<std::string> text) {
    if (text) {
      changes.set.push_back({std::string(name), *std::move(text)});
    } else if (transition_ && may_hold(name)) {  // of the sign-in before
      changes.remove.emplace_back(name);
    }
  };
  std::optional<std::string> at;
  if (reauthenticated_) at = created_text(*reauthenticated_);
  put(authenticated_field, std::move(at));
  std::optional<std::string> timeouts;
  if (timeouts_) timeouts = timeouts_text(*timeouts_);
  put(timeouts_field, std::move(timeouts));
  std::optional<std::string> persistent;
  if (persistent_) persistent = *persistent_ ? "1" : "0";
  put(persistent_field, std::move(persistent));
  put(alias_field, alias_);
}

const Fields& SessionState::snapshot() const {
  static const Fields& none = *new Fields;  // threads may need it until the very end
  return stored_ ? stored_->fields : none;
}

Result<Fields> SessionState::with(const Changes& changes) const {
  Result<Applied> applied = apply(snapshot(), changes, clock().wall());
  if (!applied) return std::move(applied).error();
  return std::move(applied->fields);
}

milliseconds SessionState::remaining() const {
  const auto left = stored_->expires_at - clock().steady();
  return std::max(std::chrono::floor<milliseconds>(left), milliseconds(0));
}

Lifetime SessionState::lifetime(const Plan& plan, std::string_view principal) const {
  Lifetime lifetime{plan.ttl,    principal,     renewal_least(plan.ttl, policy()),
                    remaining(), plan.shortens, is_absolute(plan.ttl, policy())};
  // What has less left than is known here was shortened by somebody else, and is to stay so.
  const bool renews = plan.renews && is_renewal_due(lifetime, remaining());
  if (!renews && !plan.shortens) lifetime.renew_after = never(plan.ttl);
  return lifetime;
}

WallTime SessionState::created_at(WallTime now) const noexcept {
  return transition_ ? std::max(now, transition_->at) : now;
}

void SessionState::sign_in_after(WallTime than, WallTime now) noexcept {
  WallTime& at = transition_->at;
  at = std::min(std::max(at, than + milliseconds(1)), now + clock_skew_max);
}

bool SessionState::has_key(const StoreKey& key) const {
  return (stored_ && context_->keys.is_key_of(key, stored_->id)) ||
         (next_id_ && context_->keys.is_key_of(key, *next_id_));
}

std::optional<StoreKey> SessionState::key() const {
  if (!stored_) return std::nullopt;
  return context_->keys.key_of(stored_->id, stored_->seen);
}

// What became of it

void SessionState::created_as(SessionId id, Fields fields, WallTime created, milliseconds ttl) {
  const SteadyTime now = clock().steady();
  stored_ = {std::move(id), std::move(fields), created, now + ttl};
  stored_->seen = context_->keys.form_of_new();
  stored_->loaded_at = now;
  stored_->own = timeouts_of(stored_->fields);
  unread_.clear();
  is_over_ = came_late_ = false;
}

Result<SessionState::Move> SessionState::begin_move(bool readable) {
  if (next_id_) return Move{*next_id_, true, next_readable_};
  Result<SessionId> id = context_->keys.successor_of(stored_->id);
  if (!id) return std::move(id).error();
  next_id_ = *std::move(id);
  next_readable_ = readable;
  return Move{*next_id_};
}

void SessionState::has_moved() {
  stored_->id = *std::exchange(next_id_, std::nullopt);
  stored_->seen = context_->keys.form_of_new();
}

void SessionState::written(Fields after, const Lifetime& lifetime) {
  if (!stored_->created) stored_->created = clock().wall();  // adopted
  if (transition_) stored_->created = transition_->at;
  stored_->fields = std::move(after);
  stored_->own = timeouts_of(stored_->fields);
  note_renewal(lifetime);
}

void SessionState::note_renewal(const Lifetime& lifetime) {
  stored_->expired.clear();
  stored_->is_created_wrong = false;
  stored_->fresh = false;
  // By what the store was told: it need not have looked.
  if (!is_renewal_due(lifetime, lifetime.left.value_or(remaining()))) return;
  stored_->expires_at = clock().steady() + lifetime.ttl;
}

void SessionState::note_end(const Result<bool>& erased) noexcept {
  has_ended_ = has_ended_ || (erased.has_value() && *erased);
  maybe_ended_ = maybe_ended_ || (!erased.has_value() && erased.error().maybe_applied);
}

void SessionState::drop_wishes() {
  pending_.clear();
  library_.clear();
  cleared_ = false;
  regenerate_ = false;
  transition_.reset();
  reauthenticated_.reset();
  timeouts_.reset();
  persistent_.reset();
  alias_.reset();
  has_left_ = false;
  has_ended_ = false;
  maybe_ended_ = false;
}

bool SessionState::done(bool ends) {
  ends = ends || life_ == Life::invalidated;
  if (ends) life_ = Life::erased;
  // It may have ended before that.
  const bool maybe_others = ends && stored_ && !has_ended_;
  drop_wishes();
  return maybe_others;
}

bool SessionState::ended_after_all(bool has_error) {
  // A session that could not be read has no other cookie than this one.
  const bool unread = !unread_.empty() && !is_over_;
  // Replaced by a parallel request, it was found under its new id. Or it had ended before: then the
  // cookie may be that of another sign-in by now. So it may for whoever came with an old id.
  const bool has_ended = has_ended_ || maybe_ended_ || unread;
  may_delete_cookie_ = (has_ended_ && !came_late_) || unread;
  first_error_.reset();
  drop_wishes();
  life_ = !has_ended ? Life::gone : has_error ? Life::ended : Life::erased;
  return has_ended;
}

// Writes at once

Result<void> SessionState::begin_write_now(Changes& changes) {
  if (next_id_) {
    return invalid("a commit with regenerate has failed: repeat it before anything else");
  }
  changes.reap = stored_->expired;
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
  stored_->fresh = false;
  return {};
}

Lifetime SessionState::lifetime_of_write_now() const {
  // As the session was before what waits for the commit.
  const PlanOptions policy = plan_with(context_->plan, context_->options, stored_->own);
  const milliseconds ttl = time_to_live(stored_->created, policy, clock().wall());
  Lifetime lifetime{ttl, stored_principal(), renewal_least(ttl, policy), remaining()};
  lifetime.is_absolute = is_absolute(ttl, policy);
  if (passive_ || !is_renewal_due(lifetime, remaining())) lifetime.renew_after = never(ttl);
  return lifetime;
}

Result<void> SessionState::end_write_now(const Outcome& outcome, Changes changes,
                                         Lifetime lifetime) {
  if (outcome.status == Outcome::Status::gone) {
    if (signs_in()) {
      become_over();  // what waits for the commit makes another session
    } else {
      life_ = Life::gone;
    }
    return ended_error();
  }
  Changes seen;
  if (outcome.status == Outcome::Status::conflict) {
    // Of several expectations it would not say which one failed.
    if (changes.expect.size() != 1) return {};
    const std::string& name = changes.expect[0].name;
    if (outcome.found) {
      seen.set.push_back({name, *outcome.found});
    } else {
      seen.remove.push_back(name);
    }
    note(seen);
    return {};
  }
  seen.remove = std::move(changes.remove);
  seen.set = std::move(changes.set);
  for (std::size_t i = 0; i < changes.increment.size(); ++i) {
    const std::string& name = changes.increment[i].name;
    const std::optional<Field> before = stored_->fields.find_field(name);
    std::optional<WallTime> deadline = before ? before->deadline : std::nullopt;
    if (has_passed(deadline, clock())) deadline.reset();
    seen.set.push_back({name, std::to_string(outcome.counters.at(i)), deadline});
  }
  lifetime.principal = {};  // a view of what is replaced now
  note(seen);
  note_renewal(lifetime);
  return {};
}

void SessionState::note(const Changes& seen) {
  // Nothing in these can be refused.
  stored_->fields = apply(stored_->fields, seen, clock().wall()).value().fields;
}

OperationGuard::OperationGuard(SessionState& state) noexcept
    : state_(state), is_first_(!state.is_busy_) {
  state.is_busy_ = true;
}

OperationGuard::~OperationGuard() {
  if (!is_first_) return;
  state_.is_busy_ = false;
  if (!state_.first_error_) state_.first_error_ = std::move(state_.error_meanwhile_);
  state_.error_meanwhile_.reset();
}

Result<void> OperationGuard::check() const {
  if (is_first_) return {};
  return busy_error();
}

}  // namespace websession::internal
