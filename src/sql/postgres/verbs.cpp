#include "verbs.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "base64.hpp"
#include "count.hpp"
#include "directory_pages.hpp"
#include "rows.hpp"
#include "successors.hpp"
#include "unix_time.hpp"

namespace websession::postgres {
namespace {

using internal::Base64;
using std::chrono::milliseconds;

constexpr char cursor_kind = 'p';
// Others have their turn after so many.
constexpr std::size_t rows_at_once = 64;

// A text column holds no NUL and nothing that is not UTF-8; what it cannot hold is Base64 behind a
// byte that nothing else begins with.
constexpr char coded = '\x01';

std::string column_text(std::string_view bytes) {
  if (websession::sql::is_text(bytes) && !bytes.starts_with(coded)) return std::string(bytes);
  return coded + internal::encode_base64(bytes, Base64::standard);
}

std::optional<std::string> bytes_of(std::string_view text) {
  if (!text.starts_with(coded)) return std::string(text);
  return internal::decode_base64(text.substr(1), Base64::standard);
}

// An array literal of texts.
std::string array_of(std::span<const StoreKey> keys) {
  std::string text = "{";
  for (const StoreKey& key : keys) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char c : column_text(key.secret())) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

std::string ms_of(milliseconds time) { return std::to_string(time.count()); }

// A row, and its version.
struct Held {
  std::string version{};
  std::optional<websession::sql::Row> row{};
};

// Precondition: the answer of `find` has such a row. `now`: by which it is told when it ends.
Result<Held> held_of(const Rows& rows, std::size_t i, WallTime now) {
  Held held;
  websession::sql::Row row;
  row.expires_at = now + milliseconds(rows.integer(i, 2) - rows.integer(i, 3));
  if (row.expires_at <= now) return held;
  held.version = std::string(rows.text(i, 1));
  row.state = websession::sql::state_of(rows.optional_text(i, 4));
  if (const auto successor = rows.optional_text(i, 5)) {
    std::optional<std::string> key = bytes_of(*successor);
    if (!key) return websession::sql::corrupt("successor");
    row.successor = StoreKey(*std::move(key));
  }
  std::optional<std::string> principal;
  if (const auto text = rows.optional_text(i, 7)) {
    principal = bytes_of(*text);
    if (!principal) return websession::sql::corrupt("principal");
  }
  using websession::sql::State;
  if (row.state == State::session || row.state == State::frozen) {
    Result<Fields> fields = websession::sql::fields_of(
        {rows.integer(i, 6), principal, rows.optional_text(i, 8), rows.text(i, 9),
         rows.optional_text(i, 10), rows.optional_text(i, 11)});
    if (!fields) return std::move(fields).error();
    row.fields = *std::move(fields);
  }
  held.row = std::move(row);
  return held;
}

// What is under two keys; they may be the same.
struct Pair {
  Held first{};
  Held second{};
  WallTime now{};  // by which they are told when they end
};

Task<Result<Pair>> find(QueryFlow& flow, const StoreKey& first, const StoreKey& second) {
  const std::string first_text = column_text(first.secret());
  Query query{sql::find, {}, false};
  query.parameters.emplace_back(first_text);
  query.parameters.emplace_back(column_text(second.secret()));
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  Pair pair;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    if (i == 0) pair.now = flow.now(internal::from_unix_ms(rows->integer(i, 3)));
    Result<Held> held = held_of(*rows, i, pair.now);
    if (!held) co_return std::move(held).error();
    (rows->text(i, 0) == first_text ? pair.first : pair.second) = *std::move(held);
  }
  co_return pair;
}

// $1 to $8.
std::vector<Parameter> parameters_of(const StoreKey& key, const websession::sql::Columns& columns,
                                     const std::optional<milliseconds>& ttl) {
  std::vector<Parameter> parameters;
  parameters.reserve(12);
  parameters.emplace_back(column_text(key.secret()));
  parameters.emplace_back(std::to_string(columns.created_at));
  parameters.push_back(columns.label);
  parameters.emplace_back(columns.data);
  parameters.push_back(columns.bytes);
  parameters.push_back(columns.until);
  parameters.push_back(ttl ? Parameter(ms_of(*ttl)) : std::nullopt);
  parameters.push_back(columns.principal ? Parameter(column_text(*columns.principal))
                                         : std::nullopt);
  return parameters;
}

}  // namespace

Task<Result<Rows>> execute(QueryFlow& flow, const Query& query) {
  bool is_second = false;
  while (true) {
    auto asked = flow.run(query);
    Result<Rows>& rows = co_await asked;
    if (!rows) {
      // A read may have met a connection that had ended while nobody used it.
      const bool again = rows.error().code == Errc::unavailable && !query.writes && !is_second;
      if (!again) co_return std::move(rows).error();
      is_second = true;
      continue;
    }
    const std::string_view refusal = rows->refusal();
    if (refusal.empty() || refusal == refusal::unique_violation) co_return std::move(rows);
    if (!is_transient(refusal)) co_return rows->error();
  }
}

