// How a RedisJsonStore is put together. Tests make one over a transport of their own.
#pragma once

#include <memory>
#include <string_view>

#include "dialer.hpp"
#include "endpoint.hpp"
#include "transport.hpp"
#include "websession/redis_json_store.hpp"

namespace websession::redis {

// Error: invalid_argument.
Result<Endpoint> json_endpoint(std::string_view url, const RedisJsonOptions& options);

std::shared_ptr<RedisJsonStore> make_json_store(MakeConnector connector, Login login,
                                                RedisJsonOptions options);

}  // namespace websession::redis
