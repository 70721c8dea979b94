// What a request sees of its session, and wants of it: all that needs no call of the store.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/transport.hpp"
#include "websession/value.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class Observer;

namespace internal {
class SessionAccess;
class SessionState;
}  // namespace internal

// Says "the attribute is not there" to Session::compare_and_set.
struct Absent {};
inline constexpr Absent absent{};

// What a session held at one moment, by value: for what outlives the handler, as a streamed body
// or a task on another thread does. Attributes are there even when their own end has come since.
//
// Copies are cheap. Const, so safe to share between threads.
class SessionSnapshot {
 public:
  // As Session's; but no observer hears of a value that does not fit.
  template <class T>
  [[nodiscard]] Result<std::optional<T>> get(std::string_view name) const {
    const std::optional<std::string_view> text = attributes_.find(name);
    if (!text) return std::optional<T>();
    Result<T> value = decode<T>(*text);
    if (!value.has_value()) return std::move(value).error();
    return std::optional<T>(*std::move(value));
  }
  template <class T>
  requires(!std::convertible_to<const T&, std::string_view>) [[nodiscard]] T
      value(std::string_view name, const T& fallback) const {
    const std::optional<std::string_view> text = attributes_.find(name);
    return text ? decode<T>(*text).value_or(fallback) : fallback;
  }
  [[nodiscard]] std::string value(std::string_view name, std::string_view fallback) const;
  std::string value(std::string_view name, std::nullptr_t) const = delete;
  [[nodiscard]] bool contains(std::string_view name) const { return attributes_.contains(name); }
  // The names and stored texts of all attributes.
  [[nodiscard]] const Fields& attributes() const& noexcept { return attributes_; }
  [[nodiscard]] const std::optional<std::string>& principal() const& noexcept { return principal_; }
  // By value: `for (auto [name, text] : session.snapshot().attributes())` must not dangle.
  [[nodiscard]] Fields attributes() && { return std::move(attributes_); }
  [[nodiscard]] std::optional<std::string> principal() && { return std::move(principal_); }

 private:
  friend class SessionBase;
  Fields attributes_;
  std::optional<std::string> principal_{};
};

// A snapshot of the session as it was loaded, with this request's changes on top. Nothing is
// written before the commit, direct operations aside. It comes as a Session (session.hpp), which
// adds those.
//
// Movable; one thread at a time, whichever: it may be made on one thread, handed to another one and
// committed on a third. A moved-from one can only be destroyed or assigned to. While an
// operation on the session is running (a commit, a direct operation), another one, and whatever
// would change the session, is invalid_argument, as set and the like tell: with the next commit.
//
// A Session& that an adapter gives to a handler is valid until the handler returns. What is called
// later (a content provider, a callback, a task) must not capture it: give it a snapshot().
//
// Attribute names have 1 to 128 bytes (SessionOptions), no control bytes, and do not start with
// '@'. set, remove and clear return nothing: the first bad call (name, value, size, use after
// invalidate) is kept, and the commit returns it and writes nothing.
class SessionBase {
 public:
  // The attribute's value; nullopt when it is not there. What can be a T is said in value.hpp
  // (ReadableValue): numbers, strings, JSON, vectors, your own types…
  // Error: invalid_argument when it is of another type (exact or an error).
  template <class T>
  Result<std::optional<T>> get(std::string_view name) const {
    const std::optional<std::string_view> text = find(name);
    if (!text) return std::optional<T>();
    Result<T> value = decode<T>(*text);
    if (!value.has_value()) return with_name(std::move(value).error(), name);
    return std::optional<T>(*std::move(value));
  }

  // The attribute's value, or `fallback` when it is absent, or is no T: of another type, or out of
  // T's range (5e9 is no int). The second is most likely a mistake, which the observer hears of
  // (SessionEvent::Kind::value_mismatch, and a Warning once).
  template <class T>
  requires(!std::convertible_to<const T&, std::string_view>) [[nodiscard]] T
      value(std::string_view name, const T& fallback) const {
    const std::optional<std::string_view> text = find(name);
    if (!text) return fallback;
    Result<T> value = decode<T>(*text);
    if (value.has_value()) return *std::move(value);
    report_mismatch(name);
    return fallback;
  }
  [[nodiscard]] std::string value(std::string_view name, std::string_view fallback) const;
  std::string value(std::string_view name,
                    std::nullptr_t) const = delete;  // no text to fall back on

  [[nodiscard]] bool contains(std::string_view name) const;
  // The names of all attributes, in order.
  [[nodiscard]] std::vector<std::string> names() const;

  // What the attributes and the principal are now, this request's changes included.
  [[nodiscard]] SessionSnapshot snapshot() const;

