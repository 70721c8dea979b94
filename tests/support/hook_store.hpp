// A store that lets a test act in the midst of an operation, to put races into an order.
#pragma once

#include <functional>
#include <utility>

#include "forwarding_store.hpp"

namespace websession::testing {

// Passes every call on. The hooks run once each, right before such a call is passed on or right
// after it; they may use the store below. For one thread at a time.
class HookStore final : public IndexedDecorator {
  static void run(std::function<void()>& hook) {
    if (hook) std::exchange(hook, nullptr)();
  }
  template <class Call>
  auto write(const Call& call) {
    run(before_write);
    auto result = call();
    run(after_write);
    return result;
  }

 public:
  using Hook = std::function<void()>;

  using IndexedDecorator::IndexedDecorator;

  Hook before_load;
  Hook before_write;  // create, update and rekey
  Hook after_write;
  Hook before_erase;
  Hook before_entries;
  Hook after_entries;
  Hook before_forget;

  Result<std::optional<Record>> load(const StoreKey& key) override {
    run(before_load);
    return IndexedDecorator::load(key);
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return write([&] { return IndexedDecorator::create(key, fields, lifetime); });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return write([&] { return IndexedDecorator::update(key, changes, lifetime); });
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return write([&] { return IndexedDecorator::rekey(from, to, changes, lifetime, grace); });
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    run(before_erase);
    return IndexedDecorator::erase(key, grace);
  }

  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    run(before_entries);
    Result<std::vector<StoreKey>> entries = IndexedDecorator::entries(principal);
    run(after_entries);
    return entries;
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    run(before_forget);
    return IndexedDecorator::forget(principal, keys, made);
  }
};

}  // namespace websession::testing
