#include "websession/memory_store.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace websession {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t shard_count = 64;
// Expired records removed by one call: more than the one that a call can add, so they do not pile
// up, and few enough that no call stalls.
constexpr int reaped_per_call = 2;
// Frozen records that lead from one to the next: only this many regenerations fit into a grace.
constexpr int successors_max = 64;

struct Entry {
  Fields fields;
  SteadyTime expires_at;
  SteadyTime queued_at;  // where it stands in the shard's queue; never after expires_at
  std::optional<StoreKey> successor;  // set: frozen
};

}  // namespace

// Each shard has its own lock, its records, and a queue of them by expiry. A renewal does not move
// a record in the queue; it is put back when its turn comes too early.
struct MemoryStore::Impl {
  using Map = std::unordered_map<StoreKey, Entry>;
  struct Shard {
    mutable std::mutex mutex;
    Map entries;
    std::set<std::pair<SteadyTime, const StoreKey*>> queue;

    void reap(SteadyTime now);
    Entry* find(const StoreKey& key, SteadyTime now);
    Entry& insert(const StoreKey& key, Entry entry);
    void erase(Map::iterator found);
  };

  explicit Impl(std::shared_ptr<const Clock> time) : clock(std::move(time)) {}

  Shard& shard_of(const StoreKey& key) {
    // The map inside a shard uses the low bits, so the shard takes others.
    return shards[(std::hash<StoreKey>{}(key) >> 48) % shard_count];
  }

  bool ends_alive(StoreKey key);

  std::shared_ptr<const Clock> clock;
  std::array<Shard, shard_count> shards;
};

void MemoryStore::Impl::Shard::reap(SteadyTime now) {
  for (int i = 0; i < reaped_per_call && !queue.empty(); ++i) {
    const auto [queued_at, key] = *queue.begin();
    if (queued_at > now) return;
    const auto found = entries.find(*key);
    Entry& entry = found->second;
    if (entry.expires_at <= now) {
      erase(found);
    } else {
      queue.erase(queue.begin());
      entry.queued_at = entry.expires_at;
      queue.emplace(entry.queued_at, key);
    }
  }
}

Entry* MemoryStore::Impl::Shard::find(const StoreKey& key, SteadyTime now) {
  const auto found = entries.find(key);
  if (found == entries.end() || found->second.expires_at <= now) return nullptr;
  return &found->second;
}

// Precondition: there is no live record of this key.
Entry& MemoryStore::Impl::Shard::insert(const StoreKey& key, Entry entry) {
  if (const auto dead = entries.find(key); dead != entries.end()) erase(dead);
  entry.queued_at = entry.expires_at;
  const auto inserted = entries.emplace(key, std::move(entry)).first;
  queue.emplace(inserted->second.queued_at, &inserted->first);
  return inserted->second;
}

void MemoryStore::Impl::Shard::erase(Map::iterator found) {
  queue.erase({found->second.queued_at, &found->first});
  entries.erase(found);
}

// Whether the record that the last of the successors leads to is still there.
bool MemoryStore::Impl::ends_alive(StoreKey key) {
  for (int i = 0; i < successors_max; ++i) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const Entry* entry = shard.find(key, clock->steady());
    if (entry == nullptr) return false;
    if (!entry->successor) return true;
    key = StoreKey(*entry->successor);
  }
  return false;
}

MemoryStore::MemoryStore(std::shared_ptr<const Clock> clock)
    : impl_(std::make_unique<Impl>(std::move(clock))) {}
MemoryStore::~MemoryStore() = default;

Result<std::optional<Record>> MemoryStore::load(const StoreKey& key) {
  Record record;
  std::optional<StoreKey> successor;
  {
    Impl::Shard& shard = impl_->shard_of(key);
    const std::lock_guard lock(shard.mutex);
    // Under the lock, here and in every verb: with a time from before it, a session that another
    // call has just found expired could come back.
    const SteadyTime now = impl_->clock->steady();
    shard.reap(now);
    const Entry* entry = shard.find(key, now);
    if (entry == nullptr) return std::optional<Record>();
    record.fields = entry->fields;
    record.remaining = std::chrono::ceil<milliseconds>(entry->expires_at - now);
    record.frozen = entry->successor.has_value();
    successor = entry->successor;
  }
  if (successor && !impl_->ends_alive(*successor)) return std::optional<Record>();
  record.fields = live_fields(record.fields, impl_->clock->wall());
  return std::optional<Record>(std::move(record));
}

