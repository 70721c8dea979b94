// One part of the store, under one lock, and what all parts share.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "budget.hpp"
#include "entry.hpp"
#include "expiry_queue.hpp"
#include "key_table.hpp"
#include "principals.hpp"
#include "websession/clock.hpp"
#include "websession/observer.hpp"
#include "websession/session_id.hpp"

namespace websession::memory {

// Enough that threads seldom meet and that growing a table takes no time worth mentioning.
inline constexpr std::size_t shard_count = 256;

[[nodiscard]] inline std::size_t hash_of(std::string_view key) noexcept {
  return std::hash<std::string_view>{}(key);
}
// The table inside a shard uses the low bits, so the shard takes the high ones.
[[nodiscard]] inline std::size_t shard_of(std::size_t hash) noexcept {
  return (hash >> (sizeof(hash) * 8 - 8)) % shard_count;
}

// When the first session of each shard is due, by kind: it can be read without a lock, to find
// where the one is that ends soonest.
class FirstDue {
 public:
  FirstDue() noexcept {
    for (auto& shards : due_) {
      for (auto& due : shards) due.store(SteadyTime::max(), std::memory_order_relaxed);
    }
  }
  void publish(Kind kind, std::size_t shard, SteadyTime due) noexcept {
    of(kind)[shard].store(due, std::memory_order_relaxed);
  }
  struct Soonest {
    std::size_t shard;
    SteadyTime due;  // SteadyTime::max(): there is none
  };
  // Leaves out the shard `but`, if there is such a one.
  [[nodiscard]] Soonest soonest(Kind kind, std::size_t but = shard_count) const noexcept;

 private:
  using Shards = std::array<std::atomic<SteadyTime>, shard_count>;
  [[nodiscard]] Shards& of(Kind kind) noexcept { return due_[static_cast<std::size_t>(kind)]; }

  std::array<Shards, kind_count> due_;
};

// Sessions that were found to have expired, until somebody tells of them who holds no lock.
class Expired {
 public:
  struct Session {
    StoreKey key;
    EndReason why;
  };
  // If there is no memory for it, nobody is told.
  void add(const Entry& entry) noexcept;
  [[nodiscard]] std::vector<Session> take() noexcept;

 private:
  std::mutex mutex_;
  std::vector<Session> sessions_{};
  std::atomic<bool> any_ = false;
};

struct Shared {
  Shared(std::size_t sessions_max, std::size_t bytes_max, std::shared_ptr<const Clock> time,
         bool tells)
      : clock(std::move(time)), budget(sessions_max, bytes_max) {
    if (tells) expired = std::make_unique<Expired>();
  }

  std::shared_ptr<const Clock> clock;
  std::unique_ptr<Expired> expired{};  // null: nobody wants to know
  std::atomic<std::size_t> marks = 0;  // of the records that the budget counts as sessions
  Budget budget;
  FirstDue first_due;
  Principals principals;
};

// Its records, and queues of them by expiry. A renewal does not move a record in its queue; it is
// put back when its turn comes too early. Used through a Visit.
class alignas(64) Shard {
 private:
  friend class Visit;
  std::mutex mutex_;
  SteadyTime next_due_ = SteadyTime::max();
  EntryPool pool_;
  KeyTable table_;
  std::array<ExpiryQueue, kind_count> queues_;
  std::array<SteadyTime, kind_count> published_{SteadyTime::max(), SteadyTime::max()};
};

// A shard while it is locked. Every visit also removes a few records that have expired.
class Visit {
 public:
  // More than the one that a call can add, so expired records do not pile up, and few enough that
  // no call stalls. A record whose turn came too early counts as well.
  static constexpr std::size_t reaped_per_call = 2;

  Visit(Shared& shared, Shard* shards, std::size_t index, std::size_t reap = reaped_per_call);
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit();

  // Read under the lock: with a time from before it, a session that another call has just found
  // expired could come back.
  [[nodiscard]] SteadyTime now() const noexcept { return now_; }
  // How many expired records this visit has removed, and whether more are due.
  [[nodiscard]] std::size_t removed() const noexcept { return removed_; }
  [[nodiscard]] bool more_due() const noexcept { return first_due() <= now_; }

  // The live record; null when there is none.
  [[nodiscard]] Entry* find(std::size_t hash, const StoreKey& key) const noexcept;
  // Adds a record whose room has been taken. Precondition: find gives null.
  // Gives it.
  Entry& insert(std::size_t hash, const StoreKey& key, Fields fields, SteadyTime expires_at);
  // Removes the record if it is there and signed in, and gives what it was. None: it is not.
  std::optional<Entry::State> erase_signed_in(std::size_t hash, const StoreKey& key) noexcept;
  // Removes the record if it is there and has expired.
  void erase_if_expired(std::size_t hash, const StoreKey& key) noexcept;
  // Removes the record and gives its room back, or leaves the room to the caller.
  void erase(Entry& entry) noexcept;
  void erase_and_keep_room(Entry& entry) noexcept;

  // Gives it another end.
  void renew(Entry& entry, SteadyTime expires_at, bool is_absolute) noexcept;
  // `each(entry)`, for those that live, in any order.
  template <class Each>
  void for_each(const Each& each) const {
    shard_.table_.for_each([&](const Entry& entry) {
      if (entry.expires_at > now_) each(entry);
    });
  }

  // Makes a mark of a session. It ends by `until`, or when the session would have. The room of what
  // it does not keep is left to the caller.
  void freeze(Entry& entry, std::unique_ptr<const StoreKey> successor, SteadyTime until) noexcept;
  void end_and_keep_room(Entry& entry, Entry::State state,
                         std::unique_ptr<const StoreKey> successor, SteadyTime until) noexcept;
  // The same, without a successor, and gives the room back.
  void end(Entry& entry, SteadyTime until) noexcept;
  // Takes from a frozen record what can be read in it.
  void strip(Entry& entry) noexcept;

  // Swaps the fields. `same_principal`: theirs are known to be. Otherwise it sees to it that the
  // entry queues with its kind and is listed under its principal.
  void swap_fields(std::size_t hash, Entry& entry, Fields& fields, bool same_principal);
  [[nodiscard]] ExpiryQueue& queue(Kind kind) noexcept {
    return shard_.queues_[static_cast<std::size_t>(kind)];
  }

 private:
  [[nodiscard]] SteadyTime first_due() const noexcept {
    return std::min(shard_.queues_[0].first_due(), shard_.queues_[1].first_due());
  }
  void reap(std::size_t steps) noexcept;
  void erase_expired(Entry& entry) noexcept;
  void unlist(const Entry& entry) noexcept;
  void move_principal(const Entry& entry, const Fields& fields);

  Shared& shared_;
  Shard& shard_;
  std::size_t index_;
  std::lock_guard<std::mutex> lock_;
  SteadyTime now_;
  std::size_t removed_ = 0;
};

}  // namespace websession::memory
