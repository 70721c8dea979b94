// Stores that pass every call on: a test derives from one, and overrides what it changes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "websession/principal_index.hpp"
#include "websession/session_store.hpp"

namespace websession::testing {

// The verbs only, so it has no PrincipalIndex.
class ForwardingStore : public SessionStore {
 public:
  explicit ForwardingStore(std::shared_ptr<SessionStore> inner) : inner_(std::move(inner)) {}

  Result<std::optional<Record>> load(const StoreKey& key) override { return inner_->load(key); }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return inner_->create(key, fields, lifetime);
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return inner_->update(key, changes, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return inner_->rekey(from, to, changes, lifetime, grace);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    return inner_->erase(key, grace);
  }

 protected:
  [[nodiscard]] SessionStore& inner() const { return *inner_; }

 private:
  std::shared_ptr<SessionStore> inner_;
};

// Precondition: the store below has a PrincipalIndex.
class ForwardingIndexedStore : public ForwardingStore, public PrincipalIndex {
 public:
  explicit ForwardingIndexedStore(std::shared_ptr<SessionStore> inner)
      : ForwardingStore(std::move(inner)), index_(*principal_index_of(ForwardingStore::inner())) {}

  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return index_.entries(principal);
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys) override {
    return index_.forget(principal, keys);
  }
  Result<void> end_frozen(const StoreKey& key) override { return index_.end_frozen(key); }

 private:
  PrincipalIndex& index_;
};

}  // namespace websession::testing
