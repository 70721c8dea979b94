#include "websession/encrypted_store.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include "base64.hpp"
#include "random_bytes.hpp"
#include "sealed_value.hpp"

namespace websession {
namespace {

using internal::SessionCipher;
using std::chrono::milliseconds;

// Gets a new random text with each update that sets an encrypted attribute. A rekey has to know: it
// expects the ciphertexts that it has read, but cannot name an attribute that came after that.
constexpr std::string_view mark_field = "@sealed";
constexpr std::size_t mark_bytes = 8;

// What one try of a verb gives. None: others have changed what it had read.
using Attempt = Result<std::optional<Outcome>>;

Error invalid(std::string detail) { return make_error(Errc::invalid_argument, std::move(detail)); }

Error mark_error() { return invalid("field \"@sealed\" is the store's own"); }

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

// The bound for sealed values, which are longer, so that whatever fits in plain fits.
std::size_t sealed_bytes_max(const Changes& changes) {
  if (changes.attributes_max == 0) return 0;  // nobody knows how many values there will be
  if (changes.bytes_max == 0) return 0;
  return internal::sealed_bytes(changes.bytes_max) +
         changes.attributes_max * (internal::sealed_bytes(0) + 1);
}

bool changes_value(const Changes& changes, std::string_view name) {
  return std::any_of(changes.set.begin(), changes.set.end(),
                     [name](const Changes::Set& set) { return set.name == name; }) ||
         std::find(changes.remove.begin(), changes.remove.end(), name) != changes.remove.end();
}

}  // namespace

struct EncryptedStore::Impl {
  Impl(std::shared_ptr<SessionStore> the_inner, EncryptionOptions options)
      : inner(std::move(the_inner)),
        index(principal_index_of(*inner)),
        keys(options.keys),
        countable(std::move(options.countable)),
        retry_for(options.retry_for) {
    std::sort(countable.begin(), countable.end());
  }

  [[nodiscard]] bool is_sealed(std::string_view name) const {
    return !name.starts_with('@') && !std::binary_search(countable.begin(), countable.end(), name);
  }
  [[nodiscard]] bool expects_sealed(const Changes& changes) const {
    return std::any_of(changes.expect.begin(), changes.expect.end(),
                       [this](const Changes::Expect& expect) { return is_sealed(expect.name); });
  }

  Result<void> check(const Changes& changes, Lifetime lifetime) const;
  Result<Fields> sealed(SessionCipher& cipher, const Fields& plain) const;
  Result<Fields> opened(SessionCipher& cipher, const Fields& stored) const;
  Result<Changes> sealed(SessionCipher& cipher, const Changes& changes) const;
  Attempt conflict(SessionCipher& cipher, const Fields& stored, const Changes& changes) const;

  template <class Try>
  Result<Outcome> settle(const Try& attempt) const;
  Attempt try_update(const StoreKey& key, const Changes& changes, const Changes& sealed,
                     Lifetime lifetime) const;
  Attempt try_rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                    const Changes& sealed, Lifetime lifetime, Grace grace) const;
  Result<void> carry_over(SessionCipher& from, SessionCipher& to, const Fields& stored,
                          Changes& changes) const;

  const std::shared_ptr<SessionStore> inner;
  PrincipalIndex* const index;  // the inner store's; null: it keeps none
  const internal::SealingKeys keys;
  std::vector<std::string> countable;  // in order
  const milliseconds retry_for;
};