Task<Result<std::optional<Record>>> load(QueryFlow& flow, const StoreKey& key) {
  auto finding = find(flow, key, key);
  Result<Pair> found = co_await finding;
  if (!found) co_return std::move(found).error();
  if (!found->first.row) co_return std::optional<Record>();
  Record record = websession::sql::record_of(*found->first.row, found->now);
  const auto link = websession::sql::link_of(found->first.row);
  if (link.successor) {
    internal::Walk<StoreKey> walk(*link.successor);
    while (!walk.is_alive()) {
      const StoreKey at = walk.at();
      auto looking = find(flow, at, at);
      const Result<Pair> next = co_await looking;
      if (!next) co_return next.error();
      walk.found(websession::sql::link_of(next->first.row));
    }
    if (!*walk.is_alive()) record.fields = Fields();
  }
  co_return std::optional<Record>(std::move(record));
}

Task<Result<void>> create(QueryFlow& flow, const StoreKey& key, const Fields& fields,
                          const Lifetime& lifetime) {
  if (auto valid = validate(fields, lifetime); !valid) co_return std::move(valid).error();
  const Query query{sql::insert,
                    parameters_of(key, websession::sql::columns_of(fields), lifetime.ttl), true};
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  if (rows->changed() == 0) {
    co_return make_error(Errc::key_exists, "there is a session under this key");
  }
  co_return Result<void>();
}

Task<Result<Outcome>> update(QueryFlow& flow, const StoreKey& key, const Changes& changes,
                             const Lifetime& lifetime) {
  if (auto valid = validate(changes, lifetime); !valid) co_return std::move(valid).error();
  while (true) {
    auto finding = find(flow, key, key);
    Result<Pair> found = co_await finding;
    if (!found) co_return std::move(found).error();
    const Held& held = found->first;
    Result<websession::sql::Change> change =
        websession::sql::change_of(held.row, changes, lifetime, found->now);
    if (!change) co_return std::move(change).error();
    if (!change->columns && !change->renews) co_return std::move(change->outcome);

    Query query{sql::renew, {}, true};
    if (change->columns) {
      query.sql = sql::change;
      const auto ttl = change->renews ? std::optional(lifetime.ttl) : std::nullopt;
      query.parameters = parameters_of(key, *change->columns, ttl);
      query.parameters.emplace_back(held.version);
    } else {
      query.parameters.emplace_back(column_text(key.secret()));
      query.parameters.emplace_back(ms_of(lifetime.ttl));
      query.parameters.emplace_back(lifetime.shortens ? "true" : "false");
    }
    auto executed = execute(flow, query);
    const Result<Rows> rows = co_await executed;
    if (!rows) co_return rows.error();
    if (rows->changed() > 0) co_return std::move(change->outcome);
    // Somebody else has changed it meanwhile.
  }
}

Task<Result<Outcome>> rekey(QueryFlow& flow, const StoreKey& from, const StoreKey& to,
                            const Changes& changes, const Lifetime& lifetime, const Grace& grace) {
  if (auto valid = validate(changes, lifetime); !valid) co_return std::move(valid).error();
  while (true) {
    auto finding = find(flow, from, to);
    Result<Pair> found = co_await finding;
    if (!found) co_return std::move(found).error();
    const Held& old = found->first;
    Result<websession::sql::Move> move =
        websession::sql::move_of(old.row, found->second.row, to, changes, grace, found->now);
    if (!move) co_return std::move(move).error();
    if (!move->columns) co_return std::move(move->outcome);

    Query query{sql::move, parameters_of(to, *move->columns, lifetime.ttl), true};
    query.parameters.emplace_back(column_text(from.secret()));
    query.parameters.emplace_back(old.version);
    if (grace.duration > milliseconds(0)) {
      using websession::sql::State;
      const bool freezes = move->left == State::frozen;
      query.sql = freezes ? sql::move_and_freeze : sql::move_and_end;
      query.parameters.emplace_back(ms_of(grace.duration));
      if (!freezes) {
        query.parameters.emplace_back(std::string(websession::sql::mark_of(move->left)));
      }
    }
    auto executed = execute(flow, query);
    const Result<Rows> rows = co_await executed;
    if (!rows) co_return rows.error();
    if (!rows->refusal().empty()) {
      // If what is under the new key has expired, it is not there.
      Query clearing{sql::drop_if_expired, {}, true};
      clearing.parameters.emplace_back(column_text(to.secret()));
      auto cleared = execute(flow, clearing);
      const Result<Rows> done = co_await cleared;
      if (!done) co_return done.error();
    } else if (rows->changed() > 0) {
      co_return std::move(move->outcome);
    }
  }
}

