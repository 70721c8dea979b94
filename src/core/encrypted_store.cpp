#include "websession/encrypted_store.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include "base64.hpp"
#include "changed_fields.hpp"
#include "count_key.hpp"
#include "invalid.hpp"
#include "random_bytes.hpp"
#include "sealed_value.hpp"

namespace websession {
namespace {

using internal::SessionCipher;
using std::chrono::milliseconds;

// The store's own fields: all names that begin so.
constexpr std::string_view own_prefix = "@sealed";
// Gets a new random text with each update that sets a sealed field. A rekey has to know: it expects
// the ciphertexts that it has read, but cannot name a field that came after that.
constexpr std::string_view mark_field = "@sealed";
constexpr std::size_t mark_bytes = 8;
// A sealed copy of `@created` and `@user`, which themselves stay in clear. Written with them.
constexpr std::string_view identity_field = "@sealed.identity";

// Who wants to write while others do draws a pause of up to so much, twice as much each time.
constexpr std::chrono::microseconds first_pause(500);
constexpr std::chrono::microseconds longest_pause(20'000);
// For a clock that stands still.
constexpr int tries_max = 1000;

// What one try of a verb gives. None: others have changed what it had read.
using Attempt = Result<std::optional<Outcome>>;

using internal::find_set;
using internal::invalid;
using internal::removes;
using internal::replaces;

Error own_error() {
  return invalid("fields whose names begin with \"@sealed\" are the store's own");
}

bool is_own(std::string_view name) { return name.starts_with(own_prefix); }

bool is_identity(std::string_view name) { return name == created_field || name == user_field; }

// Library fields hold random texts of their own, or such that it may be seen whether they were
// there before. So they are sealed alike, and can be compared without being read first
// (docs/decisions.md#encryption).
bool is_sealed_alike(std::string_view name) { return name.starts_with('@'); }

Attempt final_outcome(Outcome outcome) { return std::optional<Outcome>(std::move(outcome)); }

// An answer of the inner store to changes on condition of what was read before.
Attempt unless_conflict(Result<Outcome> outcome) {
  if (!outcome) return std::move(outcome).error();
  if (outcome->status == Outcome::Status::conflict) return std::optional<Outcome>();
  return final_outcome(*std::move(outcome));
}

Changes::Expect expect_as_read(std::string_view name, const Fields& read) {
  Changes::Expect expect{std::string(name), {}};
  if (const auto text = read.find(name)) expect.any_of.emplace_back(*text);
  return expect;
}

// What the changes make of `@created` and `@user`, in one text. None: that depends on what is
// stored.
std::optional<std::string> identity_after(const Changes& changes, const Fields* stored) {
  std::string text;
  for (const std::string_view name : {created_field, user_field}) {
    std::optional<std::string_view> value;
    if (const Changes::Set* set = find_set(changes, name)) {
      value = set->value;
    } else if (!removes(changes, name)) {
      if (stored == nullptr) return std::nullopt;
      value = stored->find(name);
    }
    // The first one is a number, so nothing else makes the same text.
    text.append(value ? ":" : "-").append(value.value_or(""));
  }
  return text;
}

bool identity_needs_reading(const Changes& changes) {
  // (Cleared along with the rest, the sealed copy has to be written again.)
  const bool changed =
      replaces(changes, created_field) || replaces(changes, user_field) || changes.clear_reserved;
  return changed && !identity_after(changes, nullptr);
}

// Up to twice as long each time, with jitter, so that two who meet do not meet again.
void pause_before_try(int tries) {
  const auto longest = std::min(longest_pause, first_pause * (1 << std::min(tries - 1, 16)));
  unsigned char random = 255;
  static_cast<void>(internal::fill_random({&random, 1}));  // without one: the longest
  std::this_thread::sleep_for(longest / 2 + longest * random / 512);
}

// The bound for sealed values, which are longer, so that whatever fits in plain fits.
void bound_sealed(Changes& changes) {
  if (changes.bytes_max == 0) return;
  changes.bytes_max = internal::sealed_bytes(changes.bytes_max);
  changes.bytes_spare += internal::sealed_bytes(0) + 1;
}

}  // namespace

struct EncryptedStore::Impl {
  Impl(SessionStore& the_inner, EncryptionOptions options)
      : inner(the_inner),
        keys(options.keys),
        countable(std::move(options.countable)),
        retry_for(options.retry_for),
        clock(options.clock ? std::move(options.clock) : system_clock()) {
    std::sort(countable.begin(), countable.end());
  }

