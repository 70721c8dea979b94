#include "observed_store.hpp"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "blocking_flow.hpp"
#include "observed_calls.hpp"
#include "websession/principal_index.hpp"
#include "websession/store_decorator.hpp"

namespace websession::internal {
namespace {

// The same on a store that blocks.
class ObservedStore final : public StoreDecorator, private PrincipalIndex {
 public:
  ObservedStore(std::shared_ptr<SessionStore> store, ObservedCalls calls)
      : StoreDecorator(std::move(store)), calls_(std::move(calls)) {}

  Result<std::optional<Record>> load(const StoreKey& key) override {
    return run_blocking(inner(), [&](StoreFlow& flow) { return calls_.load(flow, key); });
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return run_blocking(
        inner(), [&](StoreFlow& flow) { return calls_.create(flow, key, fields, lifetime); });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return run_blocking(
        inner(), [&](StoreFlow& flow) { return calls_.update(flow, key, changes, lifetime); });
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return run_blocking(inner(), [&](StoreFlow& flow) {
      return calls_.rekey(flow, from, to, changes, lifetime, grace);
    });
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    return run_blocking(inner(), [&](StoreFlow& flow) { return calls_.erase(flow, key, grace); });
  }
  [[nodiscard]] PrincipalIndex* index() noexcept override {
    return inner().index() != nullptr ? this : nullptr;
  }

 private:
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return run_blocking(inner(), [&](StoreFlow& flow) { return calls_.entries(flow, principal); });
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    return run_blocking(
        inner(), [&](StoreFlow& flow) { return calls_.forget(flow, principal, keys, made); });
  }
  Result<void> end_frozen(const StoreKey& key) override {
    return run_blocking(inner(), [&](StoreFlow& flow) { return calls_.end_frozen(flow, key); });
  }

  const ObservedCalls calls_;
};

}  // namespace

std::shared_ptr<SessionStore> observe(std::shared_ptr<SessionStore> store,
                                      std::shared_ptr<Observer> observer,
                                      std::shared_ptr<const Clock> clock) {
  return std::make_shared<ObservedStore>(std::move(store),
                                         ObservedCalls(std::move(observer), std::move(clock)));
}

}  // namespace websession::internal
