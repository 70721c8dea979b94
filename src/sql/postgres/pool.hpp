// The connections of a store, for threads that wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "breaker.hpp"
#include "connection.hpp"
#include "query_flow.hpp"
#include "schema.hpp"
#include "websession/clock.hpp"
#include "websession/postgres_store.hpp"

namespace websession::postgres {

class Pool {
 public:
  Pool(ConnectionInfo info, const PostgresOptions& options);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // A connection for one query, and for others afterwards, unless it is of no use any more.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Connection> connection) noexcept
        : pool_(&pool), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->give_back(std::move(connection_));
    }
    [[nodiscard]] Connection& operator*() const noexcept { return *connection_; }
    void fill(std::unique_ptr<Connection> connection) noexcept {
      connection_ = std::move(connection);
    }
    void drop() noexcept { connection_.reset(); }

   private:
    Pool* pool_;
    std::unique_ptr<Connection> connection_;
  };
  // One that is set up. Errors: timeout, overloaded, unavailable, rejected.
  Result<Lease> take(SteadyTime deadline);

 private:
  void give_back(std::unique_ptr<Connection> connection) noexcept;
  Result<std::unique_ptr<Connection>> connect(SteadyTime deadline) const;

  const ConnectionInfo info_;
  const PostgresOptions options_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<std::unique_ptr<Connection>> idle_{};
  std::size_t size_ = 0;  // that are connected, or being connected
  std::size_t waiting_ = 0;
  internal::Breaker breaker_;
  std::optional<Error> last_error_{};
};

// Takes one for each query.
class PoolDriver final : public QueryDriver {
 public:
  PoolDriver(Pool& pool, SteadyTime deadline) noexcept : pool_(pool), deadline_(deadline) {}
  bool run(const Query& query, internal::Answer<Result<Rows>>& answer) override;

 private:
  Pool& pool_;
  const SteadyTime deadline_;
};

}  // namespace websession::postgres
