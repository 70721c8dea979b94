#include "websession/memory_store.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "changed_fields.hpp"
#include "directory_pages.hpp"
#include "entry.hpp"
#include "kept_keys.hpp"
#include "repeated_rekey.hpp"
#include "shard.hpp"
#include "successors.hpp"
#include "websession/observer.hpp"
#include "wiped_on_fork.hpp"

namespace websession {
namespace {

using memory::Entry;
using memory::hash_of;
using memory::Kind;
using memory::Room;
using memory::shard_count;
using memory::shard_of;
using memory::Visit;
using std::chrono::milliseconds;

// Records that the search for room puts back because they were renewed; beyond, one that may have
// been renewed has to do.
constexpr int renewed_passed_max = 64;
// A session that grows in another thread while room is made for it needs more room than was made.
constexpr int attempts_max = 8;
constexpr char cursor_kind = 'm';
// So many steps take some tens of microseconds.
constexpr std::size_t swept_at_once = 64;

Error full_error() {
  return make_error(Errc::overloaded,
                    "the MemoryStore is full, and only signed-in sessions are left in it: raise "
                    "MemoryOptions::sessions_max or bytes_max");
}

Error forked_error() {
  return make_error(Errc::rejected,
                    "this MemoryStore was made before a fork, and other threads may have held its "
                    "locks: make one after forking, and a store in Redis to share sessions");
}

Error too_large_error() {
  return make_error(Errc::too_large, "the session alone would exceed MemoryOptions::bytes_max");
}

std::size_t growth(std::size_t before, std::size_t after) {
  return after > before ? after - before : 0;
}

}  // namespace

struct MemoryStore::Impl {
  // The room that a write needs beyond what its session has.
  struct Demand {
    std::size_t sessions;
    std::size_t bytes;
    Kind kind;
  };
  // What the verb gives, or what has to be there for the next attempt.
  using Attempt = std::variant<Result<Outcome>, Demand>;

  explicit Impl(const MemoryOptions& options)
      : shared(options.sessions_max, options.bytes_max,
               options.clock ? options.clock : system_clock(), options.observer != nullptr),
        observer(options.observer) {}

  // At the end of a call, whatever came of it: tells of sessions that it has found to be over.
  class Teller {
   public:
    explicit Teller(Impl& impl) noexcept : impl_(impl) {}
    Teller(const Teller&) = delete;
    Teller& operator=(const Teller&) = delete;
    ~Teller() {
      if (impl_.observer != nullptr) impl_.tell_expired();
    }

   private:
    Impl& impl_;
  };
  void tell_expired() noexcept;

  [[nodiscard]] Visit visit(std::size_t hash) { return {shared, shards.data(), shard_of(hash)}; }

  // The wall time, if it makes a difference to these fields.
  [[nodiscard]] WallTime wall_for(const Fields& fields) const {
    return fields.has_deadlines() ? shared.clock->wall() : WallTime();
  }
  internal::Link<StoreKey> look_at(const StoreKey& key);
  internal::Ended<StoreKey> end(std::span<const StoreKey> chain, Grace grace);
  bool make_room(Room& room, const Demand& demand, const StoreKey* keep);
  bool evict(Kind kind, std::size_t shard, const StoreKey* keep, int& patience);
  bool evict_of_most(const StoreKey* keep);
  void count_evicted(Kind kind, const std::optional<StoreKey>& key);

  template <class Try>
  Result<Outcome> with_room(const StoreKey& key, const Try& attempt);
  Attempt try_update(Room& room, const StoreKey& key, const Changes& changes, Lifetime lifetime);
  Attempt try_rekey(Room& room, const StoreKey& from, const StoreKey& to, const Changes& changes,
                    Lifetime lifetime, Grace grace);

