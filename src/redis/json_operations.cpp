#include "json_operations.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "record_times.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

constexpr std::string_view mark_prefix = "frozen:";
constexpr std::string_view frozen_word = "frozen ";
constexpr std::string_view over_word = "over ";
constexpr std::string_view same_word = "same ";
constexpr std::string_view other_word = "other ";
// An id holds none.
constexpr char head_end = '\n';

bool take_word(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

void append_script(std::string& out, CallBy by, const Script& script,
                   std::span<const std::string_view> keys,
                   std::span<const std::string_view> arguments) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, script, keys.size());
    for (const std::string_view key : keys) sink.word(key);
    for (const std::string_view argument : arguments) sink.word(argument);
  });
}

}  // namespace

JsonKeys::JsonKeys(std::string_view prefix, const StoreKey& key)
    : text(std::string(prefix) + key.secret()), mark(std::string(mark_prefix) + text) {}

std::string head_of(const JsonMark& mark) {
  std::string head(mark.is_frozen ? frozen_word : over_word);
  head += mark.passed ? other_word : same_word;
  if (mark.successor) head += mark.successor->secret();
  return head + head_end;
}

Result<JsonMark> parse_json_mark(std::string_view text) {
  JsonMark mark;
  mark.is_frozen = take_word(text, frozen_word);
  const bool known = mark.is_frozen || take_word(text, over_word);
  mark.passed = take_word(text, other_word);
  const bool related = mark.passed || take_word(text, same_word);
  const std::size_t size = text.find(head_end);
  const bool has_text = size != std::string_view::npos && size + 1 < text.size();
  const bool fits = mark.is_frozen ? size > 0 && !mark.passed : !has_text;
  if (!known || !related || size == std::string_view::npos || !fits) {
    return make_error(Errc::corrupt, "the mark of a replaced id cannot be read");
  }
  if (size > 0) mark.successor.emplace(std::string(text.substr(0, size)));
  if (mark.is_frozen) mark.text = text.substr(size + 1);
  return mark;
}

void append_held(std::string& out, const JsonKeys& keys) {
  append_command(out, {"MGET", keys.text, keys.mark});
}

void append_held(std::string& out, const JsonKeys& from, const JsonKeys& to) {
  append_command(out, {"MGET", from.text, from.mark, to.text, to.mark});
}

void append_left(std::string& out, std::string_view key) { append_command(out, {"PTTL", key}); }

void append_json_create(std::string& out, CallBy by, const JsonKeys& keys, std::string_view text,
                        Lifetime lifetime) {
  const std::array<std::string_view, 2> names = {keys.text, keys.mark};
  const std::string ttl = std::to_string(lifetime.ttl.count());
  const std::array<std::string_view, 2> arguments = {text, ttl};
  append_script(out, by, scripts().json_create, names, arguments);
}

void append_json_update(std::string& out, CallBy by, const JsonKeys& keys, std::string_view was,
                        std::string_view text, Lifetime lifetime) {
  const std::array<std::string_view, 2> names = {keys.text, keys.mark};
  const std::string ttl = std::to_string(lifetime.ttl.count());
  const std::string renew_at = std::to_string(internal::renewal_due_at(lifetime).count());
  const std::array<std::string_view, 4> arguments = {was, text, ttl, renew_at};
  append_script(out, by, scripts().json_update, names, arguments);
}

void append_json_rekey(std::string& out, CallBy by, const JsonKeys& from, const JsonKeys& to,
                       std::string_view was, std::string_view text, Lifetime lifetime, Grace grace,
                       const JsonMark& mark) {
  const std::array<std::string_view, 4> names = {from.text, from.mark, to.text, to.mark};
  const std::string ttl = std::to_string(lifetime.ttl.count());
  const std::string how_long = std::to_string(grace.duration.count());
  const std::string head = head_of(mark);
  const std::array<std::string_view, 6> arguments = {was,      text, ttl,
                                                     how_long, head, mark.is_frozen ? "1" : "0"};
  append_script(out, by, scripts().json_rekey, names, arguments);
}

void append_json_erase(std::string& out, CallBy by, std::span<const JsonKeys> chain, Grace grace) {
  std::vector<std::string_view> names;
  for (const JsonKeys& keys : chain) {
    names.push_back(keys.text);
    names.push_back(keys.mark);
  }
  const std::string how_long = std::to_string(grace.duration.count());
  const std::string head = head_of({});
  const std::array<std::string_view, 2> arguments = {how_long, head};
  append_script(out, by, scripts().json_erase, names, arguments);
}

Result<Held> decode_held(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() == Reply::Type::oversized) {
    return make_error(Errc::corrupt, "a session is larger than record_bytes_max allows");
  }
  const std::span<const Reply::Element> parts = reply.elements();
  if (reply.type() != Reply::Type::array || (parts.size() != 2 && parts.size() != 4)) {
    return unexpected_reply();
  }
  Held held;
  const std::array members = {&held.text, &held.mark, &held.new_text, &held.new_mark};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].type == Reply::Type::nil) continue;
    if (parts[i].type != Reply::Type::string) return unexpected_reply();
    *members[i] = std::string(parts[i].text);
  }
  return held;
}

Result<std::optional<std::chrono::milliseconds>> decode_left(const Reply& reply) {
  using std::chrono::milliseconds;
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::integer) return unexpected_reply();
  if (reply.integer() == -2) return std::optional<milliseconds>();
  return std::optional<milliseconds>(std::max<std::int64_t>(reply.integer(), 0));
}

Result<void> decode_json_create(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  if (reply.integer() == 1) return {};
  return make_error(Errc::key_exists, "there is a session under this key");
}

Result<std::optional<Held>> decode_swap(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer) return std::optional<Held>();
  Result<Held> held = decode_held(reply);
  if (!held) return std::move(held).error();
  return std::optional<Held>(*std::move(held));
}

Result<internal::Ended<StoreKey>> decode_json_erase(const Reply& reply) {
  using Ended = internal::Ended<StoreKey>;
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer) return Ended{reply.integer() > 0, std::nullopt};
  if (reply.type() != Reply::Type::string) return unexpected_reply(true);
  Result<JsonMark> mark = parse_json_mark(reply.text());
  if (!mark) return std::move(mark).error();
  return Ended{false, mark->passed ? std::nullopt : std::move(mark->successor)};
}

}  // namespace websession::redis
