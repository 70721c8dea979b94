// One request's session.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_base.hpp"
#include "websession/value.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class SessionStore;

// What SessionManager::open gives: all of a SessionBase, and what acts in the store at once.
class Session : public SessionBase {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Direct operations act in the store at once, atomically across requests, and renew the session
  // if that is due (SessionOptions::renew_after). They are not undone when the handler throws. On a
  // session that is not stored yet, or an attribute with a change that waits for the commit, they
  // act on that local state and ride on the commit. Before the commit of a sign_in they act on the
  // session as it was before. Errors: gone (the session ended meanwhile),
  // invalid_argument, those of the store.

  // Adds to an integer attribute (absent counts as 0) and gives the new value.
  Result<std::int64_t> increment(std::string_view name, std::int64_t by = 1);

  // Sets the attribute if it holds `expected` (or is `absent`) now. False: it does not, and the
  // snapshot then shows what it holds. Compares stored texts; a string matches either form of it
  // (see Text). An `expected` too large for a session is never there, and costs no round trip.
  template <class E, class D>
  Result<bool> compare_and_set(std::string_view name, const E& expected, const D& desired) {
    return replace(name, expectation(name, expected), encode_value(desired));
  }

  // Removes the attribute if it holds `expected` now. Of all that try, exactly one gets true.
  template <class E>
  Result<bool> consume(std::string_view name, const E& expected) {
    return replace(name, expectation(name, expected), std::nullopt);
  }

 private:
  friend class SessionManager;
  friend class internal::SessionAccess;

  Session(std::unique_ptr<internal::SessionState> state, SessionStore& store) noexcept;

  Result<bool> replace(std::string_view name, Texts any_of,
                       std::optional<Result<std::string>> desired);

  std::unique_ptr<internal::SessionState> owned_;
  SessionStore* store_;  // the manager's; it lives as long as the state
};

}  // namespace websession
WEBSESSION_API_END
