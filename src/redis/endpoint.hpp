// Where a store connects to, and what it says first.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dialer.hpp"
#include "engine.hpp"
#include "greeting.hpp"
#include "redis_url.hpp"
#include "sentinels.hpp"
#include "tls_context.hpp"
#include "transport.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct Endpoint {
  RedisUrl url;
  std::shared_ptr<const TlsContext> tls{};  // null: in plain text
  Login login{};
  // Those of the URL, if it names any.
  SentinelLogin sentinel_login{};
  std::shared_ptr<const TlsContext> sentinel_tls{};
};
// `prefix`: of the store's keys; the one of the options is not looked at. `scripts`: the sources of
// those that the store calls. Error: invalid_argument (URL, options).
Result<Endpoint> make_endpoint(std::string_view url, const RedisOptions& options,
                               std::string prefix, std::vector<std::string> scripts);

// For callers that block.
MakeConnector make_connector(const Endpoint& endpoint);
Servers make_servers(const Endpoint& endpoint);

[[nodiscard]] EngineOptions engine_options(const Login& login, const RedisOptions& options);

}  // namespace websession::redis
