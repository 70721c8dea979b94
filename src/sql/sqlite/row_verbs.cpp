#include "row_verbs.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "columns.hpp"
#include "count.hpp"
#include "directory_pages.hpp"
#include "rows.hpp"
#include "unix_time.hpp"

namespace websession::sqlite {
namespace {

using internal::unix_ms;
using sql::State;
using std::chrono::milliseconds;

constexpr char cursor_kind = 's';

// A row that is found by its key. Its columns can be read while it lives.
class FoundRow {
 public:
  FoundRow(Connection& connection, const StoreKey& key)
      : statement_(connection, Sql::find), found_(statement_.bind(1, key.secret()).step()) {}

  // Whether it is there. What has expired is not.
  [[nodiscard]] Result<bool> lives(WallTime now) const {
    if (!found_.has_value()) return found_.error();
    return *found_ && expires_at() > now;
  }
  [[nodiscard]] std::int64_t id() const { return statement_.integer(0); }
  [[nodiscard]] WallTime expires_at() const {
    return internal::from_unix_ms(statement_.integer(1));
  }
  [[nodiscard]] sql::Row row() const {
    const auto successor = statement_.optional_text(3);
    return {sql::state_of(statement_.optional_text(2)), expires_at(),
            successor ? std::optional(StoreKey(std::string(*successor))) : std::nullopt};
  }
  [[nodiscard]] Result<Fields> fields() const {
    return sql::fields_of({statement_.integer(4), statement_.optional_text(5),
                           statement_.optional_text(6), statement_.text(7),
                           statement_.optional_text(8), statement_.optional_text(9)});
  }

