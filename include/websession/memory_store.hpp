// Sessions in this process's memory: for tests, tools and single-server sites. They end with the
// process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class Observer;

// How much a MemoryStore may hold. For no cap:
// `std::numeric_limits<std::size_t>::max()`.
struct MemoryOptions {
  std::size_t sessions_max = 1'000'000;
  // Names, values, keys, and about 100 bytes for each session, 280 when somebody has signed in, as
  // MemoryStats::bytes counts them.
  // Not counted: what the allocator adds, and the fields of old states that someone still reads.
  std::size_t bytes_max = std::size_t{512} * 1024 * 1024;
  std::shared_ptr<const Clock> clock{};  // none: system_clock()
  // Is told of every session that ends for want of room, and of every one that has expired, when it
  // is removed (observer.hpp): as calls come in, or by sweep. The managers have an observer of
  // their own, which may be the same.
  std::shared_ptr<Observer> observer{};
};

// Sessions that have expired and were not removed yet count, those that a call is just about to
// add as well.
struct MemoryStats {
  std::size_t sessions = 0;
  // What is remembered of replaced and ended ones (Grace). They take room like sessions, and make
  // it before any of these.
  std::size_t marks = 0;
  std::size_t bytes = 0;
  // Sessions that ended before their time for want of room, since the store was made.
  std::uint64_t evicted_anonymous = 0;
  std::uint64_t evicted_signed_in = 0;
};

// No thread of its own: every call also removes a few sessions that have expired, so the cost of a
// call is bounded and expired ones do not pile up while calls come in. All members are safe to call
// from many threads at once.
//
// The caps are never exceeded. When a session would need more room than there is, sessions that
// have expired leave first, then anonymous ones (without `@user`), the one that ends soonest first.
// Only when there are none left, and for the sake of a signed-in session, signed-in ones leave: the
// oldest of the principal who has the most, and when nobody has two, the one that ends soonest. So
// one account that signs in again and again displaces its own sessions. An anonymous session never
// displaces a signed-in one: it gets `overloaded`. (Which one ends soonest is known exactly but for
// renewals: the search goes past those of 64 sessions.)
//
// Not for use on both sides of a fork: in the child another thread may have left a lock behind, and
// a session would be two. There every call gives `rejected`, and sweep removes nothing. Make a
// store in each process, after forking.
//
// Errors: key_exists, invalid_argument, overloaded (no room, see above; nothing was written),
// too_large (the session alone would exceed bytes_max, or grow beyond Changes::bytes_max or
// attributes_max), rejected (after a fork).
//
// Its PrincipalIndex holds exactly the sessions that it has, by their `@user`, from the oldest to
// the newest.
class MemoryStore final : public SessionStore, public PrincipalIndex, public SessionDirectory {
 public:
  explicit MemoryStore(std::shared_ptr<const Clock> clock = system_clock());
  explicit MemoryStore(const MemoryOptions& options);
  ~MemoryStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override;
  [[nodiscard]] PrincipalIndex* index() noexcept override { return this; }
  [[nodiscard]] SessionDirectory* directory() noexcept override { return this; }

  Result<std::vector<StoreKey>> entries(std::string_view principal) override;
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override;
  Result<void> end_frozen(const StoreKey& key) override;

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override;
  Result<SessionCount> count() override;

  // Removes sessions that have expired, at most so many, and gives how many it removed. Nothing
  // needs it: expired sessions are absent in every verb, and leave as calls come in or room is
  // short. Call it from a timer of your own to give memory back in quiet times. Others hardly wait
  // for it, whatever the number: it holds a part of the store for a few sessions at a time.
  std::size_t sweep(std::size_t at_most);

  // The sessions held, expired ones that have not been removed yet included.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] MemoryStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
WEBSESSION_API_END
