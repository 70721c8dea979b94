// How sessions live: the options of a SessionManager.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/cookie.hpp"
#include "websession/session_id.hpp"
#include "websession/signed_cookie.hpp"
#include "websession/transport.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class Observer;

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
  // Other ways than the cookie, for clients that keep none: mobile apps, programs.
  TransportOptions transport{};
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
  // The most that SessionBase::set_timeouts may give to one session, as for "remember me". None:
  // idle_timeout and absolute_timeout, so it can only shorten. When these become less, sessions
  // that were given more are held to them from their next request on. Not below the timeouts of all
  // sessions, up to 400 days.
  std::optional<std::chrono::milliseconds> idle_timeout_max{};
  std::optional<std::chrono::milliseconds> absolute_timeout_max{};
  // How long the old id can still be read after regenerate, so that parallel requests don't break.
  std::chrono::milliseconds regenerate_grace = std::chrono::seconds(10);

  // By when each call of a manager, or of a session, ends that asks the store: also one that asks
  // it often, as `open` does for several cookies, or what is done with all sessions of a principal.
  // Once it has passed the store is not asked any more, and the call is `timeout`; a call of the
  // store that runs by then is waited for, and has a deadline of its own
  // (RedisOptions::operation_timeout). What has been written stays, and the error says
  // `maybe_applied` where that is what was asked for. A step that can be left out is (a limit of
  // sessions is held to by the next sign-in); a logout that comes last is tried all the same, with
  // as many calls as it takes. Several times what one call may take is a good choice. 10 ms to 10
  // minutes.
  std::chrono::milliseconds operation_timeout = std::chrono::seconds(10);

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
  // Keeps caches from giving one visitor's page to another: what commit gives has `Vary` with the
  // headers that an id may come in (`Cookie`, `Authorization`, TransportOptions::header), since the
  // page was chosen by them (RFC 9111 §4.1), for visitors who bring none, too. For those who bring
  // one it also has `Cache-Control: private`, unless the handler has set that header. Off: for
  // hosts that decide about caches themselves. (A response with a new id is `no-store` either way.)
  bool cache_headers = true;
  // None: system_clock().
  std::shared_ptr<const Clock> clock{};
};

}  // namespace websession
WEBSESSION_API_END
