#include "contenders.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "node_client.hpp"
#include "redis_cluster.hpp"
#include "store_clients.hpp"
#include "websession/redis_store.hpp"

#if defined(WEBSESSION_BENCH_POCO)
#include <Poco/Version.h>
#endif

namespace websession::bench {
namespace {

std::string dotted(int major, int minor, int patch) {
  return std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
}

std::string hiredis_version() { return dotted(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH); }

constexpr const char* over_tls = "TLS of hiredis needs libhiredis_ssl (1.0 or newer)";
constexpr const char* tcp_only = "run on plain TCP only";

Contender poco(Transport transport, const Target& target, const Keys& keys, ServerMeter& server) {
  Contender poco{"poco",
                 "Poco::ObjectPool, as many connections as threads, one borrowed for each "
                 "operation; its two commands by sendCommands",
                 {},
                 {},
                 {}};
#if defined(WEBSESSION_BENCH_POCO)
  poco.version = dotted(POCO_VERSION >> 24, POCO_VERSION >> 16 & 0xff, POCO_VERSION >> 8 & 0xff);
  if (transport != Transport::tcp) poco.obstacle = tcp_only;
  poco.run = [&](const Load& load) {
    return measure(*make_poco(target, keys, load.threads), keys, load, server);
  };
#else
  static_cast<void>(transport), static_cast<void>(target), static_cast<void>(keys);
  static_cast<void>(server);
  poco.obstacle = "libpoco-dev was not there when the program was built";
#endif
  return poco;
}

Contender connect_redis(const Options& options, Transport transport, const Target& target,
                        const Keys& keys, ServerMeter& server) {
  const NodeClient node(options.node_directory, "connect-redis");
  Contender contender{"connect-redis",
                      "one Node process, one connection, as many promises in flight as threads; "
                      "the session as one JSON text: LOAD = get + touch, SAVE = set",
                      {},
                      {},
                      {}};
  contender.obstacle = transport == Transport::tcp ? node.obstacle().value_or("") : tcp_only;
  contender.run = [node, &target, &keys, &server](const Load& load) {
    return node.run({target.url, keys.prefix + "json_"}, keys, load, server);
  };
  return contender;
}

Contender redis_plus_plus(bool pipelined, Transport transport, const Target& target,
                          const Keys& keys, ServerMeter& server) {
  Contender contender{pipelined ? "redis-plus-plus-pipelined" : "redis-plus-plus",
                      pipelined ? "the same with the two commands of an operation by its pipeline"
                                : "its pool, as many connections as threads, one command a round "
                                  "trip: LOAD = hgetall, expire; SAVE = hset, expire",
                      {},
                      {},
                      {}};
#if defined(WEBSESSION_BENCH_REDIS_PLUS_PLUS)
  contender.version = redis_plus_plus_version();
  if (transport != Transport::tcp) contender.obstacle = tcp_only;
  contender.run = [&, pipelined](const Load& load) {
    return measure(*make_redis_plus_plus(target, keys, load.threads, pipelined), keys, load,
                   server);
  };
#else
  static_cast<void>(transport), static_cast<void>(target), static_cast<void>(keys);
  static_cast<void>(server);
  contender.obstacle = "not found when the program was built (Debian 12 does not have it)";
#endif
  return contender;
}

// Three nodes on this machine, with the sessions that the one server has; made when they are
// needed.
class OwnCluster {
 public:
  const Target& target(const Keys& keys) {
    if (cluster_) return target_;
    cluster_.emplace();
    target_.url = cluster_->url();
    RedisOptions options;
    options.prefix = keys.prefix;
    const auto store = RedisStore::connect(target_.url, options).value();
    fill(*store, keys);
    return target_;
  }

