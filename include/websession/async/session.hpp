// One request's session, on an event loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "websession/async/op.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_base.hpp"
#include "websession/value.hpp"

WEBSESSION_API_BEGIN
namespace websession {

namespace internal {
struct AsyncHome;
}

// What AsyncSessionManager::open gives: all of a SessionBase, and what acts in the store at once.
//
// A handle: copies are the same session, which lives as long as one of them, or an operation on it.
// So a handler may go away at any time. One thread at a time, as it is on the loop of its request.
// It does not keep its store: when that is gone, its operations are `unavailable`. (If nobody but
// the store has kept the reactor of the loop, as the helpers for other libraries' loops give one,
// that has ended with it: then they are dropped, as with any loop that ends.)
//
// While an operation on it is running, another one is invalid_argument, and so is what changes it:
// the next commit of this handle says so, and each after it, as with any bad call.
class AsyncSession : public SessionBase {
 public:
  AsyncSession(const AsyncSession&) noexcept = default;
  AsyncSession(AsyncSession&&) noexcept = default;
  AsyncSession& operator=(const AsyncSession&) noexcept = default;
  AsyncSession& operator=(AsyncSession&&) noexcept = default;
  ~AsyncSession() = default;

  // As Session's.

  Op<std::int64_t> increment(std::string_view name, std::int64_t by = 1);

  template <class E, class D>
  Op<bool> compare_and_set(std::string_view name, const E& expected, const D& desired) {
    return replace(name, expectation(name, expected), encode_value(desired));
  }

  template <class E>
  Op<bool> consume(std::string_view name, const E& expected) {
    return replace(name, expectation(name, expected), std::nullopt);
  }

 private:
  friend class internal::SessionAccess;

  AsyncSession(std::shared_ptr<internal::SessionState> state,
               std::shared_ptr<const internal::AsyncHome> home) noexcept
      : SessionBase(*state), owned_(std::move(state)), home_(std::move(home)) {}

  Op<bool> replace(std::string_view name, Texts any_of, std::optional<Result<std::string>> desired);

  std::shared_ptr<internal::SessionState> owned_;
  std::shared_ptr<const internal::AsyncHome> home_;
};

}  // namespace websession
WEBSESSION_API_END
