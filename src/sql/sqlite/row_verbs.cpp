#include "row_verbs.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "changed_fields.hpp"
#include "columns.hpp"
#include "repeated_rekey.hpp"
#include "unix_time.hpp"

namespace websession::sqlite {
namespace {

using internal::unix_ms;
using std::chrono::milliseconds;

// What a row is. All but a session are marks, under which nothing can be written.
enum class State {
  session,
  frozen,  // replaced: its fields are the old state
  over,    // replaced or ended
  passed,  // the same, and its successor is another principal's
};

State state_of(std::optional<std::string_view> mark) {
  if (!mark) return State::session;
  if (*mark == "frozen") return State::frozen;
  return *mark == "passed" ? State::passed : State::over;
}

// A row that is found by its key. Its columns can be read while it lives.
class Row {
 public:
  Row(Connection& connection, const StoreKey& key)
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
  [[nodiscard]] State state() const { return state_of(statement_.optional_text(2)); }
  [[nodiscard]] std::optional<StoreKey> successor() const {
    const auto key = statement_.optional_text(3);
    return key ? std::optional(StoreKey(std::string(*key))) : std::nullopt;
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

// A row that was read, so that the statement can be used again.
struct Held {
  std::int64_t id;
  WallTime expires_at;
  State state;
  std::optional<StoreKey> successor;
  Fields fields{};
};
enum class Reads { all_but_fields, session };
// None: nothing is there. `reads`: the fields of a session, too.
Result<std::optional<Held>> hold(Transaction& transaction, const StoreKey& key, Reads reads) {
  const Row row(transaction.connection, key);
  const Result<bool> lives = row.lives(transaction.now);
  if (!lives.has_value()) return lives.error();
  if (!*lives) return std::optional<Held>();
  Held held{row.id(), row.expires_at(), row.state(), row.successor()};
  if (reads == Reads::session && held.state == State::session) {
    Result<Fields> fields = row.fields();
    if (!fields) return std::move(fields).error();
    held.fields = *std::move(fields);
  }
  return std::optional(std::move(held));
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

Outcome gone() { return Outcome{Outcome::Status::gone, {}}; }

// Leaves a mark without anything to read.
Result<void> end(Transaction& transaction, std::int64_t id, WallTime until, std::string_view mark,
                 const std::optional<StoreKey>& successor) {
  Statement statement(transaction.connection, Sql::end);
  statement.bind(1, id).bind(2, unix_ms(until)).bind(3, mark);
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
  Result<std::optional<Held>> last = hold(transaction, chain.back(), Reads::all_but_fields);
  if (!last.has_value()) return last.error();
  if (!*last) return ended;
  const Held& row = **last;
  ended.any = row.state == State::session;
  if (!ended.any) {
    if (row.state != State::passed) ended.successor = row.successor;
    return ended;
  }
  const bool leaves_mark = grace.duration > milliseconds(0);
  Result<void> done =
      leaves_mark ? end(transaction, row.id, transaction.now + grace.duration, "over", std::nullopt)
                  : drop(transaction, row.id);
  for (const StoreKey& frozen : chain.first(chain.size() - 1)) {
    if (done) done = strip(transaction, frozen);
  }
  if (!done) return std::move(done).error();
  return ended;
}

}  // namespace

Result<std::optional<Found>> find(Connection& connection, const StoreKey& key, const Clock& clock) {
  const Row row(connection, key);
  // After the row: whoever has found it expired meanwhile is right.
  const WallTime now = clock.wall();
  const Result<bool> lives = row.lives(now);
  if (!lives.has_value()) return lives.error();
  if (!*lives) return std::optional<Found>();
  Found found;
  const State state = row.state();
  found.record.remaining = row.expires_at() - now;
  found.record.frozen = state != State::session;
  if (state == State::frozen) found.successor = row.successor();
  if (state == State::session || state == State::frozen) {
    Result<Fields> fields = row.fields();
    if (!fields) return std::move(fields).error();
    found.record.fields = live_fields(*fields, now);
  }
  return std::optional(std::move(found));
}

Result<internal::Link<StoreKey>> look(Connection& connection, const StoreKey& key,
                                      const Clock& clock) {
  const Row row(connection, key);
  const Result<bool> lives = row.lives(clock.wall());
  if (!lives.has_value()) return lives.error();
  internal::Link<StoreKey> link;
  if (!*lives) return link;
  const State state = row.state();
  link.exists = state == State::session || state == State::frozen;
  if (state == State::frozen) link.successor = row.successor();
  return link;
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

Result<void> create(Transaction& transaction, const StoreKey& key, const Fields& fields,
                    const Lifetime& lifetime) {
  return insert(transaction, key, sql::columns_of(fields), transaction.now + lifetime.ttl);
}

Result<Outcome> update(Transaction& transaction, const StoreKey& key, const Changes& changes,
                       const Lifetime& lifetime) {
  const Result<std::optional<Held>> held =
      hold(transaction, key, changes.empty() ? Reads::all_but_fields : Reads::session);
  if (!held.has_value()) return held.error();
  if (!*held || (*held)->state != State::session) return gone();
  const Held& row = **held;

  const WallTime now = transaction.now;
  const bool renews = is_renewal_due(lifetime, row.expires_at - now);
  const WallTime expires_at = renews ? now + lifetime.ttl : row.expires_at;
  Connection& connection = transaction.connection;
  if (changes.empty()) {
    if (!renews) return Outcome{};
    const Result<void> done =
        Statement(connection, Sql::renew).bind(1, row.id).bind(2, unix_ms(expires_at)).run();
    if (!done) return done.error();
    return Outcome{};
  }

  Result<Applied> applied = apply(row.fields, changes, now);
  if (!applied) return std::move(applied).error();
  if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);
  const sql::Columns columns = sql::columns_of(applied->fields);
  const bool changes_all = renews || passes_on(row.fields, applied->fields);
  Statement statement(connection, changes_all ? Sql::change_all : Sql::change);
  statement.bind(1, row.id);
  Result<void> done = changes_all ? bind_all(statement, columns, expires_at, now).run()
                                  : bind_fields(statement, columns).run();
  if (!done) return std::move(done).error();
  return std::move(applied->outcome);
}

Result<Outcome> rekey(Transaction& transaction, const StoreKey& from, const StoreKey& to,
                      const Changes& changes, const Lifetime& lifetime, const Grace& grace) {
  const Result<std::optional<Held>> old = hold(transaction, from, Reads::session);
  if (!old.has_value()) return old.error();
  // Whether this was made already, if there is anything under the new key.
  const bool may_be_made = !*old || (*old)->successor == to;
  const Result<std::optional<Held>> present =
      hold(transaction, to, may_be_made ? Reads::session : Reads::all_but_fields);
  if (!present.has_value()) return present.error();
  if (may_be_made && (*old || *present)) {
    const Fields held = *present ? (*present)->fields : Fields();
    return internal::repeated_rekey(changes, live_fields(held, transaction.now));
  }
  if (!*old || (*old)->state != State::session) return gone();
  if (*present) return make_error(Errc::key_exists, "there is a session under the new key");
  const Held& row = **old;

  Result<Applied> applied = apply(row.fields, changes, transaction.now);
  if (!applied) return std::move(applied).error();
  if (applied->outcome.status != Outcome::Status::applied) return std::move(applied->outcome);

  const WallTime now = transaction.now;
  Result<void> done = insert(transaction, to, sql::columns_of(applied->fields),
                             std::max(row.expires_at, now + lifetime.ttl));
  if (!done) return std::move(done).error();
  const bool passes = passes_on(row.fields, applied->fields);
  if (grace.duration <= milliseconds(0)) {
    done = drop(transaction, row.id);
  } else if (grace.readable && !passes) {
    done = Statement(transaction.connection, Sql::freeze)
               .bind(1, row.id)
               .bind(2, unix_ms(std::min(row.expires_at, now + grace.duration)))
               .bind(3, to.secret())
               .run();
  } else {
    done = end(transaction, row.id, now + grace.duration, passes ? "passed" : "over", to);
  }
  if (!done) return std::move(done).error();
  return std::move(applied->outcome);
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