  memory::Shared shared;
  std::array<memory::Shard, shard_count> shards;
  const internal::ForkGuard fork_guard;
  std::array<std::atomic<std::uint64_t>, memory::kind_count> evicted{};
  const std::shared_ptr<Observer> observer;
};

internal::Link<StoreKey> MemoryStore::Impl::look_at(const StoreKey& key) {
  const std::size_t hash = hash_of(key.secret());
  const Visit shard = visit(hash);
  const Entry* entry = shard.find(hash, key);
  if (entry == nullptr || !(entry->is_session() || entry->is_frozen())) return {};
  return {true, entry->is_frozen() ? std::optional(*entry->successor) : std::nullopt};
}

// The end of the chain goes first, at the moment at which it is the end: then nothing writes any
// more, and the frozen ones before it can follow.
internal::Ended<StoreKey> MemoryStore::Impl::end(std::span<const StoreKey> chain, Grace grace) {
  const auto visited = [this](const StoreKey& key, const auto& act) {
    const std::size_t hash = hash_of(key.secret());
    Visit shard = visit(hash);
    if (Entry* entry = shard.find(hash, key)) act(shard, *entry);
  };
  internal::Ended<StoreKey> ended;
  visited(chain.back(), [&](Visit& shard, Entry& entry) {
    ended.any = entry.is_session();
    if (!ended.any) {
      const bool leads_on = entry.successor != nullptr && entry.state() != Entry::State::passed;
      if (leads_on) ended.successor = *entry.successor;
    } else if (grace.duration > milliseconds(0)) {
      shard.end(entry, shard.now() + grace.duration);
    } else {
      shard.erase(entry);
    }
  });
  if (!ended.any) return ended;
  for (const StoreKey& frozen : chain.first(chain.size() - 1)) {
    visited(frozen, [](Visit& shard, Entry& entry) { shard.strip(entry); });
  }
  return ended;
}

// Makes the room as large as demanded, at the cost of others but never of `keep`. False: there is
// not so much to be had. Of whom: docs/decisions.md#memorystore.
bool MemoryStore::Impl::make_room(Room& room, const Demand& demand, const StoreKey* keep) {
  int patience = renewed_passed_max;
  // A shard of whose sessions of a kind only `keep` is left.
  std::array<std::size_t, memory::kind_count> spent{shard_count, shard_count};
  while (!room.grow_to(demand.sessions, demand.bytes)) {
    const SteadyTime now = shared.clock->steady();
    const auto anonymous = shared.first_due.soonest(Kind::anonymous, spent[0]);
    const auto signed_in = shared.first_due.soonest(Kind::signed_in, spent[1]);
    const auto first = anonymous.due <= signed_in.due ? anonymous : signed_in;
    if (first.due <= now && patience > 0) {
      if (Visit(shared, shards.data(), first.shard).removed() == 0) --patience;
    } else if (anonymous.due != SteadyTime::max()) {
      if (!evict(Kind::anonymous, anonymous.shard, keep, patience)) spent[0] = anonymous.shard;
    } else if (signed_in.due != SteadyTime::max() && demand.kind == Kind::signed_in) {
      if (evict_of_most(keep)) continue;
      if (!evict(Kind::signed_in, signed_in.shard, keep, patience)) spent[1] = signed_in.shard;
    } else {
      return false;
    }
  }
  return true;
}

// Removes the session of the shard that ends soonest, or finds that it was renewed. False: there is
// none but `keep`.
bool MemoryStore::Impl::evict(Kind kind, std::size_t shard, const StoreKey* keep, int& patience) {
  std::optional<StoreKey> key;  // for the observer, which is told when the lock is released
  {
    Visit visit(shared, shards.data(), shard);
    memory::ExpiryQueue& queue = visit.queue(kind);
    if (queue.empty()) return true;  // another call was quicker
    Entry* entry = &queue.first();
    if (keep != nullptr && equal_in_constant_time(entry->key(), keep->secret())) {
      entry = queue.second();
      if (entry == nullptr) return false;
    }
    if (queue.due(*entry) < entry->expires_at && patience > 0) {
      --patience;
      queue.move_to_expiry(*entry);
      return true;
    }
    const bool is_mark = !entry->is_session();
    if (observer && !is_mark) key.emplace(std::string(entry->key()));
    visit.erase(*entry);
    if (is_mark) return true;
  }
  count_evicted(kind, key);
  return true;
}

// Removes a session of the principal who has the most. False: nobody has two.
bool MemoryStore::Impl::evict_of_most(const StoreKey* keep) {
  std::optional<StoreKey> key = shared.principals.oldest_of_most(keep);
  if (!key) return false;
  const std::size_t hash = hash_of(key->secret());
  const auto erased = visit(hash).erase_signed_in(hash, *key);
  if (erased != Entry::State::session) return true;  // a mark, or another call was quicker
  if (!observer) key.reset();
  count_evicted(Kind::signed_in, key);
  return true;
}

void MemoryStore::Impl::tell_expired() noexcept {
  for (const memory::Expired::Session& session : shared.expired->take()) {
    SessionEvent event{SessionEvent::Kind::expired, SessionRef(session.key)};
    event.end = session.why;
    observer->tell(event);
  }
}

void MemoryStore::Impl::count_evicted(Kind kind, const std::optional<StoreKey>& key) {
  evicted[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  if (!key || !internal::is_session_key(*key)) return;
  SessionEvent event{kind == Kind::signed_in ? SessionEvent::Kind::evicted_signed_in
                                             : SessionEvent::Kind::evicted_anonymous,
                     SessionRef(*key)};
  event.end = EndReason::evicted;
  observer->tell(event);
}

// Repeats the attempt, each time with the room that the last one wanted.
template <class Try>
Result<Outcome> MemoryStore::Impl::with_room(const StoreKey& key, const Try& attempt) {
  Room room(shared.budget);
  for (int i = 0; i < attempts_max; ++i) {
    Attempt made = attempt(room);
    if (auto* result = std::get_if<Result<Outcome>>(&made)) return std::move(*result);
    if (!make_room(room, std::get<Demand>(made), &key)) break;
  }
  return full_error();
}

MemoryStore::Impl::Attempt MemoryStore::Impl::try_update(Room& room, const StoreKey& key,
                                                         const Changes& changes,
                                                         Lifetime lifetime) {
  const std::size_t hash = hash_of(key.secret());
  Result<Applied> applied{Applied{}};  // outlives the visit, and so do the fields that are replaced
  Visit shard = visit(hash);
  Entry* entry = shard.find(hash, key);
  if (entry == nullptr || !entry->is_session()) return Outcome{Outcome::Status::gone, {}};
  if (!changes.empty()) {
    applied = apply(entry->fields, changes, wall_for(entry->fields));
    if (!applied) return std::move(applied).error();
    if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);
    // Nearly always. Then only their blocks differ in size.
    const bool same_principal =
        !internal::replaces(changes, user_field) && !entry->fields.has_deadlines();
    const auto bytes = [&](const Fields& fields) {
      return same_principal ? fields.block_bytes() : Entry::bytes(key.secret().size(), fields);
    };
    const std::size_t before = bytes(entry->fields);
    const std::size_t after = bytes(applied->fields);
    const std::size_t more = growth(before, after);
    const auto whole = [&] { return Entry::bytes(key.secret().size(), applied->fields); };
    if (more > 0 && whole() > shared.budget.bytes_max()) return too_large_error();
    if (!room.grow_to(0, more)) return Demand{0, more, memory::kind_of(applied->fields)};
    shard.swap_fields(hash, *entry, applied->fields, same_principal);
    room.fill(0, more);
    shared.budget.give(0, growth(after, before));
  }
  const auto left = std::chrono::floor<milliseconds>(entry->expires_at - shard.now());
  if (is_renewal_due(lifetime, left)) {
    shard.renew(*entry, shard.now() + lifetime.ttl, lifetime.is_absolute);
  }
  return std::move(applied->outcome);
}

MemoryStore::Impl::Attempt MemoryStore::Impl::try_rekey(Room& room, const StoreKey& from,
                                                        const StoreKey& to, const Changes& changes,
                                                        Lifetime lifetime, Grace grace) {
  const std::size_t from_hash = hash_of(from.secret());
  const std::size_t to_hash = hash_of(to.secret());
  // Whoever locks two shards begins with the lower one.
  Visit lower(shared, shards.data(), std::min(shard_of(from_hash), shard_of(to_hash)));
  std::optional<Visit> higher;
  if (shard_of(from_hash) != shard_of(to_hash)) {
    higher.emplace(shared, shards.data(), std::max(shard_of(from_hash), shard_of(to_hash)));
  }
  const bool upwards = shard_of(from_hash) < shard_of(to_hash);
  Visit& old_shard = higher && !upwards ? *higher : lower;
  Visit& new_shard = higher && upwards ? *higher : lower;
  const SteadyTime now = std::max(old_shard.now(), new_shard.now());

  Entry* old = old_shard.find(from_hash, from);
  const Entry* present = new_shard.find(to_hash, to);
  const bool repeated =
      old == nullptr ? present != nullptr : old->successor != nullptr && *old->successor == to;
  if (repeated) {
    const bool lives = present != nullptr && present->is_session();
    const Fields held = lives ? present->fields : Fields();
    return internal::repeated_rekey(changes, live_fields(held, wall_for(held)));
  }
  if (old == nullptr || !old->is_session()) return Outcome{Outcome::Status::gone, {}};
  if (present != nullptr) {
    return make_error(Errc::key_exists, "there is a session under the new key");
  }
  Result<Applied> applied = apply(old->fields, changes, wall_for(old->fields));
  if (!applied) return std::move(applied).error();
  if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);

