// Where sessions are kept, for event loops: what SessionStore is for threads that may block.
//
// websession brings AsyncRedisStore (async/redis_store.hpp), AsyncRedisJsonStore
// (async/redis_json_store.hpp) and AsyncPostgresStore (async/postgres_store.hpp); makes one of any
// store that never waits, as MemoryStore, or of any other one, as SqliteStore, with threads of its
// own (async/stores.hpp); and encrypted() stands upon any of them (async/encrypted_store.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/async/callback.hpp"
#include "websession/async/reactor.hpp"
#include "websession/config.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// The terms of one call of a store. Used on its loop only, and gone when the call has been
// answered.
class AsyncCall {
 public:
  // `loop`: of AsyncSessionStore::reactors(), the one that the call is made on. `timeout`: counted
  // from the call. None: the store's own.
  explicit AsyncCall(std::size_t loop,
                     std::optional<std::chrono::nanoseconds> timeout = std::nullopt) noexcept
      : loop_(loop), timeout_(timeout) {}
  AsyncCall(const AsyncCall&) = delete;
  AsyncCall& operator=(const AsyncCall&) = delete;

  [[nodiscard]] std::size_t loop() const noexcept { return loop_; }
  [[nodiscard]] std::optional<std::chrono::nanoseconds> timeout() const noexcept {
    return timeout_;
  }

  // For the store: what to call when nobody waits for the answer any more; then it answers soon,
  // with `canceled`. Not to be asked is no error: then the answer comes by the timeout.
  void when_stopped(Callback<void()> stopped) noexcept { stopped_ = std::move(stopped); }
  // For whoever made the call.
  void stop() {
    if (Callback<void()> stopped = std::exchange(stopped_, {})) stopped();
  }

 private:
  const std::size_t loop_;
  const std::optional<std::chrono::nanoseconds> timeout_;
  Callback<void()> stopped_{};
};

// Which sessions a principal has: what PrincipalIndex is for threads that may block.
class AsyncPrincipalIndex {
 public:
  virtual void entries(std::string_view principal, AsyncCall& call,
                       Done<std::vector<StoreKey>> done) = 0;
  virtual void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
                      AsyncCall& call, Done<void> done) = 0;
  virtual void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) = 0;

 protected:
  ~AsyncPrincipalIndex() = default;
};

// All sessions: what SessionDirectory is for threads that may block.
class AsyncSessionDirectory {
 public:
  virtual void page(const DirectoryCursor& after, std::size_t about, AsyncCall& call,
                    Done<DirectoryPage> done) = 0;
  virtual void count(AsyncCall& call, Done<SessionCount> done) = 0;

 protected:
  ~AsyncSessionDirectory() = default;
};

// Each verb promises what SessionStore's of that name does, atomicity above all, and tells `done`:
// once, on the call's loop, not inside of the verb, with nothing of the store locked or unfinished,
// and soon after the timeout at the latest. What a call is given by reference lives until then; a
// store whose work may go on after its answer copies it.
//
// Called on the loops that it has, each call on the one that it names, and on several at once.
//
// Made and destroyed on any thread. When the store is destroyed, what is in flight is answered
// `unavailable` (maybe_applied, if it may have been), on its loop, while that runs. A loop that is
// destroyed first drops it uncalled.
class AsyncSessionStore {
 public:
  using Reactors = std::vector<std::shared_ptr<Reactor>>;

  AsyncSessionStore(const AsyncSessionStore&) = delete;
  AsyncSessionStore& operator=(const AsyncSessionStore&) = delete;
  virtual ~AsyncSessionStore() = default;

  // The loops that it can be called on: at least one. Always the same.
  [[nodiscard]] const Reactors& reactors() const noexcept { return reactors_; }

  virtual void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) = 0;
  virtual void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
                      Done<void> done) = 0;
  virtual void update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
                      AsyncCall& call, Done<Outcome> done) = 0;
  virtual void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                     Lifetime lifetime, Grace grace, AsyncCall& call, Done<Outcome> done) = 0;
  virtual void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) = 0;

  // Null: it keeps none. Always the same.
  [[nodiscard]] virtual AsyncPrincipalIndex* index() noexcept { return nullptr; }
  // Null: it cannot list its sessions. Always the same.
  [[nodiscard]] virtual AsyncSessionDirectory* directory() noexcept { return nullptr; }
  // As SessionStore::placement.
  [[nodiscard]] virtual std::shared_ptr<const KeyPlacement> placement() const { return nullptr; }
  // A store that never waits, which may be called in place of this one, on any thread. Null: there
  // is none. Always the same.
  [[nodiscard]] virtual SessionStore* immediate() noexcept { return nullptr; }

 protected:
  // Precondition: at least one, and none is null (validate).
  explicit AsyncSessionStore(Reactors reactors) noexcept : reactors_(std::move(reactors)) {}

 private:
  const Reactors reactors_;
};

// Error: invalid_argument, there is none, or one is null.
Result<void> validate(const AsyncSessionStore::Reactors& reactors);

}  // namespace websession
WEBSESSION_API_END
