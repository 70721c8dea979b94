#include "websession/sqlite_store.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "checkpointer.hpp"
#include "connection.hpp"
#include "invalid.hpp"
#include "reader_pool.hpp"
#include "row_verbs.hpp"
#include "schema.hpp"
#include "wiped_on_fork.hpp"
#include "write_queue.hpp"

namespace websession {
namespace {

using sqlite::Connection;
using sqlite::Transaction;

// Others have their turn after so many, which take less than a millisecond.
constexpr std::size_t rows_at_once = 64;

// A log that has grown by so many pages is brought into the file, which is SQLite's own default.
// Whoever sweeps does so earlier: it is he who has filled it.
constexpr int checkpoint_pages = 1000;
constexpr int sweep_checkpoint_pages = checkpoint_pages / 2;

Error forked_error() {
  return make_error(Errc::rejected,
                    "this SqliteStore was opened before a fork, and a child must not use its "
                    "parent's connections: fork first, and open a store in each process");
}

Result<void> validate(const std::string& path, const SqliteOptions& options) {
  using internal::invalid;
  if (path.empty() || path.starts_with(":memory:")) {
    return invalid(
        "SqliteStore: needs the path of a file; for sessions in memory there is MemoryStore");
  }
  if (path.find('\0') != std::string::npos) return invalid("SqliteStore: the path contains a NUL");
  if (options.operation_timeout < std::chrono::milliseconds(1) ||
      options.operation_timeout > std::chrono::hours(1)) {
    return invalid("SqliteOptions::operation_timeout: must be 1 ms to 1 h");
  }
  if (options.readers_max < 1 || options.readers_max > 256) {
    return invalid("SqliteOptions::readers_max: must be 1 to 256");
  }
  if (options.pending_max < 1) return invalid("SqliteOptions::pending_max: must be at least 1");
  if (sqlite3_threadsafe() == 0)
    return invalid("SqliteStore: this SQLite was built without threads");
  return {};
}

// SQLite's own files beside it get the same rights. What goes wrong here, it tells better.
void make_private_file(const std::string& path) {
  // Never by a descriptor: to close it would end the locks that others in this process have.
  (void)::mknod(path.c_str(), S_IFREG | 0600, 0);
}

}  // namespace

struct SqliteStore::Impl {
  Impl(const std::string& path, const SqliteOptions& options, std::unique_ptr<Connection> writer,
       std::unique_ptr<Connection> checkpoints)
      : clock(options.clock),
        operation_timeout(options.operation_timeout),
        writes(std::move(writer), options.pending_max, options.clock),
        checkpointer(std::move(checkpoints)),
        readers(path, options) {}

  [[nodiscard]] SteadyTime deadline() const {
    return std::chrono::steady_clock::now() + operation_timeout;
  }

  // `verb`: Result<T>(Transaction&).
  template <class T, class Verb>
  Result<T> write(const Verb& verb, int log_step = checkpoint_pages) {
    if (fork_guard.in_child()) return forked_error();
    std::optional<Result<T>> result;
    const auto work = [&](Transaction& transaction) { result = verb(transaction); };
    if (Result<void> done = writes.run(std::ref(work), deadline()); !done) {
      return std::move(done).error();
    }
    checkpointer.look(writes.log_pages(), log_step);
    return *std::move(result);
  }
  // `verb`: Result<T>(Connection&).
  template <class T, class Verb>
  Result<T> read(const Verb& verb) {
    if (fork_guard.in_child()) return forked_error();
    const Result<sqlite::ReaderPool::Lease> lease = readers.take(deadline());
    if (!lease) return lease.error();
    Connection& connection = **lease;
    connection.forget_failure();
    Result<T> result = verb(connection);
    if (connection.failure()) return *connection.failure();
    return result;
  }

