// One-time codes: the six digits that come by e-mail and prove that a visitor reads it.
//
//   const auto codes = OneTimeCodes::make(key_ring).value();  // once, at start-up
//
//   // POST /login
//   session.set("address", address);
//   const std::string code = codes.issue(session, "login", {.about = address}).value();
//   …  // commit, then send the code
//
//   // POST /login/code
//   const std::string address = session.value("address", "");
//   const CodeCheck check = codes.verify(session, "login", form["code"], address).value();
//   if (check.status == CodeCheck::Status::correct) …  // sign in, under a new id
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/key_ring.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class AsyncSession;  // async/session.hpp
template <class T>
class Op;

namespace internal {
class SessionState;
class StoreFlow;
template <class T>
class Task;
}  // namespace internal

// How a code looks, and what it is good for.
struct CodeOptions {
  int digits = 6;  // 6 to 12; six are the least that OWASP ASVS 5.0 6.5.4 allows
  // 1 second to 1 day. For signing in at most 10 minutes (ASVS 5.0 6.5.5).
  std::chrono::milliseconds valid_for = std::chrono::minutes(10);
  int attempts = 5;  // 1 to 20
  // What the code vouches for: the address that it is sent to, or an order. With something else in
  // its place it is wrong, so nobody can have a code sent to themselves and use it for another.
  std::string about{};
};

// The same without what it is about, which the asynchronous issue() takes apart.
struct CodeRules {
  int digits = 6;
  std::chrono::milliseconds valid_for = std::chrono::minutes(10);
  int attempts = 5;
};

// How many tries there may be about one thing (CodeOptions::about), for each purpose, whatever
// sessions and codes they are made with. A window begins with the first try. A hundred are what
// NIST SP 800-63B-4 (3.2.2) allows an account; with six digits a guess then succeeds in about one
// of 10,000 windows.
struct CodeLimit {
  int tries = 100;                                            // 1 to 10,000
  std::chrono::milliseconds window = std::chrono::hours(24);  // 1 minute to 30 days
};

// What OneTimeCodes::verify says of a code.
struct CodeCheck {
  enum class Status {
    correct,    // said once for each code, whatever tries at the same time
    wrong,      // see tries_left
    expired,    // from the end of valid_for on
    used,       // it was correct once
    exhausted,  // as many wrong tries as were allowed: nothing is correct any more
    none,       // no code was issued for this purpose, or it expired more than an hour ago
    limited,    // CodeLimit: nothing is correct before the window ends; the code stays as it is
  };
  Status status = Status::none;
  int tries_left = 0;  // only with `wrong`; 0: that was the last one
};

// Issues codes and verifies them. A session has at most one code for each purpose, a name that the
// application chooses ("login", "change-email").
//
// The store holds a keyed hash of the code (HMAC-SHA256 under a key of the ring), never the code:
// who reads the store can neither see it nor try all of them. The hash binds the code to the
// session, the purpose and what it is about: it is worth nothing elsewhere. It survives
// Session::regenerate. Codes issued under any secret of the ring verify, so secrets rotate without
// ending them.
//
// The attempts are those of one code, and a new code, for which anybody can begin a new session,
// brings new ones: with six digits and five attempts a guess succeeds once in 200,000 codes. So
// give a CodeLimit (ASVS 5.0 6.6.3), and limit how often a visitor, and how often an address, is
// sent a code: that is not counted here.
//
// With a CodeLimit every try counts, a correct one, too, before it is answered and atomically, in
// the store that holds the sessions: a small record for each purpose and thing tried, under a key
// that does not show them (an HMAC), with the window as its time to live.
// - The same thing must always be the same text: bring an address into one form (case!) before it
//   comes here, or each spelling has a limit of its own.
// - Whoever asks for codes for somebody else's address can use its tries up, and nobody signs in
// with
//   a code for that address until the window ends. Those who are signed in stay so. More digits
//   allow more tries; have a second way to sign in where that matters, and tell the visitor when
//   to come back, not that the code was wrong.
// - While the store is away verify is an error, and nothing can be guessed. A store that evicts
//   (MemoryStore when it is full; Redis, unless it is told noeviction) can lose a count, and the
//   secret that is first in the ring is part of its key: with a new one counts begin anew.
//
// Cheap to copy. Const members are safe to call from many threads at once, on different Session
// objects, which may be of the same session.
class OneTimeCodes {
 public:
  // Without a limit only the attempts of a code count. Error: invalid_argument (the ring is empty,
  // a bad limit).
  static Result<OneTimeCodes> make(const KeyRing& keys, std::optional<CodeLimit> limit = {});

  // Makes a new code and gives it, this one time. The code before it for the same purpose is over
  // when this returns, even for a verify that runs.
  //
  // On a stored session it is written at once (one round trip, for the session's first code two).
  // On a new one it rides on the commit, which stores the session: send the code only after that.
  //
  // `purpose`: 1 to 64 bytes, no control bytes. Errors: invalid_argument (purpose, options, a
  // session that was invalidated, a CodeLimit and nothing that the code is about), too_large (codes
  // for 16 other purposes are there; parallel requests may exceed it by their number), gone,
  // no_randomness, those of the store. After an error the code before may be over, too.
  [[nodiscard]] Result<std::string> issue(Session& session, std::string_view purpose,
                                          const CodeOptions& options = {}) const;
  [[nodiscard]] Op<std::string> issue(const AsyncSession& session, std::string_view purpose,
                                      std::string_view about = {}, CodeRules rules = {}) const;

  // Whether this is the code, for what it was issued `about`. Each call takes one of the attempts,
  // atomically and before it answers, whatever was typed; so of any number of requests that guess
  // at once, no more than `attempts` get an answer but `exhausted`. Of those that bring the correct
  // code, exactly one gets `correct`. Blanks and hyphens in the text don't matter.
  //
  // One round trip, with a CodeLimit two (three for the first try of a window); a few when others
  // guess at the same time; none when the session, as it was loaded, has no code that could be
  // correct. Time is the manager's clock.
  //
  // Errors: invalid_argument (as for issue), gone, corrupt, overloaded
  // (the code was replaced again and again meanwhile), those of the store. With `maybe_applied` the
  // attempt may count and the code be used up: offer a new one.
  [[nodiscard]] Result<CodeCheck> verify(Session& session, std::string_view purpose,
                                         std::string_view code, std::string_view about = {}) const;
  [[nodiscard]] Op<CodeCheck> verify(const AsyncSession& session, std::string_view purpose,
                                     std::string_view code, std::string_view about = {}) const;

 private:
  explicit OneTimeCodes(std::vector<std::string> keys) noexcept : keys_(std::move(keys)) {}

  [[nodiscard]] Result<void> check(std::string_view purpose, std::string_view about) const;
  internal::Task<Result<bool>> may_try(internal::StoreFlow& flow,
                                       const internal::SessionState& state,
                                       std::string_view purpose, std::string_view about) const;
  internal::Task<Result<std::string>> issue(internal::StoreFlow& flow,
                                            internal::SessionState& state, std::string_view purpose,
                                            const CodeOptions& options) const;
  internal::Task<Result<CodeCheck>> verify(internal::StoreFlow& flow, internal::SessionState& state,
                                           std::string_view purpose, std::string_view code,
                                           std::string_view about) const;

  std::vector<std::string> keys_;  // derived from the ring's secrets, in their order
  std::optional<CodeLimit> limit_{};
  std::string limit_key_{};
};

}  // namespace websession
WEBSESSION_API_END
