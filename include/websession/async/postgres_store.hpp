// Sessions in PostgreSQL, on an event loop.
#pragma once

#include <memory>
#include <string>

#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/postgres_store.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What PostgresStore is for threads that may block: the same tables, the same promises, the same
// options. Both can serve the same sessions at once.
//
// Each loop has up to PostgresOptions::connections_max connections, which are made when they are
// needed; nothing waits for that but those who asked, and pending_max counts for each loop.
// Resolving a host's name is done by a thread of its own for each connection that is being made,
// which takes as long as the system's resolver takes (and until then, when the store is gone); for
// a literal address (hostaddr, too) and a unix socket there is none. A host that a service file
// names is resolved on the loop.
//
// A call that is stopped, or whose time is over, gives up its connection.
//
// After a fork the child's calls are `unavailable`, and the parent's connections are left alone:
// make another store there.
class AsyncPostgresStore {
 public:
  // `conninfo`, options and the error (invalid_argument) are PostgresStore's. `reactors`: at least
  // one.
  static Result<std::shared_ptr<AsyncSessionStore>> connect_later(
      const std::string& conninfo, AsyncSessionStore::Reactors reactors,
      const PostgresOptions& options = {});
};

}  // namespace websession
WEBSESSION_API_END
