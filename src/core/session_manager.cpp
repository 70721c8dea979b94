#include "websession/session_manager.hpp"

#include <algorithm>
#include <utility>

#include "invalid.hpp"
#include "observed_store.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "response_headers.hpp"
#include "session_state.hpp"

namespace websession {
namespace {

using internal::Plan;
using std::chrono::milliseconds;

// A Cookie header may hold any number of cookies of one name; only so many cost a round trip.
constexpr std::size_t cookies_tried_max = 4;
// The host limits the header's size; this, what work and events one header can cause. Malformed
// cookies cost no round trip, so more of them are passed over.
constexpr std::size_t cookies_considered_max = 16;
// An id is 192 random bits: a second collision in a row means that something else is wrong.
constexpr int create_attempts = 2;
// An id that is over is remembered for so long at least: as long as a request may have been under
// way with it.
constexpr milliseconds mark_min = std::chrono::seconds(10);

using internal::invalid;

Result<void> validate(const SessionOptions& options) {
  if (auto valid = validate(options.cookie); !valid) return valid;
  if (auto valid = validate(options.id_format); !valid) return valid;
  const auto out_of_range = [](milliseconds time, milliseconds least) {
    return time < least || time > ttl_max;
  };
  constexpr milliseconds second = std::chrono::seconds(1);
  if (out_of_range(options.idle_timeout, second)) {
    return invalid("idle_timeout: must be 1 second to 400 days");
  }
  if (out_of_range(options.absolute_timeout, second)) {
    return invalid("absolute_timeout: must be 1 second to 400 days");
  }
  if (options.idle_timeout > options.absolute_timeout) {
    return invalid(
        "idle_timeout: must not be longer than absolute_timeout (30 minutes and 12 hours unless "
        "set), "
        "which would end the session first; set both, as in: options.idle_timeout = "
        "std::chrono::hours(24 * 7); options.absolute_timeout = std::chrono::hours(24 * 30)");
  }
  if (options.renew_after &&
      (*options.renew_after < milliseconds(0) || *options.renew_after > options.idle_timeout / 2)) {
    return invalid("renew_after: must be 0 to half of idle_timeout: a session may end that early");
  }
  if (out_of_range(options.regenerate_grace, milliseconds(0)) ||
      options.regenerate_grace > std::chrono::minutes(5)) {
    return invalid("regenerate_grace: must be 0 to 5 minutes; the old id works that long");
  }
  if (!options.id_namespace.empty() && options.id_storage == IdStorage::plain) {
    return invalid(
        "id_namespace: needs hashed ids (id_storage); plain ones are kept apart by the "
        "store's prefix or by signing");
  }
  if (options.session_bytes_max == 0) return invalid("session_bytes_max: must not be 0");
  if (options.name_bytes_max == 0) return invalid("name_bytes_max: must not be 0");
  if (options.attributes_max == 0 || options.attributes_max > 1000) {
    return invalid("attributes_max: must be 1 to 1,000");
  }
  const std::optional<std::size_t>& sessions_max = options.max_sessions_per_principal;
  if (sessions_max && (*sessions_max == 0 || *sessions_max > 1000)) {
    return invalid("max_sessions_per_principal: must be 1 to 1,000");
  }
  return {};
}

// Whether the store could not be asked, rather than having answered something bad.
bool is_outage(const Error& error) {
  return error.code == Errc::unavailable || error.code == Errc::timeout ||
         error.code == Errc::overloaded;
}

// The fields with `@created` added.
Fields with_created(const Fields& attributes, std::string_view created) {
  std::vector<Field> fields(attributes.begin(), attributes.end());
  fields.push_back({created_field, created});
  return Fields(fields);
}

}  // namespace

SessionManager::SessionManager(std::shared_ptr<const Shared> shared) noexcept
    : shared_(std::move(shared)) {}

Result<SessionManager> SessionManager::make(std::shared_ptr<SessionStore> store,
                                            SessionOptions options) {
  if (!store) return invalid("store: must not be null");
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  auto shared = std::make_shared<Shared>();
  if (!options.signing.keys.empty()) {
    Result<CookieSigner> signer =
        CookieSigner::make(options.cookie.name, options.signing, options.id_format);
    if (!signer) return std::move(signer).error();
    shared->signer = *std::move(signer);
  }
  shared->clock = options.clock ? options.clock : system_clock();
  shared->plan = {options.idle_timeout,
                  options.absolute_timeout,
                  options.renew_after.value_or(options.idle_timeout / 10),
                  options.regenerate_grace,
                  std::max(options.regenerate_grace, mark_min),
                  options.cookie.rolling};
  if (options.observer) {
    store = internal::observe(std::move(store), options.observer, shared->clock);
  }
  shared->index = store->index();
  if (options.max_sessions_per_principal && shared->index == nullptr) {
    Error error = no_principal_index();
    error.detail = "max_sessions_per_principal: " + error.detail;
    return error;
  }
  shared->store =
      internal::IdStore(std::move(store), options.id_storage, options.id_namespace, shared->clock);
  shared->options = std::move(options);
  return SessionManager(std::move(shared));
}

const SessionOptions& SessionManager::options() const noexcept { return shared_->options; }

Result<SessionManager::Loaded> SessionManager::load(const SessionId& id) const {
  Result<std::optional<internal::IdStore::Found>> found = shared_->store.load(id);
  if (!found.has_value()) return std::move(found).error();
  if (!*found) return Loaded();
  if ((*found)->record.is_over()) return Loaded{std::nullopt, true};
  Record& record = (*found)->record;
  Result<std::optional<WallTime>> created = internal::created_of(record.fields);
  if (!created.has_value()) return std::move(created).error();
  const WallTime now = shared_->clock->wall();
  if (internal::absolute_left(*created, shared_->plan, now) <= milliseconds(0)) {
    return Loaded();  // the option was shortened, or a clock is off: it is over
  }
  const bool ahead = *created && internal::is_ahead(**created, now);
  if (ahead) *created = now;
  const SteadyTime loaded_at = shared_->clock->steady();
  auto state = std::make_unique<Session::State>();
  state->shared = shared_;
  state->stored = {id,
                   std::move(record.fields),
                   *created,
                   loaded_at + internal::remaining_of(record),
                   record.frozen,
                   std::move(record.expired)};
  state->stored->seen = (*found)->seen;
  state->stored->loaded_at = loaded_at;
  state->stored->is_created_wrong = ahead;
  return Loaded{Session(std::move(state))};
}

// Whether the store can say that it knows nothing of an id that nobody has. A server that makes no
// sense at all cannot.
bool SessionManager::store_makes_sense() const {
  const Result<SessionId> nobodys = SessionId::generate();
  return nobodys && shared_->store.load(*nobodys).has_value();
}

Result<Session> SessionManager::open(const RequestInfo& request) const {
  const std::string& name = shared_->options.cookie.name;
  const std::vector<std::string_view> values = find_cookies(request.cookie_header, name);
  // A browser sends at most one cookie with a __Host- name; a second one was planted.
  const std::size_t considered = has_host_prefix(name) ? 1 : cookies_considered_max;
  std::size_t tried = 0;
  std::optional<Session> session;
  std::optional<Error> outage;
  std::vector<SessionId> unread;
  std::optional<SessionId> over;
  const auto is_passed_over = [this](const Result<Loaded>& loaded) {
    return !loaded && loaded.error().code == Errc::corrupt &&
           shared_->options.on_unreadable == Unreadable::fresh_session;
  };
  for (std::size_t i = 0; i < std::min(considered, values.size()) && !session; ++i) {
    const std::optional<SessionId> id =
        shared_->signer ? shared_->signer->verify(values[i])
                        : SessionId::parse(values[i], shared_->options.id_format);
    if (!id) {
      shared_->tell(shared_->signer ? SessionEvent::Kind::cookie_bad_signature
                                    : SessionEvent::Kind::cookie_malformed);
      continue;
    }
    if (++tried > cookies_tried_max) break;
    if (outage) {  // nobody knows which of them is the visitor's: logging out means all
      unread.push_back(*id);
      continue;
    }
    Result<Loaded> found = load(*id);
    // A reply that made no sense and broke its connection is not sent again.
    if (is_passed_over(found)) found = load(*id);
    if (found) {
      session = std::move(found->session);
      if (found->is_over && !over) over = *id;  // unknown, if another cookie of the name is known
    } else if (shared_->options.on_outage == Outage::anonymous && is_outage(found.error())) {
      shared_->tell(SessionEvent::Kind::degraded, *id);
      unread.push_back(*id);
      outage = std::move(found).error();
      outage->detail = "the session could not be loaded: " + outage->detail;
    } else if (is_passed_over(found) && store_makes_sense()) {
      shared_->tell(SessionEvent::Kind::unreadable, *id);
      unread.push_back(*id);  // another cookie of the name may be that of a session
    } else {
      return std::move(found).error();
    }
  }
  if (!session) {
    session = Session(std::make_unique<Session::State>());
    session->state_->shared = shared_;
    session->state_->is_over = session->state_->came_late = over && !outage;
    if (session->state_->is_over) unread = {*std::move(over)};
    session->state_->unread = std::move(unread);
    session->state_->outage = std::move(outage);
  }
  session->state_->brought_cookie = !values.empty();
  session->state_->https = request.https;
  return *std::move(session);
}

Result<Session> SessionManager::create(const Fields& attributes) const {
  auto state = std::make_unique<Session::State>();
  state->shared = shared_;
  Changes changes = state->limited();
  for (const Field& field : attributes) {
    if (auto valid = state->check_name(field.name); !valid) {
      return Session::with_name(std::move(valid).error(), field.name);
    }
    changes.set.push_back({std::string(field.name), std::string(field.value), field.deadline});
  }
  Result<Fields> fields = state->with(changes);
  if (!fields) return std::move(fields).error();
  if (auto stored = store_new(*state, *fields); !stored) return std::move(stored).error();
  return Session(std::move(state));
}

// Stores a session that has none yet under a new id. Precondition: the attributes were checked.
Result<void> SessionManager::store_new(Session::State& state, const Fields& attributes) const {
  const WallTime now = shared_->clock->wall();
  const auto ttl = internal::time_to_live(now, shared_->plan, now);
  // A sign-in comes after those that are listed.
  const WallTime at = state.transition ? std::max(now, state.transition->at) : now;
  const Fields complete = with_created(attributes, internal::created_text(at));
  for (int attempt = 1;; ++attempt) {
    Result<SessionId> id = SessionId::generate();
    if (!id) return std::move(id).error();
    Result<void> created = shared_->store.create(*id, complete, {ttl, principal_of(complete)});
    if (created) {
      state.stored = {*std::move(id), complete, at, shared_->clock->steady() + ttl};
      state.stored->seen = shared_->store.form_of_new();
      state.stored->loaded_at = shared_->clock->steady();
      state.unread.clear();
      state.is_over = state.came_late = false;
      return {};
    }
    if (created.error().maybe_applied) state.lost_id = *std::move(id);
    if (created.error().code != Errc::key_exists || attempt == create_attempts) return created;
  }
}

Result<std::optional<Session>> SessionManager::find(const SessionId& id) const {
  Result<Loaded> found = load(id);
  if (!found) return std::move(found).error();
  return std::move(found->session);
}

Result<bool> SessionManager::erase(const SessionId& id) const {
  return shared_->store.erase(id, shared_->mark());
}

Result<Commit::Status> SessionManager::save(Session& session) const {
  Result<Commit> commit = this->commit(session);
  if (!commit) return std::move(commit).error();
  return commit->status;
}

Result<Outcome> SessionManager::rekey(Session::State& state, const Changes& changes,
                                      const Plan& plan, std::string_view principal) const {
  const bool again = state.next_id.has_value();
  if (!again) {
    Result<SessionId> id = SessionId::generate();
    if (!id) return std::move(id).error();
    state.next_id = *std::move(id);
    state.next_readable = plan.grace.readable;
  }
  const Lifetime lifetime{plan.ttl, principal};
  Result<Outcome> outcome = shared_->store.rekey(state.stored->id, state.stored->seen,
                                                 *state.next_id, changes, lifetime, plan.grace);
  // An earlier try may have moved the session already, with the changes of that time; then this one
  // wrote nothing. Writing them (again) under the new id does no harm.
  const bool moved = outcome && outcome->status == Outcome::Status::applied;
  const bool taken = !outcome && outcome.error().code == Errc::key_exists;
  if (taken || (!outcome && !again && !outcome.error().maybe_applied)) state.next_id.reset();
  if (!moved || !again) return outcome;
  internal::KeyForm form = shared_->store.form_of_new();
  if (plan.grace.readable || !state.next_readable) {
    return shared_->store.update(*state.next_id, form, changes, lifetime);
  }
  // Somebody has signed in or out since. What the earlier try left readable under the old id ends
  // with the id that it leads to.
  state.stored->id = *std::exchange(state.next_id, std::nullopt);
  state.stored->seen = form;
  return rekey(state, changes, plan, principal);
}

// Carries the plan out. `after`: the session as it will be.
Result<Commit::Status> SessionManager::execute(Session::State& state, const Plan& plan,
                                               const Changes& changes, const Fields& after) const {
  using Status = Commit::Status;
  switch (plan.action) {
    case Plan::Action::nothing:
      return Status::unchanged;
    case Plan::Action::report_gone:
      shared_->tell(SessionEvent::Kind::gone, state.stored->id);
      return Status::gone;
    case Plan::Action::create: {
      if (auto stored = store_new(state, after); !stored) return std::move(stored).error();
      return Status::created;
    }
    case Plan::Action::erase: {
      if (auto ended = end(state); !ended) return std::move(ended).error();
      if (auto ended = end_lost(state); !ended) return std::move(ended).error();
      // Ended before, or passed on.
      if (state.stored && !state.has_ended && !state.maybe_ended) return Status::gone;
      return Status::erased;
    }
    case Plan::Action::touch:
    case Plan::Action::update:
    case Plan::Action::rekey:
      break;
  }
  const bool moves = plan.action == Plan::Action::rekey;
  const std::string_view principal = principal_of(after);
  const Lifetime lifetime = moves ? Lifetime{plan.ttl} : state.lifetime(plan.ttl, principal);
  const Result<Outcome> outcome =
      moves ? rekey(state, changes, plan, principal)
            : shared_->store.update(state.stored->id, state.stored->seen, changes, lifetime);
  if (!outcome) {
    state.stored->fresh = false;
    return outcome.error();
  }
  if (outcome->status == Outcome::Status::gone) return Status::gone;
  if (moves) {
    state.stored->id = *std::exchange(state.next_id, std::nullopt);
    state.stored->seen = shared_->store.form_of_new();
  }
  if (!state.stored->created) state.stored->created = shared_->clock->wall();  // adopted
  if (state.transition) state.stored->created = state.transition->at;
  state.settle(after, lifetime);
  if (moves) return Status::regenerated;
  return plan.action == Plan::Action::touch ? Status::renewed : Status::updated;
}

// Ends what the store holds of the session, also what a rekey whose answer was lost may have made
// of it, and notes what came of it (State::has_ended). Precondition: something was stored, or could
// not be read.
Result<void> SessionManager::end(Session::State& state) const {
  const Grace mark = shared_->mark();
  const auto note = [&state](const Result<bool>& erased) {
    state.has_ended = state.has_ended || (erased.has_value() && *erased);
    state.maybe_ended = state.maybe_ended || (!erased.has_value() && erased.error().maybe_applied);
    return erased.has_value() ? Result<void>() : Result<void>(erased.error());
  };
  if (!state.stored) {
    for (const SessionId& id : state.unread) {
      auto ended = note(shared_->store.erase(id, mark));
      // What no verb can read has nothing left to end. (But for a chain of marks without an end.)
      const bool is_none = !ended && ended.error().code == Errc::corrupt && !state.is_over;
      if (!ended && !is_none) return ended;
    }
    return {};
  }
  auto ended = note(shared_->store.erase(state.stored->id, state.stored->seen, mark));
  if (!ended || !state.next_id) return ended;
  auto moved = note(shared_->store.erase(*state.next_id, mark));
  if (moved) state.next_id.reset();
  return moved;
}

// Ends what an earlier try to store a new session may have left. There is no mark of it to leave.
Result<void> SessionManager::end_lost(Session::State& state) const {
  if (!state.lost_id) return {};
  const Result<bool> ended = shared_->store.erase(*state.lost_id, {});
  if (!ended.has_value()) return ended.error();
  state.lost_id.reset();
  return {};
}

// All that a commit does in the store, if nothing speaks against it.
Result<Commit::Status> SessionManager::write(Session::State& state, const Plan& plan) const {
  if (state.first_error) return *state.first_error;
  if (plan.action == Plan::Action::erase) return execute(state, plan, {}, {});
  if (state.outage && state.has_wishes()) return *state.outage;
  if (auto ended = end_lost(state); !ended) return std::move(ended).error();
  if (auto admitted = admit(state); !admitted) return std::move(admitted).error();
  if (plan.action == Plan::Action::nothing) return Commit::Status::unchanged;
  const Changes changes = state.changes();
  const Result<Fields> after = state.with(changes);
  if (!after) return after.error();
  if (!state.unread.empty() && state.must_end()) {  // before another session takes its place
    if (auto ended = end(state); !ended) return std::move(ended).error();
    state.unread.clear();
  }
  Result<Commit::Status> status = execute(state, plan, changes, *after);
  if (status && *status == Commit::Status::gone && state.signs_in()) status = sign_in_anew(state);
  const bool signed_in = status && *status != Commit::Status::gone && state.signs_in();
  return signed_in ? hold_to_limit(state, *status) : status;
}

// For a sign-in that comes too late for the session that it was asked of, as the second one of a
// double click does. Whoever has just signed in must not be left without a session.
Result<Commit::Status> SessionManager::sign_in_anew(Session::State& state) const {
  if (state.must_end()) {
    if (auto ended = end(state); !ended) return std::move(ended).error();
  }
  state.begin_anew();
  const Changes changes = state.changes();
  const Result<Fields> after = state.with(changes);
  if (!after) return after.error();
  return execute(state, state.plan(), changes, *after);
}

Result<Commit> SessionManager::commit(Session& session) const {
  Result<Commit> commit = for_caches(carry_out(*session.state_), *session.state_);
  if (!commit) report(commit.error(), session);
  return commit;
}

void SessionManager::report(const Error& error, const Session& session) const noexcept {
  if (error.code != Errc::invalid_argument && error.code != Errc::too_large &&
      error.code != Errc::too_many_sessions) {
    return;
  }
  SessionEvent event{SessionEvent::Kind::refused};
  event.error = &error;
  shared_->tell(session.id(), event);
}

Result<Commit> SessionManager::abandon(Session& session) const {
  using Life = Session::State::Life;
  Session::State& state = *session.state_;
  // Gives what deletes the cookie, or nothing.
  if (state.life == Life::ended) return commit(session);
  // What would be signed in under an id that nobody has. (A commit tries again.)
  (void)end_lost(state);
  if (state.next_id && state.signs_in()) {
    (void)shared_->store.erase(*state.next_id, shared_->mark());
  }
  if (!state.must_end()) {
    const bool is_gone = state.life == Life::gone;
    return for_caches(Commit{is_gone ? Commit::Status::gone : Commit::Status::unchanged, {}},
                      state);
  }
  return for_caches(end_after_all(state, Commit::Status::gone), state);
}

// With what caches are told.
Result<Commit> SessionManager::for_caches(Result<Commit> commit,
                                          const Session::State& state) const {
  if (commit && shared_->options.cache_headers) {
    internal::add_cache_headers(commit->headers, state.brought_cookie);
  }
  return commit;
}

std::vector<Header> SessionManager::cache_headers(const RequestInfo& request) const {
  const SessionOptions& options = shared_->options;
  std::vector<Header> headers;
  if (options.cache_headers) {
    const bool brought = !find_cookies(request.cookie_header, options.cookie.name).empty();
    internal::add_cache_headers(headers, brought);
  }
  return headers;
}

// A commit but for what caches are told.
Result<Commit> SessionManager::carry_out(Session::State& state) const {
  using Life = Session::State::Life;
  using Status = Commit::Status;
  if (state.life == Life::gone) {
    return state.must_end() ? end_after_all(state, Status::gone) : Commit{Status::gone, {}};
  }
  if (state.life == Life::ended) {
    state.life = Life::erased;
    return deletion(state);
  }
  if (state.life == Life::erased && !state.first_error) return Commit{};
  if (state.is_late()) {
    Result<Status> status = Status::gone;
    if (state.first_error) status = *state.first_error;
    if (state.must_end()) return end_after_all(state, status);
    if (!status) return status.error();
    if (!state.has_wishes()) return Commit{};
    shared_->tell(SessionEvent::Kind::gone, state.unread.front());
    state.life = Life::gone;
    return Commit{Status::gone, {}};
  }

  const Plan plan = state.plan();
  const Result<Status> status = write(state, plan);
  const bool failed = !status || *status == Status::gone;
  const bool tried = plan.action == Plan::Action::erase && !state.first_error;
  const bool must_end = state.must_end() && !tried;
  // (It has ended already if a new session was to take its place, which then failed.)
  if (failed && (must_end || (!tried && state.has_ended))) return end_after_all(state, status);
  if (!status) return status.error();
  if (*status == Status::gone) {
    state.life = Life::gone;
    state.forget_wishes();
    return Commit{Status::gone, {}};
  }

  // The write has happened, so the session becomes a fresh snapshot of it.
  const bool ended = state.life == Life::invalidated || plan.action == Plan::Action::erase;
  if (ended) state.life = Life::erased;
  // It may have ended before that, and the cookie be another session's by now.
  const bool maybe = ended && state.stored && !state.has_ended;
  state.forget_wishes();
  Commit commit{*status, {}};
  const bool sends =
      (plan.cookie != Plan::CookieAction::none && !maybe) || *status == Status::created;
  if (sends) {
    commit.headers = cookie_headers(state, plan.cookie == Plan::CookieAction::remove);
  }
  return commit;
}

// Logging out must not depend on what else was asked for. `status`: what became of that, an error
// or `gone`.
Result<Commit> SessionManager::end_after_all(Session::State& state,
                                             const Result<Commit::Status>& status) const {
  using Life = Session::State::Life;
  if (state.must_end()) {
    if (auto ended = end(state); !ended) return std::move(ended).error();
  }
  // A session that could not be read has no other cookie than this one.
  const bool unread = !state.unread.empty() && !state.is_over;
  // Replaced by a parallel request, it was found under its new id. Or it had ended before: then the
  // cookie may be that of another sign-in by now. So it may for whoever came with an old id.
  const bool has_ended = state.has_ended || state.maybe_ended || unread;
  state.may_delete_cookie = (state.has_ended && !state.came_late) || unread;
  state.first_error.reset();
  state.forget_wishes();
  if (!status) {
    state.life = has_ended ? Life::ended : Life::gone;
    Error error = status.error();
    error.detail += has_ended ? "; the session has ended, as it was asked to"
                              : "; the session had ended, or become another principal's, before";
    return error;
  }
  state.life = has_ended ? Life::erased : Life::gone;
  if (!has_ended) return Commit{Commit::Status::gone, {}};
  return deletion(state);
}

// Of a session that has ended.
Commit SessionManager::deletion(const Session::State& state) const {
  Commit commit{Commit::Status::erased, {}};
  if (state.may_delete_cookie) commit.headers = cookie_headers(state, true);
  return commit;
}

std::vector<Header> SessionManager::cookie_headers(const Session::State& state, bool remove) const {
  const CookieOptions& options = shared_->options.cookie;
  SetCookie cookie;
  cookie.name = options.name;
  cookie.path = options.path;
  cookie.domain = options.domain;
  cookie.same_site = options.same_site;
  cookie.secure =
      options.secure == Secure::always || (options.secure == Secure::automatic && state.https);
  cookie.http_only = options.http_only;
  cookie.partitioned = options.partitioned;
  if (remove) {
    cookie.max_age = std::chrono::seconds(0);
    cookie.expires = WallTime();
  } else {
    const SessionId& id = state.stored->id;
    cookie.value = shared_->signer ? shared_->signer->sign(id) : id.secret();
    if (options.persistent) {
      const WallTime now = shared_->clock->wall();
      cookie.max_age = std::chrono::ceil<std::chrono::seconds>(
          internal::absolute_left(state.stored->created, shared_->plan, now));
      cookie.expires = now + *cookie.max_age;
    }
  }
  if (cookie.secure && !state.https) {
    shared_->warn_once(
        shared_->warned_of_plain_http,
        "a Secure session cookie was sent over plain http: browsers drop it (except on localhost), "
        "so every request starts a new session. Serve https, or, behind a proxy that ends TLS, "
        "tell the adapter to trust X-Forwarded-Proto, or, for a cookie whose name has no prefix "
        "(__Host-, __Secure-), set cookie.secure to Secure::automatic");
  }
  // Options and ids were checked when they were made, so this cannot fail.
  std::string text = serialize(cookie).value();
  return {{"Set-Cookie", std::move(text), Header::Mode::append},
          {"Cache-Control", "no-store", Header::Mode::replace}};
}

}  // namespace websession
