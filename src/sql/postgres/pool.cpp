#include "pool.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "blocking_flow.hpp"
#include "exchange.hpp"

namespace websession::postgres {

Pool::Pool(ConnectionInfo info, const PostgresOptions& options)
    : info_(std::move(info)), options_(options) {
  idle_.reserve(options.connections_max);  // so that giving back needs no memory
}

Result<Pool::Lease> Pool::take(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  while (true) {
    while (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->has_gone()) return Lease(*this, std::move(connection));
      --size_;
    }
    if (size_ < options_.connections_max) break;
    if (waiting_ >= options_.pending_max) {
      return make_error(Errc::overloaded, std::to_string(options_.pending_max) +
                                              " calls are waiting for a connection to PostgreSQL "
                                              "already (PostgresOptions::pending_max)");
    }
    ++waiting_;
    const std::cv_status status = given_back_.wait_until(lock, deadline);
    --waiting_;
    if (status == std::cv_status::timeout && idle_.empty() && size_ >= options_.connections_max) {
      return make_error(Errc::timeout,
                        "all connections to PostgreSQL were in use until the deadline "
                        "(PostgresOptions::connections_max)");
    }
  }
  ++size_;
  lock.unlock();
  Lease lease(*this, nullptr);
  Result<std::unique_ptr<Connection>> made = connect(deadline);
  if (!made) return std::move(made).error();
  lease.fill(*std::move(made));
  return lease;
}

void Pool::give_back(std::unique_ptr<Connection> connection) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (connection != nullptr) {
      idle_.push_back(std::move(connection));
    } else {
      --size_;
    }
  }
  given_back_.notify_one();
}

Result<std::unique_ptr<Connection>> Pool::connect(SteadyTime deadline) const {
  const SteadyTime until =
      std::min(deadline, std::chrono::steady_clock::now() + options_.connect_timeout);
  const bool keeps_state = !options_.transaction_pooling;
  auto connection = std::make_unique<Connection>(
      info_, keeps_state ? Connection::Prepares::yes : Connection::Prepares::no);
  if (auto done = finish_connecting(*connection, until); !done) return std::move(done).error();
  ConnectionDriver driver(*connection, until);
  internal::FrameMemory memory;
  QueryFlow flow(memory.arena(), driver);
  Setup setup;
  if (keeps_state) setup.statement_timeout = options_.operation_timeout;
  setup.creates_tables = options_.create_tables;
  Result<void> done = internal::finish(set_up(flow, setup));
  if (!done) {
    Error error = std::move(done).error();
    error.maybe_applied = false;  // of whoever needs the connection
    return error;
  }
  return connection;
}

bool PoolDriver::run(const Query& query, internal::Answer<Result<Rows>>& answer) {
  Result<Pool::Lease> lease = pool_.take(deadline_);
  if (!lease) {
    answer.put(std::move(lease).error());
    return true;
  }
  Result<Rows> rows = exchange(**lease, query, deadline_);
  if (!rows) lease->drop();
  answer.put(std::move(rows));
  return true;
}

}  // namespace websession::postgres
