// What a row is, and what a verb makes of it: the same in every database. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "columns.hpp"
#include "successors.hpp"
#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession::sql {

// All but a session are marks, under which nothing can be written.
enum class State : std::uint8_t {
  session,
  frozen,  // replaced: its fields are the old state
  over,    // replaced or ended
  passed,  // the same, and its successor is another principal's
};
// As the column `mark` has it; none: a session.
State state_of(std::optional<std::string_view> mark) noexcept;
// Precondition: not a session.
std::string_view mark_of(State state) noexcept;

// One that has not expired.
struct Row {
  State state = State::session;
  WallTime expires_at{};
  std::optional<StoreKey> successor{};
  Fields fields{};  // of a session, and of a frozen one where they are to be shown
};

Record record_of(const Row& row, WallTime now);
internal::Link<StoreKey> link_of(const std::optional<Row>& row);

// What an update comes to.
struct Change {
  Outcome outcome{};
  std::optional<Columns> columns{};  // none: they stay
  bool renews = false;
  bool passes = false;  // to another principal, or to nobody
};
// Errors: those of SessionStore::update.
Result<Change> change_of(const std::optional<Row>& row, const Changes& changes,
                         const Lifetime& lifetime, WallTime now);

// What a rekey comes to.
struct Move {
  Outcome outcome{};
  std::optional<Columns> columns{};  // of the new row; none: nothing is written
  State left = State::over;          // what the old row becomes, when it is to stay for the grace
};
// Whether what is under `to`, if anything, may be the same move made before: then its fields are
// needed.
bool may_be_made(const std::optional<Row>& old, const StoreKey& to);
// `present`: what is under `to`. Errors: those of SessionStore::rekey.
Result<Move> move_of(const std::optional<Row>& old, const std::optional<Row>& present,
                     const StoreKey& to, const Changes& changes, const Grace& grace, WallTime now);

}  // namespace websession::sql
WEBSESSION_API_END
