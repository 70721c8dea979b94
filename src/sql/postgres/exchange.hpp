// Queries on one connection, for a thread that waits.
#pragma once

#include <chrono>

#include "connection.hpp"
#include "query_flow.hpp"
#include "websession/clock.hpp"

namespace websession::postgres {

// Waits for the connection to be made. Errors: unavailable, timeout, rejected.
Result<void> finish_connecting(Connection& connection, SteadyTime deadline);

// Waits for the answer. After an error the connection is of no use any more.
Result<Rows> exchange(Connection& connection, const Query& query, SteadyTime deadline);

// The same for verbs that need one connection.
class ConnectionDriver final : public QueryDriver {
 public:
  ConnectionDriver(Connection& connection, SteadyTime deadline) noexcept
      : connection_(connection), deadline_(deadline) {}
  bool run(const Query& query, internal::Answer<Result<Rows>>& answer) override {
    answer.put(exchange(connection_, query, deadline_));
    return true;
  }
  [[nodiscard]] bool is_late() const noexcept {
    return std::chrono::steady_clock::now() >= deadline_;
  }

 private:
  Connection& connection_;
  const SteadyTime deadline_;
};

}  // namespace websession::postgres
