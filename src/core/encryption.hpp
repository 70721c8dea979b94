// What EncryptedStore makes of records and changes, and of what comes back. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sealed_value.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// A cipher is that of the session which the fields are, or are to be, of. `sealed` are always the
// same changes as the inner store gets them.
//
// Immutable, so safe to call from many threads at once.
class Encryption {
 public:
  // Precondition: the options were checked.
  Encryption(const KeyRing& keys, std::vector<std::string> countable);

  [[nodiscard]] const SealingKeys& keys() const noexcept { return keys_; }

  // What can be refused before anything is sent.
  [[nodiscard]] Result<void> check(const Fields& fields, Lifetime lifetime) const;
  [[nodiscard]] Result<void> check(const Changes& changes, Lifetime lifetime) const;

  // Precondition: the fields of a new session, none of them the store's own.
  [[nodiscard]] Result<Fields> sealed(SessionCipher& cipher, const Fields& plain) const;
  // Error: corrupt, also when `@created` or `@user` is not what was written with the rest.
  [[nodiscard]] Result<Fields> opened(SessionCipher& cipher, const Fields& stored) const;

  // The changes as the inner store gets them, without what is expected of sealed fields, and
  // without an identity that depends on what is stored.
  [[nodiscard]] Result<Changes> sealed(SessionCipher& cipher, const Changes& changes) const;
  // Whether that is all there is to it.
  [[nodiscard]] bool is_complete(const Changes& changes) const;
  // The changes with all that is expected, if that can be told without reading what is stored. A
  // conflict may then also mean that a field has another deadline than was guessed.
  [[nodiscard]] Result<std::optional<Changes>> foretold(SessionCipher& cipher,
                                                        const Changes& changes,
                                                        const Changes& sealed) const;

  // What comes of the changes by what is stored: a conflict; or, on condition that it still is
  // stored, these.
  struct Guarded {
    std::optional<Outcome> conflict{};
    Changes changes{};
  };
  [[nodiscard]] Result<Guarded> guarded(SessionCipher& cipher, const Fields& stored,
                                        const Changes& changes, const Changes& sealed) const;
  // The same for a rekey, which takes all that is stored along, sealed for the new key.
  [[nodiscard]] Result<Guarded> guarded_rekey(SessionCipher& from, SessionCipher& to,
                                              const Fields& stored, const Changes& changes,
                                              const Changes& sealed) const;

 private:
  [[nodiscard]] bool is_sealed(std::string_view name) const;
  [[nodiscard]] Result<std::string> sealed(SessionCipher& cipher, const Field& field) const;
  [[nodiscard]] Result<void> check_identity(SessionCipher& cipher, const Fields& stored) const;
  [[nodiscard]] Result<std::optional<Outcome>> conflict(SessionCipher& cipher, const Fields& stored,
                                                        const Changes& changes) const;
  [[nodiscard]] Result<void> add_identity(SessionCipher& cipher, const Fields& stored,
                                          const Changes& changes, Changes& guarded) const;
  [[nodiscard]] Result<void> carry_over(SessionCipher& from, SessionCipher& to,
                                        const Fields& stored, const Changes& changes,
                                        Changes& guarded) const;

  const SealingKeys keys_;
  std::vector<std::string> countable_;  // in order
};

}  // namespace websession::internal
