// A connection to an SQLite file, and its statements. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "statements.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"
#include "websession/sqlite_store.hpp"

namespace websession::sqlite {

class Connection {
 public:
  enum class Access { write, read };

  // Opens the file, which has to be there, as the options say. Errors: those of SqliteStore::open.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Access access,
                                                  const SqliteOptions& options,
                                                  SteadyTime deadline);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  // Sees to it that the file has a write-ahead log: writers and readers do not wait for each other.
  Result<void> use_log();
  // The file's whole path.
  [[nodiscard]] std::string file() const;
  // Until when its statements wait for the locks of others.
  void set_deadline(SteadyTime deadline) noexcept { deadline_ = deadline; }
  // Whether a transaction is open: the database itself may have ended it.
  [[nodiscard]] bool in_transaction() const noexcept;
  // Runs statements without parameters or rows.
  Result<void> run(const char* sql);
  // Brings what it can of the log into the file, and waits for nobody. So many of its pages are
  // there now.
  int checkpoint() noexcept;
  // How large the log was after the last commit, in pages. Safe to call from any thread.
  [[nodiscard]] int log_pages() const noexcept { return log_pages_; }
  // Ends the transaction, if there is one.
  void roll_back() noexcept;
  // How many rows the last statement has changed.
  [[nodiscard]] std::size_t changes() const noexcept;
  // The result code of what failed last.
  [[nodiscard]] int last_code() const noexcept;
  // The first statement that has failed since this was forgotten.
  [[nodiscard]] const std::optional<Error>& failure() const noexcept { return failure_; }
  void forget_failure() noexcept { failure_.reset(); }
  // Notes a failure, and gives it.
  Error fail(Error error);
  // The same for one that nobody is told of at once. Without memory, without words.
  void fail(int code) noexcept;

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };

  Connection() noexcept;
  // What a result code other than OK, ROW and DONE says to a caller.
  [[nodiscard]] Error error(int code) const;
  static int wait(void* self, int tries) noexcept;
  static int after_commit(void* self, sqlite3* database, const char* name, int pages) noexcept;

  std::unique_ptr<sqlite3, Close> database_;  // statements end before it
  std::array<std::unique_ptr<sqlite3_stmt, Finalize>, statement_count> prepared_;
  SteadyTime deadline_{};
  int restart_at_;  // a log of so many pages
  std::atomic<int> log_pages_ = 0;
  std::optional<Error> failure_{};
};

// A statement while it is used. Parameters and columns count as SQLite counts them: parameters from
// 1, columns from 0.
class Statement {
 public:
  Statement(Connection& connection, Sql sql);
  // One that is used once. Precondition: `text` is valid until it ends.
  Statement(Connection& connection, std::string_view text);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Texts have to be valid until the statement ends. Bytes that are no text are a blob, always.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view value);
  // One that is known to be a text.
  Statement& bind_text(int parameter, std::string_view value);
  Statement& bind_optional(int parameter, const std::optional<std::string>& value);
  Statement& bind_optional(int parameter, std::optional<std::int64_t> value);

  // True: there is a row. False: it is done.
  Result<bool> step();
  // The same for one without rows.
  Result<void> run();

  // Views are valid until the next step. What cannot be read for want of memory is empty, and a
  // failure of the connection.
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::optional<std::string_view> optional_text(int column) const;

 private:
  void note(int code) noexcept {
    if (bound_ == SQLITE_OK) bound_ = code;
  }

  Connection& connection_;
  std::unique_ptr<sqlite3_stmt, Connection::Finalize> own_{};
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = SQLITE_OK;  // the first failure before the first step
  bool has_told_ = false;  // of a failure
};

}  // namespace websession::sqlite
