// An asynchronous store as one that blocks: so that one list of cases serves both.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "websession/async/epoll_reactor.hpp"
#include "websession/async/session_store.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

namespace websession::testing {

// Calls are made on the store's first loop, and waited for.
class LoopStore final : public SessionStore, public PrincipalIndex, public SessionDirectory {
 public:
  // The loop's thread ends with this.
  LoopStore(std::shared_ptr<void> thread, std::shared_ptr<AsyncSessionStore> store)
      : thread_(std::move(thread)), store_(std::move(store)) {}

  [[nodiscard]] PrincipalIndex* index() noexcept override {
    return store_->index() != nullptr ? this : nullptr;
  }
  [[nodiscard]] SessionDirectory* directory() noexcept override {
    return store_->directory() != nullptr ? this : nullptr;
  }
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return store_->placement();
  }
  Result<std::optional<Record>> load(const StoreKey& key) override {
    return call<std::optional<Record>>([&](AsyncCall& terms, Done<std::optional<Record>> done) {
      store_->load(key, terms, std::move(done));
    });
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return call<void>([&](AsyncCall& terms, Done<void> done) {
      store_->create(key, fields, lifetime, terms, std::move(done));
    });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return call<Outcome>([&](AsyncCall& terms, Done<Outcome> done) {
      store_->update(key, changes, lifetime, terms, std::move(done));
    });
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return call<Outcome>([&](AsyncCall& terms, Done<Outcome> done) {
      store_->rekey(from, to, changes, lifetime, grace, terms, std::move(done));
    });
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    return call<bool>([&](AsyncCall& terms, Done<bool> done) {
      store_->erase(key, grace, terms, std::move(done));
    });
  }
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return call<std::vector<StoreKey>>([&](AsyncCall& terms, Done<std::vector<StoreKey>> done) {
      store_->index()->entries(principal, terms, std::move(done));
    });
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    return call<void>([&](AsyncCall& terms, Done<void> done) {
      store_->index()->forget(principal, keys, made, terms, std::move(done));
    });
  }
  Result<void> end_frozen(const StoreKey& key) override {
    return call<void>([&](AsyncCall& terms, Done<void> done) {
      store_->index()->end_frozen(key, terms, std::move(done));
    });
  }

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override {
    return call<DirectoryPage>([&](AsyncCall& terms, Done<DirectoryPage> done) {
      store_->directory()->page(after, about, terms, std::move(done));
    });
  }
  Result<SessionCount> count() override {
    return call<SessionCount>([&](AsyncCall& terms, Done<SessionCount> done) {
      store_->directory()->count(terms, std::move(done));
    });
  }

 private:
  // `start(call, done)` makes the call, on the loop.
  template <class T, class Start>
  Result<T> call(const Start& start) {
    AsyncCall terms(0);
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Result<T>> answer;
    store_->reactors().front()->post([&] {
      start(terms, [&](Result<T> result) {
        const std::lock_guard lock(mutex);
        EXPECT_FALSE(answer.has_value()) << "answered twice";
        answer.emplace(std::move(result));
        answered.notify_one();
      });
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    return *std::move(answer);
  }

  std::shared_ptr<void> thread_;  // outlives the store
  std::shared_ptr<AsyncSessionStore> store_;
};

}  // namespace websession::testing