  // Changes an attribute. Setting what is already there is no change. What can be a T is said in
  // value.hpp (Value).
  template <class T>
  void set(std::string_view name, const T& value) {
    put(name, encode_value(value), std::nullopt);
  }
  // The same for an attribute that ends after `expires_in` (more than 0), whatever the session
  // does.
  template <class T>
  void set(std::string_view name, const T& value, std::chrono::milliseconds expires_in) {
    put(name, encode_value(value), expires_in);
  }
  void remove(std::string_view name);
  void clear();  // all attributes; the session itself stays

  // Asks the commit for a new id, against session fixation (OWASP ASVS 5.0 7.2.4): call it whenever
  // privileges change. The old id reads the old state for SessionOptions::regenerate_grace, unless
  // the same request signs in or out, and through at most 16 further new ids. Each one makes a
  // record of its own for the grace, so let nobody ask for any number of them.
  void regenerate();
  // Asks the commit to sign the principal in (a user's or an account's id: 1 to 256 bytes, no
  // control bytes; anything else is an error, and still counts as somebody else): a new id, and the
  // old one ends at once, so nothing that was known before is
  // worth anything afterwards (session fixation, ASVS 5.0 7.2.4); the absolute timeout begins anew.
  // The attributes stay, unless they are another principal's: then all are gone. Signing the same
  // principal in again, as after asking for the password, does the same: a new id, no grace for the
  // old one, and the timeout anew.
  //
  // `label`: what the principal can tell this session by in a list, such as "Firefox on Linux".
  // Control bytes and broken UTF-8 become '?', and it is cut to 128 bytes. It may come from a
  // request (User-Agent), so escape it where it is shown. None: that of an earlier sign_in of the
  // same principal stays.
  //
  // It is a new session if this one has ended meanwhile, or had before (ended()).
  //
  // The commit may fail with too_many_sessions (SessionOptions::max_sessions_per_principal). The
  // session of another principal has ended even then, as with sign_out.
  void sign_in(std::string_view principal, std::string_view label = {});
  // Asks the commit to sign out: the id and all attributes end at once (ASVS 5.0 7.4.1). What is
  // set afterwards, such as a farewell to show, starts an anonymous session under a new id; with
  // nothing set this is invalidate. As there, the session ends even when the rest cannot be stored.
  void sign_out();
  // Who is signed in; sign_in and sign_out show at once. Valid until the next change or commit.
  [[nodiscard]] std::optional<std::string_view> principal() const noexcept;

  // When the principal signed in, by the clock of the server that wrote it; nullopt: nobody has. (A
  // date that lies more than 5 seconds in the future is a wrong clock's, and counts as now.)
  [[nodiscard]] std::optional<WallTime> signed_in_at() const;
  // Whether the principal has signed in, or been asked again (reauthenticate), within this time. So
  // a handler asks for the password before what is worth it (ASVS 5.0 7.5.3):
  //
  //   if (!session.recently_authenticated(std::chrono::minutes(5))) return ask_for_password();
  //
  // False when nobody is signed in, or the date is a wrong clock's: then sign_in or reauthenticate.
  [[nodiscard]] bool recently_authenticated(std::chrono::milliseconds within) const;
  // Says that the principal has just proved again who it is. The commit gives a new id, as
  // regenerate does (ASVS 5.0 7.2.4); all else stays, the absolute timeout, too. (sign_in begins
  // that anew.) For a session that nobody is signed in to it is an error.
  void reauthenticate();

  // Gives this session timeouts of its own, from the commit on and until its principal leaves or
  // signs in anew, as for "remember me":
  //
  //   session.sign_in("alice");
  //   if (remember) session.set_timeouts(days(30), days(90));
  //
  // They count as SessionOptions::idle_timeout and absolute_timeout do, from the last request and
  // from the sign-in, and may be shorter or longer. 1 second up to idle_timeout_max and
  // absolute_timeout_max; an idle timeout above the absolute one is an error. A session that has
  // its cookie already gets it again, with what is left of the absolute timeout. For a visitor
  // without a session this alone stores nothing.
  void set_timeouts(std::chrono::milliseconds idle, std::chrono::milliseconds absolute);
  // Whether this session's cookie outlives the browser's window, in place of
  // CookieOptions::persistent, for as long as its own timeouts would hold.
  void set_persistent(bool persistent);

  // Gives the session another name by which it can be ended from outside
  // (SessionManager::sign_out_by), such as the `sid` of an OpenID provider (OpenID Connect
  // Back-Channel Logout 1.0). After sign_in; the name stays until the principal leaves or signs in
  // anew. 1 to 256 bytes, no control bytes. Several sessions may have the same one, of 16
  // principals at most. The store must have a PrincipalIndex, and keeps a hash of the name. The
  // commit takes one or two calls of the store more.
  void set_alias(std::string_view alias);

