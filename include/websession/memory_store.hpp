// Sessions in this process's memory: for tests, tools and single-server sites. They end with the
// process.
#pragma once

#include <cstddef>
#include <memory>

#include "websession/clock.hpp"
#include "websession/session_store.hpp"

namespace websession {

// No thread of its own: every call also removes a few sessions that have expired, so the cost of a
// call is bounded and expired ones do not pile up while calls come in. Its only errors are
// key_exists and invalid_argument.
class MemoryStore final : public SessionStore {
 public:
  explicit MemoryStore(std::shared_ptr<const Clock> clock = system_clock());
  ~MemoryStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;
  Result<bool> erase(const StoreKey& key) override;

  // The records held, expired ones that have not been removed yet included.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
