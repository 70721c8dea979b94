#include "endpoint.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "invalid.hpp"
#include "socket_transport.hpp"
#include "tls_transport.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;

using internal::invalid;

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
  if (options.connections == 0 || options.connections > 64) {
    return invalid("connections: must be 1 to 64");
  }
  if (options.record_bytes_max < 1024) return invalid("record_bytes_max: must be 1,024 or more");
  const bool printable = std::all_of(options.client_name.begin(), options.client_name.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return invalid("client_name: only printable ASCII without blanks");
  return {};
}

}  // namespace

Result<Endpoint> make_endpoint(std::string_view url, const RedisOptions& options,
                               std::string prefix, std::vector<std::string> scripts) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  Result<RedisUrl> parsed = parse_redis_url(url);
  if (!parsed) return std::move(parsed).error();
  Endpoint endpoint{*std::move(parsed)};
  // Whoever asks for TLS must not get plain text.
  if (!endpoint.url.tls && options.tls != TlsOptions()) {
    return invalid("tls: is for rediss:// URLs, and this one is none");
  }
  if (endpoint.url.tls) {
    auto context = TlsContext::load(options.tls, endpoint.url.host, endpoint.url.display());
    if (!context) return std::move(context).error();
    endpoint.tls = *std::move(context);
  }
  endpoint.login = Login{endpoint.url.user,   endpoint.url.password, endpoint.url.database,
                         options.client_name, std::move(scripts),    std::move(prefix)};
  return endpoint;
}

std::shared_ptr<Connector> make_connector(const Endpoint& endpoint) {
  if (endpoint.tls != nullptr) return make_tls_connector(endpoint.url, endpoint.tls);
  return make_socket_connector(endpoint.url);
}

EngineOptions engine_options(const RedisOptions& options) {
  return {options.connect_timeout, options.operation_timeout, options.pending_max,
          options.record_bytes_max, options.connections};
}

}  // namespace websession::redis