  const bool marks_old = grace.duration > milliseconds(0);
  const bool passes = passes_on(old->fields, applied->fields);
  const bool keeps_old = marks_old && grace.readable && !passes;
  const std::size_t size = Entry::bytes(to.secret().size(), applied->fields);
  const std::size_t mark =
      marks_old ? Entry::successor_bytes(to) +
                      Entry::bytes(from.secret().size(), keeps_old ? old->fields : Fields())
                : 0;
  const std::size_t before = old->bytes();
  const std::size_t after = size + mark;
  const Demand demand{marks_old ? 1U : 0U, growth(before, after), memory::kind_of(applied->fields)};
  if (size > shared.budget.bytes_max()) return too_large_error();
  if (!room.grow_to(demand.sessions, demand.bytes)) return demand;

  const SteadyTime old_end = old->expires_at;
  auto successor = marks_old ? std::make_unique<const StoreKey>(to) : nullptr;
  const bool keeps_end = old_end > now + lifetime.ttl;
  const bool was_absolute = old->is_absolute();
  new_shard.insert(to_hash, to, std::move(applied->fields), std::max(old_end, now + lifetime.ttl))
      .set_absolute(keeps_end ? was_absolute : lifetime.is_absolute);
  if (keeps_old) {
    old_shard.freeze(*old, std::move(successor), now + grace.duration);
  } else if (marks_old) {
    old_shard.end_and_keep_room(*old, passes ? Entry::State::passed : Entry::State::over,
                                std::move(successor), now + grace.duration);
  } else {
    old_shard.erase_and_keep_room(*old);
  }
  room.fill(demand.sessions, demand.bytes);
  shared.budget.give(0, growth(after, before));
  return std::move(applied->outcome);
}

