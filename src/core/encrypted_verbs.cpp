#include "encrypted_verbs.hpp"

#include <algorithm>
#include <utility>

#include "invalid.hpp"
#include "kept_keys.hpp"
#include "random_bytes.hpp"

namespace websession::internal {
namespace {

using std::chrono::milliseconds;

// Who wants to write while others do draws a pause of up to so much, twice as much each time.
constexpr std::chrono::microseconds first_pause(500);
constexpr std::chrono::microseconds longest_pause(20'000);
// For a clock that stands still.
constexpr int tries_max = 1000;

// Up to twice as long each time, with jitter, so that two who meet do not meet again.
std::chrono::microseconds pause_before_try(int tries) {
  const auto longest = std::min(longest_pause, first_pause * (1 << std::min(tries - 1, 16)));
  unsigned char random = 255;
  static_cast<void>(fill_random({&random, 1}));  // without one: the longest
  return longest / 2 + longest * random / 512;
}

}  // namespace

EncryptedVerbs::EncryptedVerbs(EncryptionOptions options)
    : encryption_(options.keys, std::move(options.countable)),
      retry_for_(options.retry_for),
      clock_(options.clock ? std::move(options.clock) : system_clock()) {}

Result<std::shared_ptr<const EncryptedVerbs>> EncryptedVerbs::make(EncryptionOptions options) {
  if (options.keys.empty()) return invalid("keys: at least one secret is needed");
  for (const std::string& name : options.countable) {
    if (name.empty()) return invalid("countable: an attribute needs a name");
    if (name.starts_with('@')) {
      return invalid("countable: names that start with '@' are the library's own");
    }
  }
  if (options.retry_for < milliseconds(0) || options.retry_for > std::chrono::minutes(1)) {
    return invalid("retry_for: must be 0 to 1 minute");
  }
  return std::shared_ptr<const EncryptedVerbs>(new EncryptedVerbs(std::move(options)));
}

// An answer of the inner store to changes on condition of what was read before.
EncryptedVerbs::Attempt EncryptedVerbs::unless_conflict(Result<Outcome> outcome) {
  if (!outcome) return std::move(outcome).error();
  if (outcome->status == Outcome::Status::conflict) return std::optional<Outcome>();
  return std::optional<Outcome>(*std::move(outcome));
}

template <class Try>
Task<Result<Outcome>> EncryptedVerbs::settle(StoreFlow& flow, const Try& attempt) const {
  const SteadyTime until = clock_->steady() + retry_for_;
  for (int tries = 1;; ++tries) {
    auto once = attempt();
    Attempt made = co_await once;
    if (!made.has_value()) co_return std::move(made).error();
    if (*made) co_return **std::move(made);
    if (tries == tries_max || clock_->steady() >= until) break;
    auto pause = flow.pause(pause_before_try(tries));
    const Result<void>& paused = co_await pause;
    if (!paused) co_return paused.error();
  }
  co_return make_error(
      Errc::overloaded,
      "others kept changing the session (EncryptionOptions::retry_for); nothing was written");
}

Task<EncryptedVerbs::Attempt> EncryptedVerbs::try_update(StoreFlow& flow, const StoreKey& key,
                                                         SessionCipher& cipher,
                                                         const Changes& changes,
                                                         const Changes& sealed,
                                                         Lifetime lifetime) const {
  auto load = flow.load(key);
  const Result<std::optional<Record>>& record = co_await load;
  if (!record.has_value()) co_return record.error();
  if (!*record || (*record)->frozen) co_return std::optional(Outcome{Outcome::Status::gone});
  const auto guarded = encryption_.guarded(cipher, (*record)->fields, changes, sealed);
  if (!guarded) co_return guarded.error();
  if (guarded->conflict) co_return guarded->conflict;
  auto update = flow.update(key, guarded->changes, lifetime);
  co_return unless_conflict(std::move(co_await update));
}

Task<EncryptedVerbs::Attempt> EncryptedVerbs::try_rekey(StoreFlow& flow, const StoreKey& from,
                                                        const StoreKey& to, const Changes& changes,
                                                        const Changes& sealed, Lifetime lifetime,
                                                        Grace grace) const {
  auto load = flow.load(from);
  const Result<std::optional<Record>>& record = co_await load;
  if (!record.has_value()) co_return record.error();
  if (!*record || (*record)->frozen) {
    // Gone, unless this rekey was made before. The inner store knows, and writes nothing in either
    // case; nor in a third one, since no session is made of what is expected here.
    Changes nothing;
    nothing.increment = changes.increment;
    nothing.expect.push_back({std::string(created_field), {""}});
    auto repeat = flow.rekey(from, to, nothing, lifetime, grace);
    co_return unless_conflict(std::move(co_await repeat));
  }
  SessionCipher from_cipher(encryption_.keys(), from);
  SessionCipher to_cipher(encryption_.keys(), to);
  const auto guarded =
      encryption_.guarded_rekey(from_cipher, to_cipher, (*record)->fields, changes, sealed);
  if (!guarded) co_return guarded.error();
  if (guarded->conflict) co_return guarded->conflict;
  auto rekey = flow.rekey(from, to, guarded->changes, lifetime, grace);
  co_return unless_conflict(std::move(co_await rekey));
}

Task<Result<std::optional<Record>>> EncryptedVerbs::load(StoreFlow& flow,
                                                         const StoreKey& key) const {
  auto load = flow.load(key);
  Result<std::optional<Record>>& record = co_await load;
  const bool is_plain =
      !record.has_value() || !*record || (*record)->is_over() || is_count_key(key);
  if (is_plain) co_return std::move(record);
  SessionCipher cipher(encryption_.keys(), key);
  Result<Fields> fields = encryption_.opened(cipher, (*record)->fields);
  if (!fields) co_return std::move(fields).error();
  (*record)->fields = *std::move(fields);
  co_return std::move(record);
}

Task<Result<void>> EncryptedVerbs::create(StoreFlow& flow, const StoreKey& key,
                                          const Fields& fields, Lifetime lifetime) const {
  if (auto valid = encryption_.check(fields, lifetime); !valid) co_return valid;
  if (is_count_key(key)) {
    auto create = flow.create(key, fields, lifetime);
    co_return std::move(co_await create);
  }
  SessionCipher cipher(encryption_.keys(), key);
  const Result<Fields> sealed = encryption_.sealed(cipher, fields);
  if (!sealed) co_return sealed.error();
  auto create = flow.create(key, *sealed, lifetime);
  co_return std::move(co_await create);
}

Task<Result<Outcome>> EncryptedVerbs::update(StoreFlow& flow, const StoreKey& key,
                                             const Changes& changes, Lifetime lifetime) const {
  if (is_count_key(key)) {
    auto update = flow.update(key, changes, lifetime);
    co_return std::move(co_await update);
  }
  if (auto valid = encryption_.check(changes, lifetime); !valid) co_return std::move(valid).error();
  SessionCipher cipher(encryption_.keys(), key);
  const Result<Changes> sealed = encryption_.sealed(cipher, changes);
  if (!sealed) co_return sealed.error();
  if (encryption_.is_complete(changes)) {
    auto update = flow.update(key, *sealed, lifetime);
    co_return std::move(co_await update);
  }
  const Result<std::optional<Changes>> foretold = encryption_.foretold(cipher, changes, *sealed);
  if (!foretold.has_value()) co_return foretold.error();
  if (*foretold) {
    auto update = flow.update(key, **foretold, lifetime);
    Result<Outcome>& outcome = co_await update;
    const bool conflict = outcome && outcome->status == Outcome::Status::conflict;
    if (!conflict) co_return std::move(outcome);
    // What is there instead can only be told by reading it.
  }
  const auto attempt = [&] { return try_update(flow, key, cipher, changes, *sealed, lifetime); };
  auto tries = settle(flow, attempt);
  co_return co_await tries;
}

Task<Result<Outcome>> EncryptedVerbs::rekey(StoreFlow& flow, const StoreKey& from,
                                            const StoreKey& to, const Changes& changes,
                                            Lifetime lifetime, Grace grace) const {
  if (auto valid = encryption_.check(changes, lifetime); !valid) co_return std::move(valid).error();
  SessionCipher cipher(encryption_.keys(), to);
  const Result<Changes> sealed = encryption_.sealed(cipher, changes);
  if (!sealed) co_return sealed.error();
  const auto attempt = [&] { return try_rekey(flow, from, to, changes, *sealed, lifetime, grace); };
  auto tries = settle(flow, attempt);
  co_return co_await tries;
}

}  // namespace websession::internal
