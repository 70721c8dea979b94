// Ties sessions to requests: Cookie header in, Session out; Session in, headers to send out.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/cookie.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"
#include "websession/session_id.hpp"
#include "websession/session_store.hpp"
#include "websession/signed_cookie.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class Observer;

namespace internal {
struct Plan;
}

// What SessionManager::open does for a visitor with a session cookie when the store cannot be
// asked. That is: unavailable, timeout and overloaded. Other errors (rejected, corrupt…) need
// somebody to act, and are always given back.
enum class Outage {
  // Gives the error back, for a 503.
  fail,
  // Serves the visitor without the session: an empty Session that is Session::degraded(). It writes
  // nothing and sends no cookie, so once the store is back the visitor has the session again, and
  // is still signed in, unless the visitor logs out. For sites most of whose pages need no session.
  anonymous,
};

// What SessionManager::open does for a visitor whose session is in the store and cannot be read
// (Errc::corrupt): another program has written it, taken its time to live away or put something
// else in its place, it is larger than the store allows, or it is encrypted under a secret that is
// no longer in the ring. Errors of a whole store are no such case (see Outage). To be sure of it,
// open asks once more for the session, and for one that nobody has; a server that makes no sense at
// all is an error whatever is chosen here.
enum class Unreadable {
  // Serves the visitor as one who brings no session, and tells the observer. The record is left
  // alone, and so is the cookie until something is stored, which gives the visitor a new one. So
  // what was read yesterday can be read again tomorrow, when the secret is back. Logging out ends
  // the record, if the store can, and deletes the cookie.
  fresh_session,
  // Gives the error back, on every page until the cookie has ended.
  fail,
};

// By `@created`, that is by when they signed in, as the servers' clocks have it. One that lies more
// than 5 seconds in the future is a wrong clock's: then the last renewal counts.
enum class TooManySessions {
  end_oldest,  // the newest stay (a sign-in that loses against newer ones gives `gone`)
  refuse_new,  // commit fails with too_many_sessions
};

// How sessions live, and how their cookie looks. The defaults suit most sites.
struct SessionOptions {
  CookieOptions cookie{};
  IdFormat id_format{};
  // With keys in it, the cookie holds a signed id, and any other cookie counts as malformed. Those
  // from before signing was switched on do so, too: that logs everyone out, rotating keys does not.
  CookieSigning signing{};
  // What the store's keys hold of the ids. With hashes of them, whoever reads the store or a dump
  // of it finds no login. An application that has sessions already goes there in steps.
  IdStorage id_storage = IdStorage::plain;
  // Goes into the hashes of ids, so that applications which share a store and its prefix do not
  // open each other's sessions. From IdStorage::hashed_only on: before, plain keys are looked for,
  // too. A site that has sessions under hashed keys loses them when this changes. It parts ids
  // only: who has a session in one application is listed in both (PrincipalIndex), so prefer a
  // prefix of its own for each (RedisOptions::prefix).
  std::string id_namespace{};

  // A session ends when no request came for this long, or when it is this old, whichever is first
  // (OWASP ASVS 5.0 7.3.1 and 7.3.2). 1 second to 400 days each. An idle timeout above the absolute
  // one would never be reached, and is refused: set both for sessions that last longer than 12 h.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(30);
  std::chrono::milliseconds absolute_timeout = std::chrono::hours(12);
  // A request, whether it writes or not, renews the time to live only when that lengthens it by at
  // least this much; so a session may end so much before its idle timeout. None: a tenth of the
  // idle timeout, of which half is the most. Zero: every request writes. (What reaches the absolute
  // timeout is made for a second: nobody is logged out before it while active.)
  std::optional<std::chrono::milliseconds> renew_after{};
  // How long the old id can still be read after regenerate, so that parallel requests don't break.
  std::chrono::milliseconds regenerate_grace = std::chrono::seconds(10);

  // Limits on what a session may hold: names and values together, one name, attributes. With Redis
  // raise RedisOptions::record_bytes_max along with the first.
  std::size_t session_bytes_max = std::size_t{64} * 1024;
  std::size_t name_bytes_max = 128;
  std::size_t attributes_max = 256;  // at most 1,000

  // How many sessions a principal may have at once, 1 to 1,000; none: any number. Needs a store
  // with a PrincipalIndex. A sign-in then costs a few round trips more: before it and after it, one
  // for the list, and one for each session in it. (ASVS 5.0 7.1.2)
  std::optional<std::size_t> max_sessions_per_principal{};
  // What becomes of the one too many. Sign-ins that race each other may exceed the number for a
  // moment; when they have returned it holds, unless the store failed meanwhile: then the next
  // sign-in makes up for it.
  TooManySessions when_too_many = TooManySessions::end_oldest;

  // Is told what happens to sessions, of every call of the store, and of what looks wrong in the
  // set-up (observer.hpp; for a start, a LogObserver). None: costs nothing.
  std::shared_ptr<Observer> observer{};
  Outage on_outage = Outage::fail;
  Unreadable on_unreadable = Unreadable::fresh_session;
  // Keeps caches from giving one visitor's page to another: what commit gives has `Vary: Cookie`,
  // since the page was chosen by that header (RFC 9111 §4.1), for visitors without a cookie, too.
  // For those who bring one it also has `Cache-Control: private`, unless the handler has set that
  // header. Off: for hosts that decide about caches themselves. (A response with Set-Cookie is
  // `no-store` either way.)
  bool cache_headers = true;
  // None: system_clock().
  std::shared_ptr<const Clock> clock{};
};

