// What is done with all sessions of a principal.
#include <algorithm>
#include <utility>

#include "decisions.hpp"
#include "library_names.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"

namespace websession::internal {
namespace {

// So many entries are dropped in one call of the store, whose deadline is for all of them.
constexpr std::size_t forgotten_at_once = 200;

// A pass ends all sessions that it lists, so a second one finds few and a third none, unless the
// principal signs in all the time.
constexpr int passes_max = 100;

// An entry of the index, and what the store has under it.
struct Listed {
  StoreKey key;
  enum class Kind {
    gone,
    other,       // it is (by now) another principal's, or nobody's
    unreadable,  // corrupt, which concerns this session alone
    frozen,
    session,
  } kind;
  Fields fields{};
  WallTime created{};
  milliseconds remaining{};
  WallTime signed_in{};  // by which they are ordered (in_order)
};

Result<Listed> listed_as(const StoreKey& key, const Result<std::optional<Record>>& record,
                         std::string_view principal) {
  if (!record.has_value()) {
    if (record.error().code == Errc::corrupt) return Listed{key, Listed::Kind::unreadable};
    return record.error();
  }
  if (!*record || (*record)->is_over()) return Listed{key, Listed::Kind::gone};
  if (principal_of((*record)->fields) != principal) return Listed{key, Listed::Kind::other};
  if ((*record)->frozen) return Listed{key, Listed::Kind::frozen, (*record)->fields};
  const Result<std::optional<WallTime>> created = created_of((*record)->fields);
  if (!created.has_value() || !*created) return Listed{key, Listed::Kind::unreadable};
  return Listed{key, Listed::Kind::session, (*record)->fields, **created, remaining_of(**record)};
}

PlanOptions plan_of(const SessionContext& context, const Listed& listed) {
  return plan_with(context.plan, context.options, timeouts_of(listed.fields));
}

// Whether a visitor could open it: an absolute timeout that was longer when the session was written
// may have left it in the store.
bool is_open(const SessionContext& context, const Listed& listed, WallTime now) {
  return listed.kind == Listed::Kind::session &&
         absolute_left(listed.created, plan_of(context, listed), now) > milliseconds(0);
}

// What is listed of a principal, in the order of the index.
struct Listing {
  std::vector<Listed> found{};
  bool complete = true;  // false: there may be more
};

std::vector<std::string_view> sorted(const std::vector<StoreKey>& keys) {
  std::vector<std::string_view> texts;
  texts.reserve(keys.size());
  for (const StoreKey& key : keys) texts.emplace_back(key.secret());
  std::sort(texts.begin(), texts.end());
  return texts;
}

// Whether all of these keys are among the others.
bool are_among(const std::vector<StoreKey>& keys, const std::vector<StoreKey>& others) {
  const std::vector<std::string_view> some = sorted(keys);
  const std::vector<std::string_view> all = sorted(others);
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// Whether any of them is.
bool is_any_among(const std::vector<StoreKey>& keys, const std::vector<StoreKey>& others) {
  const std::vector<std::string_view> all = sorted(others);
  return std::any_of(keys.begin(), keys.end(), [&](const StoreKey& key) {
    return std::binary_search(all.begin(), all.end(), std::string_view(key.secret()));
  });
}

Task<Result<void>> forget_all(StoreFlow& flow, std::string_view principal,
                              std::span<const StoreKey> keys, BeingMade made) {
  while (!keys.empty()) {
    const auto some = keys.first(std::min(forgotten_at_once, keys.size()));
    keys = keys.subspan(some.size());
    auto forget = flow.forget(principal, some, made);
    if (const Result<void>& forgotten = co_await forget; !forgotten) co_return forgotten.error();
  }
  co_return Result<void>();
}

// Entries whose session is gone are dropped from the index. If they hid others, which the index did
// not give for want of room, it is asked again.
//
// So it is when a key was found to hold no session (any more): that may have moved on to a key
// which the list did not have yet. When a later list has no new key, each session that was alive by
// then had its key looked at before.
//
// The newest come first: the new key of a session that moves meanwhile is listed behind the old
// one, and in some stores a moment before the session is there. So no session is found under both;
// and while one may have been found under neither, all are looked at once more.
Task<Result<Listing>> list(StoreFlow& flow, std::string_view principal) {
  auto first = flow.entries(principal);
  Result<std::vector<StoreKey>> keys = std::move(co_await first);
  std::vector<StoreKey> without_before;  // those that held no session when they were last looked at
  while (true) {
    if (!keys) co_return std::move(keys).error();
    Listing listing;
    std::vector<StoreKey> gone;
    std::vector<StoreKey> without;
    for (auto entry = keys->rbegin(); entry != keys->rend(); ++entry) {
      const StoreKey& key = *entry;
      auto load = flow.load(key);
      Result<Listed> listed = listed_as(key, co_await load, principal);
      if (!listed) co_return std::move(listed).error();
      if (listed->kind != Listed::Kind::session) without.push_back(key);
      if (listed->kind == Listed::Kind::gone) {
        gone.push_back(key);
      } else {
        listing.found.push_back(*std::move(listed));
      }
    }
    std::reverse(listing.found.begin(), listing.found.end());
    auto forget = forget_all(flow, principal, gone, BeingMade::stays);
    if (const Result<void> forgotten = co_await forget; !forgotten) co_return forgotten.error();
    listing.complete = keys->size() < PrincipalIndex::entries_max;
    const bool hidden = !listing.complete && !gone.empty();
    if (!hidden && without.empty()) co_return std::move(listing);
    auto again = flow.entries(principal);
    Result<std::vector<StoreKey>>& now = co_await again;
    if (!now) co_return std::move(now).error();
    // Of sessions that are being made the entries stay, and may go on hiding others.
    const bool goes_on = hidden && !are_among(*keys, *now);
    const bool goes_round = is_any_among(gone, *now) && !are_among(without, without_before);
    without_before = std::move(without);
    if (!goes_on && !goes_round && are_among(*now, *keys)) co_return std::move(listing);
    keys = std::move(now);
  }
}

// Those that a visitor could open, by when they signed in, the oldest first.
std::vector<Listed> in_order(Listing all, const SessionContext& context, WallTime now) {
  std::vector<Listed> sessions = std::move(all.found);
  std::erase_if(sessions, [&](const Listed& listed) { return !is_open(context, listed, now); });
  for (Listed& listed : sessions) {
    const milliseconds idle = plan_of(context, listed).idle_timeout;
    listed.signed_in = signed_in_at(listed.created, listed.remaining, idle, now);
  }
  std::stable_sort(sessions.begin(), sessions.end(),
                   [](const Listed& a, const Listed& b) { return a.signed_in < b.signed_in; });
  return sessions;
}

Error too_many_to_list() {
  return make_error(Errc::overloaded,
                    "the principal has more sessions than can be listed (10,000); "
                    "sign_out_everywhere ends them");
}

// Ends the session, and tells the observer.
Task<Result<bool>> end_key(StoreFlow& flow, const SessionContext& context, const StoreKey& key,
                           EndReason why) {
  auto erase = flow.erase(key, context.mark());
  Result<bool>& erased = co_await erase;
  if (erased.has_value() && *erased) context.tell_end(key, why);
  co_return std::move(erased);
}

// Ends what is listed under the key. True: it was a session of the principal, and not a replaced
// id. `follows`: what it leads to ends as well, so whoever takes new ids all the time is caught up
// with. Else that stays: it has an entry of its own, and may be the one to keep.
Task<Result<bool>> end_listed(StoreFlow& flow, const SessionContext& context, const StoreKey& key,
                              std::string_view principal, bool follows) {
  auto load = flow.load(key);
  const Result<Listed> listed = listed_as(key, co_await load, principal);
  if (!listed) co_return listed.error();
  if (listed->kind == Listed::Kind::gone || listed->kind == Listed::Kind::other) co_return false;
  const bool is_frozen = listed->kind == Listed::Kind::frozen;
  if (!is_frozen || follows) {
    auto erase = end_key(flow, context, key, EndReason::ended_elsewhere);
    Result<bool> ended = co_await erase;
    const bool is_too_long = is_frozen && !ended.has_value() && ended.error().code == Errc::corrupt;
    if (!is_too_long) co_return std::move(ended);
    // The chain is longer than is followed; its end has an entry of its own.
  }
  auto end = flow.end_frozen(key);
  const Result<void>& over = co_await end;
  if (!over) co_return over.error();
  co_return false;
}

Error too_many_sessions() {
  return make_error(Errc::too_many_sessions,
                    "the principal has as many sessions as max_sessions_per_principal allows");
}

Error cannot_be_kept() {
  return make_error(Errc::gone, "the session to keep was replaced or has ended; open it again");
}

// Whether sessions of this principal can be looked for at all.
Result<void> check(const SessionContext& context, std::string_view principal) {
  if (!context.has_index) return no_principal_index();
  return validate_principal(principal);
}

}  // namespace

Task<Result<std::vector<SessionInfo>>> list_sessions(StoreFlow& flow, const SessionContext& context,
                                                     std::string_view principal,
                                                     const SessionState* current) {
  if (auto valid = check(context, principal); !valid) co_return std::move(valid).error();
  auto find = list(flow, principal);
  Result<Listing> all = co_await find;
  if (!all) co_return std::move(all).error();
  if (!all->complete) co_return too_many_to_list();
  const SessionId* id = current != nullptr ? current->id() : nullptr;
  const WallTime now = context.clock->wall();
  std::vector<SessionInfo> infos;
  for (const Listed& listed : in_order(*std::move(all), context, now)) {
    SessionInfo info;
    info.created = std::min(listed.created, now);
    const milliseconds idle = plan_of(context, listed).idle_timeout;
    info.renewed = renewed_at(listed.created, listed.remaining, idle, now);
    info.label = listed.fields.find(label_field).value_or("");
    info.is_current = id != nullptr && context.keys.is_key_of(listed.key, *id);
    info.handle = handle_of(listed.key);
    infos.push_back(std::move(info));
  }
  std::reverse(infos.begin(), infos.end());
  co_return std::move(infos);
}

Task<Result<bool>> end_by_handle(StoreFlow& flow, const SessionContext& context,
                                 std::string_view principal, std::string_view handle) {
  if (auto valid = check(context, principal); !valid) co_return std::move(valid).error();
  while (true) {
    auto entries = flow.entries(principal);
    Result<std::vector<StoreKey>>& keys = co_await entries;
    if (!keys) co_return std::move(keys).error();
    const auto key = std::find_if(keys->begin(), keys->end(), [handle](const StoreKey& listed) {
      return equal_in_constant_time(handle_of(listed), handle);
    });
    if (key != keys->end()) {
      auto load = flow.load(*key);
      const Result<Listed> listed = listed_as(*key, co_await load, principal);
      if (!listed) co_return listed.error();
      if (listed->kind == Listed::Kind::other || listed->kind == Listed::Kind::gone) {
        co_return false;
      }
      // A handle from before a regenerate means the session that it has become.
      auto erase = end_key(flow, context, *key, EndReason::ended_elsewhere);
      co_return co_await erase;
    }
    if (keys->size() < PrincipalIndex::entries_max) co_return false;
    // It may be behind entries that are over; those go now.
    auto drop = list(flow, principal);
    const Result<Listing> all = co_await drop;
    if (!all) co_return all.error();
    if (!all->complete) co_return too_many_to_list();
  }
}

Task<Result<std::size_t>> end_all(StoreFlow& flow, const SessionContext& context,
                                  std::string_view principal, SessionState* keep) {
  if (auto valid = check(context, principal); !valid) co_return std::move(valid).error();
  std::optional<OperationGuard> guard;  // its id must stay what it is
  if (keep != nullptr) guard.emplace(*keep);
  if (guard) {
    if (auto alone = guard->check(); !alone) co_return std::move(alone).error();
    if (keep->outage()) co_return *keep->outage();
    if (keep->is_over()) co_return cannot_be_kept();
  }
  const bool keeps =
      keep != nullptr && keep->id() != nullptr && keep->stored_principal() == principal;
  if (keeps) {
    auto load = load_by_id(flow, context.keys, *keep->id());
    const Result<Found> kept = co_await load;
    if (!kept) co_return kept.error();
    const bool alive =
        kept->record && !kept->record->frozen && principal_of(kept->record->fields) == principal;
    if (!alive) {
      co_return cannot_be_kept();
    }
  }

  // An entry appears in the same atomic step as its session, or before it (and then forget() keeps
  // the session from being made), and a session that moves to a new key while a pass is on has an
  // entry under that. So a list without anything to end is the moment at which all of them had
  // ended.
  std::size_t ended = 0;
  bool any = false;  // has been ended or stripped
  const auto failed = [&any](Error error) {
    if (any && error.code == Errc::timeout) error.detail += ": call again, what has ended stays so";
    error.maybe_applied = error.maybe_applied || any;
    return error;
  };
  for (int pass = 0; pass < passes_max; ++pass) {
    auto entries = flow.entries(principal);
    const Result<std::vector<StoreKey>>& keys = co_await entries;
    if (!keys) co_return failed(keys.error());
    std::vector<StoreKey> done;
    // The newest first: the end of a chain, if somebody takes new ids meanwhile.
    for (auto entry = keys->rbegin(); entry != keys->rend(); ++entry) {
      const StoreKey& key = *entry;
      if (keeps && context.keys.is_key_of(key, *keep->id())) continue;
      // What a replaced id leads to may be the session to keep.
      auto end = end_listed(flow, context, key, principal, !keeps);
      const Result<bool> over = co_await end;
      if (!over.has_value()) co_return failed(over.error());
      any = true;
      if (*over) ++ended;
      done.push_back(key);
    }
    if (done.empty()) co_return ended;
    auto forget = forget_all(flow, principal, done, BeingMade::ends);
    if (const Result<void> forgotten = co_await forget; !forgotten) {
      co_return failed(forgotten.error());
    }
  }
  co_return failed(
      make_error(Errc::overloaded,
                 "the principal signs in faster than the sessions can be ended; call again"));
}

Task<Result<std::size_t>> end_of_alias(StoreFlow& flow, const SessionContext& context,
                                       std::string_view principal, std::string_view text) {
  // As in end_all, but the list itself sees to it that none is missed that moves meanwhile: there
  // are others in it, which stay.
  std::size_t ended = 0;
  for (int pass = 0; pass < passes_max; ++pass) {
    auto find = list(flow, principal);
    Result<Listing> all = co_await find;
    if (!all) {
      Error error = std::move(all).error();
      error.maybe_applied = error.maybe_applied || ended > 0;
      co_return error;
    }
    const bool is_complete = all->complete;
    bool any = false;
    for (const Listed& listed : all->found) {
      if (listed.fields.find(alias_field) != text) continue;
      auto end = end_listed(flow, context, listed.key, principal, true);
      const Result<bool> over = co_await end;
      if (!over.has_value()) {
        Error error = over.error();
        error.maybe_applied = error.maybe_applied || any || ended > 0;
        co_return error;
      }
      any = true;
      if (*over) ++ended;
    }
    if (any) continue;
    if (!is_complete) co_return too_many_to_list();
    co_return ended;
  }
  co_return make_error(Errc::overloaded,
                       "sessions of this alias are made faster than they can be ended; call again");
}

Task<Result<void>> admit_sign_in(StoreFlow& flow, SessionState& state) {
  const SessionContext& context = state.context();
  const SessionOptions& options = context.options;
  const bool refuses = options.when_too_many == TooManySessions::refuse_new;
  const StoreFlow::HalfTheTime for_this(flow);  // the sign-in itself comes after it
  auto find = list(flow, state.next_principal());
  Result<Listing> all = co_await find;
  if (!all) co_return refuses ? Result<void>(std::move(all).error()) : Result<void>();
  const WallTime now = context.clock->wall();
  std::erase_if(all->found, [&](const Listed& listed) {
    return state.has_key(listed.key) || !is_open(context, listed, now);
  });
  for (const Listed& listed : all->found) {
    if (is_ahead(listed.created, now)) continue;  // that is no date to go by
    state.sign_in_after(listed.created, now);
  }
  if (!refuses) co_return Result<void>();
  if (all->found.size() >= *options.max_sessions_per_principal) co_return too_many_sessions();
  if (!all->complete) co_return too_many_to_list();
  co_return Result<void>();
}

// Of sign-ins that race each other, all see each other here, but for those that have yet to write;
// and those look after that. All go by the same order, so the same ones stay. Whoever is too many
// among some of the sessions is so among all, so a list with gaps serves as well; it is asked for
// again until it has none.
Task<Result<Commit::Status>> hold_to_limit(StoreFlow& flow, SessionState& state,
                                           Commit::Status done) {
  const SessionContext& context = state.context();
  const std::size_t most = *context.options.max_sessions_per_principal;
  const bool refuses = context.options.when_too_many == TooManySessions::refuse_new;
  const WallTime now = context.clock->wall();
  for (bool complete = false; !complete;) {
    auto find = list(flow, state.next_principal());
    Result<Listing> all = co_await find;
    // The sign-in has happened, and its new id must reach the visitor, so errors end this early.
    if (!all) co_return done;
    const bool is_all = all->complete;
    std::vector<Listed> sessions = in_order(*std::move(all), context, now);
    if (refuses) std::reverse(sessions.begin(), sessions.end());
    std::size_t ended = 0;
    for (; ended + most < sessions.size(); ++ended) {
      const StoreKey& surplus = sessions[ended].key;
      auto erase = end_key(flow, context, surplus, EndReason::evicted);
      const Result<bool> erased = co_await erase;
      if (!erased.has_value()) co_return done;
      if (!context.keys.is_key_of(surplus, *state.id())) continue;
      done = Commit::Status::gone;
      state.become(SessionState::Life::gone);
    }
    complete = is_all || ended == 0;
  }
  if (done == Commit::Status::gone && refuses) co_return too_many_sessions();
  co_return done;
}

}  // namespace websession::internal
