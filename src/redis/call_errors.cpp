#include "call_errors.hpp"

#include <string>

namespace websession::redis {

Error overloaded(std::size_t pending_max) {
  return make_error(Errc::overloaded, std::to_string(pending_max) +
                                          " operations are waiting for Redis already "
                                          "(pending_max); nothing was sent");
}

Error no_connection() {
  return make_error(Errc::timeout, "no connection to Redis by the deadline");
}

Error no_answer(std::chrono::milliseconds timeout) {
  // Whoever had no time left when he asked, since the process itself stood still.
  if (timeout.count() <= 0)
    return make_error(Errc::timeout, "no answer from Redis by the deadline");
  return make_error(Errc::timeout,
                    "no answer from Redis within " + std::to_string(timeout.count()) + " ms");
}

Error store_destroyed() { return make_error(Errc::unavailable, "the store was destroyed"); }

Error stopped_answering() { return make_error(Errc::unavailable, "Redis has stopped answering"); }

}  // namespace websession::redis