// What can be refused before anything is sent.
Result<void> EncryptedStore::Impl::check(const Changes& changes, Lifetime lifetime) const {
  if (auto valid = validate(changes, lifetime); !valid) return valid;
  const auto is_mark = [](const auto& field) { return field.name == mark_field; };
  if (std::any_of(changes.set.begin(), changes.set.end(), is_mark) ||
      std::any_of(changes.expect.begin(), changes.expect.end(), is_mark) ||
      std::find(changes.remove.begin(), changes.remove.end(), mark_field) != changes.remove.end()) {
    return mark_error();
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

Result<Fields> EncryptedStore::Impl::sealed(SessionCipher& cipher, const Fields& plain) const {
  std::vector<std::string> texts;  // the fields point into it
  texts.reserve(plain.size());
  std::vector<Field> fields;
  fields.reserve(plain.size());
  for (Field field : plain) {
    if (is_sealed(field.name)) {
      Result<std::string> text = cipher.seal(field.name, field.value);
      if (!text) return std::move(text).error();
      field.value = texts.emplace_back(*std::move(text));
    }
    fields.push_back(field);
  }
  return Fields::of_sorted(fields);
}

Result<Fields> EncryptedStore::Impl::opened(SessionCipher& cipher, const Fields& stored) const {
  std::vector<std::string> values;  // the fields point into it
  values.reserve(stored.size());
  std::vector<Field> fields;
  fields.reserve(stored.size());
  for (Field field : stored) {
    if (field.name == mark_field) continue;
    if (is_sealed(field.name)) {
      Result<std::string> value = cipher.open(field.name, field.value);
      if (!value) return std::move(value).error();
      field.value = values.emplace_back(*std::move(value));
    }
    fields.push_back(field);
  }
  return Fields::of_sorted(fields);
}

// The changes as the inner store gets them, without what is expected of encrypted attributes.
Result<Changes> EncryptedStore::Impl::sealed(SessionCipher& cipher, const Changes& changes) const {
  Changes sealed = changes;
  sealed.bytes_max = sealed_bytes_max(changes);
  std::erase_if(sealed.expect,
                [this](const Changes::Expect& expect) { return is_sealed(expect.name); });
  bool any = false;
  for (Changes::Set& set : sealed.set) {
    if (!is_sealed(set.name)) continue;
    Result<std::string> text = cipher.seal(set.name, set.value);
    if (!text) return std::move(text).error();
    set.value = *std::move(text);
    any = true;
  }
  if (!any) return sealed;
  std::array<unsigned char, mark_bytes> mark{};
  if (!internal::fill_random(mark)) {
    return make_error(Errc::no_randomness,
                      "OpenSSL's random generator failed; nothing was written");
  }
  const std::string_view bytes(reinterpret_cast<const char*>(mark.data()), mark.size());
  sealed.set.push_back({std::string(mark_field), internal::encode_base64(bytes)});
  return sealed;
}

// The conflict, if what was read is not what the changes expect in plain. None: it is.
Attempt EncryptedStore::Impl::conflict(SessionCipher& cipher, const Fields& stored,
                                       const Changes& changes) const {
  std::vector<std::string> values;  // the fields point into it
  values.reserve(changes.expect.size());
  std::vector<Field> expected;
  for (const Changes::Expect& expect : changes.expect) {
    const std::optional<std::string_view> text = stored.find(expect.name);
    if (!text) continue;
    if (!is_sealed(expect.name)) {
      expected.push_back({expect.name, *text});
      continue;
    }
    Result<std::string> value = cipher.open(expect.name, *text);
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
  const SteadyTime until = std::chrono::steady_clock::now() + retry_for;
  do {
    Attempt made = attempt();
    if (!made) return std::move(made).error();
    if (*made) return **std::move(made);
  } while (std::chrono::steady_clock::now() < until);
  return make_error(Errc::overloaded,
                    "others kept changing the session (EncryptionOptions::retry_for); nothing was "
                    "written");
}

// `sealed`: the same changes, as the inner store gets them.
Attempt EncryptedStore::Impl::try_update(const StoreKey& key, const Changes& changes,
                                         const Changes& sealed, Lifetime lifetime) const {
  const Result<std::optional<Record>> record = inner->load(key);
  if (!record) return record.error();
  if (!*record || (*record)->frozen) return final_outcome({Outcome::Status::gone});
  const Fields& stored = (*record)->fields;
  SessionCipher cipher(keys, key);
  if (Attempt found = conflict(cipher, stored, changes); !found || *found) return found;

  Changes guarded = sealed;
  for (const Changes::Expect& expect : changes.expect) {
    if (is_sealed(expect.name)) guarded.expect.push_back(expect_as_read(expect.name, stored));
  }
  return unless_conflict(inner->update(key, guarded, lifetime));
}

// Adds what is stored to the changes of a rekey, sealed for the new key, on condition that it is
// still all there is.
Result<void> EncryptedStore::Impl::carry_over(SessionCipher& from, SessionCipher& to,
                                              const Fields& stored, Changes& changes) const {
  std::vector<Changes::Set> moved;
  for (const Field& field : stored) {
    if (!is_sealed(field.name)) continue;
    changes.expect.push_back({std::string(field.name), {std::string(field.value)}});
    if (changes.clear || changes_value(changes, field.name)) continue;
    const Result<std::string> value = from.open(field.name, field.value);
    if (!value) return value.error();
    Result<std::string> text = to.seal(field.name, *value);
    if (!text) return std::move(text).error();
    moved.push_back({std::string(field.name), *std::move(text), field.deadline});
  }
  changes.expect.push_back(expect_as_read(mark_field, stored));
  std::move(moved.begin(), moved.end(), std::back_inserter(changes.set));
  return {};
}

// `sealed`: the same changes, as the inner store gets them.
Attempt EncryptedStore::Impl::try_rekey(const StoreKey& from, const StoreKey& to,
                                        const Changes& changes, const Changes& sealed,
                                        Lifetime lifetime, Grace grace) const {
  const Result<std::optional<Record>> record = inner->load(from);
  if (!record) return record.error();
  Changes guarded;
  if (!*record || (*record)->frozen) {
    // Gone, unless this rekey was made before. The inner store knows, and writes nothing in either
    // case; nor in a third one, since no session is made of what is expected here.
    guarded.increment = changes.increment;
    guarded.expect.push_back({std::string(created_field), {""}});
  } else {
    const Fields& stored = (*record)->fields;
    SessionCipher from_cipher(keys, from);
    if (Attempt found = conflict(from_cipher, stored, changes); !found || *found) return found;
    guarded = sealed;
    for (const Changes::Expect& expect : changes.expect) {
      const bool absent = is_sealed(expect.name) && !stored.contains(expect.name);
      if (absent) guarded.expect.push_back({expect.name, {}});
    }
    SessionCipher to_cipher(keys, to);
    if (auto moved = carry_over(from_cipher, to_cipher, stored, guarded); !moved)
      return moved.error();
  }
  return unless_conflict(inner->rekey(from, to, guarded, lifetime, grace));
}

EncryptedStore::EncryptedStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
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
    return invalid("retry_for: is 0 to 1 minute");
  }
  return std::shared_ptr<EncryptedStore>(
      new EncryptedStore(std::make_unique<Impl>(std::move(inner), std::move(options))));
}

Result<std::optional<Record>> EncryptedStore::load(const StoreKey& key) {
  Result<std::optional<Record>> record = impl_->inner->load(key);
  if (!record || !*record) return record;
  SessionCipher cipher(impl_->keys, key);
  Result<Fields> fields = impl_->opened(cipher, (*record)->fields);
  if (!fields) return std::move(fields).error();
  (*record)->fields = *std::move(fields);
  return record;
}

Result<void> EncryptedStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = validate(fields, lifetime); !valid) return valid;
  if (fields.contains(mark_field)) return mark_error();
  SessionCipher cipher(impl_->keys, key);
  const Result<Fields> sealed = impl_->sealed(cipher, fields);
  if (!sealed) return sealed.error();
  return impl_->inner->create(key, *sealed, lifetime);
}

