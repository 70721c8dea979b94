#include "shard.hpp"

#include <new>

#include "kept_keys.hpp"
#include "websession/session_store.hpp"

namespace websession::memory {

void Expired::add(const Entry& entry) noexcept try {
  StoreKey key{std::string(entry.key())};
  if (!internal::is_session_key(key)) return;
  const std::lock_guard lock(mutex_);
  sessions_.push_back(
      {std::move(key), entry.is_absolute() ? EndReason::absolute : EndReason::idle});
  any_ = true;
} catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the header says so
}

std::vector<Expired::Session> Expired::take() noexcept {
  if (!any_) return {};
  const std::lock_guard lock(mutex_);
  any_ = false;
  return std::exchange(sessions_, {});
}

FirstDue::Soonest FirstDue::soonest(Kind kind, std::size_t but) const noexcept {
  const Shards& shards = due_[static_cast<std::size_t>(kind)];
  Soonest soonest{0, SteadyTime::max()};
  for (std::size_t i = 0; i < shard_count; ++i) {
    const SteadyTime due = shards[i].load(std::memory_order_relaxed);
    if (due < soonest.due && i != but) soonest = {i, due};
  }
  return soonest;
}

Visit::Visit(Shared& shared, Shard* shards, std::size_t index, std::size_t reap)
    : shared_(shared),
      shard_(shards[index]),
      index_(index),
      lock_(shard_.mutex_),
      now_(shared.clock->steady()) {
  if (shard_.next_due_ <= now_) this->reap(reap);
}

Visit::~Visit() {
  for (const Kind kind : {Kind::anonymous, Kind::signed_in}) {
    SteadyTime& published = shard_.published_[static_cast<std::size_t>(kind)];
    const SteadyTime due = queue(kind).first_due();
    if (published == due) continue;
    published = due;
    shared_.first_due.publish(kind, index_, due);
    shard_.next_due_ = first_due();
  }
}

void Visit::reap(std::size_t steps) noexcept {
  for (std::size_t i = 0; i < steps && more_due(); ++i) {
    const bool first_kind = queue(Kind::anonymous).first_due() == first_due();
    ExpiryQueue& due = queue(first_kind ? Kind::anonymous : Kind::signed_in);
    Entry& entry = due.first();
    if (entry.expires_at <= now_) {
      erase_expired(entry);
      ++removed_;
    } else {
      due.move_to_expiry(entry);
    }
  }
}

Entry* Visit::find(std::size_t hash, const StoreKey& key) const noexcept {
  Entry* entry = shard_.table_.find(hash, key.secret());
  return entry == nullptr || entry->expires_at <= now_ ? nullptr : entry;
}

Entry& Visit::insert(std::size_t hash, const StoreKey& key, Fields fields, SteadyTime expires_at) {
  if (Entry* dead = shard_.table_.find(hash, key.secret())) erase_expired(*dead);
  // What can fail comes first.
  auto entry = Entry::make(shard_.pool_, key, std::move(fields), expires_at);
  shard_.table_.reserve_one();
  queue(entry->kind()).reserve_one();
  if (const auto principal = entry->fields.find(user_field)) {
    shared_.principals.add(*principal, *entry);
  }
  queue(entry->kind()).push(*entry);
  Entry& inserted = *entry;
  shard_.table_.insert(hash, std::move(entry));
  return inserted;
}

std::optional<Entry::State> Visit::erase_signed_in(std::size_t hash, const StoreKey& key) noexcept {
  Entry* entry = shard_.table_.find(hash, key.secret());
  if (entry == nullptr || entry->kind() != Kind::signed_in) return std::nullopt;
  const Entry::State state = entry->state();
  erase(*entry);
  return state;
}

void Visit::erase_if_expired(std::size_t hash, const StoreKey& key) noexcept {
  Entry* entry = shard_.table_.find(hash, key.secret());
  if (entry != nullptr && entry->expires_at <= now_) erase_expired(*entry);
}

void Visit::erase_expired(Entry& entry) noexcept {
  if (shared_.expired != nullptr && entry.is_session()) shared_.expired->add(entry);
  erase(entry);
}

