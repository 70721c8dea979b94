// How a RedisStore is put together. Tests make one over a transport of their own.
#pragma once

#include <memory>
#include <string_view>

#include "dialer.hpp"
#include "endpoint.hpp"
#include "engine.hpp"
#include "transport.hpp"
#include "websession/redis_store.hpp"

namespace websession::redis {

// Error: invalid_argument.
Result<Endpoint> hash_endpoint(std::string_view url, const RedisOptions& options);

std::shared_ptr<RedisStore> make_store(Servers servers, const Login& login, RedisOptions options);

}  // namespace websession::redis
