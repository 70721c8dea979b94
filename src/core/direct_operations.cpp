#include <algorithm>
#include <utility>

#include "base64.hpp"
#include "decisions.hpp"
#include "random_bytes.hpp"

namespace websession::internal {
namespace {

constexpr std::size_t secret_bytes = 32;

// What changes of one attribute make of what the session holds of it, stored or not.
Result<Applied> applied_to(const SessionState& state, std::string_view name,
                           const Changes& changes) {
  std::vector<Field> here;
  if (const auto text = state.find(name)) here.push_back({name, *text});
  return apply(Fields(here), changes, {});
}

}  // namespace

Task<Result<Outcome>> write_now(StoreFlow& flow, SessionState& state, Changes& changes) {
  if (auto begun = state.begin_write_now(changes); !begun) co_return std::move(begun).error();
  const Lifetime lifetime = state.lifetime_of_write_now();
  auto update =
      update_by_id(flow, state.context().keys, *state.id(), state.seen(), changes, lifetime);
  Result<Outcome> outcome = co_await update;
  if (!outcome) co_return std::move(outcome);
  if (auto ended = state.end_write_now(*outcome, std::move(changes), lifetime); !ended) {
    co_return std::move(ended).error();
  }
  co_return std::move(outcome);
}

Task<Result<std::int64_t>> increment_attribute(StoreFlow& flow, SessionState& state,
                                               std::string_view name, std::int64_t by) {
  const OperationGuard guard(state);
  Result<void> valid = guard.check();
  if (valid) valid = state.check_direct(name);
  if (!valid) co_return SessionState::with_name(std::move(valid).error(), name);
  Changes changes;
  changes.increment.push_back({std::string(name), by});
  if (!state.is_local(name)) {
    auto write = write_now(flow, state, changes);
    const Result<Outcome> outcome = co_await write;
    if (!outcome) co_return outcome.error();
    co_return outcome->counters.at(0);
  }
  const Result<Applied> applied = applied_to(state, name, changes);
  if (!applied) co_return applied.error();
  const std::int64_t sum = applied->outcome.counters.at(0);
  state.put_local(name, std::to_string(sum), true);
  co_return sum;
}

Task<Result<bool>> replace_attribute(StoreFlow& flow, SessionState& state, std::string_view name,
                                     Result<std::vector<std::string>>& any_of,
                                     std::optional<Result<std::string>>& desired) {
  const OperationGuard guard(state);
  Result<void> valid = guard.check();
  if (valid) valid = state.check_direct(name);
  if (valid && !any_of) valid = any_of.error();
  if (valid && desired && !*desired) valid = desired->error();
  if (!valid) co_return SessionState::with_name(std::move(valid).error(), name);

  // What no session can hold is no match, and is not sent.
  const bool expects_absence = any_of->empty();
  std::erase_if(*any_of, [&](const std::string& text) { return !state.can_hold(name, text); });
  if (any_of->empty() && !expects_absence) co_return false;

  Changes changes;
  changes.expect.push_back({std::string(name), *std::move(any_of)});
  if (desired) {
    changes.set.push_back({std::string(name), **desired, std::nullopt});
  } else {
    changes.remove.emplace_back(name);
  }
  if (!state.is_local(name)) {
    auto write = write_now(flow, state, changes);
    const Result<Outcome> outcome = co_await write;
    if (!outcome) co_return outcome.error();
    co_return outcome->status == Outcome::Status::applied;
  }
  const Result<Applied> applied = applied_to(state, name, changes);
  if (!applied) co_return applied.error();
  if (applied->outcome.status == Outcome::Status::conflict) co_return false;
  std::optional<std::string> text;
  if (desired) text = *std::move(*desired);
  state.put_local(name, std::move(text), false);
  co_return true;
}

Task<Result<void>> set_library_field(StoreFlow& flow, SessionState& state, std::string_view name,
                                     std::string_view text, std::optional<WallTime> deadline) {
  if (auto alive = state.check_alive(); !alive) co_return alive;
  if (state.is_library_local(name)) {
    state.put_library(name, std::string(text), deadline);
    co_return Result<void>();
  }
  Changes changes;
  changes.set.push_back({std::string(name), std::string(text), deadline});
  auto write = write_now(flow, state, changes);
  const Result<Outcome> outcome = co_await write;
  if (!outcome) co_return outcome.error();
  co_return Result<void>();
}

Task<Result<bool>> replace_library_field(StoreFlow& flow, SessionState& state,
                                         std::string_view name,
                                         std::optional<std::string_view> expected,
                                         std::string_view text, std::optional<WallTime> deadline) {
  if (auto alive = state.check_alive(); !alive) co_return std::move(alive).error();
  if (state.is_library_local(name)) {
    if (state.library_field(name) != expected) co_return false;
    state.put_library(name, std::string(text), deadline);
    co_return true;
  }
  Changes changes;
  changes.expect.push_back({std::string(name), {}});
  if (expected) changes.expect[0].any_of.emplace_back(*expected);
  changes.set.push_back({std::string(name), std::string(text), deadline});
  auto write = write_now(flow, state, changes);
  const Result<Outcome> outcome = co_await write;
  if (!outcome) co_return outcome.error();
  co_return outcome->status == Outcome::Status::applied;
}

Task<Result<std::string>> library_secret(StoreFlow& flow, SessionState& state,
                                         std::string_view name) {
  if (auto alive = state.check_alive(); !alive) co_return std::move(alive).error();
  if (const auto known = state.library_field(name)) co_return std::string(*known);
  const Result<std::string> bytes = random_string(secret_bytes);
  if (!bytes) co_return bytes.error();
  std::string ours = encode_base64(*bytes);
  auto replace = replace_library_field(flow, state, name, std::nullopt, ours, std::nullopt);
  const Result<bool> first = co_await replace;
  if (!first.has_value()) co_return first.error();
  if (*first) co_return std::move(ours);
  // Another request was first, and has shown its secret to someone: it holds.
  co_return std::string(state.library_field(name).value_or(""));
}

}  // namespace websession::internal
