// The verbs of a RedisStore, step by step, whoever sends the commands (call_flow.hpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "call_flow.hpp"
#include "operations.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// Each is what SessionStore and PrincipalIndex say. Immutable, so safe to share between threads.
class HashVerbs {
 public:
  explicit HashVerbs(RedisOptions options);

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
                            std::span<const StoreKey> keys) const;
  Task<Result<void>> end_frozen(CallFlow& flow, const StoreKey& key) const;

 private:
  Task<Result<Outcome>> update_by_shortcut(CallFlow& flow, const StoreKey& key,
                                           const Changes& changes, Lifetime lifetime,
                                           std::size_t parts, WallTime now) const;
  Task<Result<Outcome>> bound(CallFlow& flow, const StoreKey& key, const Changes& changes) const;

  const std::shared_ptr<const Clock> clock_;
  const Layout layout_;
  const std::size_t record_bytes_max_;
};

}  // namespace websession::redis
