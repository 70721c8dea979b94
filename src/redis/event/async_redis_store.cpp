#include "websession/async/redis_store.hpp"

#include <algorithm>
#include <utility>

#include "cluster/slot_placement.hpp"
#include "event/event_servers.hpp"
#include "event/event_store.hpp"
#include "event/loop_connector.hpp"
#include "event/sentinel_loop_connector.hpp"
#include "hash_verbs.hpp"
#include "json_verbs.hpp"
#include "redis_json_store_impl.hpp"
#include "redis_store_impl.hpp"
#include "websession/async/redis_json_store.hpp"

namespace websession {
namespace {

using redis::CallFlow;
using redis::HashVerbs;
using redis::JsonVerbs;

// The verbs that every layout has.
template <class Verbs>
class RedisStoreOf : public AsyncSessionStore, private AsyncSessionDirectory {
 public:
  RedisStoreOf(Reactors reactors, std::shared_ptr<const Verbs> verbs)
      : AsyncSessionStore(std::move(reactors)), verbs_(this->reactors(), std::move(verbs)) {}
  [[nodiscard]] redis::EventLines& lines() noexcept { return verbs_.lines(); }

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    run(call, std::move(done),
        [&key](const Verbs& verbs, CallFlow& flow) { return verbs.load(flow, key); });
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    run(call, std::move(done), [&key, &fields, lifetime](const Verbs& verbs, CallFlow& flow) {
      return verbs.create(flow, key, fields, lifetime);
    });
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    run(call, std::move(done), [&key, &changes, lifetime](const Verbs& verbs, CallFlow& flow) {
      return verbs.update(flow, key, changes, lifetime);
    });
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    run(call, std::move(done),
        [&from, &to, &changes, lifetime, grace](const Verbs& verbs, CallFlow& flow) {
          return verbs.rekey(flow, from, to, changes, lifetime, grace);
        });
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    run(call, std::move(done), [&key, grace](const Verbs& verbs, CallFlow& flow) {
      return verbs.erase(flow, key, grace);
    });
  }

  [[nodiscard]] AsyncSessionDirectory* directory() noexcept override { return this; }

 protected:
  // `ask(verbs, flow)` gives the Task.
  template <class T, class Ask>
  void run(AsyncCall& call, Done<T> done, const Ask& ask) {
    verbs_.run(call, std::move(done), ask);
  }

 private:
  void page(const DirectoryCursor& after, std::size_t about, AsyncCall& call,
            Done<DirectoryPage> done) override {
    run(call, std::move(done), [&after, about](const Verbs& verbs, CallFlow& flow) {
      return verbs.page(flow, after, about);
    });
  }
  void count(AsyncCall& call, Done<SessionCount> done) override {
    run(call, std::move(done),
        [](const Verbs& verbs, CallFlow& flow) { return verbs.count(flow); });
  }

  redis::EventVerbs<Verbs> verbs_;
};

class HashStore final : public RedisStoreOf<HashVerbs>, private AsyncPrincipalIndex {
 public:
  HashStore(Reactors reactors, std::shared_ptr<const HashVerbs> verbs,
            std::shared_ptr<const KeyPlacement> placement)
      : RedisStoreOf(std::move(reactors), std::move(verbs)), placement_(std::move(placement)) {}
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return placement_;
  }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override { return this; }

 private:
  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    run(call, std::move(done), [principal](const HashVerbs& verbs, CallFlow& flow) {
      return verbs.entries(flow, principal);
    });
  }
  void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              AsyncCall& call, Done<void> done) override {
    run(call, std::move(done), [principal, keys, made](const HashVerbs& verbs, CallFlow& flow) {
      return verbs.forget(flow, principal, keys, made);
    });
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    run(call, std::move(done),
        [&key](const HashVerbs& verbs, CallFlow& flow) { return verbs.end_frozen(flow, key); });
  }

  const std::shared_ptr<const KeyPlacement> placement_;
};

std::unique_ptr<redis::LoopConnector> connector_of(const redis::Endpoint& endpoint,
                                                   const std::shared_ptr<Reactor>& loop,
                                                   const RedisOptions& options) {
  const auto ask_for = std::min(options.connect_timeout, options.operation_timeout) / 2;
  if (endpoint.url.by_sentinel())
    return redis::make_sentinel_loop_connector(endpoint, loop, ask_for);

  return redis::make_loop_connector(endpoint.url.places.front(), endpoint.tls, loop);
}

std::shared_ptr<redis::EventServers> servers_of(const redis::Endpoint& endpoint,
                                                const std::shared_ptr<Reactor>& loop,
                                                const RedisOptions& options) {
  const redis::EngineOptions how = redis::engine_options(endpoint.login, options);
  if (!endpoint.url.of_cluster) {
    return std::make_shared<redis::EventServers>(loop, connector_of(endpoint, loop, options),
                                                 endpoint.login, how);
  }
  const auto connector = [tls = endpoint.tls,
                          weak = std::weak_ptr(loop)](const redis::Place& place) {
    return redis::make_loop_connector(place, tls == nullptr ? tls : tls->at(place), weak.lock());
  };
  return std::make_shared<redis::EventServers>(loop, endpoint.url.places, connector, endpoint.login,
                                               how);
}

template <class Store>
std::shared_ptr<AsyncSessionStore> connected(std::shared_ptr<Store> store,
                                             const redis::Endpoint& endpoint,
                                             const RedisOptions& options) {
  for (const std::shared_ptr<Reactor>& loop : store->reactors()) {
    store->lines().add(servers_of(endpoint, loop, options));
  }
  return store;
}

}  // namespace

Result<std::shared_ptr<AsyncSessionStore>> AsyncRedisStore::connect_later(
    std::string_view url, AsyncSessionStore::Reactors reactors, const RedisOptions& options) {
  if (auto valid = validate(reactors); !valid) return std::move(valid).error();
  const Result<redis::Endpoint> endpoint = redis::hash_endpoint(url, options);
  if (!endpoint) return endpoint.error();
  const redis::Login& login = endpoint->login;
  return connected(
      std::make_shared<HashStore>(std::move(reactors),
                                  std::make_shared<const HashVerbs>(options, login.on_cluster),
                                  redis::make_placement(login)),
      *endpoint, options);
}

Result<std::shared_ptr<AsyncSessionStore>> AsyncRedisJsonStore::connect_later(
    std::string_view url, AsyncSessionStore::Reactors reactors, const RedisJsonOptions& options) {
  if (auto valid = validate(reactors); !valid) return std::move(valid).error();
  const Result<redis::Endpoint> endpoint = redis::json_endpoint(url, options);
  if (!endpoint) return endpoint.error();
  return connected(std::make_shared<RedisStoreOf<JsonVerbs>>(
                       std::move(reactors), std::make_shared<const JsonVerbs>(options)),
                   *endpoint, options.redis);
}

}  // namespace websession
