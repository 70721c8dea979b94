// Sessions in PostgreSQL, next to the rest of an application's data. How they lie there:
// docs/sql-layout.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/credentials.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

struct PostgresOptions {
  // So long a call takes at most, waiting for a connection included: 1 ms to 1 h. The server ends a
  // statement after three quarters of it, so that a caller who waits for a row that another
  // statement holds is told in time that nothing was applied. Making a connection takes some six
  // answers of the server: a shorter time than that never gets one.
  std::chrono::milliseconds operation_timeout = std::chrono::seconds(2);
  // So long it takes at most to connect, within that.
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(1);
  // So many connections at most, each of which carries one query at a time: 1 to 1024. They are
  // made when they are needed, and kept.
  std::size_t connections_max = 8;
  // So many calls wait for a connection at most; what comes then is `overloaded`.
  std::size_t pending_max = 4096;
  // Whether a new connection may make the tables, or bring them up to date. False: it needs no
  // right to do so, and refuses to work where somebody has to (docs/sql-layout.md).
  bool create_tables = true;
  // For PgBouncer and the like with pool_mode = transaction: nothing is prepared, and nothing is
  // set for a connection. Then see to it that the role has a statement_timeout, as
  //
  //   ALTER ROLE app SET statement_timeout = '2s';
  //
  // or a statement whose caller has given up may still wait for a lock, and be applied late.
  bool transaction_pooling = false;
  // What each new connection logs in with, in place of what conninfo says: for passwords that
  // change, such as the tokens of a cloud. (Files of conninfo, as sslcert and passfile, libpq reads
  // for each connection anyway.)
  CredentialsSource credentials{};
  // What the deadlines of attributes are compared with, for tests. None: the database's time.
  std::shared_ptr<const Clock> clock{};
};

// Many threads may use one store, and many processes one database. No thread of its own.
//
// Each verb is one or two statements, each a transaction of its own: one that reads the row, and
// one that writes it if it is still the same, or else reads it again. So no lock is held while a
// message is under way. Time is the database's.
//
// A call returns by operation_timeout, but for the time that the system takes to resolve a host's
// name (write an address, or hostaddr, into the connection string where that matters). Errors:
// key_exists, invalid_argument; timeout, overloaded; unavailable, the server cannot be reached, or
// refuses for now; rejected, password, rights, a standby, missing tables; corrupt, a row is
// damaged; too_large (Changes::bytes_max, attributes_max). A write says maybe_applied when it was
// sent and its answer did not come; when the server has refused it, nothing of it is kept. What
// others were in the way of (deadlock, serialization failure) is done again.
//
// After a fork the child's calls are `rejected`, and the parent's connections are left alone: make
// another store there.
//
// Its PrincipalIndex is exact.
class PostgresStore final : public SessionStore, public PrincipalIndex, public SessionDirectory {
 public:
  // `conninfo`: libpq's, "postgresql://user@host/database" or "host=/run/postgresql dbname=app",
  // with libpq's defaults, environment and files (PGHOST, ~/.pgpass) for what it does not say. The
  // first connection is made here. gssencmode is `disable` unless it is said there.
  //
  // Errors: invalid_argument (conninfo, options), and those of a call.
  static Result<std::shared_ptr<PostgresStore>> connect(const std::string& conninfo,
                                                        const PostgresOptions& options = {});
  // The same, with the first connection made by the first call. Errors: invalid_argument.
  static Result<std::shared_ptr<PostgresStore>> connect_later(const std::string& conninfo,
                                                              const PostgresOptions& options = {});
  ~PostgresStore() override;

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
  // needs it: each new session removes two, if there are any. It works in small steps, each with
  // operation_timeout.
  Result<std::size_t> sweep(std::size_t at_most);

 private:
  struct Impl;
  explicit PostgresStore(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
WEBSESSION_API_END