MemoryStore::MemoryStore(std::shared_ptr<const Clock> clock)
    : MemoryStore(MemoryOptions{.clock = std::move(clock)}) {}
MemoryStore::MemoryStore(const MemoryOptions& options) : impl_(std::make_unique<Impl>(options)) {}
// In a forked child its parts may be in the midst of a change: they stay as they are.
MemoryStore::~MemoryStore() {
  if (impl_->fork_guard.in_child()) static_cast<void>(impl_.release());
}

Result<std::optional<Record>> MemoryStore::load(const StoreKey& key) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  const std::size_t hash = hash_of(key.secret());
  Record record;
  std::optional<StoreKey> successor;
  {
    const Visit shard = impl_->visit(hash);
    const Entry* entry = shard.find(hash, key);
    if (entry == nullptr) return std::optional<Record>();
    record.fields = entry->fields;
    record.remaining = std::chrono::ceil<milliseconds>(entry->expires_at - shard.now());
    record.frozen = !entry->is_session();
    if (entry->is_frozen()) successor = *entry->successor;
  }
  if (successor) {
    internal::Walk<StoreKey> walk(*std::move(successor));
    while (!walk.is_alive()) walk.found(impl_->look_at(walk.at()));
    if (!*walk.is_alive()) record.fields = Fields();
  }
  if (record.fields.has_deadlines()) {
    record.fields = live_fields(record.fields, impl_->shared.clock->wall());
  }
  return std::optional<Record>(std::move(record));
}

Result<void> MemoryStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  if (auto valid = validate(fields, lifetime); !valid) return valid;
  const std::size_t bytes = Entry::bytes(key.secret().size(), fields);
  if (bytes > impl_->shared.budget.bytes_max()) return too_large_error();
  Room room(impl_->shared.budget);
  if (!impl_->make_room(room, {1, bytes, memory::kind_of(fields)}, nullptr)) return full_error();

  const std::size_t hash = hash_of(key.secret());
  Visit shard = impl_->visit(hash);
  if (shard.find(hash, key) != nullptr) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  shard.insert(hash, key, fields, shard.now() + lifetime.ttl).set_absolute(lifetime.is_absolute);
  room.fill(1, bytes);
  return {};
}

