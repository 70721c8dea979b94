// Encryption at rest: a store that keeps its sessions in another one, with their values encrypted.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/key_ring.hpp"
#include "websession/session_store.hpp"
#include "websession/store_decorator.hpp"

WEBSESSION_API_BEGIN
namespace websession {

namespace internal {
class EncryptedVerbs;
}

// What EncryptedStore::make needs to know.
struct EncryptionOptions {
  // The first secret encrypts, all of them decrypt.
  KeyRing keys{};
  // Attributes that are kept in clear, so that the store can count them (`increment`). Decide on
  // them before the first session is stored: a value that was encrypted before its attribute came
  // to stand here reads as its ciphertext, one that was in clear before it was taken away is
  // `corrupt`.
  std::vector<std::string> countable{};
  // What takes a load and a write (see "Comparing" below) is tried again while others change the
  // session meanwhile, after pauses that grow to 20 ms, but not after this time; 0 to 1 minute.
  std::chrono::milliseconds retry_for = std::chrono::milliseconds(500);
  // For that time. None: system_clock().
  std::shared_ptr<const Clock> clock{};
};

// Whoever reads a dump, a backup or the memory of the store that is wrapped learns no value, and
// whoever writes there gains nobody else's rights.
//
//   auto redis = RedisStore::connect(url).value();
//   auto keys = KeyRing::make({secret}).value();
//   auto store = EncryptedStore::make(redis, {.keys = keys, .countable = {"visits"}}).value();
//
// What is encrypted: the value of each attribute, and what the library keeps in a session (labels,
// CSRF secrets, one-time codes, flash messages), with AES-256-GCM. A ciphertext belongs to one
// session (the store's key for it), one field and its deadline. One that was altered, cut short,
// moved to another session or field, given another deadline, or sealed with a secret that is not in
// the ring is `corrupt`, and so is plain text: `load` then gives that error, and never a value.
//
// What stays in clear: the keys (so hash the ids, too, where they must not be read), the names of
// fields, how long values are, deadlines and times to live, the principal (`@user`), when the
// session was created (`@created`), the attributes named in `countable`, and the counts of a
// CodeLimit (one_time_code.hpp), whose keys begin with "3:". The principal and the
// creation are authenticated by a sealed copy: altered, moved to another session or taken away they
// are `corrupt`. So nobody who can only write to the store becomes another principal, or makes a
// session or an attribute outlive what was written.
//
// What whoever can write to the store can still do: end sessions, and freeze them; take attributes
// away; alter the attributes in `countable` and the counts; bring back what this very session held
// before, one field (a role that was withdrawn, the attempts that a one-time code had left) or the
// whole record, after a sign-out, too, until the absolute timeout that counts from `@created`; and
// keep a session from going idle until then, since its time to live is the store's. The last two
// are worth something only to who has the session's id.
//
// Of an attribute nobody can see whether it holds the same value again. Of what the library keeps
// that can be seen.
//
// Counting: `increment` works for the attributes in `countable`; for others it is invalid_argument,
// and nothing is sent. (On a session that is not stored yet Session::increment counts by itself, so
// the error comes with the second request.)
//
// Comparing: `expect` compares plain values, and Outcome::found is one. For an attribute that is
// expected to hold a value the update takes two round trips at least (a load, and the update on
// condition that the ciphertexts are still those), as do a conflict and an update that changes only
// one of `@user` and `@created`. `rekey` encrypts all values anew for the new key, so it takes two
// as well, and carries the whole session. Either is still one atomic step, which a change that
// comes between makes it repeat; `overloaded` when that has not come to an end within `retry_for`:
// then nothing was written. It returns by `retry_for`, a pause of 20 ms and three operation
// timeouts of the inner store. All else costs no round trip more than without encryption.
//
// Rotating: add the new secret at the end of the ring on all servers, so that all can read what it
// encrypts; then move it to the front on all. What is written from then on, and every session that
// is regenerated, is sealed with it. Take the old one away when the absolute timeout has passed.
// (The eight characters after `enc2.` tell which secret sealed a value.)
//
// Limits: a value of n bytes takes 14 + ⌈4 (n + 28) / 3⌉ in the store: 52 bytes, and a third more.
// The seal of the principal takes 88 bytes and four thirds of the principal's.
// SessionOptions::session_bytes_max counts plain bytes. A session that fills its 64 KiB with 256
// attributes takes 99 KiB, so RedisOptions::record_bytes_max has room for it; MemoryOptions counts
// what is stored. In Redis, see hash-max-listpack-value in docs/operations.md. Each session is
// encrypted with a key of its own, derived from the secret and its store key, so the bound on
// random nonces (NIST SP 800-38D, 8.3: 2^32 values for each key) is one for the writes of one
// session.
//
// Encryption cannot be turned on for sessions that are already stored, since their plain values are
// `corrupt`: give it a prefix of its own (RedisOptions::prefix), and visitors start anew. The inner
// store must not be written past this one. It uses two fields of its own, `@sealed` and
// `@sealed.identity`, which are not shown.
//
// No state but the keys, which are wiped at the end. All members are safe to call from many threads
// at once.
class EncryptedStore final : public StoreDecorator {
 public:
  // Errors: invalid_argument (no store, no keys, a bad option).
  static Result<std::shared_ptr<EncryptedStore>> make(std::shared_ptr<SessionStore> inner,
                                                      EncryptionOptions options);
  ~EncryptedStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;

 private:
  EncryptedStore(std::shared_ptr<SessionStore> inner,
                 std::shared_ptr<const internal::EncryptedVerbs> verbs) noexcept;
  std::shared_ptr<const internal::EncryptedVerbs> verbs_;
};

}  // namespace websession
WEBSESSION_API_END
