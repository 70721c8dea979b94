#include "rows.hpp"

#include <chrono>
#include <utility>

#include "repeated_rekey.hpp"

namespace websession::sql {
namespace {

Outcome gone() { return Outcome{Outcome::Status::gone, {}}; }

}  // namespace

State state_of(std::optional<std::string_view> mark) noexcept {
  if (!mark) return State::session;
  if (*mark == mark_of(State::frozen)) return State::frozen;
  return *mark == mark_of(State::passed) ? State::passed : State::over;
}

std::string_view mark_of(State state) noexcept {
  if (state == State::frozen) return "frozen";
  return state == State::passed ? "passed" : "over";
}

Record record_of(const Row& row, WallTime now) {
  Record record;
  record.remaining = row.expires_at - now;
  record.frozen = row.state != State::session;
  if (row.state == State::session || row.state == State::frozen) {
    record.fields = live_fields(row.fields, now);
  }
  return record;
}

internal::Link<StoreKey> link_of(const std::optional<Row>& row) {
  internal::Link<StoreKey> link;
  if (!row) return link;
  link.exists = row->state == State::session || row->state == State::frozen;
  if (row->state == State::frozen) link.successor = row->successor;
  return link;
}

Result<Change> change_of(const std::optional<Row>& row, const Changes& changes,
                         const Lifetime& lifetime, WallTime now) {
  Change change;
  if (!row || row->state != State::session) {
    change.outcome = gone();
    return change;
  }
  if (!changes.empty()) {
    Result<Applied> applied = apply(row->fields, changes, now);
    if (!applied) return std::move(applied).error();
    change.outcome = std::move(applied->outcome);
    if (change.outcome.status != Outcome::Status::applied) return change;
    change.columns = columns_of(applied->fields);
    change.passes = passes_on(row->fields, applied->fields);
  }
  change.renews = is_renewal_due(lifetime, row->expires_at - now);
  return change;
}

bool may_be_made(const std::optional<Row>& old, const StoreKey& to) {
  return !old || old->successor == to;
}

Result<Move> move_of(const std::optional<Row>& old, const std::optional<Row>& present,
                     const StoreKey& to, const Changes& changes, const Grace& grace, WallTime now) {
  Move move;
  if (may_be_made(old, to) && (old || present)) {
    const Fields held = present ? present->fields : Fields();
    move.outcome = internal::repeated_rekey(changes, live_fields(held, now));
    return move;
  }
  if (!old || old->state != State::session) {
    move.outcome = gone();
    return move;
  }
  if (present) return make_error(Errc::key_exists, "there is a session under the new key");
  Result<Applied> applied = apply(old->fields, changes, now);
  if (!applied) return std::move(applied).error();
  move.outcome = std::move(applied->outcome);
  if (move.outcome.status != Outcome::Status::applied) return move;
  move.columns = columns_of(applied->fields);
  if (passes_on(old->fields, applied->fields)) {
    move.left = State::passed;
  } else if (grace.readable) {
    move.left = State::frozen;
  }
  return move;
}

}  // namespace websession::sql
