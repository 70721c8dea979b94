#include "call_errors.hpp"

#include <string>

namespace websession::postgres {

Error no_answer() { return make_error(Errc::timeout, "no answer from PostgreSQL by the deadline"); }

Error no_connection() {
  return make_error(Errc::timeout,
                    "no connection to PostgreSQL by the deadline; making one takes some six "
                    "answers of the server (PostgresOptions::operation_timeout, connect_timeout)");
}

Error overloaded(std::size_t pending_max) {
  return make_error(Errc::overloaded, std::to_string(pending_max) +
                                          " calls are waiting for a connection to PostgreSQL "
                                          "already (PostgresOptions::pending_max)");
}

}  // namespace websession::postgres
