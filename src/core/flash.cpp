#include "websession/flash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <utility>

#include "async/session_operation.hpp"
#include "base64.hpp"
#include "decisions.hpp"
#include "library_names.hpp"
#include "random_bytes.hpp"
#include "session_access.hpp"

namespace websession {
namespace {

using internal::SessionAccess;
using internal::SessionState;
using internal::StoreFlow;
using internal::Task;

// Each message is a field of its own, so that requests which add at the same time don't meet. Its
// name is the time as hex digits, which orders the messages, and a random part. Its text is
// "<kind>:<text>".
constexpr std::string_view prefix = internal::flash_prefix;
constexpr std::size_t time_digits = 12;
constexpr std::size_t random_bytes = 6;
constexpr std::size_t flashes_max = 16;
constexpr std::size_t kind_bytes_max = 32;
constexpr std::size_t text_bytes_max = 1024;

struct Message {
  std::string name;
  std::string text;  // as stored
};

bool is_kind_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

Result<void> check(std::string_view kind, std::string_view text) {
  if (kind.empty() || kind.size() > kind_bytes_max ||
      !std::all_of(kind.begin(), kind.end(), is_kind_character)) {
    return make_error(Errc::invalid_argument,
                      "a flash message's kind is 1 to 32 letters, digits, '-' and '_'");
  }
  if (text.size() > text_bytes_max) {
    return make_error(Errc::too_large, "a flash message is longer than 1,024 bytes");
  }
  return {};
}

std::string hex(std::uint64_t number) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  std::string text(digits.data(), end);
  if (text.size() < time_digits) text.insert(0, time_digits - text.size(), '0');
  return text;
}

// The time in a message's name; 0 when it has none.
std::uint64_t time_of(std::string_view name) {
  const std::string_view digits = name.substr(prefix.size(), time_digits);
  std::uint64_t time = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), time, 16);
  return time;
}

void drop(SessionState& state, const std::string& name) {
  if (state.is_library_local(name)) {
    state.withdraw_library(name);
  } else {
    state.put_library(name, std::nullopt);
  }
}

// Removes the messages from the store if all of them are there. False: another request has taken
// some of them, and nothing was removed.
Task<Result<bool>> remove(StoreFlow& flow, SessionState& state, std::span<const Message> messages) {
  Changes changes;
  for (const Message& message : messages) {
    changes.expect.push_back({message.name, {message.text}});
    changes.remove.push_back(message.name);
  }
  auto write = internal::write_now(flow, state, changes);
  const Result<Outcome> outcome = co_await write;
  if (!outcome) co_return outcome.error();
  co_return outcome->status == Outcome::Status::applied;
}

// Those of the messages that were removed from the store by this call and no other.
Task<Result<std::vector<Message>>> take_stored(StoreFlow& flow, SessionState& state,
                                               std::vector<Message>& messages) {
  if (messages.empty()) co_return std::move(messages);
  auto remove_all = remove(flow, state, messages);
  const Result<bool> all = co_await remove_all;
  if (!all.has_value()) co_return all.error();
  if (*all) co_return std::move(messages);
  std::vector<Message> taken;
  if (messages.size() == 1) co_return std::move(taken);
  for (Message& message : messages) {
    auto remove_one = remove(flow, state, {&message, 1});
    const Result<bool> ours = co_await remove_one;
    if (!ours.has_value() && taken.empty()) co_return ours.error();
    if (!ours.has_value()) break;  // what was taken is to be shown; the others stay
    if (*ours) taken.push_back(std::move(message));
  }
  co_return std::move(taken);
}

}  // namespace

void add_flash(SessionBase& session, std::string_view kind, std::string_view text) {
  SessionState& state = SessionAccess::state(session);
  if (!state.may_change()) return;
  if (auto valid = check(kind, text); !valid) return state.fail(std::move(valid).error());
  const Result<std::string> random = internal::random_string(random_bytes);
  if (!random) return state.fail(random.error());
  const std::vector<std::string> names = state.library_names(prefix);
  for (std::size_t i = 0; i + flashes_max <= names.size(); ++i) drop(state, names[i]);

  const WallTime now = state.clock().wall();
  auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 0));
  // After all that are there, within the same millisecond and if the clock goes back, too.
  if (!names.empty()) time = std::max(time, time_of(names.back()) + 1);
  state.put_library(std::string(prefix) + hex(time) + '.' + internal::encode_base64(*random),
                    std::string(kind) + ':' + std::string(text));
}

Task<Result<std::vector<Flash>>> internal::take_flashes(StoreFlow& flow, SessionState& state) {
  const OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return std::move(alone).error();
  std::vector<Flash> flashes;
  if (state.is_frozen()) co_return std::move(flashes);
  if (auto alive = state.check_alive(); !alive) co_return std::move(alive).error();
  std::vector<Message> stored;
  std::vector<Message> local;
  for (std::string& name : state.library_names(prefix)) {
    std::string text(state.library_field(name).value_or(""));
    auto& messages = state.is_library_local(name) ? local : stored;
    messages.push_back({std::move(name), std::move(text)});
  }
  auto take = take_stored(flow, state, stored);
  Result<std::vector<Message>> taken = co_await take;
  if (!taken) co_return std::move(taken).error();
  for (Message& message : local) {
    state.withdraw_library(message.name);
    taken->push_back(std::move(message));  // newer than all that were stored
  }
  for (const Message& message : *taken) {
    const std::size_t colon = message.text.find(':');
    if (colon == std::string::npos) continue;  // none of ours
    flashes.push_back({message.text.substr(0, colon), message.text.substr(colon + 1)});
  }
  co_return std::move(flashes);
}

Result<std::vector<Flash>> take_flashes(Session& session) {
  return SessionAccess::run(session, [](StoreFlow& flow, SessionState& state) {
    return internal::take_flashes(flow, state);
  });
}

Op<std::vector<Flash>> take_flashes(const AsyncSession& session) {
  return internal::session_operation<std::vector<Flash>>(
      session,
      [](StoreFlow& flow, SessionState& state) { return internal::take_flashes(flow, state); });
}

}  // namespace websession
