// How a RedisStore is put together. Tests make one over a transport of their own.
#pragma once

#include <memory>

#include "dialer.hpp"
#include "transport.hpp"
#include "websession/redis_store.hpp"

namespace websession::redis {

std::shared_ptr<RedisStore> make_store(std::shared_ptr<Connector> connector, Login login,
                                       RedisOptions options);

}  // namespace websession::redis
