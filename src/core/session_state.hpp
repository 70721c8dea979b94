// One session within one request: what was loaded, what the handler wants, what became of it. All
// of a session but its calls of the store, which decisions make (decisions.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "own_timeouts.hpp"
#include "session_context.hpp"
#include "session_keys.hpp"
#include "session_plan.hpp"
#include "websession/clock.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"
#include "websession/session_id.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// One thread at a time. While an operation is on (OperationGuard), whatever would change the
// session fails and changes nothing, and reading shows it as it was before, or is about to be.
class SessionState {
 public:
  enum class Life {
    alive,
    invalidated,
    ended,   // by a commit that failed with all else: the next one deletes the cookie
    erased,  // and the caller knows
    gone,
  };

  // A session that is not stored.
  explicit SessionState(ContextPtr context) noexcept : context_(std::move(context)) {}
  // One that is (session_of). `is_created_wrong`: `@created` was no time to go by.
  SessionState(ContextPtr context, const SessionId& id, Record&& record, KeyForm seen,
               std::optional<WallTime> created, bool is_created_wrong);
  SessionState(const SessionState&) = delete;
  SessionState& operator=(const SessionState&) = delete;

  [[nodiscard]] const SessionContext& context() const noexcept { return *context_; }
  [[nodiscard]] const ContextPtr& shared_context() const noexcept { return context_; }
  [[nodiscard]] const Clock& clock() const noexcept { return *context_->clock; }

  void set_context(const ContextPtr& context) {
    if (context_ != context) context_ = context;
  }

  // Of the request that it was opened for.
  void came_with(Transport transport, bool https, bool passive) noexcept;
  // For a session that is not stored, what is known of those that the cookies name. `over`: it had
  // ended before. `unread`: they could not be loaded. `outage`: nor could the store be asked.
  void came_late(SessionId over);
  void could_not_read(std::vector<SessionId> unread, std::optional<Error> outage);

  // What a handler does, as Session has it.

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  void put(std::string_view name, Result<std::string> text,
           std::optional<std::chrono::milliseconds> expires_in);
  void remove(std::string_view name);
  void clear();
  void regenerate();
  void sign_in(std::string_view principal, std::string_view label);
  void sign_out();
  void invalidate();
  void start_over() noexcept;
  void reauthenticate();
  void set_timeouts(const Timeouts& timeouts);
  void set_persistent(bool persistent);
  void set_alias(std::string_view alias);
  void use_token();
  [[nodiscard]] std::optional<WallTime> signed_in_at() const;
  [[nodiscard]] bool recently_authenticated(milliseconds within) const;
  // The principal after the commit; empty: none.
  [[nodiscard]] std::string_view principal() const noexcept;
  [[nodiscard]] std::chrono::milliseconds expires_in() const;
  [[nodiscard]] const SessionId* id() const noexcept { return stored_ ? &stored_->id : nullptr; }
  [[nodiscard]] bool is_https() const noexcept { return https_; }
  [[nodiscard]] Transport transport() const noexcept { return transport_; }
  // Whether a new id goes out in a header.
  [[nodiscard]] bool sends_token() const noexcept {
    return sends_token_ || !context_->options.transport.cookie;
  }
  [[nodiscard]] bool is_persistent() const;
  // The alias (alias_text) whose record has to be written before the session's.
  [[nodiscard]] std::optional<std::string> alias_to_announce() const;
  [[nodiscard]] bool is_degraded() const noexcept { return outage_.has_value(); }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  // Keeps the error for the commit.
  void fail(Error error);
  // The same, of a call of this name.
  void fail_in(std::string_view call, Error error);
  // Whether a handler may change the session now: an operation is on, else (and the commit says
  // so).
  [[nodiscard]] bool may_change();
  [[nodiscard]] static Error with_name(Error error, std::string_view name);
  void tell_mismatch(std::string_view name) const;
  // Whether a session can hold the text. What is expected often comes from a visitor, and then is
  // of any size.
  [[nodiscard]] bool can_hold(std::string_view name, std::string_view text) const;

  // The library's own fields (library_names.hpp): no attributes, so what a handler does leaves
  // them alone. Like attributes, what is not stored yet rides on the commit.

