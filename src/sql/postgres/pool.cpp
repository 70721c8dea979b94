#include "pool.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "blocking_flow.hpp"
#include "call_errors.hpp"
#include "exchange.hpp"
#include "options.hpp"

namespace websession::postgres {

Pool::Pool(ConnectionInfo info, const PostgresOptions& options)
    : info_(std::move(info)),
      options_(options),
      breaker_(std::min(options.connect_timeout, options.operation_timeout)) {
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
    if (size_ < options_.connections_max) {
      if (last_error_ && std::chrono::steady_clock::now() < breaker_.retry_at()) {
        return *last_error_;
      }
      break;
    }
    if (waiting_ >= options_.pending_max) {
      return overloaded(options_.pending_max);
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
  const SteadyTime start = std::chrono::steady_clock::now();
  Result<std::unique_ptr<Connection>> made = connect(deadline);
  lock.lock();
  if (!made) {
    last_error_ = made.error();
    breaker_.failed(start, std::chrono::steady_clock::now());
    lock.unlock();
    given_back_.notify_all();  // who waits need not wait for a server that is away
    return std::move(made).error();
  }
  last_error_.reset();
  breaker_.succeeded();
  lock.unlock();
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
  const Result<ConnectionInfo> info = with_credentials(info_, options_);
  if (!info) return info.error();
  auto connection = std::make_unique<Connection>(*info, prepares(options_));
  if (auto done = finish_connecting(*connection, until); !done) return std::move(done).error();
  ConnectionDriver driver(*connection, until);
  internal::FrameMemory memory;
  QueryFlow flow(memory.arena(), driver);
  const Setup setup = setup_of(options_);
  Result<void> done = internal::finish(set_up(flow, setup));
  if (!done) {
    // Nobody has answered, rather than refused.
    return driver.is_late() ? no_connection() : std::move(done).error();
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
