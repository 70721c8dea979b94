#include "session_keys.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "base64.hpp"
#include "digest.hpp"
#include "principal.hpp"
#include "record_times.hpp"
#include "session_context.hpp"

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

}  // namespace

StoreKey key_of(const SessionId& id, KeyForm form, std::string_view id_namespace,
                const KeyPlacement* placement) {
  if (form == KeyForm::plain) return StoreKey(id);
  std::string text(id_namespace);
  if (!text.empty()) text += ':';
  text += id.secret();
  const std::string tag = placement != nullptr ? placement->tag_of(id) : std::string();
  return StoreKey(std::string(hashed_prefix) + tag + encode_base64(sha256(text)));
}

bool is_hashed(const StoreKey& key) noexcept { return key.secret().starts_with(hashed_prefix); }

KeyForm form_of_new(IdStorage storage) noexcept {
  const bool plain = storage == IdStorage::plain || storage == IdStorage::plain_and_hashed;
  return plain ? KeyForm::plain : KeyForm::hashed;
}

StoreKey SessionKeys::key_of(const SessionId& id, KeyForm form) const {
  return internal::key_of(id, form, namespace_, placement_.get());
}

bool SessionKeys::is_key_of(const StoreKey& key, const SessionId& id) const {
  return key == key_of(id, is_hashed(key) ? KeyForm::hashed : KeyForm::plain);
}

Result<SessionId> SessionKeys::successor_of(const SessionId& id) const {
  return placement_ != nullptr ? placement_->generate_beside(id) : SessionId::generate();
}

SessionKeys::Search SessionKeys::search(const SessionId& id) const noexcept {
  return {*this, id, forms(storage_)};
}

SessionKeys::Search SessionKeys::search(const SessionId& id, KeyForm seen) const noexcept {
  return {*this, id, forms(storage_, seen)};
}

bool SessionKeys::is_move_due(const Record& record, KeyForm seen) const {
  return storage_ == IdStorage::hashed && seen == KeyForm::plain && !record.frozen &&
         !record.fields.contains(settling_field);
}

std::optional<Changes::Set> SessionKeys::settling(Grace grace, WallTime now) const {
  const bool may_be_moved = storage_ == IdStorage::plain_and_hashed;
  if (!may_be_moved || grace.duration <= std::chrono::milliseconds(0)) return std::nullopt;
  const WallTime settled = now + grace.duration + settling_slack;
  return Changes::Set{std::string(settling_field), "1", settled};
}

Task<Result<Found>> load_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& id) {
  SessionKeys::Search search = keys.search(id);
  Found found;
  do {
    const StoreKey key = search.key();
    auto asked = flow.load(key);
    Result<std::optional<Record>>& record = co_await asked;
    if (!record.has_value()) co_return std::move(record).error();
    found = {*std::move(record), search.form()};
  } while (!found.record && search.next());
  if (found.record && keys.is_move_due(*found.record, found.seen)) {
    auto move = move_to_hashed(flow, keys, id, *found.record);
    if (co_await move) found.seen = KeyForm::hashed;
  }
  co_return found;
}

// The changes of a commit do not ride on the move: a move that another one made before answers
// `applied` as well, and they would be lost. When it fails the session stays as it is, and the next
// load tries again: a store that can only be read at the moment ends nobody's session.
Task<bool> move_to_hashed(StoreFlow& flow, const SessionKeys& keys, const SessionId& id,
                          const Record& record) {
  const Lifetime what_is_left{std::max(remaining_of(record), std::chrono::milliseconds(1)),
                              principal_of(record.fields)};
  const StoreKey from = keys.key_of(id, KeyForm::plain);
  const StoreKey to = keys.key_of(id, KeyForm::hashed);
  const Changes none;
  auto asked = flow.rekey(from, to, none, what_is_left, {});
  const Result<Outcome>& moved = co_await asked;
  co_return moved && moved->status == Outcome::Status::applied;
}

Task<Result<Outcome>> update_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& id,
                                   KeyForm& seen, const Changes& changes, Lifetime lifetime) {
  SessionKeys::Search search = keys.search(id, seen);
  while (true) {
    const StoreKey key = search.key();
    auto asked = flow.update(key, changes, lifetime);
    Result<Outcome>& outcome = co_await asked;
    const bool is_there = outcome && outcome->status != Outcome::Status::gone;
    if (is_there) seen = search.form();
    if (!outcome || is_there || !search.next()) co_return std::move(outcome);
  }
}

Task<Result<Outcome>> rekey_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& from,
                                  KeyForm& seen, const SessionId& to, const Changes& changes,
                                  Lifetime lifetime, Grace grace) {
  const StoreKey target = keys.key_of_new(to);
  SessionKeys::Search search = keys.search(from, seen);
  while (true) {
    const StoreKey key = search.key();
    auto asked = flow.rekey(key, target, changes, lifetime, grace);
    Result<Outcome>& outcome = co_await asked;
    const bool is_there = outcome && outcome->status != Outcome::Status::gone;
    if (is_there) seen = search.form();
    if (!outcome || is_there || !search.next()) co_return std::move(outcome);
  }
}

Task<Result<bool>> erase_by_id(StoreFlow& flow, const SessionContext& context, const SessionId& id,
                               KeyForm* seen, Grace grace, std::optional<EndReason> why) {
  const SessionKeys& keys = context.keys;
  SessionKeys::Search search = seen != nullptr ? keys.search(id, *seen) : keys.search(id);
  while (true) {
    const StoreKey key = search.key();
    auto asked = flow.erase(key, grace);
    Result<bool>& erased = co_await asked;
    const bool is_there = erased.has_value() && *erased;
    if (is_there && seen != nullptr) *seen = search.form();
    if (is_there && why) context.tell_end(key, *why);
    if (!erased.has_value() || is_there || !search.next()) co_return std::move(erased);
  }
}

}  // namespace websession::internal