  // By what the request named its session. A token is not sent by a browser on its own, so what
  // comes with one needs no CSRF token.
  [[nodiscard]] Transport transport() const noexcept;
  // The client keeps the id itself: a new one goes out as TransportOptions::response_header, not as
  // a cookie. For the handler by which such a client signs in, which names no session before. Not
  // for what a page of a browser can call without a password: its scripts could read the id.
  // An error where TransportOptions take no token.
  void use_token();

  // Asks the commit to end the session and to delete the cookie (ASVS 5.0 7.4.1). All attributes
  // are gone at once; a later set is an error. The commit ends the session even when it fails with
  // another error of this request (see SessionManager::commit).
  void invalidate();

  // True while the session has not been stored.
  [[nodiscard]] bool is_new() const noexcept;
  // True when the visitor may have a session, but the store could not be asked for it (see
  // SessionOptions::on_outage). Then nothing is in it. A commit without changes is `unchanged`;
  // with changes or a new id asked for it fails with the store's error, and so do the direct
  // operations. No cookie is sent. The end (invalidate, sign_out) is asked of the store: it ends
  // the session and its cookie, or fails. A handler that has to know who asks must not take the
  // visitor for somebody who has not signed in:
  //
  //   if (!session.principal()) return session.degraded() ? answer(503) : ask_to_sign_in();
  [[nodiscard]] bool degraded() const noexcept;
  // True when the session that the cookie names was replaced or has ended a moment ago (10 seconds,
  // or SessionOptions::regenerate_grace if that is longer): by a sign-in, a sign-out, invalidate,
  // or from afar. The request was most likely under way meanwhile, as a poll or a second click is,
  // and its visitor has another session by now. So nothing is in this one, its commit is `gone` if
  // anything was to be written, as are direct operations, and no cookie is sent: it would take the
  // place of the other session's. Logging out ends what the session has become, while that is the
  // same principal's. sign_in starts a new session, and so does start_over. (A session that ends
  // after it was loaded stays false here; what writes to it says `gone`.) Who has to know who asks
  // should not take such a visitor for one who has not signed in; asked once more, the browser
  // brings the cookie that it has by now:
  //
  //   if (!session.principal()) return session.ended() ? page("Load again") : ask_to_sign_in();
  [[nodiscard]] bool ended() const noexcept;
  // Takes the visitor of a session that has ended() for a new one: what is set from now on is
  // stored in a new session, with a cookie. For what a visitor does deliberately, as filling in the
  // form that begins a sign-in; never for a poll or a page that is only looked at, whose cookie
  // could take the place of a login's. Of another session: nothing.
  void start_over() noexcept;
  // How long the session lives if no request comes after this one, whose commit renews it if that
  // is due (and it is not RequestInfo::passive); up to SessionOptions::renew_after less if others
  // write to it at the same time. 0: its time is over.
  [[nodiscard]] std::chrono::milliseconds expires_in() const;
  // The id; nullptr while the session has not been stored. A secret.
  [[nodiscard]] const SessionId* id() const noexcept;
  // What this observer calls the session in a log and in its events (Observer::label), until its id
  // is replaced. Empty while the session has not been stored.
  [[nodiscard]] std::string label(const Observer& observer) const;

 protected:
  // The state is whose who derives from this.
  explicit SessionBase(internal::SessionState& state) noexcept : state_(&state) {}
  SessionBase(const SessionBase&) noexcept = default;
  SessionBase& operator=(const SessionBase&) noexcept = default;
  ~SessionBase() = default;

  using Texts = Result<std::vector<std::string>>;
  // The stored texts that `expected` matches.
  template <class E>
  [[nodiscard]] Texts expectation(std::string_view name, const E& expected) const {
    if constexpr (std::same_as<E, Absent>) {
      return std::vector<std::string>();
    } else {
      if constexpr (internal::StringLike<E> || internal::is_char_array<E>) {
        const std::string_view text = internal::view_of(expected);
        // Not worth encoding: `replace` drops it.
        if (!can_hold(name, text)) return std::vector<std::string>{std::string(text)};
        return internal::forms_of(text);
      } else {
        Result<std::string> text = encode_value(expected);
        if (!text) return std::move(text).error();
        return std::vector<std::string>{*std::move(text)};
      }
    }
  }

  // Whether a session can hold the text. What is expected often comes from a visitor, and then is
  // of any size.
  [[nodiscard]] bool can_hold(std::string_view name, std::string_view text) const;

 private:
  friend class SessionManager;
  friend class internal::SessionAccess;

  static Error with_name(Error error, std::string_view name);
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  void report_mismatch(std::string_view name) const;
  void put(std::string_view name, Result<std::string> text,
           std::optional<std::chrono::milliseconds> expires_in);

  internal::SessionState* state_;
};

}  // namespace websession
WEBSESSION_API_END
