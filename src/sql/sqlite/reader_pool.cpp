#include "reader_pool.hpp"

#include <sys/stat.h>

namespace websession::sqlite {

namespace {

// None: it is not there.
std::optional<std::pair<dev_t, ino_t>> id_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

}  // namespace

ReaderPool::ReaderPool(std::string path, const SqliteOptions& options)
    : path_(std::move(path)), id_(id_of(path_)), options_(options) {
  idle_.reserve(options.readers_max);  // so that giving back cannot fail
}

Result<ReaderPool::Lease> ReaderPool::take(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  while (idle_.empty() && open_ == options_.readers_max) {
    if (waiting_ == options_.pending_max) {
      return make_error(Errc::overloaded,
                        "SQLite: too many calls wait to read (SqliteOptions::pending_max)");
    }
    ++waiting_;
    const std::cv_status status = returned_.wait_until(lock, deadline);
    --waiting_;
    const bool is_late = status == std::cv_status::timeout;
    if (is_late && idle_.empty() && open_ == options_.readers_max) {
      return make_error(Errc::timeout,
                        "SQLite: other calls read until the deadline (SqliteOptions::readers_max)");
    }
  }
  if (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    connection->set_deadline(deadline);
    return Lease(*this, std::move(connection));
  }
  ++open_;
  lock.unlock();
  try {
    Result<std::unique_ptr<Connection>> opened = open(deadline);
    if (opened) return Lease(*this, *std::move(opened));
    give_up();
    return std::move(opened).error();
  } catch (...) {
    give_up();
    throw;
  }
}

Result<std::unique_ptr<Connection>> ReaderPool::open(SteadyTime deadline) const {
  Result<std::unique_ptr<Connection>> opened =
      Connection::open(path_, Connection::Access::read, options_, deadline);
  if (opened && id_of(path_) != id_) {
    return make_error(Errc::rejected, "SQLite: another file has taken the place of " + path_ +
                                          " while it was in use: open the store anew");
  }
  return opened;
}

// A connection that was to be opened is not there.
void ReaderPool::give_up() noexcept {
  {
    const std::lock_guard lock(mutex_);
    --open_;
  }
  returned_.notify_one();
}

void ReaderPool::give_back(std::unique_ptr<Connection> connection) noexcept {
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }
  returned_.notify_one();
}

}  // namespace websession::sqlite
