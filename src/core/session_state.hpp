// What a Session holds between open and commit, shared by session.cpp and session_manager.cpp.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "id_store.hpp"
#include "session_plan.hpp"
#include "websession/observer.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_manager.hpp"

namespace websession {

struct SessionManager::Shared {
  internal::IdStore store;
  PrincipalIndex* index = nullptr;  // the store's; null: it keeps none
  SessionOptions options;
  std::optional<CookieSigner> signer{};  // none: cookies are not signed
  internal::PlanOptions plan;
  std::shared_ptr<const Clock> clock;
  mutable std::atomic<bool> warned_of_plain_http = false;
  mutable std::atomic<bool> warned_of_mismatch = false;

  // What stays of a session that ends.
  [[nodiscard]] Grace mark() const noexcept { return {plan.mark, false}; }

  void warn_once(std::atomic<bool>& warned, std::string_view text) const noexcept {
    if (options.observer && !warned.exchange(true)) options.observer->tell(Warning{text});
  }

  // What the store's calls do not tell already.
  void tell(SessionEvent::Kind kind) const {
    if (options.observer) options.observer->tell(SessionEvent{kind});
  }
  void tell(SessionEvent::Kind kind, const SessionId& id) const {
    if (!options.observer) return;
    const StoreKey key = store.key_of(id, store.form_of_new());
    options.observer->tell(SessionEvent{kind, SessionRef(key)});
  }
  // `id`: null for a session that is not stored.
  void tell_mismatch(const SessionId* id, std::string_view attribute) const {
    tell(id, {SessionEvent::Kind::value_mismatch, {}, {}, attribute});
  }
  void tell(const SessionId* id, SessionEvent event) const {
    if (!options.observer) return;
    if (id == nullptr) return options.observer->tell(event);
    const StoreKey key = internal::key_of(*id, store.form_of_new());
    event.session = SessionRef(key);
    options.observer->tell(event);
  }
};

struct Session::State {
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
    internal::KeyForm seen{};  // under which key the store had it
    SteadyTime loaded_at{};
    // Its `@created` lies in the future: `created` is now instead, and the next write says so.
    bool is_created_wrong = false;
  };
  // What the commit makes of the principal.
  struct Transition {
    std::string principal;  // empty: signs out
    std::string label;
    WallTime at;  // the session counts as created then
  };
  enum class Life {
    alive,
    invalidated,
    ended,   // by a commit that failed with all else: the next one deletes the cookie
    erased,  // and the caller knows
    gone,
  };

  std::shared_ptr<const SessionManager::Shared> shared;
  std::optional<Stored> stored{};
  PendingByName pending{};
  // The same for the library's own fields (see SessionAccess), which clear() leaves alone.
  PendingByName library{};
  bool cleared = false;
  bool regenerate = false;
  std::optional<Transition> transition{};
  // The principal signed out, or another one signed in: what is stored must end, whatever becomes
  // of the rest.
  bool has_left = false;
  Life life = Life::alive;
  std::optional<Error> first_error{};
  std::optional<Error> outage{};    // degraded: why the session could not be loaded
  std::vector<SessionId> unread{};  // what the cookies named, when that could not be loaded
  bool is_over = false;             // the store had only a mark of that (Session::ended)
  bool brought_cookie = false;
  // The cookie named a session that was over, so the browser may have another one's by now.
  bool came_late = false;
  bool https = false;
  // The id of a regenerate whose answer was lost: trying again with it is safe, a new one is not.
  std::optional<SessionId> next_id{};
  bool next_readable = false;  // it left the old id readable
  // What came of ending what was stored, as was asked for, by this commit or one that failed.
  bool has_ended = false;
  bool maybe_ended = false;  // an answer to it was lost
  // With Life::ended: the cookie is known to name what has ended.
  bool may_delete_cookie = false;
  // Of a create whose answer was lost: nobody has the id, and it may take another session's place.
  std::optional<SessionId> lost_id{};

