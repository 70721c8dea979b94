// SQLite stores on a file of their own.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "loop_store.hpp"
#include "temporary_folder.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/stores.hpp"
#include "websession/sqlite_store.hpp"
#include "websession/testing/manual_clock.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

// A file, and how stores are opened on it.
class SqliteFile {
 public:
  [[nodiscard]] std::string path() const { return folder_.path() + "/sessions.db"; }
  // Patient, since what a test asks for is never how long it takes; and without waits for the disk,
  // which are the subject of few.
  [[nodiscard]] static SqliteOptions options(std::shared_ptr<const Clock> clock = {}) {
    SqliteOptions options;
    options.operation_timeout = std::chrono::minutes(2);
    options.synchronous = SqliteOptions::Synchronous::off;
    options.clock = std::move(clock);
    return options;
  }
  [[nodiscard]] std::shared_ptr<SqliteStore> open(const SqliteOptions& options) const {
    return SqliteStore::open(path(), options).value();
  }

 private:
  TemporaryFolder folder_{"sqlite"};
};

// The store on threads of its own, as it is called from a loop.
inline std::shared_ptr<SessionStore> on_a_loop(std::shared_ptr<SessionStore> store) {
  auto thread = std::make_unique<IoThread>(IoThread::start().value());
  const AsyncSessionStore::Reactors loops{thread->reactor()};
  ThreadOptions options;
  options.operation_timeout = std::chrono::minutes(2);
  return std::make_shared<LoopStore>(std::move(thread),
                                     on_threads(std::move(store), loops, options).value());
}

// For tests with a clock that they move.
class SqliteTest : public ::testing::Test {
 protected:
  std::shared_ptr<SqliteStore> open() { return file.open(SqliteFile::options(clock)); }

  SqliteFile file;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
};

// Two stores on one file, as two processes have it.
class SqliteHarness final : public StoreHarness {
 public:
  SessionStore& store() override { return *store_; }
  SessionStore& another_store() override { return *another_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override { clock_->advance(duration); }

 private:
  SqliteFile file_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<SqliteStore> store_ = file_.open(SqliteFile::options(clock_));
  std::shared_ptr<SqliteStore> another_ = file_.open(SqliteFile::options(clock_));
};

}  // namespace websession::testing
