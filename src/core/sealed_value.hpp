// The form that an encrypted value has in a store, its sealing and its opening. No I/O.
//
//   enc2.<key id>.<nonce, ciphertext and tag>
//
// The last part is base64url without padding. The cipher is AES-256-GCM (NIST SP 800-38D) with a
// nonce of 96 bits and a tag of 128. The key is one of the session's own:
// HMAC-SHA256(derive_key(secret, "websession encrypted value v2"), store key). The associated data
// are the place: the length of the store key's text, that text, the length of the field's name, the
// name, a byte that is 1 if the field has a deadline and 0 if not, and the deadline (Unix ms; 0 if
// none). Numbers have 64 bits, big-endian. The key id tells which secret of a ring it was, and
// nothing else about it.
//
// The nonce is random; or, where equal values are to look equal, the first 96 bits of
// HMAC-SHA256(n, place and value), with n = HMAC-SHA256(derive_key(secret, "websession encrypted
// value v2 nonce"), store key): a synthetic one, as in RFC 5297 and RFC 8452.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "websession/fields.hpp"
#include "websession/key_ring.hpp"
#include "websession/session_id.hpp"

namespace websession::internal {

inline constexpr std::string_view sealed_prefix = "enc2.";
inline constexpr std::size_t key_id_length = 8;
inline constexpr std::size_t nonce_bytes = 12;
inline constexpr std::size_t tag_bytes = 16;

// How many bytes a value of `value_bytes` takes when it is sealed.
constexpr std::size_t sealed_bytes(std::size_t value_bytes) noexcept {
  return sealed_prefix.size() + key_id_length + 1 +
         ((nonce_bytes + value_bytes + tag_bytes) * 4 + 2) / 3;
}

// What a key ring's secrets become for sealing, the newest first. Wiped from memory when it ends.
// Const members are safe to call from many threads at once.
class SealingKeys {
 public:
  struct Key {
    std::string id;
    std::string bytes;
    std::string for_nonces;
  };

  // Precondition: the ring is not empty.
  explicit SealingKeys(const KeyRing& ring);
  SealingKeys(const SealingKeys&) = delete;
  SealingKeys& operator=(const SealingKeys&) = delete;
  ~SealingKeys();

  [[nodiscard]] const std::vector<Key>& newest_first() const noexcept { return keys_; }

 private:
  std::vector<Key> keys_;
};

// Seals and opens the fields of one session. A sealed text belongs to this session, the field's
// name and its deadline. Not to be shared between threads; it costs little until it is used. Throws
// std::runtime_error if OpenSSL is broken or out of memory.
class SessionCipher {
 public:
  // The keys must outlive it.
  SessionCipher(const SealingKeys& keys, const StoreKey& session);
  SessionCipher(const SessionCipher&) = delete;
  SessionCipher& operator=(const SessionCipher&) = delete;
  ~SessionCipher();

  // The field's value, sealed with the newest key. Each call gives another text. Errors:
  // no_randomness, too_large (1 GiB).
  Result<std::string> seal(const Field& field);

  // The same with a nonce that the field determines: each call gives the same text, so that a store
  // can compare it. Only for values of which it may be seen whether the field held them before.
  Result<std::string> seal_alike(const Field& field);
  // What seal_alike gives with each key, the newest first.
  Result<std::vector<std::string>> seal_alike_with_each(const Field& field);

  // The value of a field that holds a sealed text, with whichever key that was sealed. Error:
  // corrupt, for all that was not sealed for this session, name and deadline.
  Result<std::string> open(const Field& field);

 private:
  class Gcm;

  Gcm& sealing(std::size_t key);
  Gcm& opening(std::size_t key);
  [[nodiscard]] std::string place_of(const Field& field) const;
  std::string seal_with(std::size_t key, const Field& field, std::string_view place,
                        std::string_view nonce);
  std::string seal_alike_with(std::size_t key, const Field& field);

  const SealingKeys& keys_;
  const std::string session_;  // the store key's text, as secret as an id
  // One for each key and direction, made when it is first needed.
  std::vector<std::unique_ptr<Gcm>> sealing_;
  std::vector<std::unique_ptr<Gcm>> opening_;
};

}  // namespace websession::internal