 private:
  Statement statement_;
  Result<bool> found_;
};

// Which fields of a row are read with it.
enum class Reads { nothing, session, all };

// A row, and its number. None: nothing is there.
struct Held {
  std::int64_t id = 0;
  std::optional<sql::Row> row{};
};
// `now()`: read after the row, so that whoever has found it expired meanwhile is right.
template <class Now>
Result<Held> hold(Connection& connection, const StoreKey& key, Reads reads, const Now& now) {
  const FoundRow found(connection, key);
  const Result<bool> lives = found.lives(now());
  if (!lives.has_value()) return lives.error();
  if (!*lives) return Held{};
  Held held{found.id(), found.row()};
  sql::Row& row = *held.row;
  const bool has_fields =
      row.state == State::session || (row.state == State::frozen && reads == Reads::all);
  if (has_fields && reads != Reads::nothing) {
    Result<Fields> fields = found.fields();
    if (!fields) return std::move(fields).error();
    row.fields = *std::move(fields);
  }
  return held;
}
Result<Held> hold(Transaction& transaction, const StoreKey& key, Reads reads) {
  return hold(transaction.connection, key, reads, [&] { return transaction.now; });
}

// What a change and an insert have in common.
Statement& bind_fields(Statement& statement, const sql::Columns& columns) {
  return statement.bind(2, columns.created_at)
      .bind_optional(3, columns.label)
      .bind_text(4, columns.data)
      .bind_optional(5, columns.bytes)
      .bind_optional(6, columns.until);
}
// The same with the row's end and whose it is.
Statement& bind_all(Statement& statement, const sql::Columns& columns, WallTime expires_at,
                    WallTime now) {
  return bind_fields(statement, columns)
      .bind(7, unix_ms(expires_at))
      .bind_optional(8, columns.principal)
      .bind_optional(9, columns.principal ? std::optional(unix_ms(now)) : std::nullopt);
}

Result<void> insert(Transaction& transaction, const StoreKey& key, const sql::Columns& columns,
                    WallTime expires_at) {
  Statement statement(transaction.connection, Sql::insert);
  Result<void> done =
      bind_all(statement.bind(1, key.secret()), columns, expires_at, transaction.now)
          .bind(10, unix_ms(transaction.now))
          .run();
  if (!done) return done;
  if (transaction.connection.changes() == 0) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  ++transaction.inserted;
  return {};
}

// Leaves a mark without anything to read.
Result<void> end(Transaction& transaction, std::int64_t id, WallTime until, State state,
                 const std::optional<StoreKey>& successor) {
  Statement statement(transaction.connection, Sql::end);
  statement.bind(1, id).bind(2, unix_ms(until)).bind(3, sql::mark_of(state));
  return statement.bind_optional(4, successor ? std::optional(successor->secret()) : std::nullopt)
      .run();
}

Result<void> drop(Transaction& transaction, std::int64_t id) {
  return Statement(transaction.connection, Sql::drop).bind(1, id).run();
}

// The end of a chain goes first, then the frozen ones before it.
Result<internal::Ended<StoreKey>> try_to_end(Transaction& transaction,
                                             std::span<const StoreKey> chain, const Grace& grace) {
  internal::Ended<StoreKey> ended;
  const Result<Held> last = hold(transaction, chain.back(), Reads::nothing);
  if (!last) return last.error();
  if (!last->row) return ended;
  const sql::Row& row = *last->row;
  ended.any = row.state == State::session;
  if (!ended.any) {
    if (row.state != State::passed) ended.successor = row.successor;
    return ended;
  }
  const bool leaves_mark = grace.duration > milliseconds(0);
  Result<void> done = leaves_mark ? end(transaction, last->id, transaction.now + grace.duration,
                                        State::over, std::nullopt)
                                  : drop(transaction, last->id);
  for (const StoreKey& frozen : chain.first(chain.size() - 1)) {
    if (done) done = strip(transaction, frozen);
  }
  if (!done) return std::move(done).error();
  return ended;
}

}  // namespace

Result<std::optional<Found>> find(Connection& connection, const StoreKey& key, const Clock& clock) {
  WallTime now;
  const Result<Held> held = hold(connection, key, Reads::all, [&] { return now = clock.wall(); });
  if (!held) return held.error();
  if (!held->row) return std::optional<Found>();
  return std::optional(Found{sql::record_of(*held->row, now), sql::link_of(held->row).successor});
}

Result<internal::Link<StoreKey>> look(Connection& connection, const StoreKey& key,
                                      const Clock& clock) {
  const Result<Held> held = hold(connection, key, Reads::nothing, [&] { return clock.wall(); });
  if (!held) return held.error();
  return sql::link_of(held->row);
}

Result<std::vector<StoreKey>> list(Connection& connection, std::string_view principal,
                                   std::size_t at_most, const Clock& clock) {
  Statement statement(connection, Sql::list);
  statement.bind(1, principal)
      .bind(2, unix_ms(clock.wall()))
      .bind(3, static_cast<std::int64_t>(at_most));
  std::vector<StoreKey> keys;
  while (true) {
    const Result<bool> row = statement.step();
    if (!row.has_value()) return row.error();
    if (!*row) return keys;
    keys.emplace_back(std::string(statement.text(0)));
  }
}

// By the rows' numbers: a session keeps its own, and a new one gets a larger one.
Result<DirectoryPage> page(Connection& connection, const DirectoryCursor& after, std::size_t about,
                           const Clock& clock) {
  if (auto valid = internal::validate_page(about); !valid) return std::move(valid).error();
  const Result<std::int64_t> begin =
      internal::place_in<std::int64_t>(after, cursor_kind, INT64_MAX);
  if (!begin) return begin.error();
  Statement statement(connection, Sql::page);
  statement.bind(1, *begin)
      .bind(2, unix_ms(clock.wall()))
      .bind(3, static_cast<std::int64_t>(about));
  DirectoryPage page;
  std::size_t rows = 0;
  std::int64_t last = *begin;
  for (;; ++rows) {
    const Result<bool> row = statement.step();
    if (!row.has_value()) return row.error();
    if (!*row) break;
    last = statement.integer(0);
    if (statement.integer(2) != 0) page.keys.emplace_back(std::string(statement.text(1)));
  }
  page.is_last = rows < about;
  if (!page.is_last) page.next = internal::cursor_of(cursor_kind, std::to_string(last));
  return page;
}

Result<SessionCount> count(Connection& connection, const Clock& clock) {
  const std::int64_t now = unix_ms(clock.wall());
  sql::Sample sample;
  {
    Statement statement(connection, Sql::sample);
    const Result<bool> row =
        statement.bind(1, now).bind(2, static_cast<std::int64_t>(sql::counted_max + 1)).step();
    if (!row.has_value()) return row.error();
    sample = {statement.integer(0), statement.integer(1), statement.integer(2)};
  }
  if (sample.is_all()) return sample.all();
  Statement statement(connection, Sql::unexpired);
  const Result<bool> row = statement.bind(1, now).step();
  if (!row.has_value()) return row.error();
  return sample.of_unexpired(statement.integer(0));
}

Result<void> create(Transaction& transaction, const StoreKey& key, const Fields& fields,
                    const Lifetime& lifetime) {
  return insert(transaction, key, sql::columns_of(fields), transaction.now + lifetime.ttl);
}

Result<Outcome> update(Transaction& transaction, const StoreKey& key, const Changes& changes,
                       const Lifetime& lifetime) {
  const WallTime now = transaction.now;
  const Result<Held> held =
      hold(transaction, key, changes.empty() ? Reads::nothing : Reads::session);
  if (!held) return held.error();
  Result<sql::Change> change = sql::change_of(held->row, changes, lifetime, now);
  if (!change) return std::move(change).error();

  Connection& connection = transaction.connection;
  Result<void> done;
  if (!change->columns) {
    if (change->renews) {
      done = Statement(connection, Sql::renew)
                 .bind(1, held->id)
                 .bind(2, unix_ms(now + lifetime.ttl))
                 .run();
    }
  } else if (change->renews || change->passes) {
    const WallTime expires_at = change->renews ? now + lifetime.ttl : held->row->expires_at;
    Statement statement(connection, Sql::change_all);
    done = bind_all(statement.bind(1, held->id), *change->columns, expires_at, now).run();
  } else {
    Statement statement(connection, Sql::change);
    done = bind_fields(statement.bind(1, held->id), *change->columns).run();
  }
  if (!done) return std::move(done).error();
  return std::move(change->outcome);
}

Result<Outcome> rekey(Transaction& transaction, const StoreKey& from, const StoreKey& to,
                      const Changes& changes, const Lifetime& lifetime, const Grace& grace) {
  const WallTime now = transaction.now;
  const Result<Held> old = hold(transaction, from, Reads::session);
  if (!old) return old.error();
  const bool may_be_made = sql::may_be_made(old->row, to);
  const Result<Held> present = hold(transaction, to, may_be_made ? Reads::session : Reads::nothing);
  if (!present) return present.error();
  Result<sql::Move> move = sql::move_of(old->row, present->row, to, changes, grace, now);
  if (!move) return std::move(move).error();
  if (!move->columns) return std::move(move->outcome);

  const WallTime had = old->row->expires_at;
  Result<void> done = insert(transaction, to, *move->columns, std::max(had, now + lifetime.ttl));
  if (!done) return std::move(done).error();
  if (grace.duration <= milliseconds(0)) {
    done = drop(transaction, old->id);
  } else if (move->left == State::frozen) {
    done = Statement(transaction.connection, Sql::freeze)
               .bind(1, old->id)
               .bind(2, unix_ms(std::min(had, now + grace.duration)))
               .bind(3, to.secret())
               .run();
  } else {
    done = end(transaction, old->id, now + grace.duration, move->left, to);
  }
  if (!done) return std::move(done).error();
  return std::move(move->outcome);
}

Result<bool> erase(Transaction& transaction, const StoreKey& key, const Grace& grace) {
  internal::Chain<StoreKey> chain(key);
  while (!chain.result()) chain.tried(try_to_end(transaction, chain.keys(), grace));
  return *chain.result();
}

Result<void> strip(Transaction& transaction, const StoreKey& key) {
  return Statement(transaction.connection, Sql::strip).bind(1, key.secret()).run();
}

Result<std::size_t> drop_expired(Transaction& transaction, std::size_t at_most) {
  const Result<void> done = Statement(transaction.connection, Sql::drop_expired)
                                .bind(1, unix_ms(transaction.now))
                                .bind(2, static_cast<std::int64_t>(at_most))
                                .run();
  if (!done) return done.error();
  return transaction.connection.changes();
}

}  // namespace websession::sqlite