  // With this request's changes on top; nullopt when it is absent or the session is over. Valid
  // until the session changes.
  [[nodiscard]] std::optional<std::string_view> library_field(std::string_view name) const;
  // The names of all that start so, in order.
  [[nodiscard]] std::vector<std::string> library_names(std::string_view prefix) const;
  // Changes a field with the commit; no text: removes it.
  void put_library(std::string_view name, std::optional<std::string> text,
                   std::optional<WallTime> deadline = std::nullopt);
  // The commit ends all CSRF tokens. After the session's end they are over already.
  void renew_csrf();
  // Takes back what waits for the commit under this name.
  void withdraw_library(std::string_view name);

  // For what acts in the store at once.

  // True when what the field holds next depends on what waits for the commit.
  [[nodiscard]] bool is_local(std::string_view name) const;
  [[nodiscard]] bool is_library_local(std::string_view name) const;
  // Error: the session has ended, for the store or by invalidate.
  [[nodiscard]] Result<void> check_alive() const;
  // The same; it is late; why it is degraded.
  [[nodiscard]] Result<void> check_open() const;
  // The same, and the attribute's name.
  [[nodiscard]] Result<void> check_direct(std::string_view name) const;
  [[nodiscard]] Result<void> check_name(std::string_view name) const;
  // Whether there is a session in the store, or the next commit makes one.
  [[nodiscard]] bool is_or_will_be_stored() const;
  // Replaced by another id a moment ago: it can be read, and a write finds it gone.
  [[nodiscard]] bool is_frozen() const noexcept { return stored_ && stored_->frozen; }
  // Completes changes that are to be written now. Precondition: they are of a stored session, and
  // none of them is local. Error: too_large; a commit whose answer was lost has to come first.
  [[nodiscard]] Result<void> begin_write_now(Changes& changes);
  [[nodiscard]] Lifetime lifetime_of_write_now() const;
  // What came of it. Error: gone.
  [[nodiscard]] Result<void> end_write_now(const Outcome& outcome, Changes changes,
                                           Lifetime lifetime);
  // The attribute, as an operation on what waits for the commit makes it.
  void put_local(std::string_view name, std::optional<std::string> text, bool keeps_deadline);

  // What a commit is to do.

  [[nodiscard]] Life life() const noexcept { return life_; }
  [[nodiscard]] Plan plan() const;
  // Whether nothing was asked for, and nothing is due.
  [[nodiscard]] bool is_idle() const;
  // Whether an operation is on.
  [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }
  // Whether it only changes or renews what is stored, and nothing else comes before or after it.
  [[nodiscard]] bool is_plain(const Plan& plan) const;
  [[nodiscard]] bool is_stored() const noexcept { return stored_.has_value(); }
  [[nodiscard]] const std::optional<Error>& first_error() const noexcept { return first_error_; }
  [[nodiscard]] const std::optional<Error>& outage() const noexcept { return outage_; }
  [[nodiscard]] bool has_wishes() const;
  // Nothing can be stored: the session is over, and no sign-in starts another one.
  [[nodiscard]] bool is_late() const noexcept { return is_over_ && !signs_in(); }
  // Whether the end of what is stored was asked for, with or without a new session after it.
  [[nodiscard]] bool must_end() const;
  [[nodiscard]] bool signs_in() const noexcept {
    return transition_ && !transition_->principal.empty();
  }
  // Changes of nothing, with the limits that the options set.
  [[nodiscard]] Changes limited() const;
  [[nodiscard]] Changes changes() const;
  // The session as it will be. Error: too_large, when it grows beyond a limit.
  [[nodiscard]] Result<Fields> with(const Changes& changes) const;
  // What an update gives.
  [[nodiscard]] Lifetime lifetime(const Plan& plan, std::string_view principal) const;
  // The options by which it lives, after the commit.
  [[nodiscard]] PlanOptions policy() const;
  [[nodiscard]] std::string_view stored_principal() const noexcept;
  // Whether the request named a session.
  [[nodiscard]] bool brought_id() const noexcept { return transport_ != Transport::none; }
  // When a new session counts as created.
  [[nodiscard]] WallTime created_at(WallTime now) const noexcept;
  // Until when the absolute timeout counts. Precondition: it is stored.
  [[nodiscard]] std::optional<WallTime> created() const noexcept { return stored_->created; }

