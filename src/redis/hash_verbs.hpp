// The verbs of a RedisStore, step by step, whoever sends the commands (call_flow.hpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "call_flow.hpp"
#include "directory.hpp"
#include "operations.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// Each is what SessionStore and PrincipalIndex say. Immutable, so safe to share between threads.
class HashVerbs {
 public:
  explicit HashVerbs(RedisOptions options, bool on_cluster = false);

  Task<Result<std::optional<Record>>> load(CallFlow& flow, const StoreKey& key) const;
  Task<Result<void>> create(CallFlow& flow, const StoreKey& key, const Fields& fields,
                            Lifetime lifetime) const;
  Task<Result<Outcome>> update(CallFlow& flow, const StoreKey& key, const Changes& changes,
                               Lifetime lifetime) const;
  Task<Result<Outcome>> rekey(CallFlow& flow, const StoreKey& from, const StoreKey& to,
                              const Changes& changes, Lifetime lifetime, Grace grace) const;
  Task<Result<bool>> erase(CallFlow& flow, const StoreKey& key, Grace grace) const;
  Task<Result<std::vector<StoreKey>>> entries(CallFlow& flow, std::string_view principal) const;
  Task<Result<void>> forget(CallFlow& flow, std::string_view principal,
                            std::span<const StoreKey> keys, BeingMade made) const;
  Task<Result<void>> end_frozen(CallFlow& flow, const StoreKey& key) const;
  Task<Result<DirectoryPage>> page(CallFlow& flow, const DirectoryCursor& after,
                                   std::size_t about) const {
    return list_page(flow, listed_, after, about);
  }
  Task<Result<SessionCount>> count(CallFlow& flow) const { return count_keys(flow, listed_); }

 private:
  using Moment = Result<Covered>;
  // Of an index that is apart (docs/redis-layout.md, "On a Cluster"). Lists a session before it is
  // written; nobody's is not listed. `may_make`: there may be none yet.
  Task<Moment> announce(CallFlow& flow, const StoreKey& key, std::string_view principal,
                        std::chrono::milliseconds ttl, bool may_make) const;
  // After sessions have ended, or were not written: their entries go. If they do not, they only
  // take room.
  Task<Result<void>> unlist(CallFlow& flow, std::string_view principal,
                            std::span<const std::string> keys) const;
  Task<Result<Outcome>> update_apart(CallFlow& flow, const StoreKey& key, const Changes& changes,
                                     Lifetime lifetime, WallTime now) const;
  Task<Result<Outcome>> rekey_apart(CallFlow& flow, const StoreKey& from, const StoreKey& to,
                                    const Changes& changes, Lifetime lifetime, Grace grace,
                                    WallTime now) const;
  Task<Result<void>> forget_apart(CallFlow& flow, std::string_view principal,
                                  std::span<const StoreKey> keys, BeingMade made) const;

  Task<Result<Outcome>> update_by_shortcut(CallFlow& flow, const StoreKey& key,
                                           const Changes& changes, Lifetime lifetime,
                                           std::size_t parts, WallTime now) const;
  Task<Result<Outcome>> bound(CallFlow& flow, const StoreKey& key, const Changes& changes) const;

  // One script, or what does the same; after announce(), if the session is listed.
  Task<Result<Outcome>> update_now(CallFlow& flow, const StoreKey& key, const Changes& changes,
                                   Lifetime lifetime, WallTime now, Covered covered) const;

  const std::shared_ptr<const Clock> clock_;
  const Layout layout_;
  const std::size_t record_bytes_max_;
  const Listed listed_{layout_.prefix, "hash", record_bytes_max_};
};

}  // namespace websession::redis