Task<Result<bool>> erase(QueryFlow& flow, const StoreKey& key, const Grace& grace) {
  internal::Chain<StoreKey> chain(key);
  const bool leaves_mark = grace.duration > milliseconds(0);
  while (!chain.result()) {
    const std::span<const StoreKey> keys = chain.keys();
    Query query{leaves_mark ? sql::end : sql::drop, {}, true};
    query.parameters.emplace_back(column_text(keys.back().secret()));
    query.parameters.emplace_back(array_of(keys.first(keys.size() - 1)));
    if (leaves_mark) query.parameters.emplace_back(ms_of(grace.duration));
    auto executed = execute(flow, query);
    const Result<Rows> rows = co_await executed;
    if (!rows) co_return rows.error();
    internal::Ended<StoreKey> ended;
    if (rows->size() > 0) {
      const bool lives = rows->text(0, 2) == "t";
      ended.any = rows->text(0, 3) == "t";
      const auto mark = rows->optional_text(0, 0);
      // A row that was written anew while this waited for it.
      if (!ended.any && lives && !mark) continue;
      const auto successor = rows->optional_text(0, 1);
      using websession::sql::State;
      if (!ended.any && lives && successor && websession::sql::state_of(mark) != State::passed) {
        std::optional<std::string> next = bytes_of(*successor);
        if (!next) co_return websession::sql::corrupt("successor");
        ended.successor = StoreKey(*std::move(next));
      }
    }
    chain.tried(std::move(ended));
  }
  co_return *chain.result();
}

Task<Result<std::vector<StoreKey>>> list(QueryFlow& flow, std::string_view principal,
                                         std::size_t at_most) {
  Query query{sql::list, {}, false};
  query.parameters.emplace_back(column_text(principal));
  query.parameters.emplace_back(std::to_string(at_most));
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  std::vector<StoreKey> keys;
  keys.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) {
    std::optional<std::string> key = bytes_of(rows->text(i, 0));
    if (!key) co_return websession::sql::corrupt("key");
    keys.emplace_back(*std::move(key));
  }
  co_return keys;
}

// A cursor is the column's text of the last key.
Task<Result<DirectoryPage>> page(QueryFlow& flow, const DirectoryCursor& after, std::size_t about) {
  if (auto valid = internal::validate_page(about); !valid) co_return std::move(valid).error();
  std::string last;
  if (!after.is_beginning()) {
    const Result<std::string_view> text = internal::text_of(after, cursor_kind);
    if (!text) co_return text.error();
    if (!websession::sql::is_text(*text)) co_return internal::foreign_cursor();
    last = *text;
  }
  Query query{sql::page, {}, false};
  query.parameters.emplace_back(std::move(last));
  query.parameters.emplace_back(std::to_string(about));
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  DirectoryPage page;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    if (rows->text(i, 1) != "t") continue;
    std::optional<std::string> key = bytes_of(rows->text(i, 0));
    if (!key) co_return websession::sql::corrupt("key");
    page.keys.emplace_back(*std::move(key));
  }
  page.is_last = rows->size() < about;
  if (!page.is_last) {
    page.next = internal::cursor_of(cursor_kind, rows->text(rows->size() - 1, 0));
  }
  co_return page;
}

Task<Result<SessionCount>> count(QueryFlow& flow) {
  Query query{sql::sample, {}, false};
  query.parameters.emplace_back(std::to_string(websession::sql::counted_max + 1));
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  if (rows->size() == 0) co_return websession::sql::corrupt("count");
  const websession::sql::Sample sample{rows->integer(0, 0), rows->integer(0, 1),
                                       rows->integer(0, 2)};
  co_return sample.is_all() ? sample.all() : sample.of_rows(rows->integer(0, 3));
}

Task<Result<void>> strip(QueryFlow& flow, std::span<const StoreKey> keys) {
  while (!keys.empty()) {
    const auto some = keys.first(std::min(keys.size(), rows_at_once));
    keys = keys.subspan(some.size());
    Query query{sql::strip, {}, true};
    query.parameters.emplace_back(array_of(some));
    auto executed = execute(flow, query);
    const Result<Rows> rows = co_await executed;
    if (!rows) co_return rows.error();
  }
  co_return Result<void>();
}

Task<Result<std::size_t>> drop_expired(QueryFlow& flow, std::size_t at_most) {
  Query query{sql::drop_expired, {}, true};
  query.parameters.emplace_back(std::to_string(at_most));
  auto executed = execute(flow, query);
  const Result<Rows> rows = co_await executed;
  if (!rows) co_return rows.error();
  co_return rows->changed();
}

}  // namespace websession::postgres
