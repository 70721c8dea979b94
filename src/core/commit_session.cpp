#include <algorithm>
#include <utility>

#include "alias.hpp"
#include "decisions.hpp"
#include "principal.hpp"
#include "response_headers.hpp"
#include "sent_id.hpp"

namespace websession::internal {
namespace {

using Life = SessionState::Life;
using Status = Commit::Status;

// With what caches are told.
Result<Commit> for_caches(const SessionState& state, Result<Commit> commit) {
  if (commit && state.context().options.cache_headers) {
    add_cache_headers(commit->headers, state.context().options.transport, state.brought_id());
  }
  return commit;
}

Result<Commit> finished(const SessionState& state, Result<Commit> commit) {
  if (!commit) report_error(commit.error(), state);
  return for_caches(state, std::move(commit));
}

// Of a session that has ended.
Commit deletion(const SessionState& state) {
  Commit commit{Status::erased};
  if (state.may_delete_cookie()) take_id_away(commit, state);
  return commit;
}

Task<Result<void>> end_one(StoreFlow& flow, SessionState& state, const SessionId& id,
                           KeyForm* seen) {
  auto erase =
      erase_by_id(flow, state.context(), id, seen, state.context().mark(), EndReason::signed_out);
  const Result<bool> erased = co_await erase;
  state.note_end(erased);
  if (!erased.has_value()) co_return erased.error();
  co_return Result<void>();
}

// Ends what the store holds of the session, also what a rekey whose answer was lost may have made
// of it, and notes what came of it. Precondition: something was stored, or could not be read.
Task<Result<void>> end(StoreFlow& flow, SessionState& state) {
  if (!state.is_stored()) {
    for (const SessionId& id : state.unread()) {
      auto one = end_one(flow, state, id, nullptr);
      Result<void> ended = co_await one;
      // What no verb can read has nothing left to end. (But for a chain of marks without an end.)
      const bool is_none = !ended && ended.error().code == Errc::corrupt && !state.is_over();
      if (!ended && !is_none) co_return std::move(ended);
    }
    co_return Result<void>();
  }
  auto one = end_one(flow, state, *state.id(), &state.seen());
  Result<void> ended = co_await one;
  if (!ended || !state.next_id()) co_return std::move(ended);
  auto next = end_one(flow, state, *state.next_id(), nullptr);
  ended = co_await next;
  if (ended) state.abandon_move();
  co_return std::move(ended);
}

// Ends what an earlier try to store a new session may have left. There is no mark of it to leave.
Task<Result<void>> end_lost(StoreFlow& flow, SessionState& state) {
  if (!state.lost_id()) co_return Result<void>();
  auto erase = erase_by_id(flow, state.context(), *state.lost_id(), nullptr, {}, std::nullopt);
  const Result<bool> ended = co_await erase;
  if (!ended.has_value()) co_return ended.error();
  state.forget_lost();
  co_return Result<void>();
}

Task<Result<Status>> erase_all(StoreFlow& flow, SessionState& state) {
  auto all = end(flow, state);
  Result<void> ended = co_await all;
  if (!ended) co_return std::move(ended).error();
  auto lost = end_lost(flow, state);
  ended = co_await lost;
  if (!ended) co_return std::move(ended).error();
  // Ended before, or passed on.
  if (state.is_stored() && !state.has_ended() && !state.maybe_ended()) co_return Status::gone;
  co_return Status::erased;
}

Task<Result<Outcome>> rekey(StoreFlow& flow, SessionState& state, const Changes& changes,
                            const Plan& plan, std::string_view principal) {
  const SessionKeys& keys = state.context().keys;
  Lifetime lifetime{plan.ttl, principal};
  lifetime.is_absolute = is_absolute(plan.ttl, state.policy());
  Changes marked;
  const Changes* all = &changes;
  if (auto settling = keys.settling(plan.grace, state.clock().wall())) {
    marked = changes;
    marked.set.push_back(*std::move(settling));
    all = &marked;
  }
  while (true) {
    const Result<SessionState::Move> move = state.begin_move(plan.grace.readable);
    if (!move) co_return move.error();
    auto asked =
        rekey_by_id(flow, keys, *state.id(), state.seen(), move->id, *all, lifetime, plan.grace);
    Result<Outcome> outcome = co_await asked;
    // An earlier try may have moved the session already, with the changes of that time; then this
    // one wrote nothing. Writing them (again) under the new id does no harm.
    const bool moved = outcome && outcome->status == Outcome::Status::applied;
    const bool taken = !outcome && outcome.error().code == Errc::key_exists;
    const bool unmade = !outcome && !move->is_repeated && !outcome.error().maybe_applied;
    if (taken || unmade) state.abandon_move();
    if (!moved || !move->is_repeated) co_return std::move(outcome);
    if (plan.grace.readable || !move->was_readable) {
      KeyForm form = keys.form_of_new();
      auto update = update_by_id(flow, keys, move->id, form, changes, lifetime);
      outcome = co_await update;
      // Whatever became of this, the earlier try has moved the session.
      if (outcome) co_return std::move(outcome);
      Error error = std::move(outcome).error();
      error.maybe_applied = true;
      co_return error;
    }
    // Somebody has signed in or out since. What the earlier try left readable under the old id ends
    // with the id that it leads to.
    state.has_moved();
  }
}

Status status_of(Plan::Action action) {
  return action == Plan::Action::touch ? Status::renewed : Status::updated;
}

// Changes a stored session under its id, or only renews it. What most commits do, so it makes no
// frame but its own.
Task<Result<Status>> change(StoreFlow& flow, SessionState& state, const Plan& plan) {
  const Changes changes = state.changes();
  Result<Fields> after = state.with(changes);
  if (!after) co_return std::move(after).error();
  const Lifetime lifetime = state.lifetime(plan, principal_of(*after));
  SessionKeys::Search search = state.context().keys.search(*state.id(), state.seen());
  while (true) {
    const StoreKey key = search.key();
    auto asked = flow.update(key, changes, lifetime);
    const Result<Outcome>& outcome = co_await asked;
    if (!outcome) {
      state.write_failed();
      co_return outcome.error();
    }
    if (outcome->status != Outcome::Status::gone) break;
    if (!search.next()) co_return Status::gone;
  }
  state.seen() = search.form();
  state.written(*std::move(after), lifetime);
  co_return status_of(plan.action);
}

// Changes it under a new id.
Task<Result<Status>> move(StoreFlow& flow, SessionState& state, const Plan& plan) {
  const Changes changes = state.changes();
  const Result<Fields> after = state.with(changes);
  if (!after) co_return after.error();
  if (plan.shortens && !state.next_id()) {
    // A new id never has less left than the old one had, so that gets less first. Should it be left
    // at that, the session ends early, which does no harm.
    Lifetime shorter{plan.ttl, state.stored_principal()};
    shorter.shortens = true;
    const Changes nothing;
    auto shorten =
        update_by_id(flow, state.context().keys, *state.id(), state.seen(), nothing, shorter);
    const Result<Outcome> shortened = co_await shorten;
    if (!shortened) co_return shortened.error();
    if (shortened->status == Outcome::Status::gone) co_return Status::gone;
  }
  auto write = rekey(flow, state, changes, plan, principal_of(*after));
  const Result<Outcome> outcome = co_await write;
  if (!outcome) {
    state.write_failed();
    co_return outcome.error();
  }
  if (outcome->status == Outcome::Status::gone) co_return Status::gone;
  state.has_moved();
  Lifetime lifetime{plan.ttl};
  lifetime.shortens = plan.shortens;
  state.written(*after, lifetime);
  co_return Status::regenerated;
}

Task<Result<Status>> create(StoreFlow& flow, SessionState& state) {
  const Result<Fields> attributes = state.with(state.changes());
  if (!attributes) co_return attributes.error();
  auto store = store_new(flow, state, *attributes);
  const Result<void> stored = co_await store;
  // All sessions of the principal were ended meanwhile, and this one with them.
  if (!stored && stored.error().code == Errc::gone) co_return Status::gone;
  if (!stored) co_return stored.error();
  co_return Status::created;
}

// Carries the plan out.
Task<Result<Status>> execute(StoreFlow& flow, SessionState& state, const Plan& plan) {
  switch (plan.action) {
    case Plan::Action::nothing:
      break;
    case Plan::Action::report_gone:
      state.context().tell(SessionEvent::Kind::gone, *state.id());
      co_return Status::gone;
    case Plan::Action::create: {
      auto make = create(flow, state);
      co_return co_await make;
    }
    case Plan::Action::erase: {
      auto erase = erase_all(flow, state);
      co_return co_await erase;
    }
    case Plan::Action::touch:
    case Plan::Action::update: {
      auto write = change(flow, state, plan);
      co_return co_await write;
    }
    case Plan::Action::rekey: {
      auto write = move(flow, state, plan);
      co_return co_await write;
    }
  }
  co_return Status::unchanged;
}

// For a sign-in that comes too late for the session that it was asked of, as the second one of a
// double click does. Whoever has just signed in must not be left without a session.
Task<Result<Status>> sign_in_anew(StoreFlow& flow, SessionState& state) {
  const bool must_end = state.must_end();
  if (must_end) {
    auto all = end(flow, state);
    if (const Result<void> ended = co_await all; !ended) co_return ended.error();
  }
  state.become_over();
  // What has not ended is remembered until the new one is stored: it may yet be asked to.
  if (must_end) state.forget_unread();
  const Plan plan = state.plan();
  auto carry_out = execute(flow, state, plan);
  co_return co_await carry_out;
}

// All that a commit does in the store, if nothing speaks against it.
Task<Result<Status>> write(StoreFlow& flow, SessionState& state, const Plan& plan) {
  if (state.first_error()) co_return *state.first_error();
  if (plan.action == Plan::Action::erase) {
    auto erase = erase_all(flow, state);
    co_return co_await erase;
  }
  if (state.outage() && state.has_wishes()) co_return *state.outage();
  auto lost = end_lost(flow, state);
  if (const Result<void> ended = co_await lost; !ended) co_return ended.error();
  const bool is_limited = state.signs_in() && state.context().options.max_sessions_per_principal;
  if (is_limited) {
    auto admit = admit_sign_in(flow, state);
    if (const Result<void> admitted = co_await admit; !admitted) co_return admitted.error();
  }
  if (plan.action == Plan::Action::nothing) co_return Status::unchanged;
  if (!state.unread().empty() && state.must_end()) {  // before another session takes its place
    // What is too large to be stored must not cost the one that is there.
    if (const Result<Fields> after = state.with(state.changes()); !after) co_return after.error();
    auto all = end(flow, state);
    if (const Result<void> ended = co_await all; !ended) co_return ended.error();
    state.forget_unread();
  }
  if (const auto alias = state.alias_to_announce()) {
    auto announce = announce_alias(flow, state, *alias);
    if (const Result<void> announced = co_await announce; !announced) co_return announced.error();
  }
  auto carry_out = execute(flow, state, plan);
  Result<Status> status = co_await carry_out;
  if (status && *status == Status::gone && state.signs_in() && state.is_stored()) {
    auto anew = sign_in_anew(flow, state);
    status = co_await anew;
  }
  if (!status || *status == Status::gone || !is_limited) co_return status;
  auto hold = hold_to_limit(flow, state, *status);
  co_return co_await hold;
}

// Logging out must not depend on what else was asked for. `status`: what became of that, an error
// or `gone`.
Task<Result<Commit>> end_after_all(StoreFlow& flow, SessionState& state, Result<Status> status) {
  if (state.must_end()) {
    const StoreFlow::Overtime overtime(flow);  // however long the rest took
    auto all = end(flow, state);
    if (const Result<void> ended = co_await all; !ended) {
      Error error = ended.error();
      error.maybe_applied = error.maybe_applied || state.has_ended() || state.maybe_ended() ||
                            (!status && status.error().maybe_applied);
      co_return error;
    }
  }
  const bool has_ended = state.ended_after_all(!status);
  if (!status) {
    Error error = status.error();
    error.detail += has_ended ? "; the session has ended, as it was asked to"
                              : "; the session had ended, or become another principal's, before";
    co_return error;
  }
  if (!has_ended) co_return Commit{Status::gone};
  co_return deletion(state);
}

// A commit of a session that was over before it: one that had ended() when it was opened, that was
// found to be gone since, or that an earlier commit has ended.
Task<Result<Commit>> commit_too_late(StoreFlow& flow, SessionState& state) {
  auto lost = end_lost(flow, state);
  if (const Result<void> ended = co_await lost; !ended) co_return ended.error();
  if (state.life() == Life::ended) {
    state.become(Life::erased);
    co_return deletion(state);
  }
  if (state.life() == Life::erased && !state.first_error()) co_return Commit{};
  Result<Status> status = Status::gone;
  const bool is_late = state.life() != Life::gone;
  if (is_late && state.first_error()) status = *state.first_error();
  if (state.must_end()) {
    auto after_all = end_after_all(flow, state, status);
    co_return co_await after_all;
  }
  if (!status) co_return status.error();
  if (!is_late) co_return Commit{Status::gone};
  if (!state.has_wishes()) co_return Commit{};
  if (!state.unread().empty()) {
    state.context().tell(SessionEvent::Kind::gone, state.unread().front());
  }
  state.become(Life::gone);
  co_return Commit{Status::gone};
}

}  // namespace

Task<Result<Commit>> commit_session(StoreFlow& flow, SessionState& state) {
  const OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return finished(state, std::move(alone).error());
  const Plan plan = state.plan();
  const Life life = state.life();
  const bool is_erased = life == Life::erased && !state.first_error();
  if (life == Life::gone || life == Life::ended || is_erased || state.is_late()) {
    auto late = commit_too_late(flow, state);
    co_return finished(state, co_await late);
  }

  const bool erases = plan.action == Plan::Action::erase && !state.first_error();
  auto carry_out = state.is_plain(plan) ? change(flow, state, plan) : write(flow, state, plan);
  const Result<Status> status = co_await carry_out;
  const bool failed = !status || *status == Status::gone;
  // (It has ended already if a new session was to take its place, which then failed.)
  if (failed && !erases && (state.must_end() || state.has_ended())) {
    auto after_all = end_after_all(flow, state, status);
    co_return finished(state, co_await after_all);
  }
  if (!status) co_return finished(state, status.error());
  if (*status == Status::gone) {
    state.become(Life::gone);
    state.drop_wishes();
    co_return finished(state, Commit{Status::gone});
  }

  // The write has happened, so the session becomes a fresh snapshot of it.
  const bool maybe_others = state.done(plan.action == Plan::Action::erase);
  Commit commit{*status};
  const bool is_new_id = *status == Status::created || *status == Status::regenerated;
  if (is_new_id) {
    send_id(commit, state);
  } else if (plan.cookie == Plan::CookieAction::send) {
    send_again(commit, state);
  } else if (plan.cookie == Plan::CookieAction::remove && !maybe_others) {
    take_id_away(commit, state);
  }
  co_return finished(state, std::move(commit));
}

Commit commit_nothing(const SessionState& state) { return finished(state, Commit{}).value(); }

Task<Result<Commit>> abandon_session(StoreFlow& flow, SessionState& state) {
  if (state.life() == Life::ended) {  // gives what deletes the cookie, or nothing
    auto commit = commit_session(flow, state);
    co_return co_await commit;
  }
  const OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return std::move(alone).error();
  // What would be signed in under an id that nobody has. (A commit tries again.)
  auto lost = end_lost(flow, state);
  static_cast<void>(co_await lost);
  if (state.next_id() && state.signs_in()) {
    auto erase = erase_by_id(flow, state.context(), *state.next_id(), nullptr,
                             state.context().mark(), EndReason::signed_out);
    const Result<bool> erased = co_await erase;
    // It had signed the same principal in again, so this was the visitor's own session.
    if (erased.has_value() && *erased && !state.must_end()) state.become(Life::gone);
  }
  if (!state.must_end()) {
    const bool is_gone = state.life() == Life::gone;
    co_return for_caches(state, Commit{is_gone ? Status::gone : Status::unchanged});
  }
  auto after_all = end_after_all(flow, state, Status::gone);
  co_return for_caches(state, co_await after_all);
}

Finished failed(const SessionState& state, const Error& error, Result<Commit> abandoned) {
  return {error, abandoned ? *std::move(abandoned) : commit_nothing(state)};
}

void report_error(const Error& error, const SessionState& state) noexcept {
  if (error.code != Errc::invalid_argument && error.code != Errc::too_large &&
      error.code != Errc::too_many_sessions) {
    return;
  }
  state.context().tell_refused(error, state.id());
}

}  // namespace websession::internal
