// The verbs of an EncryptedStore, step by step, on the inner store that the flow asks.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "encryption.hpp"
#include "store_flow.hpp"
#include "websession/clock.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// Each does what that of an EncryptedStore does. Immutable, so safe to share between threads.
class EncryptedVerbs {
 public:
  // Error: invalid_argument.
  static Result<std::shared_ptr<const EncryptedVerbs>> make(EncryptionOptions options);

  Task<Result<std::optional<Record>>> load(StoreFlow& flow, const StoreKey& key) const;
  Task<Result<void>> create(StoreFlow& flow, const StoreKey& key, const Fields& fields,
                            Lifetime lifetime) const;
  Task<Result<Outcome>> update(StoreFlow& flow, const StoreKey& key, const Changes& changes,
                               Lifetime lifetime) const;
  Task<Result<Outcome>> rekey(StoreFlow& flow, const StoreKey& from, const StoreKey& to,
                              const Changes& changes, Lifetime lifetime, Grace grace) const;

 private:
  // What one try of a verb gives. None: others have changed what it had read.
  using Attempt = Result<std::optional<Outcome>>;

  explicit EncryptedVerbs(EncryptionOptions options);

  static Attempt unless_conflict(Result<Outcome> outcome);
  Task<Attempt> try_update(StoreFlow& flow, const StoreKey& key, SessionCipher& cipher,
                           const Changes& changes, const Changes& sealed, Lifetime lifetime) const;
  Task<Attempt> try_rekey(StoreFlow& flow, const StoreKey& from, const StoreKey& to,
                          const Changes& changes, const Changes& sealed, Lifetime lifetime,
                          Grace grace) const;
  // `attempt()` gives a Task<Attempt>.
  template <class Try>
  Task<Result<Outcome>> settle(StoreFlow& flow, const Try& attempt) const;

  const Encryption encryption_;
  const std::chrono::milliseconds retry_for_;
  const std::shared_ptr<const Clock> clock_;
};

}  // namespace websession::internal
