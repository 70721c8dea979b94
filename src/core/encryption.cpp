#include "encryption.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base64.hpp"
#include "changed_fields.hpp"
#include "invalid.hpp"
#include "random_bytes.hpp"

namespace websession::internal {
namespace {

// The store's own fields: all names that begin so.
constexpr std::string_view own_prefix = "@sealed";
// Gets a new random text with each update that sets a sealed field. A rekey has to know: it expects
// the ciphertexts that it has read, but cannot name a field that came after that.
constexpr std::string_view mark_field = "@sealed";
constexpr std::size_t mark_bytes = 8;
// A sealed copy of `@created` and `@user`, which themselves stay in clear. Written with them.
constexpr std::string_view identity_field = "@sealed.identity";

Error own_error() {
  return invalid("fields whose names begin with \"@sealed\" are the store's own");
}

bool is_own(std::string_view name) { return name.starts_with(own_prefix); }

bool is_identity(std::string_view name) { return name == created_field || name == user_field; }

// Library fields hold random texts of their own, or such that it may be seen whether they were
// there before. So they are sealed alike, and can be compared without being read first
// (docs/decisions.md#encryption).
bool is_sealed_alike(std::string_view name) { return name.starts_with('@'); }

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

// The bound for sealed values, which are longer, so that whatever fits in plain fits.
void bound_sealed(Changes& changes) {
  if (changes.bytes_max == 0) return;
  changes.bytes_max = sealed_bytes(changes.bytes_max);
  changes.bytes_spare += sealed_bytes(0) + 1;
}

}  // namespace

Encryption::Encryption(const KeyRing& keys, std::vector<std::string> countable)
    : keys_(keys), countable_(std::move(countable)) {
  std::sort(countable_.begin(), countable_.end());
}

// The one place that says which fields are sealed: all but these, so that what the library comes to
// keep in a session later is sealed, too. Stores need the two in clear, for their index.
bool Encryption::is_sealed(std::string_view name) const {
  return !is_identity(name) && !is_own(name) &&
         !std::binary_search(countable_.begin(), countable_.end(), name);
}

bool Encryption::is_complete(const Changes& changes) const {
  const auto expects_sealed = [this](const Changes::Expect& expect) {
    return is_sealed(expect.name);
  };
  return !identity_needs_reading(changes) &&
         std::none_of(changes.expect.begin(), changes.expect.end(), expects_sealed);
}

Result<void> Encryption::check(const Fields& fields, Lifetime lifetime) const {
  if (auto valid = validate(fields, lifetime); !valid) return valid;
  const auto names_own = [](const Field& field) { return is_own(field.name); };
  if (std::any_of(fields.begin(), fields.end(), names_own)) return own_error();
  return {};
}

Result<void> Encryption::check(const Changes& changes, Lifetime lifetime) const {
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

Result<std::string> Encryption::sealed(SessionCipher& cipher, const Field& field) const {
  return is_sealed_alike(field.name) ? cipher.seal_alike(field) : cipher.seal(field);
}

Result<Fields> Encryption::sealed(SessionCipher& cipher, const Fields& plain) const {
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
Result<void> Encryption::check_identity(SessionCipher& cipher, const Fields& stored) const {
  const std::optional<Field> copy = stored.find_field(identity_field);
  const Result<std::string> identity =
      cipher.open(copy.value_or(Field{identity_field, std::string_view()}));
  if (identity && *identity == identity_after({}, &stored)) return {};
  return make_error(Errc::corrupt,
                    "whose session it is, or when it was created, was altered in the store, or was "
                    "sealed with a secret that is not in EncryptionOptions::keys");
}

Result<Fields> Encryption::opened(SessionCipher& cipher, const Fields& stored) const {
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

Result<Changes> Encryption::sealed(SessionCipher& cipher, const Changes& changes) const {
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
  Result<std::string> mark = random_string(mark_bytes);
  if (!mark) {
    return make_error(Errc::no_randomness,
                      "OpenSSL's random generator failed; nothing was written");
  }
  const std::string text = encode_base64(*mark);
  sealed.set.push_back({std::string(mark_field), text, std::nullopt, has_mark});
  return sealed;
}

Result<std::optional<Changes>> Encryption::foretold(SessionCipher& cipher, const Changes& changes,
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
Result<std::optional<Outcome>> Encryption::conflict(SessionCipher& cipher, const Fields& stored,
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
  return std::optional<Outcome>(std::move(applied->outcome));
}

Result<Encryption::Guarded> Encryption::guarded(SessionCipher& cipher, const Fields& stored,
                                                const Changes& changes,
                                                const Changes& sealed) const {
  if (auto genuine = check_identity(cipher, stored); !genuine) return std::move(genuine).error();
  Result<std::optional<Outcome>> found = conflict(cipher, stored, changes);
  if (!found.has_value()) return std::move(found).error();
  if (*found) return Guarded{*std::move(found), {}};

  Guarded guarded{std::nullopt, sealed};
  for (const Changes::Expect& expect : changes.expect) {
    if (is_sealed(expect.name)) {
      guarded.changes.expect.push_back(expect_as_read(expect.name, stored));
    }
  }
  if (!identity_needs_reading(changes)) return guarded;
  auto added = add_identity(cipher, stored, changes, guarded.changes);
  if (!added) return std::move(added).error();
  return guarded;
}

Result<Encryption::Guarded> Encryption::guarded_rekey(SessionCipher& from, SessionCipher& to,
                                                      const Fields& stored, const Changes& changes,
                                                      const Changes& sealed) const {
  // What was altered must not be sealed anew.
  if (auto genuine = check_identity(from, stored); !genuine) return std::move(genuine).error();
  Result<std::optional<Outcome>> found = conflict(from, stored, changes);
  if (!found.has_value()) return std::move(found).error();
  if (*found) return Guarded{*std::move(found), {}};

  Guarded guarded{std::nullopt, sealed};
  std::erase_if(guarded.changes.set,
                [](const Changes::Set& set) { return set.name == identity_field; });
  for (const Changes::Expect& expect : changes.expect) {
    const bool absent = is_sealed(expect.name) && !stored.contains(expect.name);
    if (absent) guarded.changes.expect.push_back({expect.name, {}});
  }
  auto added = add_identity(to, stored, changes, guarded.changes);
  if (added) added = carry_over(from, to, stored, changes, guarded.changes);
  if (!added) return std::move(added).error();
  return guarded;
}

// Adds the identity that the changes make of what was read, on condition that it still is that.
Result<void> Encryption::add_identity(SessionCipher& cipher, const Fields& stored,
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
Result<void> Encryption::carry_over(SessionCipher& from, SessionCipher& to, const Fields& stored,
                                    const Changes& changes, Changes& guarded) const {
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

}  // namespace websession::internal