Result<Outcome> MemoryStore::update(const StoreKey& key, const Changes& changes,
                                    Lifetime lifetime) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  if (auto valid = validate(changes, lifetime); !valid) return std::move(valid).error();
  return impl_->with_room(
      key, [&](Room& room) { return impl_->try_update(room, key, changes, lifetime); });
}

Result<Outcome> MemoryStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                   Lifetime lifetime, Grace grace) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  if (auto valid = validate(changes, lifetime); !valid) return std::move(valid).error();
  return impl_->with_room(
      from, [&](Room& room) { return impl_->try_rekey(room, from, to, changes, lifetime, grace); });
}

Result<bool> MemoryStore::erase(const StoreKey& key, Grace grace) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  internal::Chain<StoreKey> chain(key);
  while (!chain.result()) chain.tried(impl_->end(chain.keys(), grace));
  return *chain.result();
}

Result<std::vector<StoreKey>> MemoryStore::entries(std::string_view principal) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  return impl_->shared.principals.keys(principal, entries_max);
}

// Entries go with their records. Those that have expired are still there, and frozen ones whose
// successor has ended.
Result<void> MemoryStore::forget(std::string_view, std::span<const StoreKey> keys, BeingMade) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  for (const StoreKey& key : keys) {
    const std::size_t hash = hash_of(key.secret());
    Visit shard = impl_->visit(hash);
    shard.erase_if_expired(hash, key);
    if (Entry* entry = shard.find(hash, key); entry != nullptr && entry->is_frozen()) {
      shard.strip(*entry);
    }
  }
  return {};
}

Result<void> MemoryStore::end_frozen(const StoreKey& key) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  const std::size_t hash = hash_of(key.secret());
  Visit shard = impl_->visit(hash);
  if (Entry* entry = shard.find(hash, key); entry != nullptr && entry->is_frozen()) {
    shard.strip(*entry);
  }
  return {};
}

std::size_t MemoryStore::sweep(std::size_t at_most) {
  if (impl_->fork_guard.in_child()) return 0;
  std::size_t removed = 0;
  for (std::size_t i = 0; i < shard_count; ++i) {
    const Impl::Teller teller(*impl_);  // so that what is to be told stays little
    bool more = true;
    while (more && removed < at_most) {
      const Visit visit(impl_->shared, impl_->shards.data(), i,
                        std::min(swept_at_once, at_most - removed));
      removed += visit.removed();
      more = visit.more_due();
    }
  }
  return removed;
}

// A step goes through whole shards: each is as it was at one moment.
Result<DirectoryPage> MemoryStore::page(const DirectoryCursor& after, std::size_t about) {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  Result<std::size_t> begin = internal::place_in(after, cursor_kind, shard_count);
  if (!begin) return std::move(begin).error();
  if (auto valid = internal::validate_page(about); !valid) return std::move(valid).error();
  DirectoryPage page;
  std::size_t shard = *begin;
  for (; shard < shard_count && page.keys.size() < about; ++shard) {
    const Visit visit(impl_->shared, impl_->shards.data(), shard);
    visit.for_each([&](const Entry& entry) {
      if (entry.is_session()) page.keys.emplace_back(std::string(entry.key()));
    });
  }
  page.is_last = shard == shard_count;
  if (!page.is_last) page.next = internal::cursor_of(cursor_kind, std::to_string(shard));
  return page;
}

Result<SessionCount> MemoryStore::count() {
  if (impl_->fork_guard.in_child()) return forked_error();
  const Impl::Teller teller(*impl_);
  SessionCount count;
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    const Visit visit(impl_->shared, impl_->shards.data(), shard);
    visit.for_each([&](const Entry& entry) {
      if (entry.is_session() && internal::is_session_key(entry.key())) ++count.sessions;
    });
  }
  return count;
}

std::size_t MemoryStore::size() const { return stats().sessions; }

MemoryStats MemoryStore::stats() const {
  const memory::Budget& budget = impl_->shared.budget;
  const std::size_t records = budget.sessions();
  const std::size_t marks = std::min(records, impl_->shared.marks.load(std::memory_order_relaxed));
  return {records - marks, marks, budget.bytes(), impl_->evicted[0].load(std::memory_order_relaxed),
          impl_->evicted[1].load(std::memory_order_relaxed)};
}

}  // namespace websession
