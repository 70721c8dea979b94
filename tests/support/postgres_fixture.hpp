// PostgreSQL stores on tables of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "loop_store.hpp"
#include "postgres_server.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/postgres_store.hpp"
#include "websession/postgres_store.hpp"
#include "websession/session_id.hpp"
#include "websession/testing/manual_clock.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

// Patient, since what a test asks for is never how long it takes.
inline PostgresOptions patient_postgres(std::shared_ptr<const Clock> clock = {}) {
  PostgresOptions options;
  options.operation_timeout = std::chrono::minutes(2);
  options.connect_timeout = std::chrono::minutes(1);
  options.clock = std::move(clock);
  return options;
}

// Tables of its own, in a server that all tests of a process share.
class PostgresSchema {
 public:
  PostgresSchema() { PostgresProbe(server().conninfo()).run("CREATE SCHEMA " + name_); }
  static PostgresServer& server() {
    static PostgresServer all;
    return all;
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // What leads a connection to them.
  [[nodiscard]] std::string words() const { return "options=-csearch_path=" + name_; }
  [[nodiscard]] std::string conninfo() const { return server().conninfo(words()); }
  [[nodiscard]] std::shared_ptr<PostgresStore> open(const PostgresOptions& options) const {
    return PostgresStore::connect(conninfo(), options).value();
  }

 private:
  const std::string name_ = [] {
    const SessionId id = SessionId::generate().value();
    std::string name = "s";
    for (const char c : id.secret()) {
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) name += c;
    }
    return name;
  }();
};

class PostgresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_is_installed()) {
      schema = std::make_unique<PostgresSchema>();
      return;
    }
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "PostgreSQL is not installed, and under CI nothing is skipped";
    }
    GTEST_SKIP() << "PostgreSQL is not installed";
  }
  static PostgresServer& server() { return PostgresSchema::server(); }

  std::unique_ptr<PostgresSchema> schema;
  static constexpr Lifetime minute{std::chrono::milliseconds(60'000)};
};

// A store on a loop of its own, as it is called from other threads.
inline std::shared_ptr<SessionStore> postgres_on_a_loop(const std::string& conninfo,
                                                        const PostgresOptions& options) {
  auto thread = std::make_unique<IoThread>(IoThread::start().value());
  const AsyncSessionStore::Reactors loops{thread->reactor()};
  return std::make_shared<LoopStore>(
      std::move(thread), AsyncPostgresStore::connect_later(conninfo, loops, options).value());
}

// Two stores on the same tables, as two processes have them.
class PostgresHarness final : public StoreHarness {
 public:
  enum class First { blocking, on_a_loop };
  explicit PostgresHarness(const PostgresSchema& schema, First first = First::blocking)
      : another_(schema.open(patient_postgres(clock_))) {
    if (first == First::blocking) {
      store_ = schema.open(patient_postgres(clock_));
    } else {
      store_ = postgres_on_a_loop(schema.conninfo(), patient_postgres(clock_));
    }
  }
  SessionStore& store() override { return *store_; }
  SessionStore& another_store() override { return *another_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override {
    clock_->advance(duration);
    std::this_thread::sleep_for(duration);  // the database counts real time
  }

 private:
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<SessionStore> store_{};
  std::shared_ptr<PostgresStore> another_;
};

}  // namespace websession::testing