  // The one place that says which fields are sealed: all but these, so that what the library comes
  // to keep in a session later is sealed, too. Stores need the two in clear, for their index.
  [[nodiscard]] bool is_sealed(std::string_view name) const {
    return !is_identity(name) && !is_own(name) &&
           !std::binary_search(countable.begin(), countable.end(), name);
  }
  [[nodiscard]] bool expects_sealed(const Changes& changes) const {
    return std::any_of(changes.expect.begin(), changes.expect.end(),
                       [this](const Changes::Expect& expect) { return is_sealed(expect.name); });
  }

  Result<void> check(const Changes& changes, Lifetime lifetime) const;
  Result<std::string> sealed(SessionCipher& cipher, const Field& field) const;
  Result<Fields> sealed(SessionCipher& cipher, const Fields& plain) const;
  Result<void> check_identity(SessionCipher& cipher, const Fields& stored) const;
  Result<Fields> opened(SessionCipher& cipher, const Fields& stored) const;
  Result<Changes> sealed(SessionCipher& cipher, const Changes& changes) const;
  Result<std::optional<Changes>> foretold(SessionCipher& cipher, const Changes& changes,
                                          const Changes& sealed) const;
  Attempt conflict(SessionCipher& cipher, const Fields& stored, const Changes& changes) const;

  template <class Try>
  Result<Outcome> settle(const Try& attempt) const;
  Attempt try_update(const StoreKey& key, SessionCipher& cipher, const Changes& changes,
                     const Changes& sealed, Lifetime lifetime) const;
  Attempt try_rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                    const Changes& sealed, Lifetime lifetime, Grace grace) const;
  Result<void> add_identity(SessionCipher& cipher, const Fields& stored, const Changes& changes,
                            Changes& guarded) const;
  Result<void> carry_over(SessionCipher& from, SessionCipher& to, const Fields& stored,
                          const Changes& changes, Changes& guarded) const;