 private:
  std::optional<testing::RedisCluster> cluster_{};
  Target target_{};
};

// By name only: it takes three more servers.
void add_on_cluster(std::vector<Contender>& all, const Options& options, const Keys& keys,
                    ServerMeter& server) {
  const auto is_wanted = [&](const std::string& name) {
    return std::find(options.clients.begin(), options.clients.end(), name) != options.clients.end();
  };
  const auto cluster = std::make_shared<OwnCluster>();
  if (is_wanted("ours-cluster")) {
    all.push_back({"ours-cluster",
                   "as ours, on a Redis Cluster of three nodes on the same machine",
                   "this source",
                   {},
                   [&keys, &server, cluster](const Load& load) {
                     return measure(*make_ours(cluster->target(keys), keys, Renewal::when_due),
                                    keys, load, server);
                   }});
  }
  if (is_wanted("ours-cluster-loop")) {
    all.push_back({"ours-cluster-loop",
                   "as ours-loop, on that Cluster",
                   "this source",
                   {},
                   [&keys, &server, cluster](const Load& load) {
                     return measure(*make_our_loops(cluster->target(keys), keys, 1, load.threads),
                                    keys, load, server);
                   }});
  }
}

// A peer that Debian 12 does not have. A client for it can be written where it can be compiled.
Contender boost_redis() {
#if __has_include(<boost/redis.hpp>)
  const char* boost_redis = "found, but this program has no client for it yet";
#else
  const char* boost_redis = "not found (Boost has it from 1.84 on, Debian 12 has 1.81)";
#endif
  return {"boost-redis", {}, {}, boost_redis, {}};
}

}  // namespace

std::string_view name_of(Transport transport) noexcept {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::unix_socket:
      return "unix";
    case Transport::delay:
      return "delay";
    case Transport::tls:
      break;
  }
  return "tls";
}

std::vector<Contender> contenders(const Options& options, Transport transport, const Target& target,
                                  const Keys& keys, ServerMeter& server) {
  const auto threaded = [&](auto make) {
    return [&target, &keys, &server, make](const Load& load) {
      return measure(*make(target, keys), keys, load, server);
    };
  };
  const std::string hiredis_obstacle = transport == Transport::tls ? over_tls : "";
  std::vector<Contender> all;
  const auto ours = [](Renewal renewal) {
    return [renewal](const Target& to, const Keys& its) { return make_ours(to, its, renewal); };
  };
  all.push_back({"ours",
                 "one RedisStore for all threads, default options: load() and update(), which gets "
                 "what a Session tells; renews when that is due",
                 "this source",
                 {},
                 threaded(ours(Renewal::when_due))});
  all.push_back({"ours-renewing",
                 "the same, but each SAVE renews, as those of the others do",
                 "this source",
                 {},
                 threaded(ours(Renewal::always))});
  for (const std::size_t loops : {std::size_t{1}, std::size_t{2}}) {
    all.push_back({loops == 1 ? "ours-loop" : "ours-two-loops",
                   loops == 1 ? "one AsyncRedisStore on one event loop (EpollReactor), one thread "
                                "and one connection, as many requests in flight as the others "
                                "have threads; load() and update() as above"
                              : "the same on two event loops, each with half of the requests",
                   "this source",
                   {},
                   [&target, &keys, &server, loops](const Load& load) {
                     return measure(*make_our_loops(target, keys, loops, load.threads), keys, load,
                                    server);
                   }});
  }
  all.push_back({"hiredis-naive",
                 "one connection a thread, one command a round trip (redisCommand): LOAD = "
                 "HGETALL, EXPIRE; SAVE = HSET, EXPIRE; the reply copied to an unordered_map",
                 hiredis_version(), hiredis_obstacle, threaded(make_hiredis_naive)});
  all.push_back({"hiredis-pipelined",
                 "the same with the two commands of an operation in one round trip "
                 "(redisAppendCommand)",
                 hiredis_version(), hiredis_obstacle, threaded(make_hiredis_pipelined)});
  all.push_back({"hiredis-guarded",
                 "the same, but SAVE is a script: EXISTS, HSET, EXPIRE (EVALSHA)",
                 hiredis_version(), hiredis_obstacle, threaded(make_hiredis_guarded)});
  all.push_back(poco(transport, target, keys, server));
  all.push_back(connect_redis(options, transport, target, keys, server));
  for (const bool pipelined : {false, true}) {
    all.push_back(redis_plus_plus(pipelined, transport, target, keys, server));
  }
  all.push_back(boost_redis());
  add_on_cluster(all, options, keys, server);
  return all;
}

}  // namespace websession::bench
