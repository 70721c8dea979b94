// The one error model of websession: a function that can fail gives a Result.
//
// Result is a subset of std::expected's names (C++23), so that it can become that one day.
#pragma once

#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What went wrong, by what the caller can do about it.
enum class Errc {
  unavailable = 1,    // the store cannot be reached or refuses for now: answer 503, try later
  timeout,            // no answer by the deadline
  overloaded,         // too many requests are waiting already; nothing was sent
  rejected,           // the store, or TLS, said no: rights, password, certificate, memory, role
  key_exists,         // create or rekey: the key is taken; nothing was overwritten
  corrupt,            // what came back cannot be a session, or is larger than allowed
  too_large,          // the change would exceed a limit; nothing was sent
  invalid_argument,   // a caller's mistake: bad name, value, option or order of calls
  no_randomness,      // the system's random source failed
  gone,               // the session ended (erased, expired, replaced) while this request used it
  too_many_sessions,  // max_sessions_per_principal: sign out elsewhere first; nothing was signed in
  canceled,           // nobody waits for it any more (Op::stop_on); nothing was done
};

const std::error_category& error_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

// `detail` is for people and says what to do. It never holds an id, a cookie, an attribute's value
// or a password, so it may be logged.
struct Error {
  std::error_code code;
  std::string detail;
  // True when the failed write may have been applied all the same (the answer was lost).
  // False is a promise that it was not.
  bool maybe_applied = false;

  // "timeout: no answer from Redis within 500 ms (the write may have been applied)"
  [[nodiscard]] std::string message() const;
};

[[nodiscard]] Error make_error(Errc code, std::string detail);

// Thrown by Result::value() when there is none. Nothing else in the library throws, but for want of
// memory. In a program compiled with -fno-exceptions, that ends the program: ask has_value() first.
class Exception : public std::runtime_error {
 public:
  explicit Exception(Error error);
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

namespace internal {
// Throws an Exception. Not inline, so that this header compiles without exceptions.
[[noreturn]] void raise(const Error& error);

template <class T>
inline constexpr bool is_asked = std::same_as<T, bool>;
template <class T>
inline constexpr bool is_asked<std::optional<T>> = true;
}  // namespace internal

// Either a T or an Error. Converts to bool, as has_value(), unless T is a bool or an optional:
// `if (session.consume("token", typed))` must not ask for errors only. Write
//
//   if (session.consume("token", typed).value())     // throws an Exception on an error
//   if (result.has_value() && *result)
template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a function returns its value or its error as is
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept requires(!internal::is_asked<T>) { return has_value(); }

  // Throws Exception when there is no value.
  T& value() & { return require(), *std::get_if<0>(&state_); }
  const T& value() const& { return require(), *std::get_if<0>(&state_); }
  // By value: `for (auto& h : manager.commit(session).value().headers)` must not dangle.
  T value() && { return require(), std::move(*std::get_if<0>(&state_)); }

  template <class U>
  T value_or(U&& fallback) const& {
    return has_value() ? **this : static_cast<T>(std::forward<U>(fallback));
  }

  // Precondition of these: has_value().
  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }

  // Precondition: !has_value().
  [[nodiscard]] const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  [[nodiscard]] Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

 private:
  void require() const {
    if (!has_value()) internal::raise(error());
  }
  std::variant<T, Error> state_;
};

// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (!has_value()) internal::raise(error());
  }
  [[nodiscard]] const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  [[nodiscard]] Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<std::monostate, Error> state_;
};

}  // namespace websession
WEBSESSION_API_END

template <>
struct std::is_error_code_enum<websession::Errc> : std::true_type {};