Result<void> MemoryStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = validate(fields, lifetime); !valid) return valid;
  Impl::Shard& shard = impl_->shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const SteadyTime now = impl_->clock->steady();
  shard.reap(now);
  if (shard.find(key, now) != nullptr) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  shard.insert(key, {fields, now + lifetime.ttl, {}, std::nullopt});
  return {};
}

Result<Outcome> MemoryStore::update(const StoreKey& key, const Changes& changes,
                                    Lifetime lifetime) {
  if (auto valid = validate(changes, lifetime); !valid) return std::move(valid).error();
  Impl::Shard& shard = impl_->shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const SteadyTime now = impl_->clock->steady();
  shard.reap(now);
  Entry* entry = shard.find(key, now);
  if (entry == nullptr || entry->successor) return Outcome{Outcome::Status::gone, {}};
  Outcome outcome;
  if (!changes.empty()) {
    Result<Applied> applied = apply(entry->fields, changes, impl_->clock->wall());
    if (!applied) return std::move(applied).error();
    if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);
    entry->fields = std::move(applied->fields);
    outcome = std::move(applied->outcome);
  }
  entry->expires_at = std::max(entry->expires_at, now + lifetime.ttl);
  return outcome;
}

Result<Outcome> MemoryStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                   Lifetime lifetime, Grace grace) {
  if (auto valid = validate(changes, lifetime); !valid) return std::move(valid).error();
  Impl::Shard& from_shard = impl_->shard_of(from);
  Impl::Shard& to_shard = impl_->shard_of(to);
  std::unique_lock first(from_shard.mutex, std::defer_lock);
  std::unique_lock second(to_shard.mutex, std::defer_lock);
  if (&from_shard == &to_shard) {
    first.lock();
  } else {
    std::lock(first, second);
  }
  const SteadyTime now = impl_->clock->steady();
  from_shard.reap(now);

  Entry* old = from_shard.find(from, now);
  const Entry* present = to_shard.find(to, now);
  const bool repeated =
      old == nullptr ? present != nullptr : old->successor.has_value() && *old->successor == to;
  if (repeated) {
    Outcome outcome;
    for (const Changes::Increment& increment : changes.increment) {
      const auto text = present != nullptr ? present->fields.find(increment.name) : std::nullopt;
      outcome.counters.push_back(text ? parse_integer(*text).value_or(0) : 0);
    }
    return outcome;
  }
  if (old == nullptr || old->successor) return Outcome{Outcome::Status::gone, {}};
  if (present != nullptr) {
    return make_error(Errc::key_exists, "there is a session under the new key");
  }
  Result<Applied> applied = apply(old->fields, changes, impl_->clock->wall());
  if (!applied) return std::move(applied).error();
  if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);

  const SteadyTime old_end = old->expires_at;
  if (grace.duration > milliseconds(0)) {
    old->successor = to;
    // The queue may now hold it too late: take it out and put it in again.
    Entry frozen = *old;
    frozen.expires_at = std::min(old_end, now + grace.duration);
    from_shard.erase(from_shard.entries.find(from));
    from_shard.insert(from, std::move(frozen));
  } else {
    from_shard.erase(from_shard.entries.find(from));
  }
  to_shard.insert(
      to, {std::move(applied->fields), std::max(old_end, now + lifetime.ttl), {}, std::nullopt});
  return std::move(applied->outcome);
}

Result<bool> MemoryStore::erase(const StoreKey& key) {
  std::vector<StoreKey> chain{key};
  bool erased = false;
  // The end of the chain goes first, at the moment at which it is the end: then nothing writes any
  // more, and the frozen ones before it can follow.
  while (true) {
    Impl::Shard& shard = impl_->shard_of(chain.back());
    const std::lock_guard lock(shard.mutex);
    const SteadyTime now = impl_->clock->steady();
    shard.reap(now);
    const Entry* entry = shard.find(chain.back(), now);
    if (entry == nullptr) break;
    erased = true;
    if (!entry->successor) {
      shard.erase(shard.entries.find(chain.back()));
      break;
    }
    chain.push_back(*entry->successor);
  }
  chain.pop_back();
  for (const StoreKey& frozen : chain) {
    Impl::Shard& shard = impl_->shard_of(frozen);
    const std::lock_guard lock(shard.mutex);
    if (const auto found = shard.entries.find(frozen); found != shard.entries.end()) {
      shard.erase(found);
    }
  }
  return erased;
}

std::size_t MemoryStore::size() const {
  std::size_t sum = 0;
  for (const Impl::Shard& shard : impl_->shards) {
    const std::lock_guard lock(shard.mutex);
    sum += shard.entries.size();
  }
  return sum;
}

}  // namespace websession
