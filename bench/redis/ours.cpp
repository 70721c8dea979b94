// websession on Redis.
#include "clients.hpp"
#include "store_clients.hpp"
#include "websession/async/redis_store.hpp"
#include "websession/redis_store.hpp"

namespace websession::bench {
namespace {

RedisOptions options_of(const Target& target, const Keys& keys) {
  RedisOptions options;
  options.prefix = keys.prefix;
  options.tls.ca_file = target.ca_file;
  return options;
}

}  // namespace

std::unique_ptr<Client> make_ours(const Target& target, const Keys& keys, Renewal renewal) {
  return make_store_client(value_of(RedisStore::connect(target.url, options_of(target, keys))),
                           keys, renewal);
}

std::unique_ptr<Client> make_our_loops(const Target& target, const Keys& keys, std::size_t loops,
                                       std::size_t in_flight) {
  const auto make = [&](const AsyncSessionStore::Reactors& reactors) {
    return value_of(AsyncRedisStore::connect_later(target.url, reactors, options_of(target, keys)));
  };
  return make_loop_client(make, keys, loops, in_flight);
}

}  // namespace websession::bench