  SessionStore& inner;
  const internal::SealingKeys keys;
  std::vector<std::string> countable;  // in order
  const milliseconds retry_for;
  const std::shared_ptr<const Clock> clock;
};

// What can be refused before anything is sent.
Result<void> EncryptedStore::Impl::check(const Changes& changes, Lifetime lifetime) const {
  if (auto valid = validate(changes, lifetime); !valid) return valid;
  const auto names_own = [](const auto& field) { return is_own(field.name); };
  if (std::any_of(changes.set.begin(), changes.set.end(), names_own) ||
      std::any_of(changes.expect.begin(), changes.expect.end(), names_own) ||
      std::any_of(changes.remove.begin(), changes.remove.end(), is_own)) {
    return own_error();
  }
  const bool countable_only = std::none_of(
      changes.increment.begin(), changes.increment.end(),
      [this](const Changes::Increment& increment) { return is_sealed(increment.name); });
  if (!countable_only) {
    return invalid(
        "an encrypted attribute cannot be counted: name it in "
        "EncryptionOptions::countable, which keeps it in clear");
  }
  return {};
}

Result<std::string> EncryptedStore::Impl::sealed(SessionCipher& cipher, const Field& field) const {
  return is_sealed_alike(field.name) ? cipher.seal_alike(field) : cipher.seal(field);
}

// Precondition: the fields of a new session, none of them the store's own.
Result<Fields> EncryptedStore::Impl::sealed(SessionCipher& cipher, const Fields& plain) const {
  std::vector<std::string> texts;  // the fields point into it
  texts.reserve(plain.size() + 1);
  std::vector<Field> fields;
  fields.reserve(plain.size() + 1);
  for (Field field : plain) {
    if (is_sealed(field.name)) {
      Result<std::string> text = sealed(cipher, field);
      if (!text) return std::move(text).error();
      field.value = texts.emplace_back(*std::move(text));
    }
    fields.push_back(field);
  }
  const std::string identity = identity_after({}, &plain).value();
  Result<std::string> text = cipher.seal_alike({identity_field, identity});
  if (!text) return std::move(text).error();
  fields.push_back({identity_field, texts.emplace_back(*std::move(text))});
  return Fields(fields);
}

// Error: corrupt, unless `@created` and `@user` are what was written with them.
Result<void> EncryptedStore::Impl::check_identity(SessionCipher& cipher,
                                                  const Fields& stored) const {
  const std::optional<Field> copy = stored.find_field(identity_field);
  const Result<std::string> identity =
      cipher.open(copy.value_or(Field{identity_field, std::string_view()}));
  if (identity && *identity == identity_after({}, &stored)) return {};
  return make_error(Errc::corrupt,
                    "whose session it is, or when it was created, was altered in the store, or was "
                    "sealed with a secret that is not in EncryptionOptions::keys");
}

Result<Fields> EncryptedStore::Impl::opened(SessionCipher& cipher, const Fields& stored) const {
  if (auto genuine = check_identity(cipher, stored); !genuine) return std::move(genuine).error();
  std::vector<std::string> values;  // the fields point into it
  values.reserve(stored.size());
  std::vector<Field> fields;
  fields.reserve(stored.size());
  for (Field field : stored) {
    if (is_own(field.name)) continue;
    if (is_sealed(field.name)) {
      Result<std::string> value = cipher.open(field);
      if (!value) return std::move(value).error();
      field.value = values.emplace_back(*std::move(value));
    }
    fields.push_back(field);
  }
  return Fields::of_sorted(fields);
}

// The changes as the inner store gets them, without what is expected of sealed fields, and without
// an identity that depends on what is stored.
Result<Changes> EncryptedStore::Impl::sealed(SessionCipher& cipher, const Changes& changes) const {
  Changes sealed = changes;
  bound_sealed(sealed);
  std::erase_if(sealed.expect,
                [this](const Changes::Expect& expect) { return is_sealed(expect.name); });
  bool any = false;
  bool has_mark = false;  // by what is known: whoever has set a sealed attribute has set the mark
  for (Changes::Set& set : sealed.set) {
    if (!is_sealed(set.name)) continue;
    Result<std::string> text = this->sealed(cipher, Field{set.name, set.value, set.deadline});
    if (!text) return std::move(text).error();
    set.value = *std::move(text);
    any = true;
    has_mark = has_mark || set.replaces;
  }
  if (const auto identity = identity_after(changes, nullptr)) {
    Result<std::string> text = cipher.seal_alike({identity_field, *identity});
    if (!text) return std::move(text).error();
    sealed.set.push_back({std::string(identity_field), *std::move(text)});
  }
  if (!any) return sealed;
  Result<std::string> mark = internal::random_string(mark_bytes);
  if (!mark) {
    return make_error(Errc::no_randomness,
                      "OpenSSL's random generator failed; nothing was written");
  }
  const std::string text = internal::encode_base64(*mark);
  sealed.set.push_back({std::string(mark_field), text, std::nullopt, has_mark});
  return sealed;
}

// The changes with all that is expected, if that can be told without reading what is stored. A
// conflict may then also mean that a field has another deadline than was guessed.
Result<std::optional<Changes>> EncryptedStore::Impl::foretold(SessionCipher& cipher,
                                                              const Changes& changes,
                                                              const Changes& sealed) const {
  if (identity_needs_reading(changes)) return std::optional<Changes>();
  Changes foretold = sealed;
  for (const Changes::Expect& expect : changes.expect) {
    if (!is_sealed(expect.name)) continue;
    if (!expect.any_of.empty() && !is_sealed_alike(expect.name)) return std::optional<Changes>();
    Changes::Expect& told = foretold.expect.emplace_back(Changes::Expect{expect.name, {}});
    // One that is replaced mostly keeps its deadline.
    const Changes::Set* const set = find_set(changes, expect.name);
    for (const std::string& text : expect.any_of) {
      const Field field{expect.name, text, set != nullptr ? set->deadline : std::nullopt};
      Result<std::vector<std::string>> texts = cipher.seal_alike_with_each(field);
      if (!texts) return std::move(texts).error();
      std::move(texts->begin(), texts->end(), std::back_inserter(told.any_of));
    }
  }
  return std::optional<Changes>(std::move(foretold));
}

// The conflict, if what was read is not what the changes expect in plain. None: it is.
Attempt EncryptedStore::Impl::conflict(SessionCipher& cipher, const Fields& stored,
                                       const Changes& changes) const {
  std::vector<std::string> values;  // the fields point into it
  values.reserve(changes.expect.size());
  std::vector<Field> expected;
  for (const Changes::Expect& expect : changes.expect) {
    const std::optional<Field> field = stored.find_field(expect.name);
    if (!field) continue;
    if (!is_sealed(expect.name)) {
      expected.push_back({expect.name, field->value});
      continue;
    }
    Result<std::string> value = cipher.open(*field);
    if (!value) return std::move(value).error();
    expected.push_back({expect.name, values.emplace_back(*std::move(value))});
  }
  Changes expectations;
  expectations.expect = changes.expect;
  Result<Applied> applied = apply(Fields(expected), expectations, {});
  if (!applied) return std::move(applied).error();
  if (applied->outcome.status != Outcome::Status::conflict) return std::optional<Outcome>();
  return final_outcome(std::move(applied->outcome));
}

template <class Try>
Result<Outcome> EncryptedStore::Impl::settle(const Try& attempt) const {
  const SteadyTime until = clock->steady() + retry_for;
  for (int tries = 1;; ++tries) {
    Attempt made = attempt();
    if (!made.has_value()) return std::move(made).error();
    if (*made) return **std::move(made);
    if (tries == tries_max || clock->steady() >= until) break;
    pause_before_try(tries);
  }
  return make_error(Errc::overloaded,
                    "others kept changing the session (EncryptionOptions::retry_for); nothing was "
                    "written");
}

// `sealed`: the same changes, as the inner store gets them.
Attempt EncryptedStore::Impl::try_update(const StoreKey& key, SessionCipher& cipher,
                                         const Changes& changes, const Changes& sealed,
                                         Lifetime lifetime) const {
  const Result<std::optional<Record>> record = inner.load(key);
  if (!record.has_value()) return record.error();
  if (!*record || (*record)->frozen) return final_outcome({Outcome::Status::gone});
  const Fields& stored = (*record)->fields;
  if (auto genuine = check_identity(cipher, stored); !genuine) return std::move(genuine).error();
  if (Attempt found = conflict(cipher, stored, changes); !found.has_value() || *found) return found;

  Changes guarded = sealed;
  for (const Changes::Expect& expect : changes.expect) {
    if (is_sealed(expect.name)) guarded.expect.push_back(expect_as_read(expect.name, stored));
  }
  if (identity_needs_reading(changes)) {
    if (auto added = add_identity(cipher, stored, changes, guarded); !added) return added.error();
  }
  return unless_conflict(inner.update(key, guarded, lifetime));
}

// Adds the identity that the changes make of what was read, on condition that it still is that.
Result<void> EncryptedStore::Impl::add_identity(SessionCipher& cipher, const Fields& stored,
                                                const Changes& changes, Changes& guarded) const {
  const std::string identity = identity_after(changes, &stored).value();
  Result<std::string> text = cipher.seal_alike({identity_field, identity});
  if (!text) return std::move(text).error();
  guarded.set.push_back({std::string(identity_field), *std::move(text)});
  for (const std::string_view name : {created_field, user_field}) {
    guarded.expect.push_back(expect_as_read(name, stored));
  }
  return {};
}

// Adds what is stored to the changes of a rekey, sealed for the new key, on condition that it is
// still all there is.
Result<void> EncryptedStore::Impl::carry_over(SessionCipher& from, SessionCipher& to,
                                              const Fields& stored, const Changes& changes,
                                              Changes& guarded) const {
  for (const Field& field : stored) {
    if (!is_sealed(field.name)) continue;
    guarded.expect.push_back({std::string(field.name), {std::string(field.value)}});
    if (replaces(changes, field.name)) continue;
    const Result<std::string> value = from.open(field);
    if (!value) return value.error();
    Result<std::string> text = sealed(to, Field{field.name, *value, field.deadline});
    if (!text) return std::move(text).error();
    guarded.set.push_back({std::string(field.name), *std::move(text), field.deadline});
  }
  guarded.expect.push_back(expect_as_read(mark_field, stored));
  return {};
}

// `sealed`: the same changes, as the inner store gets them under the new key.
Attempt EncryptedStore::Impl::try_rekey(const StoreKey& from, const StoreKey& to,
                                        const Changes& changes, const Changes& sealed,
                                        Lifetime lifetime, Grace grace) const {
  const Result<std::optional<Record>> record = inner.load(from);
  if (!record.has_value()) return record.error();
  if (!*record || (*record)->frozen) {
    // Gone, unless this rekey was made before. The inner store knows, and writes nothing in either
    // case; nor in a third one, since no session is made of what is expected here.
    Changes nothing;
    nothing.increment = changes.increment;
    nothing.expect.push_back({std::string(created_field), {""}});
    return unless_conflict(inner.rekey(from, to, nothing, lifetime, grace));
  }
  const Fields& stored = (*record)->fields;
  SessionCipher from_cipher(keys, from);
  SessionCipher to_cipher(keys, to);
  // What was altered must not be sealed anew.
  if (auto genuine = check_identity(from_cipher, stored); !genuine) {
    return std::move(genuine).error();
  }
  if (Attempt found = conflict(from_cipher, stored, changes); !found.has_value() || *found)
    return found;
  Changes guarded = sealed;
  std::erase_if(guarded.set, [](const Changes::Set& set) { return set.name == identity_field; });
  for (const Changes::Expect& expect : changes.expect) {
    const bool absent = is_sealed(expect.name) && !stored.contains(expect.name);
    if (absent) guarded.expect.push_back({expect.name, {}});
  }
  if (auto added = add_identity(to_cipher, stored, changes, guarded); !added) return added.error();
  if (auto moved = carry_over(from_cipher, to_cipher, stored, changes, guarded); !moved) {
    return moved.error();
  }
  return unless_conflict(inner.rekey(from, to, guarded, lifetime, grace));
}

EncryptedStore::EncryptedStore(std::shared_ptr<SessionStore> inner,
                               std::unique_ptr<Impl> impl) noexcept
    : StoreDecorator(std::move(inner)), impl_(std::move(impl)) {}
EncryptedStore::~EncryptedStore() = default;

Result<std::shared_ptr<EncryptedStore>> EncryptedStore::make(std::shared_ptr<SessionStore> inner,
                                                             EncryptionOptions options) {
  if (inner == nullptr) return invalid("EncryptedStore: there is no store to keep the sessions in");
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
  auto impl = std::make_unique<Impl>(*inner, std::move(options));
  return std::shared_ptr<EncryptedStore>(new EncryptedStore(std::move(inner), std::move(impl)));
}

Result<std::optional<Record>> EncryptedStore::load(const StoreKey& key) {
  Result<std::optional<Record>> record = inner().load(key);
  if (!record.has_value() || !*record) return record;
  if ((*record)->is_over()) return record;  // nothing is in it
  if (internal::is_count_key(key)) return record;
  SessionCipher cipher(impl_->keys, key);
  Result<Fields> fields = impl_->opened(cipher, (*record)->fields);
  if (!fields) return std::move(fields).error();
  (*record)->fields = *std::move(fields);
  return record;
}

Result<void> EncryptedStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = validate(fields, lifetime); !valid) return valid;
  const auto names_own = [](const Field& field) { return is_own(field.name); };
  if (std::any_of(fields.begin(), fields.end(), names_own)) return own_error();
  if (internal::is_count_key(key)) return inner().create(key, fields, lifetime);
  SessionCipher cipher(impl_->keys, key);
  const Result<Fields> sealed = impl_->sealed(cipher, fields);
  if (!sealed) return sealed.error();
  return inner().create(key, *sealed, lifetime);
}

