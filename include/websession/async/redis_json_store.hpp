// Sessions in Redis as one JSON text each, as connect-redis has them, on an event loop.
#pragma once

#include <memory>
#include <string_view>

#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What RedisJsonStore is for threads that may block, connected as an AsyncRedisStore is.
class AsyncRedisJsonStore {
 public:
  // URLs, options and the error (invalid_argument) are RedisJsonStore's. `reactors`: at least one.
  static Result<std::shared_ptr<AsyncSessionStore>> connect_later(
      std::string_view url, AsyncSessionStore::Reactors reactors,
      const RedisJsonOptions& options = {});
};

}  // namespace websession
WEBSESSION_API_END