  // Of a sign-in: when it counts as made. Later than `than` (a sign-in that is listed), as far as
  // clocks may be apart.
  void sign_in_after(WallTime than, WallTime now) noexcept;
  [[nodiscard]] std::string_view next_principal() const noexcept { return transition_->principal; }
  // Whether a listed key is this session's, now or after a move whose answer was lost.
  [[nodiscard]] bool has_key(const StoreKey& key) const;
  // Under which the store has it, as last seen; none: it is not stored.
  [[nodiscard]] std::optional<StoreKey> key() const;

  // What became of it.

  void created_as(SessionId id, Fields fields, WallTime created, milliseconds ttl);
  // A create whose answer was lost: nobody has the id, and it may take another session's place.
  void note_lost(SessionId id) { lost_id_ = std::move(id); }
  [[nodiscard]] const std::optional<SessionId>& lost_id() const noexcept { return lost_id_; }
  void forget_lost() noexcept { lost_id_.reset(); }

  // Under which key the store had it. Precondition: it is stored.
  [[nodiscard]] KeyForm& seen() noexcept { return stored_->seen; }
  // The id that a rekey moves to. It stays until the move is known to have happened or not: trying
  // again with it is safe after a lost answer, and with another one is not.
  struct Move {
    SessionId id;
    bool is_repeated = false;
    bool was_readable = false;  // the first try left the old id readable
  };
  [[nodiscard]] Result<Move> begin_move(bool readable);
  void abandon_move() noexcept { next_id_.reset(); }
  // It had moved before: the next id is this session's.
  void has_moved();
  [[nodiscard]] const std::optional<SessionId>& next_id() const noexcept { return next_id_; }

  // An update or a rekey that was applied, and made this of the session.
  void written(Fields after, const Lifetime& lifetime);
  void write_failed() noexcept { stored_->fresh = false; }

