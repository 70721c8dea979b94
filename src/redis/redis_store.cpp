#include "websession/redis_store.hpp"

#include <utility>

#include "cluster/slot_placement.hpp"
#include "endpoint.hpp"
#include "engine.hpp"
#include "hash_verbs.hpp"
#include "redis_store_impl.hpp"

namespace websession {

using redis::CallFlow;

struct RedisStore::Impl {
  Impl(redis::Servers servers, const redis::Login& login, RedisOptions options)
      : placement(redis::make_placement(login)),
        engine(std::move(servers), login, options),
        verbs(std::move(options), login.on_cluster) {}

  const std::shared_ptr<const KeyPlacement> placement;
  redis::Engine engine;
  const redis::HashVerbs verbs;
};

RedisStore::RedisStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisStore::~RedisStore() = default;

Result<redis::Endpoint> redis::hash_endpoint(std::string_view url, const RedisOptions& options) {
  if (options.prefix.empty()) {
    return make_error(Errc::invalid_argument, "prefix: must not be empty");
  }
  Result<Endpoint> endpoint = make_endpoint(url, options, options.prefix, {});
  if (endpoint) {
    Login& login = endpoint->login;
    const Layout layout{options.prefix, options.adopt_foreign_hashes, login.on_cluster};
    const Scripts& all = scripts(layout.index_is_apart());
    for (const Script* script : {&all.create, &all.set, &all.count, &all.bound, &all.update,
                                 &all.rekey, &all.erase, &all.strip}) {
      login.scripts.push_back(script->source());
    }
    if (layout.index_is_apart()) {
      for (const Script* script : {&all.announce, &all.look, &all.forget, &all.shorten, &all.bar}) {
        login.scripts.push_back(script->source());
      }
    }
    // Shortcuts are for those who wait for nobody. A transaction is shared by callers whose keys
    // may lie in any slot, which a Cluster refuses.
    login.guarded = !options.adopt_foreign_hashes && options.replicas_to_wait_for == 0;
    login.transactions = login.guarded && !login.on_cluster;
  }
  return endpoint;
}

Result<std::shared_ptr<RedisStore>> RedisStore::connect_later(std::string_view url,
                                                              RedisOptions options) {
  Result<redis::Endpoint> endpoint = redis::hash_endpoint(url, options);
  if (!endpoint) return std::move(endpoint).error();
  return redis::make_store(redis::make_servers(*endpoint), endpoint->login, std::move(options));
}

Result<std::shared_ptr<RedisStore>> RedisStore::connect(std::string_view url,
                                                        RedisOptions options) {
  Result<std::shared_ptr<RedisStore>> store = connect_later(url, std::move(options));
  if (!store) return store;
  Result<void> connected = (*store)->impl_->engine.connect();
  if (!connected) return std::move(connected).error();
  return store;
}

Result<std::optional<Record>> RedisStore::load(const StoreKey& key) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.load(flow, key); });
}

Result<void> RedisStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.create(flow, key, fields, lifetime); });
}

Result<Outcome> RedisStore::update(const StoreKey& key, const Changes& changes, Lifetime lifetime) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.update(flow, key, changes, lifetime); });
}

Result<Outcome> RedisStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                  Lifetime lifetime, Grace grace) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.rekey(flow, from, to, changes, lifetime, grace); });
}

Result<bool> RedisStore::erase(const StoreKey& key, Grace grace) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.erase(flow, key, grace); });
}

Result<std::vector<StoreKey>> RedisStore::entries(std::string_view principal) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.entries(flow, principal); });
}

Result<void> RedisStore::forget(std::string_view principal, std::span<const StoreKey> keys,
                                BeingMade made) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.forget(flow, principal, keys, made); });
}

Result<void> RedisStore::end_frozen(const StoreKey& key) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.end_frozen(flow, key); });
}

Result<DirectoryPage> RedisStore::page(const DirectoryCursor& after, std::size_t about) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.page(flow, after, about); });
}

Result<SessionCount> RedisStore::count() {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.count(flow); });
}

std::shared_ptr<const KeyPlacement> RedisStore::placement() const { return impl_->placement; }

std::shared_ptr<RedisStore> redis::make_store(Servers servers, const Login& login,
                                              RedisOptions options) {
  return std::make_shared<RedisStore>(
      std::make_unique<RedisStore::Impl>(std::move(servers), login, std::move(options)));
}

}  // namespace websession
