// Sessions in an SQLite file: they outlive the process and the machine, for a single server that
// runs nothing else for it. How they lie there: docs/sql-layout.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

struct SqliteOptions {
  // What a write has reached when it is acknowledged. Whatever it is, a process that crashes loses
  // nothing.
  enum class Synchronous {
    full,    // the disk
    normal,  // the system: if the machine loses power, the last moments may be lost, those alone
    off,     // the same, but then the file may be damaged, too: for tests
  };
  Synchronous synchronous = Synchronous::full;
  // So long a call waits for other calls and for the locks of other processes: 1 ms to 1 h.
  std::chrono::milliseconds operation_timeout = std::chrono::seconds(2);
  // So many calls read at once, each on a connection of its own: 1 to 256. One more writes, and one
  // brings the log into the file.
  std::size_t readers_max = 8;
  // So many calls wait for the disk at most; what comes then is `overloaded`.
  std::size_t pending_max = 4096;
  // Whether open() may make the file and the tables, or bring them up to date. False: a file that
  // is not there, or is not one of this version of the library, is `rejected`, and stays as it is.
  bool create_tables = true;
  std::shared_ptr<const Clock> clock{};  // none: system_clock()
};

// Many threads and several processes may use one file, on a disk of the machine: not on a network
// file system. Those who write at the same time share one transaction, and so one write to the
// disk. No thread of its own; all members are safe to call from many threads at once.
//
// Time is the machine's wall clock. If that is set back, sessions live so much longer, and one that
// had expired but was not removed yet is there again.
//
// Fork first, and open a store in each process. Not the other way round, even if the parent's is
// not used any more: SQLite takes the parent's locks for the child's own, and the file may suffer.
// The parent's store gives `rejected` in a child.
//
// A call returns by operation_timeout, but for the time that the operating system takes to read and
// write: that, nobody can cut short; and for another process that was stopped (SIGSTOP, a debugger)
// in the instant in which it took a lock of the log: for that one SQLite waits some ten seconds.
// Errors: key_exists, invalid_argument; timeout, the lock was another's all the time; overloaded;
// unavailable, the disk fails or is full; rejected, the file may not be read and written, or
// belongs to a parent process, or another one has its place; corrupt, the file or a row is
// damaged; too_large (Changes::bytes_max, attributes_max). A write whose commit fails says
// maybe_applied when a crash at that moment might bring it back.
//
// Its PrincipalIndex is exact.
class SqliteStore final : public SessionStore, public PrincipalIndex, public SessionDirectory {
 public:
  // Opens the file and makes its tables (`websession_…`; others are left alone); if there is none,
  // makes one that only its owner can read. A file of an older version is brought up to date.
  // (SqliteOptions::create_tables)
  //
  // Errors: invalid_argument (options; no file: ":memory:", ""); rejected: it may not be written,
  // it was written by a newer version of the library, or by somebody else; unavailable, corrupt,
  // timeout.
  static Result<std::shared_ptr<SqliteStore>> open(const std::string& path,
                                                   const SqliteOptions& options = {});
  ~SqliteStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override;
  [[nodiscard]] PrincipalIndex* index() noexcept override { return this; }
  [[nodiscard]] SessionDirectory* directory() noexcept override { return this; }

  Result<std::vector<StoreKey>> entries(std::string_view principal) override;
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override;
  Result<void> end_frozen(const StoreKey& key) override;

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override;
  Result<SessionCount> count() override;

  // Removes sessions that have expired, at most so many, and gives how many it removed. Nothing
  // needs it: each new session removes two, if there are any, and the room is used again. It works
  // in small steps, between which other calls have their turn, each with operation_timeout.
  Result<std::size_t> sweep(std::size_t at_most);

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
WEBSESSION_API_END
