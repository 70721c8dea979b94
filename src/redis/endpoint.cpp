#include "endpoint.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "invalid.hpp"
#include "place_connector.hpp"
#include "sentinel_connector.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;

using internal::invalid;

constexpr std::size_t replicas_max = 16;
// What nodes say of their slots is read up to record_bytes_max, too.
constexpr std::size_t cluster_bytes_min = 65'536;
// While a failover goes on, each attempt to connect is a question to a Sentinel.
constexpr milliseconds ask_sentinels_after{50};

Result<void> validate(const RedisOptions& options) {
  const auto out_of_range = [](milliseconds time) {
    return time < milliseconds(1) || time > std::chrono::minutes(1);
  };
  if (out_of_range(options.connect_timeout))
    return invalid("connect_timeout: must be 1 ms to 1 minute");
  if (out_of_range(options.operation_timeout)) {
    return invalid("operation_timeout: must be 1 ms to 1 minute");
  }
  if (options.pending_max == 0) return invalid("pending_max: must not be 0");
  if (options.replicas_to_wait_for > replicas_max) {
    return invalid("replicas_to_wait_for: must be 16 or less");
  }
  if (options.connections == 0 || options.connections > 64) {
    return invalid("connections: must be 1 to 64");
  }
  if (options.record_bytes_max < 1024) return invalid("record_bytes_max: must be 1,024 or more");
  const bool printable = std::all_of(options.client_name.begin(), options.client_name.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return invalid("client_name: only printable ASCII without blanks");
  return {};
}

// Where keys are, and how much a node has to say of the slots.
Result<void> validate_on_cluster(const Endpoint& endpoint, const RedisOptions& options) {
  if (!endpoint.url.of_cluster) return {};
  const std::string_view prefix = endpoint.login.prefix;
  const std::size_t open = prefix.find_first_of("{}");
  const std::size_t close = prefix.find_last_of("{}");
  const bool has_none = open == std::string_view::npos;
  const bool is_tag = !has_none && prefix[open] == '{' && prefix[close] == '}' &&
                      close > open + 1 && prefix.find_first_of("{}", open + 1) == close;
  if (!has_none && !is_tag) {
    return invalid(
        "prefix: on a Redis Cluster it has no brace, or one {tag}, which puts all sessions into "
        "one slot");
  }
  if (options.record_bytes_max < cluster_bytes_min) {
    return invalid("record_bytes_max: must be 65,536 or more on a Redis Cluster");
  }
  return {};
}

Result<void> load_tls(Endpoint& endpoint, const RedisOptions& options) {
  const std::optional<TlsOptions>& of_sentinels = options.sentinel.tls;
  if (!endpoint.url.tls) {
    // Whoever asks for TLS must not get plain text.
    const bool asked = options.tls != TlsOptions() || of_sentinels;
    if (asked) return invalid("tls: is for rediss:// URLs, and this one is none");
    return {};
  }
  for (const Place& place : endpoint.url.places) {
    if (!is_host(place.host)) return invalid("Redis URL: a host is no name, and no address");
  }
  const Place& first = endpoint.url.places.front();
  auto context = TlsContext::load(options.tls, first);
  if (!context) return std::move(context).error();
  endpoint.tls = *std::move(context);
  if (!endpoint.url.by_sentinel()) return {};
  endpoint.sentinel_tls = endpoint.tls;
  if (!of_sentinels) return {};
  auto another = TlsContext::load(*of_sentinels, first);
  if (!another) return std::move(another).error();
  endpoint.sentinel_tls = *std::move(another);
  return {};
}

Result<void> take_sentinel_login(Endpoint& endpoint, const SentinelOptions& options) {
  if (!endpoint.url.by_sentinel() && options != SentinelOptions()) {
    return invalid("sentinel: is for redis-sentinel:// URLs, and this one is none");
  }
  if (options.password.empty() && !options.user.empty()) {
    return invalid("sentinel.password: must be given with sentinel.user");
  }
  endpoint.sentinel_login = {options.user, options.password};
  return {};
}

}  // namespace

Result<Endpoint> make_endpoint(std::string_view url, const RedisOptions& options,
                               std::string prefix, std::vector<std::string> scripts) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  Result<RedisUrl> parsed = parse_redis_url(url);
  if (!parsed) return std::move(parsed).error();
  Endpoint endpoint{*std::move(parsed)};
  if (auto loaded = load_tls(endpoint, options); !loaded) return std::move(loaded).error();
  if (auto taken = take_sentinel_login(endpoint, options.sentinel); !taken) {
    return std::move(taken).error();
  }
  endpoint.login = Login{.user = endpoint.url.user,
                         .password = endpoint.url.password,
                         .credentials = options.credentials,
                         .database = endpoint.url.database,
                         .client_name = options.client_name,
                         .scripts = std::move(scripts),
                         .prefix = std::move(prefix)};
  if (options.credentials && (endpoint.url.password || !endpoint.url.user.empty())) {
    return invalid(
        "credentials: the URL brings a user or a password as well: leave one of both out");
  }
  endpoint.login.must_be_primary = endpoint.url.by_sentinel();
  endpoint.login.on_cluster = endpoint.url.of_cluster;
  if (auto valid = validate_on_cluster(endpoint, options); !valid) return std::move(valid).error();
  return endpoint;
}

MakeConnector make_connector(const Endpoint& endpoint) {
  if (endpoint.url.by_sentinel()) {
    return [endpoint] { return make_sentinel_connector(endpoint); };
  }
  return [place = endpoint.url.places.front(), tls = endpoint.tls] {
    return std::shared_ptr<Connector>(make_place_connector(place, tls));
  };
}

Servers make_servers(const Endpoint& endpoint) {
  if (!endpoint.url.of_cluster) return make_connector(endpoint);
  return {endpoint.url.places, [tls = endpoint.tls](const Place& place) {
            return std::shared_ptr<Connector>(make_place_connector(place, tls));
          }};
}

EngineOptions engine_options(const Login& login, const RedisOptions& options) {
  return {.connect_timeout = options.connect_timeout,
          .operation_timeout = options.operation_timeout,
          .waits_for = {options.replicas_to_wait_for, options.operation_timeout},
          .pending_max = options.pending_max,
          .reply_bytes_max = options.record_bytes_max,
          .connections = options.connections,
          .retry_pause = login.must_be_primary ? ask_sentinels_after : milliseconds(0)};
}

}  // namespace websession::redis
