// What a SessionManager does with all sessions of a principal.
#include <algorithm>
#include <utility>

#include "principal.hpp"
#include "record_times.hpp"
#include "session_state.hpp"
#include "websession/session_manager.hpp"

namespace websession {
namespace {

using std::chrono::milliseconds;

// A pass ends all sessions that it lists, so a second one finds few and a third none, unless the
// principal signs in all the time.
constexpr int passes_max = 100;

// What is done with all sessions of a principal returns by then, however many entries there are.
class Deadline {
 public:
  explicit Deadline(const Clock& clock)
      : clock_(clock), until_(clock.steady() + std::chrono::seconds(10)) {}
  // Error: timeout.
  [[nodiscard]] Result<void> check() const {
    if (clock_.steady() < until_) return {};
    return make_error(Errc::timeout,
                      "the principal has more sessions than could be looked at in 10 seconds");
  }

 private:
  const Clock& clock_;
  SteadyTime until_;
};

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

Result<Listed> look_up(SessionStore& store, const StoreKey& key, std::string_view principal) {
  Result<std::optional<Record>> record = store.load(key);
  if (!record.has_value()) {
    if (record.error().code == Errc::corrupt) return Listed{key, Listed::Kind::unreadable};
    return std::move(record).error();
  }
  if (!*record || (*record)->is_over()) return Listed{key, Listed::Kind::gone};
  if (principal_of((*record)->fields) != principal) return Listed{key, Listed::Kind::other};
  if ((*record)->frozen) return Listed{key, Listed::Kind::frozen};
  const Result<std::optional<WallTime>> created = internal::created_of((*record)->fields);
  if (!created.has_value() || !*created) return Listed{key, Listed::Kind::unreadable};
  return Listed{key, Listed::Kind::session, (*record)->fields, **created,
                internal::remaining_of(**record)};
}

// Whether a visitor could open it: an absolute timeout that was longer when the session was written
// may have left it in the store.
bool is_open(const Listed& listed, const internal::PlanOptions& plan, WallTime now) {
  return listed.kind == Listed::Kind::session &&
         internal::absolute_left(listed.created, plan, now) > milliseconds(0);
}

// What is listed of a principal, in the order of the index.
struct Listing {
  std::vector<Listed> found{};
  bool complete = true;  // false: there may be more
};

// Whether all of these keys are among the others.
bool are_among(const std::vector<StoreKey>& keys, const std::vector<StoreKey>& others) {
  const auto sorted = [](const std::vector<StoreKey>& all) {
    std::vector<std::string_view> texts;
    texts.reserve(all.size());
    for (const StoreKey& key : all) texts.emplace_back(key.secret());
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  const std::vector<std::string_view> some = sorted(keys);
  const std::vector<std::string_view> all = sorted(others);
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// Entries whose session is gone are dropped from the index. If they hid others, which the index did
// not give for want of room, it is asked again.
//
// So it is when a key was found to hold no session (any more): that may have moved on to a key
// which the list did not have yet. When a later list has no new key, each session that was alive by
// then had its key looked at before.
Result<Listing> list(SessionStore& store, PrincipalIndex& index, std::string_view principal,
                     const Deadline& deadline) {
  Result<std::vector<StoreKey>> keys = index.entries(principal);
  while (true) {
    if (!keys) return keys.error();
    Listing listing;
    std::vector<StoreKey> gone;
    bool may_have_moved = false;
    for (const StoreKey& key : *keys) {
      if (auto in_time = deadline.check(); !in_time) return std::move(in_time).error();
      Result<Listed> listed = look_up(store, key, principal);
      if (!listed) return std::move(listed).error();
      may_have_moved = may_have_moved || listed->kind != Listed::Kind::session;
      if (listed->kind == Listed::Kind::gone) {
        gone.push_back(key);
      } else {
        listing.found.push_back(*std::move(listed));
      }
    }
    if (!gone.empty()) {
      if (auto forgotten = index.forget(principal, gone); !forgotten) {
        return std::move(forgotten).error();
      }
    }
    listing.complete = keys->size() < PrincipalIndex::entries_max;
    const bool hidden = !listing.complete && !gone.empty();
    if (!hidden && !may_have_moved) return listing;
    Result<std::vector<StoreKey>> now = index.entries(principal);
    if (!now) return now.error();
    if (!hidden && are_among(*now, *keys)) return listing;
    keys = std::move(now);
  }
}

// Those that a visitor could open, by when they signed in, the oldest first.
std::vector<Listed> in_order(Listing all, const internal::PlanOptions& plan, WallTime now) {
  std::vector<Listed> sessions = std::move(all.found);
  std::erase_if(sessions, [&](const Listed& listed) { return !is_open(listed, plan, now); });
  for (Listed& listed : sessions) {
    listed.signed_in =
        internal::signed_in_at(listed.created, listed.remaining, plan.idle_timeout, now);
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

// Ends what is listed under the key, and leaves what it leads to. True: it was a session of the
// principal, and not a replaced id.
Result<bool> end_listed(SessionStore& store, PrincipalIndex& index, const StoreKey& key,
                        std::string_view principal, Grace mark) {
  const Result<Listed> listed = look_up(store, key, principal);
  if (!listed) return listed.error();
  if (listed->kind == Listed::Kind::gone || listed->kind == Listed::Kind::other) return false;
  if (listed->kind == Listed::Kind::frozen) {
    // Alone: its successor has an entry of its own, and may be the one to keep.
    if (auto over = index.end_frozen(key); !over) return std::move(over).error();
    return false;
  }
  return store.erase(key, mark);
}

// The same, along with what it leads to: whoever takes new ids all the time is caught up with.
Result<bool> end_chain_of(SessionStore& store, PrincipalIndex& index, const StoreKey& key,
                          std::string_view principal, Grace mark) {
  const Result<Listed> listed = look_up(store, key, principal);
  if (!listed) return listed.error();
  if (listed->kind == Listed::Kind::gone || listed->kind == Listed::Kind::other) return false;
  Result<bool> ended = store.erase(key, mark);
  if (ended.has_value() || listed->kind != Listed::Kind::frozen ||
      ended.error().code != Errc::corrupt) {
    return ended;
  }
  // The chain is longer than is followed; its end has an entry of its own.
  if (auto over = index.end_frozen(key); !over) return std::move(over).error();
  return false;
}

Error too_many_sessions() {
  return make_error(Errc::too_many_sessions,
                    "the principal has as many sessions as max_sessions_per_principal allows");
}

}  // namespace

Result<std::vector<SessionInfo>> SessionManager::sessions_of(std::string_view principal,
                                                             const Session* current) const {
  if (shared_->index == nullptr) return no_principal_index();
  if (auto valid = internal::validate_principal(principal); !valid) return std::move(valid).error();
  Result<Listing> all =
      list(shared_->store.by_key(), *shared_->index, principal, Deadline(*shared_->clock));
  if (!all) return all.error();
  if (!all->complete) return too_many_to_list();
  const SessionId* id = current != nullptr ? current->id() : nullptr;
  const WallTime now = shared_->clock->wall();
  std::vector<SessionInfo> infos;
  for (const Listed& listed : in_order(*std::move(all), shared_->plan, now)) {
    SessionInfo info;
    info.created = std::min(listed.created, now);
    info.renewed =
        internal::renewed_at(listed.created, listed.remaining, shared_->plan.idle_timeout, now);
    info.label = listed.fields.find(label_field).value_or("");
    info.is_current = id != nullptr && shared_->store.is_key_of(listed.key, *id);
    info.handle = internal::handle_of(listed.key);
    infos.push_back(std::move(info));
  }
  std::reverse(infos.begin(), infos.end());
  return infos;
}

Result<bool> SessionManager::erase_one(std::string_view principal, std::string_view handle) const {
  if (shared_->index == nullptr) return no_principal_index();
  if (auto valid = internal::validate_principal(principal); !valid) return std::move(valid).error();
  SessionStore& store = shared_->store.by_key();
  const Deadline deadline(*shared_->clock);
  while (true) {
    const Result<std::vector<StoreKey>> keys = shared_->index->entries(principal);
    if (!keys) return keys.error();
    const auto key = std::find_if(keys->begin(), keys->end(), [handle](const StoreKey& listed) {
      return equal_in_constant_time(internal::handle_of(listed), handle);
    });
    if (key != keys->end()) {
      const Result<Listed> listed = look_up(store, *key, principal);
      if (!listed) return listed.error();
      if (listed->kind == Listed::Kind::other || listed->kind == Listed::Kind::gone) return false;
      // A handle from before a regenerate means the session that it has become.
      return store.erase(*key, shared_->mark());
    }
    if (keys->size() < PrincipalIndex::entries_max) return false;
    // It may be behind entries that are over; those go now.
    const Result<Listing> all = list(store, *shared_->index, principal, deadline);
    if (!all) return all.error();
    if (!all->complete) return too_many_to_list();
  }
}

Result<std::size_t> SessionManager::sign_out_everywhere(std::string_view principal,
                                                        const Session* keep) const {
  if (shared_->index == nullptr) return no_principal_index();
  if (auto valid = internal::validate_principal(principal); !valid) return std::move(valid).error();
  const bool keeps =
      keep != nullptr && keep->id() != nullptr && keep->state_->stored_principal() == principal;
  const auto is_kept = [&](const StoreKey& key) {
    return keeps && shared_->store.is_key_of(key, *keep->id());
  };
  SessionStore& store = shared_->store.by_key();
  const Deadline deadline(*shared_->clock);
  if (keeps) {
    const auto kept = shared_->store.load(*keep->id());
    if (!kept.has_value()) return kept.error();
    const bool alive =
        *kept && !(*kept)->record.frozen && principal_of((*kept)->record.fields) == principal;
    if (!alive) {
      return make_error(Errc::gone, "the session to keep was replaced or has ended; open it again");
    }
  }

  // An entry appears in the same atomic step as its session, and a session that moves to a new key
  // while a pass is on has an entry under that. So a list without anything to end is the moment at
  // which all of them had ended.
  std::size_t ended = 0;
  bool any = false;  // has been ended or stripped
  const auto failed = [&any](Error error) {
    error.maybe_applied = error.maybe_applied || any;
    return error;
  };
  for (int pass = 0; pass < passes_max; ++pass) {
    const Result<std::vector<StoreKey>> keys = shared_->index->entries(principal);
    if (!keys) return failed(keys.error());
    std::vector<StoreKey> done;
    // The newest first: the end of a chain, if somebody takes new ids meanwhile.
    for (auto entry = keys->rbegin(); entry != keys->rend(); ++entry) {
      const StoreKey& key = *entry;
      if (is_kept(key)) continue;
      if (auto in_time = deadline.check(); !in_time) {
        Error error = std::move(in_time).error();
        error.detail += ": call again, what has ended stays so";
        return failed(std::move(error));
      }
      // What a replaced id leads to may be the session to keep.
      const auto& end = keeps ? end_listed : end_chain_of;
      const Result<bool> over = end(store, *shared_->index, key, principal, shared_->mark());
      if (!over.has_value()) return failed(over.error());
      any = true;
      if (*over) ++ended;
      done.push_back(key);
    }
    if (done.empty()) return ended;
    if (auto forgotten = shared_->index->forget(principal, done); !forgotten) {
      return failed(std::move(forgotten).error());
    }
  }
  return failed(
      make_error(Errc::overloaded,
                 "the principal signs in faster than the sessions can be ended; call again"));
}

// Refuses a sign-in beyond the limit, if that is the policy. Dates it after those that are listed:
// they may come from servers whose clocks are a little ahead, and the oldest ones are to end.
Result<void> SessionManager::admit(Session::State& state) const {
  const SessionOptions& options = shared_->options;
  if (!state.signs_in() || !options.max_sessions_per_principal) return {};
  const bool refuses = options.when_too_many == TooManySessions::refuse_new;
  Result<Listing> all = list(shared_->store.by_key(), *shared_->index, state.transition->principal,
                             Deadline(*shared_->clock));
  if (!all) return refuses ? Result<void>(std::move(all).error()) : Result<void>();
  const WallTime now = shared_->clock->wall();
  std::erase_if(all->found, [&](const Listed& listed) {
    const bool own = (state.stored && shared_->store.is_key_of(listed.key, state.stored->id)) ||
                     (state.next_id && shared_->store.is_key_of(listed.key, *state.next_id));
    return own || !is_open(listed, shared_->plan, now);
  });
  WallTime& at = state.transition->at;
  for (const Listed& listed : all->found) {
    if (internal::is_ahead(listed.created, now)) continue;  // that is no date to go by
    at = std::min(std::max(at, listed.created + std::chrono::milliseconds(1)),
                  now + internal::clock_skew_max);
  }
  if (!refuses) return {};
  if (all->found.size() >= *options.max_sessions_per_principal) return too_many_sessions();
  if (!all->complete) return too_many_to_list();
  return {};
}

// Of sign-ins that race each other, all see each other here, but for those that have yet to write;
// and those look after that. All go by the same order, so the same ones stay. Whoever is too many
// among some of the sessions is so among all, so a list with gaps serves as well; it is asked for
// again until it has none.
Result<Commit::Status> SessionManager::hold_to_limit(Session::State& state,
                                                     Commit::Status done) const {
  const SessionOptions& options = shared_->options;
  if (!options.max_sessions_per_principal) return done;
  const WallTime now = shared_->clock->wall();
  const bool refuses = options.when_too_many == TooManySessions::refuse_new;
  const Deadline deadline(*shared_->clock);
  for (bool complete = false; !complete;) {
    Result<Listing> all =
        list(shared_->store.by_key(), *shared_->index, state.transition->principal, deadline);
    // The sign-in has happened, and its new id must reach the visitor, so errors end this early.
    if (!all) return done;
    const bool is_all = all->complete;
    std::vector<Listed> sessions = in_order(*std::move(all), shared_->plan, now);
    if (refuses) std::reverse(sessions.begin(), sessions.end());
    std::size_t ended = 0;
    for (; ended + *options.max_sessions_per_principal < sessions.size(); ++ended) {
      const StoreKey& surplus = sessions[ended].key;
      if (!deadline.check()) return done;
      const Result<bool> erased = shared_->store.by_key().erase(surplus, shared_->mark());
      if (!erased.has_value()) return done;
      if (!shared_->store.is_key_of(surplus, state.stored->id)) continue;
      done = Commit::Status::gone;
      state.life = Session::State::Life::gone;
    }
    complete = is_all || ended == 0;
  }
  if (done == Commit::Status::gone && refuses) return too_many_sessions();
  return done;
}

}  // namespace websession
