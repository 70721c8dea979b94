#include <utility>

#include "invalid.hpp"
#include "websession/async/stores.hpp"
#include "websession/principal_index.hpp"

namespace websession {
namespace {

class ImmediateStore final : public AsyncSessionStore,
                             private AsyncPrincipalIndex,
                             private AsyncSessionDirectory {
 public:
  ImmediateStore(std::shared_ptr<SessionStore> store, Reactors reactors) noexcept
      : AsyncSessionStore(std::move(reactors)), store_(std::move(store)) {}

  [[nodiscard]] SessionStore* immediate() noexcept override { return store_.get(); }
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return store_->placement();
  }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override {
    return store_->index() != nullptr ? this : nullptr;
  }
  [[nodiscard]] AsyncSessionDirectory* directory() noexcept override {
    return store_->directory() != nullptr ? this : nullptr;
  }

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    answer(call, std::move(done), store_->load(key));
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    answer(call, std::move(done), store_->create(key, fields, lifetime));
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    answer(call, std::move(done), store_->update(key, changes, lifetime));
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    answer(call, std::move(done), store_->rekey(from, to, changes, lifetime, grace));
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    answer(call, std::move(done), store_->erase(key, grace));
  }

 private:
  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    answer(call, std::move(done), store_->index()->entries(principal));
  }
  void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              AsyncCall& call, Done<void> done) override {
    answer(call, std::move(done), store_->index()->forget(principal, keys, made));
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    answer(call, std::move(done), store_->index()->end_frozen(key));
  }

  void page(const DirectoryCursor& after, std::size_t about, AsyncCall& call,
            Done<DirectoryPage> done) override {
    answer(call, std::move(done), store_->directory()->page(after, about));
  }
  void count(AsyncCall& call, Done<SessionCount> done) override {
    answer(call, std::move(done), store_->directory()->count());
  }

  // Never inside of the verb.
  template <class T>
  void answer(const AsyncCall& call, Done<T> done, Result<T> result) {
    reactors()[call.loop()]->post([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }

  const std::shared_ptr<SessionStore> store_;
};

}  // namespace

Result<void> validate(const AsyncSessionStore::Reactors& reactors) {
  if (reactors.empty()) return internal::invalid("reactors: there must be at least one");
  for (const std::shared_ptr<Reactor>& reactor : reactors) {
    if (reactor == nullptr) return internal::invalid("reactors: none may be null");
  }
  return {};
}

Result<std::shared_ptr<AsyncSessionStore>> immediate(std::shared_ptr<SessionStore> store,
                                                     AsyncSessionStore::Reactors reactors) {
  if (store == nullptr) return internal::invalid("store: must not be null");
  if (auto valid = validate(reactors); !valid) return std::move(valid).error();
  return std::shared_ptr<AsyncSessionStore>(
      std::make_shared<ImmediateStore>(std::move(store), std::move(reactors)));
}

}  // namespace websession
