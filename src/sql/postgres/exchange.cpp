#include "exchange.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "call_errors.hpp"

namespace websession::postgres {
namespace {

using std::chrono::milliseconds;

// False: the deadline has come.
bool wait(const Connection& connection, SteadyTime deadline) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds(0)) return false;
    short events = 0;
    if ((connection.wants() & Reactor::readable) != 0) events |= POLLIN;
    if ((connection.wants() & Reactor::writable) != 0) events |= POLLOUT;
    pollfd descriptor{connection.socket(), events, 0};
    const auto most = static_cast<milliseconds::rep>(std::numeric_limits<int>::max());
    const int ready = ::poll(&descriptor, 1, static_cast<int>(std::min(left.count(), most)));
    // Errors are for libpq to find.
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
}

}  // namespace

Result<void> finish_connecting(Connection& connection, SteadyTime deadline) {
  while (true) {
    if (std::optional<Result<void>> done = connection.go_on_connecting()) return *std::move(done);
    if (!wait(connection, deadline)) {
      return no_connection();
    }
  }
}

Result<Rows> exchange(Connection& connection, const Query& query, SteadyTime deadline) {
  connection.ask(query);
  while (true) {
    if (std::optional<Result<Rows>> done = connection.go_on()) return *std::move(done);
    if (!wait(connection, deadline)) {
      Error error = no_answer();
      error.maybe_applied = connection.may_have_applied();
      return error;
    }
  }
}

}  // namespace websession::postgres