Result<Outcome> EncryptedStore::update(const StoreKey& key, const Changes& changes,
                                       Lifetime lifetime) {
  if (auto valid = impl_->check(changes, lifetime); !valid) return std::move(valid).error();
  SessionCipher cipher(impl_->keys, key);
  const Result<Changes> sealed = impl_->sealed(cipher, changes);
  if (!sealed) return sealed.error();
  if (!impl_->expects_sealed(changes)) return impl_->inner->update(key, *sealed, lifetime);
  return impl_->settle([&] { return impl_->try_update(key, changes, *sealed, lifetime); });
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

Result<bool> EncryptedStore::erase(const StoreKey& key) { return impl_->inner->erase(key); }

Result<std::vector<StoreKey>> EncryptedStore::entries(std::string_view principal) {
  if (impl_->index == nullptr) return no_principal_index();
  return impl_->index->entries(principal);
}

Result<void> EncryptedStore::forget(std::string_view principal, std::span<const StoreKey> keys) {
  if (impl_->index == nullptr) return no_principal_index();
  return impl_->index->forget(principal, keys);
}

Result<void> EncryptedStore::end_frozen(const StoreKey& key) {
  if (impl_->index == nullptr) return no_principal_index();
  return impl_->index->end_frozen(key);
}

}  // namespace websession
