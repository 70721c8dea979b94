// A store upon another one: derive from it to change, watch or refuse some of its calls.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "websession/config.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Passes every call on. What it does not override is the inner store's, its index of principals,
// its directory and its placement of keys included:
//
//   class ReadOnly final : public websession::StoreDecorator {
//    public:
//     using StoreDecorator::StoreDecorator;
//     Result<Outcome> update(const StoreKey&, const Changes&, Lifetime) override {
//       return websession::make_error(websession::Errc::rejected, "under maintenance");
//     }
//   };
//
// To change what the index does, override index() as well. As safe for threads as what it adds.
class StoreDecorator : public SessionStore {
 public:
  // Precondition: not null.
  explicit StoreDecorator(std::shared_ptr<SessionStore> inner) noexcept
      : inner_(std::move(inner)) {}

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
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override {
    return inner_->erase(key, grace);
  }
  [[nodiscard]] PrincipalIndex* index() noexcept override { return inner_->index(); }
  [[nodiscard]] SessionDirectory* directory() noexcept override { return inner_->directory(); }
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return inner_->placement();
  }

 protected:
  [[nodiscard]] SessionStore& inner() const noexcept { return *inner_; }

 private:
  const std::shared_ptr<SessionStore> inner_;
};

}  // namespace websession
WEBSESSION_API_END
