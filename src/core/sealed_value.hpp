// The form that an encrypted value has in a store, its sealing and its opening. No I/O.
//
//   enc1.<key id>.<nonce, ciphertext and tag>
//
// The last part is base64url without padding. The cipher is AES-256-GCM (NIST SP 800-38D) with a
// random nonce of 96 bits and a tag of 128. The key is one of the session's own:
// HMAC-SHA256(derive_key(secret, "websession encrypted value v1"), store key). The associated data
// are the length of the store key's text (64 bits, big-endian), that text, and the attribute's
// name. The key id tells which secret of a ring it was, and nothing else about it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "websession/key_ring.hpp"
#include "websession/session_id.hpp"

namespace websession::internal {

inline constexpr std::string_view sealed_prefix = "enc1.";
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

// Seals and opens the values of one session. Not to be shared between threads; it costs little
// until it is used. Throws std::runtime_error if OpenSSL is broken or out of memory.
class SessionCipher {
 public:
  // The keys must outlive it.
  SessionCipher(const SealingKeys& keys, const StoreKey& session);
  SessionCipher(const SessionCipher&) = delete;
  SessionCipher& operator=(const SessionCipher&) = delete;
  ~SessionCipher();

  // With the newest key. Each call gives another text. Errors: no_randomness, too_large (1 GiB).
  Result<std::string> seal(std::string_view attribute, std::string_view value);

  // With whichever key it was sealed. Error: corrupt, for all that seal() did not make of a value
  // of this session and attribute.
  Result<std::string> open(std::string_view attribute, std::string_view text);

 private:
  class Gcm;

  const SealingKeys& keys_;
  const std::string session_;                  // the store key's text, as secret as an id
  std::unique_ptr<Gcm> sealing_;               // made when it is first needed, as are these:
  std::vector<std::unique_ptr<Gcm>> opening_;  // one for each key
};

}  // namespace websession::internal
