#include "websession/redis_json_store.hpp"

#include <chrono>
#include <utility>

#include "endpoint.hpp"
#include "engine.hpp"
#include "invalid.hpp"
#include "json_verbs.hpp"
#include "redis_json_store_impl.hpp"
#include "websession/cookie.hpp"

namespace websession {
namespace {

using internal::invalid;
using std::chrono::milliseconds;

Result<void> validate(const RedisJsonOptions& options) {
  const ExpressCookie& cookie = options.cookie;
  if (options.prefix.empty()) return invalid("prefix: must not be empty");
  if (cookie.max_age && (*cookie.max_age < milliseconds(1) || *cookie.max_age > ttl_max)) {
    return invalid("cookie.max_age: must be 1 ms to 400 days");
  }
  SetCookie as_sent{"sid", "x", cookie.path, cookie.domain};
  if (auto text = serialize(as_sent); !text) return std::move(text).error();
  return {};
}

}  // namespace

using redis::CallFlow;

struct RedisJsonStore::Impl {
  Impl(redis::MakeConnector connector, redis::Login login, RedisJsonOptions options)
      : engine(std::move(connector), std::move(login), options.redis), verbs(std::move(options)) {}

  redis::Engine engine;
  const redis::JsonVerbs verbs;
};

RedisJsonStore::RedisJsonStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisJsonStore::~RedisJsonStore() = default;

Result<redis::Endpoint> redis::json_endpoint(std::string_view url,
                                             const RedisJsonOptions& options) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  const Scripts& all = scripts();
  Result<Endpoint> endpoint = make_endpoint(url, options.redis, options.prefix,
                                            {all.json_create.source(), all.json_update.source(),
                                             all.json_rekey.source(), all.json_erase.source()});
  if (endpoint && endpoint->url.of_cluster) {
    return internal::invalid(
        "RedisJsonStore does not work on a Redis Cluster: a session's two keys would lie in two "
        "slots; RedisStore does");
  }
  return endpoint;
}

Result<std::shared_ptr<RedisJsonStore>> RedisJsonStore::connect_later(std::string_view url,
                                                                      RedisJsonOptions options) {
  Result<redis::Endpoint> endpoint = redis::json_endpoint(url, options);
  if (!endpoint) return std::move(endpoint).error();
  return redis::make_json_store(redis::make_connector(*endpoint), std::move(endpoint->login),
                                std::move(options));
}

Result<std::shared_ptr<RedisJsonStore>> RedisJsonStore::connect(std::string_view url,
                                                                RedisJsonOptions options) {
  Result<std::shared_ptr<RedisJsonStore>> store = connect_later(url, std::move(options));
  if (!store) return store;
  Result<void> connected = (*store)->impl_->engine.connect();
  if (!connected) return std::move(connected).error();
  return store;
}

Result<std::optional<Record>> RedisJsonStore::load(const StoreKey& key) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.load(flow, key); });
}

Result<void> RedisJsonStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.create(flow, key, fields, lifetime); });
}

Result<Outcome> RedisJsonStore::update(const StoreKey& key, const Changes& changes,
                                       Lifetime lifetime) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.update(flow, key, changes, lifetime); });
}

Result<Outcome> RedisJsonStore::rekey(const StoreKey& from, const StoreKey& to,
                                      const Changes& changes, Lifetime lifetime, Grace grace) {
  return impl_->engine.run(
      [&](CallFlow& flow) { return impl_->verbs.rekey(flow, from, to, changes, lifetime, grace); });
}

Result<bool> RedisJsonStore::erase(const StoreKey& key, Grace grace) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.erase(flow, key, grace); });
}

Result<DirectoryPage> RedisJsonStore::page(const DirectoryCursor& after, std::size_t about) {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.page(flow, after, about); });
}

Result<SessionCount> RedisJsonStore::count() {
  return impl_->engine.run([&](CallFlow& flow) { return impl_->verbs.count(flow); });
}

std::shared_ptr<RedisJsonStore> redis::make_json_store(MakeConnector connector, Login login,
                                                       RedisJsonOptions options) {
  return std::make_shared<RedisJsonStore>(std::make_unique<RedisJsonStore::Impl>(
      std::move(connector), std::move(login), std::move(options)));
}

}  // namespace websession
