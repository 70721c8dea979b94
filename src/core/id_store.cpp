#include "id_store.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "base64.hpp"
#include "digest.hpp"
#include "principal.hpp"
#include "record_times.hpp"

namespace websession::internal {
namespace {

using Forms = std::span<const KeyForm>;

// In a session that was regenerated a moment ago, and keeps its plain key until this field expires:
// the frozen record of its old id leads to that key. The minute is for clocks that differ.
constexpr std::string_view settling_field = "@settling";
constexpr std::chrono::minutes settling_slack(1);

// Not in any id, whatever IdFormat says: an id cannot name a hashed key.
constexpr std::string_view hashed_prefix = "2:";

constexpr std::array plain_only{KeyForm::plain};
constexpr std::array hashed_only{KeyForm::hashed};
constexpr std::array plain_then_hashed{KeyForm::plain, KeyForm::hashed};
// Most are found at once. The last one is asked for again, since the session may have moved there
// after the first try.
constexpr std::array hashed_first{KeyForm::hashed, KeyForm::plain, KeyForm::hashed};

Forms forms(IdStorage storage) {
  switch (storage) {
    case IdStorage::plain:
      return plain_only;
    case IdStorage::plain_and_hashed:
      return plain_then_hashed;
    case IdStorage::hashed:
      return hashed_first;
    case IdStorage::hashed_only:
      break;
  }
  return hashed_only;
}

Forms forms(IdStorage storage, KeyForm seen) {
  if (seen == KeyForm::hashed) return hashed_only;
  return storage == IdStorage::plain ? Forms(plain_only) : Forms(plain_then_hashed);
}

bool is_absent(const std::optional<Record>& record) { return !record; }
bool is_absent(const Outcome& outcome) { return outcome.status == Outcome::Status::gone; }
bool is_absent(bool erased) { return !erased; }

// Asks for one form of the key after the other, until the session is there. `seen`: where it was;
// as before, if it was nowhere, since its mark is where it was last.
template <class Ask>
auto ask_in_turn(Forms forms, KeyForm& seen, const Ask& ask) {
  while (true) {
    auto answer = ask(forms.front());
    const bool is_there = answer.has_value() && !is_absent(*answer);
    if (is_there) seen = forms.front();
    if (!answer.has_value() || is_there || forms.size() == 1) return answer;
    forms = forms.subspan(1);
  }
}

}  // namespace

StoreKey key_of(const SessionId& id, KeyForm form, std::string_view id_namespace) {
  if (form == KeyForm::plain) return StoreKey(id);
  std::string text(id_namespace);
  if (!text.empty()) text += ':';
  text += id.secret();
  return StoreKey(std::string(hashed_prefix) + encode_base64(sha256(text)));
}

StoreKey IdStore::key_of(const SessionId& id, KeyForm form) const {
  return internal::key_of(id, form, namespace_);
}

bool IdStore::is_key_of(const StoreKey& key, const SessionId& id) const {
  const bool is_hashed = key.secret().starts_with(hashed_prefix);
  return key == key_of(id, is_hashed ? KeyForm::hashed : KeyForm::plain);
}

KeyForm IdStore::form_of_new() const noexcept {
  const bool plain = storage_ == IdStorage::plain || storage_ == IdStorage::plain_and_hashed;
  return plain ? KeyForm::plain : KeyForm::hashed;
}

Result<std::optional<IdStore::Found>> IdStore::load(const SessionId& id) const {
  KeyForm seen{};
  Result<std::optional<Record>> record = ask_in_turn(
      forms(storage_), seen, [&](KeyForm form) { return store_->load(key_of(id, form)); });
  if (!record.has_value()) return std::move(record).error();
  if (!*record) return std::optional<Found>();
  const bool due = storage_ == IdStorage::hashed && seen == KeyForm::plain && !(*record)->frozen &&
                   !(*record)->fields.contains(settling_field);
  if (due && move(id, **record)) seen = KeyForm::hashed;
  return std::optional<Found>({**std::move(record), seen});
}

// The changes of a commit do not ride on the move: a move that another one made before answers
// `applied` as well, and they would be lost. When it fails the session stays as it is, and the next
// load tries again: a store that can only be read at the moment ends nobody's session.
bool IdStore::move(const SessionId& id, const Record& record) const {
  const Lifetime what_is_left{std::max(remaining_of(record), std::chrono::milliseconds(1)),
                              principal_of(record.fields)};
  const Result<Outcome> moved =
      store_->rekey(key_of(id, KeyForm::plain), key_of(id, KeyForm::hashed), {}, what_is_left, {});
  return moved && moved->status == Outcome::Status::applied;
}

Result<void> IdStore::create(const SessionId& id, const Fields& fields, Lifetime lifetime) const {
  return store_->create(key_of(id, form_of_new()), fields, lifetime);
}

Result<Outcome> IdStore::update(const SessionId& id, KeyForm& seen, const Changes& changes,
                                Lifetime lifetime) const {
  return ask_in_turn(forms(storage_, seen), seen, [&](KeyForm form) {
    return store_->update(key_of(id, form), changes, lifetime);
  });
}

Result<Outcome> IdStore::rekey(const SessionId& from, KeyForm& seen, const SessionId& to,
                               const Changes& changes, Lifetime lifetime, Grace grace) const {
  const StoreKey target = key_of(to, form_of_new());
  const auto rekey_with = [&](const Changes& all) {
    return ask_in_turn(forms(storage_, seen), seen, [&](KeyForm form) {
      return store_->rekey(key_of(from, form), target, all, lifetime, grace);
    });
  };
  const bool may_be_moved = storage_ == IdStorage::plain_and_hashed;
  if (!may_be_moved || grace.duration <= std::chrono::milliseconds(0)) return rekey_with(changes);
  Changes marked = changes;
  const WallTime settled = clock_->wall() + grace.duration + settling_slack;
  marked.set.push_back({std::string(settling_field), "1", settled});
  return rekey_with(marked);
}

Result<bool> IdStore::erase(const SessionId& id, Grace grace) const {
  KeyForm seen{};
  return ask_in_turn(forms(storage_), seen,
                     [&](KeyForm form) { return store_->erase(key_of(id, form), grace); });
}

Result<bool> IdStore::erase(const SessionId& id, KeyForm& seen, Grace grace) const {
  return ask_in_turn(forms(storage_, seen), seen,
                     [&](KeyForm form) { return store_->erase(key_of(id, form), grace); });
}

}  // namespace websession::internal