Result<Outcome> EncryptedStore::update(const StoreKey& key, const Changes& changes,
                                       Lifetime lifetime) {
  if (internal::is_count_key(key)) return inner().update(key, changes, lifetime);
  if (auto valid = impl_->check(changes, lifetime); !valid) return std::move(valid).error();
  SessionCipher cipher(impl_->keys, key);
  const Result<Changes> sealed = impl_->sealed(cipher, changes);
  if (!sealed) return sealed.error();
  if (!impl_->expects_sealed(changes) && !identity_needs_reading(changes)) {
    return inner().update(key, *sealed, lifetime);
  }
  const Result<std::optional<Changes>> foretold = impl_->foretold(cipher, changes, *sealed);
  if (!foretold.has_value()) return foretold.error();
  if (*foretold) {
    Result<Outcome> outcome = inner().update(key, **foretold, lifetime);
    const bool conflict = outcome && outcome->status == Outcome::Status::conflict;
    if (!conflict) return outcome;
    // What is there instead can only be told by reading it.
  }
  return impl_->settle([&] { return impl_->try_update(key, cipher, changes, *sealed, lifetime); });
}

Result<Outcome> EncryptedStore::rekey(const StoreKey& from, const StoreKey& to,
                                      const Changes& changes, Lifetime lifetime, Grace grace) {
  if (auto valid = impl_->check(changes, lifetime); !valid) return std::move(valid).error();
  SessionCipher cipher(impl_->keys, to);
  const Result<Changes> sealed = impl_->sealed(cipher, changes);
  if (!sealed) return sealed.error();
  return impl_->settle(
      [&] { return impl_->try_rekey(from, to, changes, *sealed, lifetime, grace); });
}

}  // namespace websession
