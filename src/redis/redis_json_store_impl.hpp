// How a RedisJsonStore is put together. Tests make one over a transport of their own.
#pragma once

#include <memory>

#include "dialer.hpp"
#include "transport.hpp"
#include "websession/redis_json_store.hpp"

namespace websession::redis {

std::shared_ptr<RedisJsonStore> make_json_store(std::shared_ptr<Connector> connector, Login login,
                                                RedisJsonOptions options);

}  // namespace websession::redis
