// Session ids and the keys that stores know them by. Both are secrets: neither can be streamed or
// formatted by accident, and both compare in constant time.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "websession/result.hpp"

namespace websession {

// True when both hold the same bytes. Takes time that depends on the length only.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

// The form that an id from outside must have to be looked up at all. The default is exactly what
// the library makes. Widen it only for a store shared with programs that make other ids.
struct IdFormat {
  std::size_t length_min = 32;
  std::size_t length_max = 32;     // at most 256
  std::string other_characters{};  // besides A-Z a-z 0-9 - _ ; cookie-safe ones, and never ':'
};

// Errors: invalid_argument, naming what is wrong.
Result<void> validate(const IdFormat& format);

// A session id: 24 bytes (192 bits) from OpenSSL's CSPRNG as 32 base64url characters.
// (OWASP ASVS 5.0 7.2.3 asks for at least 128 bits.)
class SessionId {
 public:
  // Error: no_randomness.
  static Result<SessionId> generate();

  // An id as it came from outside; nullopt when it does not have that form.
  static std::optional<SessionId> parse(std::string_view text, const IdFormat& format = {});

  // The secret itself, for a cookie. Never log it.
  [[nodiscard]] const std::string& secret() const noexcept { return text_; }

  friend bool operator==(const SessionId& a, const SessionId& b) noexcept {
    return equal_in_constant_time(a.text_, b.text_);
  }

 private:
  explicit SessionId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// What a store is asked by: today the id itself, without the store's own prefix. As secret as the
// id. Hashable.
class StoreKey {
 public:
  explicit StoreKey(std::string secret) : text_(std::move(secret)) {}
  explicit StoreKey(const SessionId& id) : text_(id.secret()) {}

  [[nodiscard]] const std::string& secret() const noexcept { return text_; }

  friend bool operator==(const StoreKey& a, const StoreKey& b) noexcept {
    return equal_in_constant_time(a.text_, b.text_);
  }

 private:
  std::string text_;
};

}  // namespace websession

template <>
struct std::hash<websession::StoreKey> {
  std::size_t operator()(const websession::StoreKey& key) const noexcept {
    return std::hash<std::string>{}(key.secret());
  }
};
