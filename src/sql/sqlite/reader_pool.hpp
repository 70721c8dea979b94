// Connections that read, each for one call at a time. They are opened when they are needed.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"
#include "websession/sqlite_store.hpp"

namespace websession::sqlite {

// Safe to call from many threads at once.
class ReaderPool {
 public:
  // The whole path.
  ReaderPool(std::string path, const SqliteOptions& options);

  // A connection that is given back when this ends.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Connection> connection) noexcept
        : pool_(&pool), connection_(std::move(connection)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (connection_) pool_->give_back(std::move(connection_));
    }
    [[nodiscard]] Connection& operator*() const noexcept { return *connection_; }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Connection> connection_;
  };
  // Errors: timeout, overloaded (so many wait already), those of Connection::open.
  Result<Lease> take(SteadyTime deadline);

 private:
  void give_back(std::unique_ptr<Connection> connection) noexcept;

  Result<std::unique_ptr<Connection>> open(SteadyTime deadline) const;
  void give_up() noexcept;

  const std::string path_;
  const std::optional<std::pair<dev_t, ino_t>>
      id_;  // of the file, whatever its path leads to later
  const SqliteOptions options_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t open_ = 0;  // idle or lent
  std::size_t waiting_ = 0;
};

}  // namespace websession::sqlite