  // What its cookies named, when that could not be loaded.
  [[nodiscard]] const std::vector<SessionId>& unread() const noexcept { return unread_; }
  void forget_unread() noexcept { unread_.clear(); }
  // What came of ending what was stored, as was asked for, by this commit or one that failed.
  void note_end(const Result<bool>& erased) noexcept;
  [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
  [[nodiscard]] bool maybe_ended() const noexcept { return maybe_ended_; }

  // The session was found to have ended. From now on it is as one that had ended before the
  // request, for which a sign-in starts another one.
  void become_over();
  void become(Life life) noexcept { life_ = life; }
  // A commit has done what was asked for. `ends`: the session is over by it. True: the cookie may
  // be another session's by now.
  bool done(bool ends);
  // All that was asked for is dropped, the end aside, which came to this. `has_error`: the caller
  // hears of an error now, and of the end from the next commit. True: there was something to end.
  bool ended_after_all(bool has_error);
  // The cookie is known to name what has ended.
  [[nodiscard]] bool may_delete_cookie() const noexcept { return may_delete_cookie_; }
  void drop_wishes();

 private:
  friend class OperationGuard;

  struct Pending {
    std::optional<std::string> text;  // none: removed
    std::optional<WallTime> deadline{};
  };
  using PendingByName = std::map<std::string, Pending, std::less<>>;
  // The store's side, as last seen. `fields` includes the library's '@' fields.
  struct Stored {
    SessionId id;
    Fields fields;
    std::optional<WallTime> created{};
    SteadyTime expires_at;
    bool frozen = false;
    std::vector<std::string> expired{};
    // Nothing was written since `fields` was loaded, or may have been. Only then is setting what is
    // there already no change: it is as if this request had run right after its load.
    bool fresh = true;
    KeyForm seen{};  // under which key the store had it
    SteadyTime loaded_at{};
    // Its `@created` lies in the future: `created` is now instead, and the next write says so.
    bool is_created_wrong = false;
    std::optional<Timeouts> own{};
  };
  // What the commit makes of the principal.
  struct Transition {
    std::string principal;  // empty: signs out
    std::string label;
    WallTime at;  // the session counts as created then
  };

  [[nodiscard]] const Pending* find_pending(std::string_view name) const;
  // Whether the text is larger than a whole session may be, and than what is there already.
  [[nodiscard]] bool is_oversized(std::string_view name, std::string_view text) const;
  // Whether what the snapshot says may be taken for what the store holds.
  [[nodiscard]] bool knows_store() const { return !outage_ && (!stored_ || stored_->fresh); }
  void change(std::string_view name, std::optional<std::string> text,
              std::optional<WallTime> deadline);
  // What is there belongs to a principal that leaves: all attributes, also those that other
  // requests have stored since the load, and what the library keeps for whoever is signed in.
  void leave();
  [[nodiscard]] bool has_changes() const;
  [[nodiscard]] const Fields& snapshot() const;
  [[nodiscard]] milliseconds remaining() const;
  [[nodiscard]] bool signs_out() const noexcept {
    return transition_ && transition_->principal.empty();
  }
  // Adds a `@created` that mends a wrong one.
  void add_created(Changes& changes) const;
  // Adds the transition's own fields.
  void add_transition(Changes& changes) const;
  // Adds what the commit writes of a re-authentication, of timeouts and of how the cookie looks.
  void add_own(Changes& changes) const;
  [[nodiscard]] bool was_persistent() const;
  // Whether what is stored holds the library's field, or may by now.
  [[nodiscard]] bool may_hold(std::string_view name) const;
  // Whether an attribute was there and had no deadline when the session was loaded.
  [[nodiscard]] bool may_hint() const;
  [[nodiscard]] bool was_plain(std::string_view name) const;
  // A write has renewed it, if that was due.
  void note_renewal(const Lifetime& lifetime);
  // Puts fields into the snapshot, as the store was just seen to hold them: only `set` and
  // `remove`.
  void note(const Changes& seen);

  ContextPtr context_;
  std::optional<WallTime> reauthenticated_{};
  std::optional<Timeouts> timeouts_{};  // that the session is to have
  std::optional<Stored> stored_{};
  std::optional<Transition> transition_{};
  std::optional<Error> first_error_{};
  std::optional<Error> error_meanwhile_{};
  std::optional<Error> outage_{};  // degraded: why the session could not be loaded
  std::optional<SessionId> next_id_{};
  std::optional<SessionId> lost_id_{};
  std::optional<std::string> alias_{};
  PendingByName pending_{};
  PendingByName library_{};
  std::vector<SessionId> unread_{};
  Life life_ = Life::alive;
  Transport transport_ = Transport::none;
  std::optional<bool> persistent_{};
  bool cleared_ = false;
  bool regenerate_ = false;
  // The principal signed out, or another one signed in: what is stored must end, whatever becomes
  // of the rest.
  bool has_left_ = false;
  bool is_over_ = false;  // the store had only a mark of that (Session::ended)
  // The cookie named a session that was over, so the browser may have another one's by now.
  bool came_late_ = false;
  bool https_ = false;
  bool passive_ = false;
  bool sends_token_ = false;
  bool next_readable_ = false;  // it left the old id readable
  bool has_ended_ = false;
  bool maybe_ended_ = false;  // an answer to it was lost
  bool may_delete_cookie_ = false;
  bool is_busy_ = false;
};

// An operation on a session: one at a time.
class OperationGuard {
 public:
  explicit OperationGuard(SessionState& state) noexcept;
  OperationGuard(const OperationGuard&) = delete;
  OperationGuard& operator=(const OperationGuard&) = delete;
  ~OperationGuard();
  // Error: invalid_argument, another one is on.
  [[nodiscard]] Result<void> check() const;

 private:
  SessionState& state_;
  const bool is_first_;
};

// What a load found.
struct LoadedSession {
  std::unique_ptr<SessionState> session{};  // null: there is none
  bool is_over = false;                     // there is only a mark of it
};
// Error: corrupt, it is no session.
Result<LoadedSession> session_of(const ContextPtr& context, const SessionId& id, Found found);

}  // namespace websession::internal