  const std::shared_ptr<const Clock> clock;
  const std::chrono::milliseconds operation_timeout;
  const internal::ForkGuard fork_guard;
  sqlite::WriteQueue writes;
  sqlite::Checkpointer checkpointer;
  sqlite::ReaderPool readers;
};

Result<std::shared_ptr<SqliteStore>> SqliteStore::open(const std::string& path,
                                                       const SqliteOptions& options) {
  if (auto valid = validate(path, options); !valid) return std::move(valid).error();
  SqliteOptions with_clock = options;
  if (!with_clock.clock) with_clock.clock = system_clock();
  if (options.create_tables) make_private_file(path);
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.operation_timeout;
  Result<std::unique_ptr<Connection>> writer =
      Connection::open(path, Connection::Access::write, with_clock, deadline);
  if (!writer) return std::move(writer).error();
  const Result<void> done = options.create_tables
                                ? sqlite::migrate(**writer, sqlite::schema_steps())
                                : sqlite::check_schema(**writer, sqlite::schema_steps());
  if (!done) return done.error();
  // Not before it is known to be ours: the file keeps it.
  if (auto used = (**writer).use_log(); !used) return std::move(used).error();
  const std::string file = (**writer).file();
  Result<std::unique_ptr<Connection>> checkpoints =
      Connection::open(file, Connection::Access::write, with_clock, deadline);
  if (!checkpoints) return std::move(checkpoints).error();
  return std::shared_ptr<SqliteStore>(new SqliteStore(
      std::make_unique<Impl>(file, with_clock, *std::move(writer), *std::move(checkpoints))));
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
// In a forked child the connections are the parent's, and stay as they are.
SqliteStore::~SqliteStore() {
  if (impl_->fork_guard.in_child()) static_cast<void>(impl_.release());
}

Result<std::optional<Record>> SqliteStore::load(const StoreKey& key) {
  return impl_->read<std::optional<Record>>(
      [&](Connection& connection) -> Result<std::optional<Record>> {
        Result<std::optional<sqlite::Found>> found = sqlite::find(connection, key, *impl_->clock);
        if (!found.has_value()) return found.error();
        if (!*found) return std::optional<Record>();
        Record record = std::move((*found)->record);
        if (!(*found)->successor) return std::optional(std::move(record));
        internal::Walk<StoreKey> walk(*std::move((*found)->successor));
        while (!walk.is_alive()) {
          Result<internal::Link<StoreKey>> link =
              sqlite::look(connection, walk.at(), *impl_->clock);
          if (!link) return std::move(link).error();
          walk.found(*std::move(link));
        }
        if (!*walk.is_alive()) record.fields = Fields();
        return std::optional(std::move(record));
      });
}

Result<void> SqliteStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = websession::validate(fields, lifetime); !valid) return valid;
  return impl_->write<void>(
      [&](Transaction& transaction) { return sqlite::create(transaction, key, fields, lifetime); });
}

Result<Outcome> SqliteStore::update(const StoreKey& key, const Changes& changes,
                                    Lifetime lifetime) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  return impl_->write<Outcome>([&](Transaction& transaction) {
    return sqlite::update(transaction, key, changes, lifetime);
  });
}

Result<Outcome> SqliteStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                   Lifetime lifetime, Grace grace) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  return impl_->write<Outcome>([&](Transaction& transaction) {
    return sqlite::rekey(transaction, from, to, changes, lifetime, grace);
  });
}

Result<bool> SqliteStore::erase(const StoreKey& key, Grace grace) {
  return impl_->write<bool>(
      [&](Transaction& transaction) { return sqlite::erase(transaction, key, grace); });
}

Result<std::vector<StoreKey>> SqliteStore::entries(std::string_view principal) {
  return impl_->read<std::vector<StoreKey>>([&](Connection& connection) {
    return sqlite::list(connection, principal, entries_max, *impl_->clock);
  });
}

// Entries go with their rows, but for those that are frozen and whose successor has ended.
Result<void> SqliteStore::forget(std::string_view, std::span<const StoreKey> keys, BeingMade) {
  Result<void> done;
  while (done && !keys.empty()) {
    const auto some = keys.first(std::min(keys.size(), rows_at_once));
    keys = keys.subspan(some.size());
    done = impl_->write<void>([&](Transaction& transaction) {
      Result<void> stripped;
      for (const StoreKey& key : some) {
        if (stripped) stripped = sqlite::strip(transaction, key);
      }
      return stripped;
    });
  }
  return done;
}

Result<void> SqliteStore::end_frozen(const StoreKey& key) {
  return impl_->write<void>(
      [&](Transaction& transaction) { return sqlite::strip(transaction, key); });
}

Result<DirectoryPage> SqliteStore::page(const DirectoryCursor& after, std::size_t about) {
  return impl_->read<DirectoryPage>([&](Connection& connection) {
    return sqlite::page(connection, after, about, *impl_->clock);
  });
}

Result<SessionCount> SqliteStore::count() {
  return impl_->read<SessionCount>(
      [&](Connection& connection) { return sqlite::count(connection, *impl_->clock); });
}

Result<std::size_t> SqliteStore::sweep(std::size_t at_most) {
  std::size_t swept = 0;
  while (swept < at_most) {
    const std::size_t step = std::min(rows_at_once, at_most - swept);
    const Result<std::size_t> dropped = impl_->write<std::size_t>(
        [&](Transaction& transaction) { return sqlite::drop_expired(transaction, step); },
        sweep_checkpoint_pages);
    if (!dropped) return dropped.error();
    swept += *dropped;
    if (*dropped < step) break;
  }
  return swept;
}

}  // namespace websession
