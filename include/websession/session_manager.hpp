// Ties sessions to requests: Cookie header (or token) in, Session out; Session in, headers to send
// out.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/fields.hpp"
#include "websession/http.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"
#include "websession/session_id.hpp"
#include "websession/session_options.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

namespace internal {
struct SessionContext;
}

// A session as its principal may see it. No part of it gives access to the session.
struct SessionInfo {
  WallTime created{};  // the sign-in
  // The last renewal: a request came then, or up to `renew_after` later. Within the idle timeout of
  // the absolute one there is nothing to renew any more, and this stays an idle timeout before it.
  WallTime renewed{};
  std::string label{};  // as given to sign_in; escape it
  bool is_current = false;
  std::string handle{};  // for erase_one: 22 base64url characters, new when the id is
};

// Const, cheap to copy, and safe to share between threads. Every call blocks for as long as the
// store does, at most for SessionOptions::operation_timeout and one call of it, and gives back the
// store's errors.
//
// Stop serving before main returns. A thread that a static object joins in its destructor can serve
// until then; one that nobody joins may crash in OpenSSL, which ends itself at exit.
class SessionManager {
 public:
  // Errors: invalid_argument, naming the option that is wrong and what would be right.
  static Result<SessionManager> make(std::shared_ptr<SessionStore> store,
                                     SessionOptions options = {});

  // The session of a request, or a new one when it brings no id that the store knows: an id is
  // never taken up from outside. At most one load of the store, unless several cookies bear the
  // name, the id was replaced a moment ago, or ids are on their way from plain to hashed keys
  // (IdStorage). A load is one round trip to Redis and PostgreSQL. A
  // store that cannot be reached is an error (or a degraded session, see
  // SessionOptions::on_outage), never a new session. A session that cannot be read is a new one, or
  // an error (SessionOptions::on_unreadable).
  [[nodiscard]] Result<Session> open(const RequestInfo& request) const;

  // Writes what changed, in at most one call of the store (two when a lost `regenerate` is
  // repeated, or a new id comes with shorter timeouts), and says what to send. A call is one round
  // trip to Redis (on a Cluster up to three), two to PostgreSQL. Afterwards the session is a fresh
  // snapshot. After an error it still holds its changes, and may be committed again. Errors: the
  // first bad call on the session; too_large (limits); those of the store.
  //
  // Logging out does not depend on the rest: a request that has called invalidate or sign_out, or
  // signed in another principal than before, ends what was stored whatever else fails, and the
  // error says so (`maybe_applied` speaks of the rest). Then all else is dropped, and the next
  // commit is `erased` with the header that deletes the cookie; until somebody sends that, the
  // cookie names nothing. When the end itself fails, that error is given: the session is still
  // there, and another commit tries again (the first one to succeed may give the other error). If
  // there turns out to have been nothing left to end, it is `gone`, and all else is dropped, too.
  //
  // The cookie is deleted only when it is known to name what has ended. After a lost answer, or on
  // a session that had ended() before, it may be that of another sign-in by now: then `erased` has
  // no Set-Cookie, and what the cookie names of this session is dead anyway.
  [[nodiscard]] Result<Commit> commit(Session& session) const;
  // In place of a commit when the request has failed, in its handler or in its commit: writes
  // nothing, but ends the session if that was asked for (see commit), and a new one that a failed
  // commit may have stored under an id that nobody has; and gives the headers of the error's
  // response. `unchanged`: nothing was asked to end, and the session is as it was; `erased`
  // and `gone` as with commit; nobody is signed in. Errors: those of the store, then another call
  // tries again.
  [[nodiscard]] Result<Commit> abandon(Session& session) const;
  // Tells the observer of an error that a handler met and did not deal with (for adapters), unless
  // it is one of the store, which it has heard of, or `gone`. A commit does this by itself.
  void report(const Error& error, const Session& session) const noexcept;

  // The end of a request whose handler is done, or has `failed`: commits, and abandons what has
  // failed in the handler or the commit. All that an adapter needs but for the response itself.
  [[nodiscard]] Finished finish(Session& session,
                                const std::optional<Error>& failed = std::nullopt) const;

  // What belongs on the response when open has failed: the headers of
  // SessionOptions::cache_headers. No round trip.
  [[nodiscard]] std::vector<Header> cache_headers(const RequestInfo& request) const;

  // The same without HTTP, for WebSockets, RPC and tools. A Session that is held for long hears of
  // its end only when it writes: before relying on it, look at Session::expires_in (0: its time is
  // over), or find it again.

  // Stores a new session that holds `attributes` (names and stored texts, see encode_value).
  [[nodiscard]] Result<Session> create(const Fields& attributes = {}) const;
  // The session with this id; nullopt when there is none. One that cannot be read is an error.
  [[nodiscard]] Result<std::optional<Session>> find(const SessionId& id) const;
  // commit without headers.
  [[nodiscard]] Result<Commit::Status> save(Session& session) const;
  // Ends a session. False: there was none.
  [[nodiscard]] Result<bool> erase(const SessionId& id) const;

  // All sessions of a principal, wherever they were signed in (ASVS 5.0 7.4.5, 7.5.2). The store
  // must have a PrincipalIndex (all of ours but RedisJsonStore do), else these give
  // invalid_argument.
  // They cost a round trip for the list, and one to three for each session in it, and end by
  // SessionOptions::operation_timeout: never with a part of it, but with `timeout`, or `overloaded`
  // when the first two meet more than 10,000 sessions that are alive.

  // The sessions, the newest first; `current` is marked, and may be null. One that takes new ids
  // meanwhile is there as well. Not there: records that cannot be read (SessionOptions::
  // on_unreadable), though they end with the others.
  [[nodiscard]] Result<std::vector<SessionInfo>> sessions_of(
      std::string_view principal, const Session* current = nullptr) const;
  // Ends the session that has this handle. False: the principal has none such (any more).
  [[nodiscard]] Result<bool> erase_one(std::string_view principal, std::string_view handle) const;
  // Ends all sessions but `keep` (null: none), the replaced ids that can still be read included,
  // and gives how many. No session that was there when the call began survives it, whatever new id
  // it takes meanwhile; a sign-in that runs at the same time either ends as well or was written
  // after that. So when a password changes, store the new one first: whoever signs in later needs
  // it. A `keep` of another principal keeps nothing. Errors: gone, `keep` was replaced or has
  // ended, so it cannot be kept: nothing was ended; overloaded, the principal signs in faster than
  // sessions can be ended. After an error, call again.
  [[nodiscard]] Result<std::size_t> sign_out_everywhere(std::string_view principal,
                                                        const Session* keep = nullptr) const;

  // Ends all sessions that have this alias (SessionBase::set_alias), whoever's they are, and gives
  // how many. What is promised of sign_out_everywhere holds for them. For a provider's back-channel
  // logout, after its logout token was checked.
  [[nodiscard]] Result<std::size_t> sign_out_by(std::string_view alias) const;

  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  SessionManager(std::shared_ptr<const internal::SessionContext> context,
                 SessionStore& store) noexcept;
  template <class Make>
  auto run(const Make& make) const;

  std::shared_ptr<const internal::SessionContext> context_;
  SessionStore* store_;  // lives as long as the context
};

}  // namespace websession
WEBSESSION_API_END
