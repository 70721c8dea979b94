// Sessions in Redis, on an event loop.
#pragma once

#include <memory>
#include <string_view>

#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What RedisStore is for threads that may block: the same hashes, the same promises, the same
// options. Both can serve the same sessions at once.
//
// Each loop has one connection (RedisOptions::connections is not looked at), which carries all that
// is in flight on that loop, in as few writes as there are turns of the loop. It is made when it is
// first needed, and made again after it was lost. Nothing waits for it but those who asked:
// connecting, TLS and the login are steps among others. So is resolving a host's name, which a
// thread of its own does, one at a time for each loop of the store, for as long as the system's
// resolver takes (and until then, when the store is gone); a literal address and a unix socket need
// none, and the last address that worked is tried first.
//
// RedisOptions::pending_max counts for each loop.
//
// After a fork the child's calls are `unavailable`, and the parent's connections are left alone:
// make another store there.
class AsyncRedisStore {
 public:
  // URLs, options and the error (invalid_argument) are RedisStore's. `reactors`: at least one.
  static Result<std::shared_ptr<AsyncSessionStore>> connect_later(
      std::string_view url, AsyncSessionStore::Reactors reactors, const RedisOptions& options = {});
};

}  // namespace websession
WEBSESSION_API_END
