// Decorators for tests, to derive from.
#pragma once

#include <span>
#include <vector>

#include "websession/principal_index.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {

// Passes the calls of the index on, too, so that a test can override them. Precondition: the inner
// store has one.
class IndexedDecorator : public StoreDecorator, public PrincipalIndex {
 public:
  using StoreDecorator::StoreDecorator;

  [[nodiscard]] PrincipalIndex* index() noexcept override { return this; }

  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return inner().index()->entries(principal);
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    return inner().index()->forget(principal, keys, made);
  }
  Result<void> end_frozen(const StoreKey& key) override { return inner().index()->end_frozen(key); }
};

// The five verbs only.
class WithoutIndex final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  [[nodiscard]] PrincipalIndex* index() noexcept override { return nullptr; }
};

}  // namespace websession::testing