  [[nodiscard]] const Pending* find_pending(std::string_view name) const;
  // True when the attribute's next value depends on what waits for the commit.
  [[nodiscard]] bool is_local(std::string_view name) const;
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  void fail(Error error);
  // Error: the session has ended, for the store or by invalidate.
  [[nodiscard]] Result<void> check_alive() const;
  // Nothing can be stored: the session is over, and no sign-in starts another one.
  [[nodiscard]] bool is_late() const noexcept { return is_over && !signs_in(); }
  // For what acts in the store at once. Error: as check_alive; it is late; why it is degraded.
  [[nodiscard]] Result<void> check_open() const;
  // The session had ended before this commit, which signs in: what it stores is a new one, with
  // nothing of the old.
  void begin_anew();
  // The session was found to have ended. From now on it is as one that had ended before the
  // request, for which a sign-in starts another one.
  void become_over();
  [[nodiscard]] Result<void> check_name(std::string_view name) const;
  // Whether the text is larger than a whole session may be, and than what is there already.
  [[nodiscard]] bool is_oversized(std::string_view name, std::string_view text) const;
  // For direct operations: the name, and that there is something to operate on.
  [[nodiscard]] Result<void> check_direct(std::string_view name) const;
  // Whether what the snapshot says may be taken for what the store holds.
  [[nodiscard]] bool knows_store() const { return !outage && (!stored || stored->fresh); }
  void change(std::string_view name, std::optional<std::string> text,
              std::optional<WallTime> deadline);

  // What is there belongs to a principal that leaves: all attributes, also those that other
  // requests have stored since the load.
  void leave();

  [[nodiscard]] bool has_changes() const;
  // Whether a commit has been asked for something.
  [[nodiscard]] bool has_wishes() const {
    return has_changes() || regenerate || transition || life != Life::alive;
  }
  // Whether the end of what is stored was asked for, with or without a new session after it.
  [[nodiscard]] bool must_end() const {
    return (life == Life::invalidated || has_left) && (stored || !unread.empty());
  }
  // After a commit: what was asked for is done.
  void forget_wishes();
  [[nodiscard]] Changes changes() const;
  // Changes of nothing, with the limits that the options set.
  [[nodiscard]] Changes limited() const;
  [[nodiscard]] const Fields& snapshot() const;
  // The session as it will be. Error: too_large, when it grows beyond a limit.
  [[nodiscard]] Result<Fields> with(const Changes& changes) const;
  [[nodiscard]] internal::milliseconds remaining() const;
  [[nodiscard]] internal::Plan plan() const;
  // The principal as stored, and the one after the commit; empty: none.
  [[nodiscard]] std::string_view stored_principal() const noexcept;
  [[nodiscard]] std::string_view principal() const noexcept;
  [[nodiscard]] bool signs_in() const noexcept {
    return transition && !transition->principal.empty();
  }
  [[nodiscard]] bool signs_out() const noexcept {
    return transition && transition->principal.empty();
  }
  // Adds a `@created` that mends a wrong one.
  void add_created(Changes& changes) const;
  // Adds the transition's own fields.
  void add_transition(Changes& changes) const;
  // What an update gives.
  [[nodiscard]] Lifetime lifetime(internal::milliseconds ttl, std::string_view principal) const {
    return {ttl, principal, internal::renewal_least(ttl, shared->plan), remaining()};
  }
  // Whether an attribute was there and had no deadline when the session was loaded.
  [[nodiscard]] bool may_hint() const;
  [[nodiscard]] bool was_plain(std::string_view name) const;
  // Takes over what a write has made of the session, and that it has renewed it if that was due.
  void settle(Fields fields, const Lifetime& lifetime);
  void note_renewal(const Lifetime& lifetime);
  // A direct operation in the store. A conflict shows in the snapshot if there is one expectation:
  // of several it would not say which one failed.
  Result<Outcome> write_now(Changes changes);
  // Puts fields into the snapshot, as the store was just seen to hold them: only `set` and
  // `remove`.
  void note(const Changes& seen);
};

}  // namespace websession
