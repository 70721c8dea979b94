#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <thread>
#include <utility>

#include "columns.hpp"

namespace websession::sqlite {
namespace {

using std::chrono::microseconds;

// SQLite itself looks at a lock again and again; nobody is woken. Short naps at first, since most
// transactions take less than a millisecond, and longer ones while the disk is waited for.
microseconds nap(int tries) { return microseconds(100) * (1 << std::min(tries, 5)); }

const char* synchronous_text(SqliteOptions::Synchronous synchronous) {
  switch (synchronous) {
    case SqliteOptions::Synchronous::full:
      return "PRAGMA synchronous = FULL";
    case SqliteOptions::Synchronous::normal:
      return "PRAGMA synchronous = NORMAL";
    case SqliteOptions::Synchronous::off:
      return "PRAGMA synchronous = OFF";
  }
  return "";
}

// Pages in the log from which it begins anew: those who write wait for that, and for a moment for
// those who read. Readers and writers who are there all the time would keep it from that for ever.
constexpr int restart_pages = 16'000;
constexpr std::chrono::milliseconds restart_wait(20);  // the longer, the larger the log is

// What the file is, or would be without "file:" in front, which some builds of SQLite take for a
// URI.
std::string plain(const std::string& path) {
  return path.starts_with("file:") ? "./" + path : path;
}

bool lacks_rights(int system_error) {
  return system_error == EACCES || system_error == EPERM || system_error == EROFS;
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Access access,
                                                     const SqliteOptions& options,
                                                     SteadyTime deadline) {
  std::unique_ptr<Connection> connection(new Connection);
  sqlite3* database = nullptr;
  // A reader has to write, too: it may be the first to look at what another process left behind.
  const int opened = sqlite3_open_v2(plain(path).c_str(), &database,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  connection->database_.reset(database);
  if (opened != SQLITE_OK) return connection->error(opened);
  (void)sqlite3_extended_result_codes(database, 1);
  (void)sqlite3_busy_handler(database, &Connection::wait, connection.get());
  connection->set_deadline(deadline);
  if (sqlite3_db_readonly(database, "main") == 1) return connection->error(SQLITE_READONLY);

  if (access == Access::read) {
    if (auto set = connection->run("PRAGMA query_only = ON"); !set) return std::move(set).error();
    return connection;
  }
  (void)sqlite3_wal_hook(database, &Connection::after_commit, connection.get());
  // What is removed is overwritten where that costs no write more: sessions are secrets. And the
  // log gives back what an unusually large transaction took.
  for (const char* setting : {synchronous_text(options.synchronous), "PRAGMA secure_delete = FAST",
                              "PRAGMA journal_size_limit = 16777216"}) {
    if (auto set = connection->run(setting); !set) return std::move(set).error();
  }
  return connection;
}

Result<void> Connection::use_log() {
  for (int tries = 0;; ++tries) {
    Statement journal(*this, "PRAGMA journal_mode = WAL");
    const Result<bool> row = journal.step();
    if (!row.has_value()) {
      // SQLite does not wait for a lock here.
      const bool is_busy = (last_code() & 0xff) == SQLITE_BUSY;
      if (is_busy && wait(this, tries) != 0) continue;
      return row.error();
    }
    if (*row && journal.text(0) == "wal") return {};
    return make_error(Errc::rejected,
                      "SQLite: there is no write-ahead log on this file's disk: put the file on a "
                      "disk of this machine");
  }
}

std::string Connection::file() const {
  const char* const name = sqlite3_db_filename(database_.get(), "main");
  return name == nullptr ? "" : name;
}

Connection::Connection() noexcept : restart_at_(restart_pages) {}

// The transaction is committed whatever this comes to.
int Connection::after_commit(void* self, sqlite3* database, const char* name, int pages) noexcept {
  auto& connection = *static_cast<Connection*>(self);
  const bool has_begun_anew = pages < connection.log_pages_.exchange(pages);
  if (has_begun_anew) connection.restart_at_ = restart_pages;
  if (pages < connection.restart_at_) return SQLITE_OK;
  const SteadyTime deadline = connection.deadline_;
  connection.deadline_ =
      std::min(deadline, std::chrono::steady_clock::now() + restart_wait * (pages / restart_pages));
  const int done =
      sqlite3_wal_checkpoint_v2(database, name, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  connection.deadline_ = deadline;
  // Somebody reads for longer, as a backup does: not every commit shall wait for him.
  connection.restart_at_ = done == SQLITE_OK ? restart_pages : pages + restart_pages;
  return SQLITE_OK;
}

int Connection::wait(void* self, int tries) noexcept {
  const auto left =
      static_cast<const Connection*>(self)->deadline_ - std::chrono::steady_clock::now();
  if (left <= SteadyTime::duration::zero()) return 0;
  std::this_thread::sleep_for(std::min<SteadyTime::duration>(left, nap(tries)));
  return 1;
}

int Connection::checkpoint() noexcept {
  int in_file = 0;
  (void)sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                  &in_file);
  return std::max(in_file, 0);
}

bool Connection::in_transaction() const noexcept {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

Result<void> Connection::run(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

void Connection::roll_back() noexcept {
  if (in_transaction()) {
    (void)sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

std::size_t Connection::changes() const noexcept {
  return static_cast<std::size_t>(sqlite3_changes(database_.get()));
}

int Connection::last_code() const noexcept { return sqlite3_extended_errcode(database_.get()); }

Error Connection::fail(Error error) {
  if (!failure_) failure_ = error;
  return error;
}

void Connection::fail(int code) noexcept {
  try {
    static_cast<void>(fail(error(code)));
  } catch (const std::bad_alloc&) {
    failure_.emplace(Error{make_error_code(Errc::overloaded), {}});
  }
}

Error Connection::error(int code) const {
  const auto make = [&](Errc errc, std::string_view advice = {}) {
    // The message names tables and files, never a value.
    std::string text = "SQLite: ";
    const bool has_message = database_ && last_code() == code;
    text += has_message ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
    if (!advice.empty()) text.append(": ").append(advice);
    return make_error(errc, std::move(text));
  };
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(Errc::timeout, "another process kept its lock until the deadline");
    case SQLITE_INTERRUPT:
      return make(Errc::timeout);
    case SQLITE_FULL:
      return make(Errc::unavailable, "make room for the file and its log");
    case SQLITE_CANTOPEN:
      if (lacks_rights(sqlite3_system_errno(database_.get()))) {
        return make(Errc::rejected,
                    "this process has to be allowed to read and write the file, and to write in "
                    "its folder");
      }
      return make(Errc::unavailable,
                  "the path has to lead to a file, or to a new one in a folder, that is there");
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
      return make(Errc::unavailable);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return make(Errc::corrupt, "restore the file from a backup, or begin with a new one");
    case SQLITE_NOMEM:
      return make(Errc::overloaded);
    case SQLITE_TOOBIG:
      return make(Errc::too_large);
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return make(Errc::rejected, "this process has to be allowed to write the file");
    default:
      return make(Errc::rejected);
  }
}

Statement::Statement(Connection& connection, Sql sql) : connection_(connection) {
  auto& prepared = connection.prepared_[static_cast<std::size_t>(sql)];
  if (!prepared) {
    sqlite3_stmt* made = nullptr;
    note(sqlite3_prepare_v3(connection.database_.get(), text_of(sql), -1, SQLITE_PREPARE_PERSISTENT,
                            &made, nullptr));
    prepared.reset(made);
  }
  statement_ = prepared.get();
}

Statement::Statement(Connection& connection, std::string_view text) : connection_(connection) {
  note(sqlite3_prepare_v2(connection.database_.get(), text.data(), static_cast<int>(text.size()),
                          &statement_, nullptr));
  own_.reset(statement_);
}

Statement::~Statement() {
  // The next one begins anew, and a read ends. What went wrong between the steps shows now.
  const int code = sqlite3_reset(statement_);
  if (code != SQLITE_OK && !has_told_) connection_.fail(code);
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  note(sqlite3_bind_int64(statement_, parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view value) {
  if (sql::is_text(value)) return bind_text(parameter, value);
  note(sqlite3_bind_blob64(statement_, parameter, value.data(), value.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::bind_text(int parameter, std::string_view value) {
  // An empty view may have no address, and SQLite would take that for NULL.
  const char* const data = value.data() == nullptr ? "" : value.data();
  note(sqlite3_bind_text64(statement_, parameter, data, value.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_optional(int parameter, const std::optional<std::string>& value) {
  if (value) return bind(parameter, std::string_view(*value));
  note(sqlite3_bind_null(statement_, parameter));
  return *this;
}

Statement& Statement::bind_optional(int parameter, std::optional<std::int64_t> value) {
  if (value) return bind(parameter, *value);
  note(sqlite3_bind_null(statement_, parameter));
  return *this;
}

Result<bool> Statement::step() {
  if (bound_ != SQLITE_OK) has_told_ = true;
  if (bound_ != SQLITE_OK) return connection_.fail(connection_.error(bound_));
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  has_told_ = true;
  return connection_.fail(connection_.error(code));
}

Result<void> Statement::run() {
  const Result<bool> row = step();
  if (!row.has_value()) return row.error();
  return {};
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::text(int column) const {
  const int type = sqlite3_column_type(statement_, column);
  const bool is_blob = type == SQLITE_BLOB;
  const void* const data =
      is_blob ? sqlite3_column_blob(statement_, column) : sqlite3_column_text(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  if (data != nullptr) return {static_cast<const char*>(data), size};
  // An empty blob has no address. A text has one, unless there was no memory to show it.
  if (!is_blob && type != SQLITE_NULL) connection_.fail(SQLITE_NOMEM);
  return {};
}

std::optional<std::string_view> Statement::optional_text(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return text(column);
}

}  // namespace websession::sqlite
