// Session ids and the keys that stores know them by. Both are secrets: neither can be streamed or
// formatted by accident, and both compare in constant time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
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

// A session id: 24 bytes (192 bits) from OpenSSL's CSPRNG (in a child of a fork: from the kernel's)
// as 32 base64url characters. (OWASP ASVS 5.0 7.2.3 asks for at least 128 bits.)
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

// What a store is asked by, without its own prefix: the id itself, or a hash of it (IdStorage).
// Treat it as secret as an id. Hashable.
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

// What the keys of a store hold of the ids. A plain id that is read from a dump, a backup or a
// `MONITOR` of the store is a login. Its SHA-256 is none, whatever cookie it is presented as; and
// since an id is random, nobody finds the id that belongs to a hash.
//
// A new application takes `hashed_only`. A running one goes through the states in this order, and
// nobody is logged out: deploy each state to all processes before the next one, since only
// neighbours understand each other (going back works in the same way). When every process has been
// `hashed` for one absolute timeout, no plain key is left, and `hashed_only` saves what looking for
// them costs.
//
// Programs that look for plain keys themselves do not find the others.
enum class IdStorage {
  // Keys are ids.
  plain,
  // Understands both; new sessions get plain keys. An unknown id costs two look-ups.
  plain_and_hashed,
  // Understands both; new sessions get hashed keys, and the others are moved to theirs when they
  // are
  // loaded (one that was regenerated a moment ago a little later), which costs each of them two
  // round trips. An unknown id costs three look-ups.
  hashed,
  // Keys are hashes.
  hashed_only,
};

}  // namespace websession
WEBSESSION_API_END

template <>
struct std::hash<websession::StoreKey> {
  std::size_t operator()(const websession::StoreKey& key) const noexcept {
    return std::hash<std::string>{}(key.secret());
  }
};
