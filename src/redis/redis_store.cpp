#include "websession/redis_store.hpp"

#include <utility>

#include "endpoint.hpp"
#include "engine.hpp"
#include "hash_verbs.hpp"
#include "redis_store_impl.hpp"

namespace websession {

using redis::CallFlow;

struct RedisStore::Impl {
  Impl(redis::MakeConnector connector, redis::Login login, RedisOptions options)
      : engine(std::move(connector), std::move(login), options), verbs(std::move(options)) {}

  redis::Engine engine;
  const redis::HashVerbs verbs;
};

RedisStore::RedisStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisStore::~RedisStore() = default;

Result<redis::Endpoint> redis::hash_endpoint(std::string_view url, const RedisOptions& options) {
  if (options.prefix.empty()) {
    return make_error(Errc::invalid_argument, "prefix: must not be empty");
  }
  const Scripts& all = scripts();
  Result<Endpoint> endpoint = make_endpoint(
      url, options, options.prefix,
      {all.create.source(), all.set.source(), all.count.source(), all.bound.source(),
       all.update.source(), all.rekey.source(), all.erase.source(), all.strip.source()});
  if (endpoint) {
    // Shortcuts are for those who wait for nobody.
    endpoint->login.guarded = endpoint->login.transactions =
        !options.adopt_foreign_hashes && options.replicas_to_wait_for == 0;
  }
  return endpoint;
}

Result<std::shared_ptr<RedisStore>> RedisStore::connect_later(std::string_view url,
                                                              RedisOptions options) {
  Result<redis::Endpoint> endpoint = redis::hash_endpoint(url, options);
  if (!endpoint) return std::move(endpoint).error();
  return redis::make_store(redis::make_connector(*endpoint), std::move(endpoint->login),
                           std::move(options));
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

Result<void> RedisStore::forget(std::string_view principal, std::span<const StoreKey> keys) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.forget(flow, principal, keys); });
}

Result<void> RedisStore::end_frozen(const StoreKey& key) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.end_frozen(flow, key); });
}

std::shared_ptr<RedisStore> redis::make_store(MakeConnector connector, Login login,
                                              RedisOptions options) {
  return std::make_shared<RedisStore>(std::make_unique<RedisStore::Impl>(
      std::move(connector), std::move(login), std::move(options)));
}

}  // namespace websession
