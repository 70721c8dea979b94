#include "websession/flash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <utility>

#include "base64.hpp"
#include "random_bytes.hpp"
#include "session_access.hpp"

namespace websession {
namespace {

using internal::SessionAccess;

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

void drop(Session& session, const std::string& name) {
  if (SessionAccess::is_local(session, name)) {
    SessionAccess::withdraw(session, name);
  } else {
    SessionAccess::put(session, name, std::nullopt);
  }
}

// Removes the messages from the store if all of them are there. False: another request has taken
// some of them, and nothing was removed.
Result<bool> remove(Session& session, std::span<const Message> messages) {
  Changes changes;
  for (const Message& message : messages) {
    changes.expect.push_back({message.name, {message.text}});
    changes.remove.push_back(message.name);
  }
  const Result<Outcome> outcome = SessionAccess::write_now(session, std::move(changes));
  if (!outcome) return outcome.error();
  return outcome->status == Outcome::Status::applied;
}

// Those of the messages that were removed from the store by this call and no other.
Result<std::vector<Message>> take_stored(Session& session, std::vector<Message> messages) {
  if (messages.empty()) return messages;
  const Result<bool> all = remove(session, messages);
  if (!all.has_value()) return all.error();
  if (*all) return messages;
  std::vector<Message> taken;
  if (messages.size() == 1) return taken;
  for (Message& message : messages) {
    const Result<bool> ours = remove(session, {&message, 1});
    if (!ours.has_value() && taken.empty()) return ours.error();
    if (!ours.has_value()) break;  // what was taken is to be shown; the others stay
    if (*ours) taken.push_back(std::move(message));
  }
  return taken;
}

}  // namespace

void add_flash(Session& session, std::string_view kind, std::string_view text) {
  if (auto valid = check(kind, text); !valid) {
    return SessionAccess::fail(session, std::move(valid).error());
  }
  const Result<std::string> random = internal::random_string(random_bytes);
  if (!random) return SessionAccess::fail(session, random.error());
  const std::vector<std::string> names = SessionAccess::names(session, prefix);
  for (std::size_t i = 0; i + flashes_max <= names.size(); ++i) drop(session, names[i]);

  const WallTime now = SessionAccess::clock(session).wall();
  auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 0));
  // After all that are there, within the same millisecond and if the clock goes back, too.
  if (!names.empty()) time = std::max(time, time_of(names.back()) + 1);
  SessionAccess::put(session,
                     std::string(prefix) + hex(time) + '.' + internal::encode_base64(*random),
                     std::string(kind) + ':' + std::string(text));
}

Result<std::vector<Flash>> take_flashes(Session& session) {
  std::vector<Flash> flashes;
  if (SessionAccess::is_frozen(session)) return flashes;
  if (auto alive = SessionAccess::check_alive(session); !alive) return std::move(alive).error();
  std::vector<Message> stored;
  std::vector<Message> local;
  for (std::string& name : SessionAccess::names(session, prefix)) {
    std::string text(SessionAccess::find(session, name).value_or(""));
    auto& messages = SessionAccess::is_local(session, name) ? local : stored;
    messages.push_back({std::move(name), std::move(text)});
  }
  Result<std::vector<Message>> taken = take_stored(session, std::move(stored));
  if (!taken) return std::move(taken).error();
  for (Message& message : local) {
    SessionAccess::withdraw(session, message.name);
    taken->push_back(std::move(message));  // newer than all that were stored
  }
  for (const Message& message : *taken) {
    const std::size_t colon = message.text.find(':');
    if (colon == std::string::npos) continue;  // none of ours
    flashes.push_back({message.text.substr(0, colon), message.text.substr(colon + 1)});
  }
  return flashes;
}

}  // namespace websession