void Visit::erase(Entry& entry) noexcept {
  const std::size_t bytes = entry.bytes();
  erase_and_keep_room(entry);
  shared_.budget.give(1, bytes);
}

void Visit::erase_and_keep_room(Entry& entry) noexcept {
  if (!entry.is_session()) shared_.marks.fetch_sub(1, std::memory_order_relaxed);
  queue(entry.kind()).erase(entry);
  unlist(entry);
  static_cast<void>(shard_.table_.extract(hash_of(entry.key()), &entry));
}

void Visit::unlist(const Entry& entry) noexcept {
  if (entry.kind() != Kind::signed_in) return;
  if (const auto principal = entry.fields.find(user_field)) {
    shared_.principals.remove(*principal, entry);
  }
}

void Visit::renew(Entry& entry, SteadyTime expires_at, bool is_absolute) noexcept {
  const bool shortens = expires_at < entry.expires_at;
  entry.expires_at = expires_at;
  entry.set_absolute(is_absolute);
  if (shortens) queue(entry.kind()).move_to_expiry(entry);  // a later end may wait (ExpiryQueue)
}

void Visit::freeze(Entry& entry, std::unique_ptr<const StoreKey> successor,
                   SteadyTime until) noexcept {
  shared_.marks.fetch_add(1, std::memory_order_relaxed);
  entry.set_state(Entry::State::frozen);
  entry.successor = std::move(successor);
  entry.expires_at = std::min(entry.expires_at, until);
  queue(entry.kind()).move_to_expiry(entry);
}

void Visit::end_and_keep_room(Entry& entry, Entry::State state,
                              std::unique_ptr<const StoreKey> successor,
                              SteadyTime until) noexcept {
  if (entry.is_session()) shared_.marks.fetch_add(1, std::memory_order_relaxed);
  unlist(entry);
  entry.fields = Fields();
  entry.set_state(state);
  entry.successor = std::move(successor);
  entry.expires_at = until;
  queue(entry.kind()).move_to_expiry(entry);
  if (entry.kind() == Kind::anonymous) return;
  // Marks make room before any session does. One for which there is no memory to queue with those
  // who have not signed in stays where it is.
  try {
    queue(Kind::anonymous).reserve_one();
  } catch (const std::bad_alloc&) {
    return;
  }
  queue(entry.kind()).erase(entry);
  entry.set_kind(Kind::anonymous);
  queue(Kind::anonymous).push(entry);
}

void Visit::end(Entry& entry, SteadyTime until) noexcept {
  const std::size_t bytes = entry.bytes();
  end_and_keep_room(entry, Entry::State::over, nullptr, until);
  shared_.budget.give(0, bytes - entry.bytes());
}

void Visit::strip(Entry& entry) noexcept {
  const std::size_t bytes = entry.bytes();
  end_and_keep_room(entry, Entry::State::over, std::move(entry.successor), entry.expires_at);
  shared_.budget.give(0, bytes - entry.bytes());
}

// Lists the entry as its new fields demand. Whoever looks meanwhile may see it under both
// principals.
void Visit::move_principal(const Entry& entry, const Fields& fields) {
  const auto from = entry.fields.find(user_field);
  const auto to = fields.find(user_field);
  if (from == to) return;
  if (to) shared_.principals.add(*to, entry);
  if (from) shared_.principals.remove(*from, entry);
}

void Visit::swap_fields(std::size_t hash, Entry& entry, Fields& fields, bool same_principal) {
  const Kind before = entry.kind();
  const Kind after = same_principal ? before : kind_of(fields);
  if (after != before) queue(after).reserve_one();
  const bool signed_in = before == Kind::signed_in || after == Kind::signed_in;
  if (signed_in && !same_principal) move_principal(entry, fields);
  if (after != before) {
    queue(before).erase(entry);
    entry.set_kind(after);
    queue(after).push(entry);
  }
  std::swap(entry.fields, fields);
  shard_.table_.note_fields(hash, &entry);
}

}  // namespace websession::memory