// What open needs to know of a request.
struct RequestInfo {
  std::string_view cookie_header{};  // several Cookie lines: joined with "; "
  bool https = false;                // as the browser sees it
};

// A header to put on the response, after the handler.
struct Header {
  enum class Mode {
    append,      // one more line of that name
    replace,     // instead of what the handler set
    merge,       // one more member of a comma-separated list, unless it or a `*` is there already
    unless_set,  // only if the handler set none of that name
  };
  std::string name;
  std::string value;
  Mode mode = Mode::append;

  // For a host, in all modes but `append`: what the response's lines of this name have to become
  // one line of; nullopt: they stay as they are. `present` is what is there, several lines joined
  // with ", "; empty: nothing. (A host that only appends is safe, too: caches heed the strictest.)
  [[nodiscard]] std::optional<std::string> over(std::string_view present) const;
};

// What a commit did, and what to put on the response.
struct Commit {
  enum class Status {
    unchanged,    // nothing was due; no round trip
    renewed,      // only the time to live
    created,      // a new session and its id
    updated,      // attributes
    regenerated,  // a new id
    erased,       // it ended, as invalidate or sign_out had asked (the cookie: see commit)
    gone,         // the session ended while the request ran: nothing was written, no Set-Cookie
  };
  Status status = Status::unchanged;
  // Set-Cookie and with it Cache-Control: no-store; those of SessionOptions::cache_headers, for any
  // status. Names come once.
  std::vector<Header> headers{};
};

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
// store does, and gives back the store's errors.
//
// Stop serving before main returns. A thread that a static object joins in its destructor can serve
// until then; one that nobody joins may crash in OpenSSL, which ends itself at exit.
class SessionManager {
 public:
  // Errors: invalid_argument, naming the option that is wrong and what would be right.
  static Result<SessionManager> make(std::shared_ptr<SessionStore> store,
                                     SessionOptions options = {});

  // The session of a request, or a new one when it brings no id that the store knows: an id is
  // never taken up from outside. At most one round trip, unless several cookies bear the name, the
  // id was replaced a moment ago, or ids are on their way from plain to hashed keys (IdStorage). A
  // store that cannot be reached is an error (or a degraded session, see
  // SessionOptions::on_outage), never a new session. A session that cannot be read is a new one, or
  // an error (SessionOptions::on_unreadable).
  [[nodiscard]] Result<Session> open(const RequestInfo& request) const;

  // Writes what changed, in at most one round trip (two when a lost `regenerate` is repeated), and
  // says what to send. Afterwards the session is a fresh snapshot. After an error it still holds
  // its changes, and may be committed again. Errors: the first bad call on the session; too_large
  // (limits); those of the store.
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

  // What belongs on the response when there is no Commit, as open, the handler or commit failed:
  // the headers of SessionOptions::cache_headers. No round trip.
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
  // must have a PrincipalIndex (MemoryStore and RedisStore do), else these give invalid_argument.
  // They cost a round trip for the list, and one to three for each session in it, and return within
  // 10 seconds and one call of the store: never with a part of it, but with `timeout`, or
  // `overloaded` when the first two meet more than 10,000 sessions that are alive.

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

  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  struct Shared;
  explicit SessionManager(std::shared_ptr<const Shared> shared) noexcept;

  struct Loaded {
    std::optional<Session> session{};
    bool is_over = false;  // there is only a mark of it
  };
  [[nodiscard]] Result<Loaded> load(const SessionId& id) const;
  [[nodiscard]] bool store_makes_sense() const;
  [[nodiscard]] Result<void> store_new(Session::State& state, const Fields& attributes) const;
  [[nodiscard]] Result<Outcome> rekey(Session::State& state, const Changes& changes,
                                      const internal::Plan& plan, std::string_view principal) const;
  [[nodiscard]] Result<Commit::Status> execute(Session::State& state, const internal::Plan& plan,
                                               const Changes& changes, const Fields& after) const;
  [[nodiscard]] Result<Commit::Status> write(Session::State& state,
                                             const internal::Plan& plan) const;
  [[nodiscard]] Result<Commit::Status> sign_in_anew(Session::State& state) const;
  [[nodiscard]] Result<void> end(Session::State& state) const;
  [[nodiscard]] Result<void> end_lost(Session::State& state) const;
  [[nodiscard]] Result<Commit> for_caches(Result<Commit> commit, const Session::State& state) const;
  [[nodiscard]] Result<Commit> end_after_all(Session::State& state,
                                             const Result<Commit::Status>& status) const;
  [[nodiscard]] Commit deletion(const Session::State& state) const;
  // Of a commit that signs in: before the write, and after it.
  [[nodiscard]] Result<void> admit(Session::State& state) const;
  [[nodiscard]] Result<Commit::Status> hold_to_limit(Session::State& state,
                                                     Commit::Status done) const;
  [[nodiscard]] Result<Commit> carry_out(Session::State& state) const;
  [[nodiscard]] std::vector<Header> cookie_headers(const Session::State& state, bool remove) const;

  friend class Session;
  std::shared_ptr<const Shared> shared_;
};

}  // namespace websession
WEBSESSION_API_END
