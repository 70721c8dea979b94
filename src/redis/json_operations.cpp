#include "json_operations.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "server_error.hpp"

namespace websession::redis {
namespace {

constexpr std::string_view frozen_prefix = "frozen:";
// An id holds none.
constexpr char head_end = '\n';

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
    : text(std::string(prefix) + key.secret()), frozen(std::string(frozen_prefix) + text) {}

std::string frozen_head(const StoreKey& successor) { return successor.secret() + head_end; }

Result<FrozenRecord> parse_frozen(std::string_view record) {
  const std::size_t end = record.find(head_end);
  if (end == std::string_view::npos) {
    return make_error(Errc::corrupt, "the record of a replaced id does not name its successor");
  }
  return FrozenRecord{StoreKey(std::string(record.substr(0, end))), record.substr(end + 1)};
}

void append_held(std::string& out, const JsonKeys& keys) {
  append_command(out, {"MGET", keys.text, keys.frozen});
}

void append_held(std::string& out, const JsonKeys& from, const JsonKeys& to) {
  append_command(out, {"MGET", from.text, from.frozen, to.text});
}

void append_left(std::string& out, std::string_view key) { append_command(out, {"PTTL", key}); }

void append_json_create(std::string& out, const JsonKeys& keys, std::string_view text,
                        Lifetime lifetime) {
  append_command(out, [&](auto& sink) {
    sink.word("SET");
    sink.word(keys.text);
    sink.word(text);
    sink.word("PX");
    sink.number(lifetime.ttl.count());
    sink.word("NX");
  });
}

void append_json_update(std::string& out, CallBy by, const JsonKeys& keys, std::string_view was,
                        std::string_view text, Lifetime lifetime) {
  const std::array<std::string_view, 2> names = {keys.text, keys.frozen};
  const std::string ttl = std::to_string(lifetime.ttl.count());
  const std::array<std::string_view, 3> arguments = {was, text, ttl};
  append_script(out, by, scripts().json_update, names, arguments);
}

void append_json_rekey(std::string& out, CallBy by, const JsonKeys& from, const JsonKeys& to,
                       std::string_view was, std::string_view text, Lifetime lifetime, Grace grace,
                       std::string_view head) {
  const std::array<std::string_view, 3> names = {from.text, from.frozen, to.text};
  const std::string ttl = std::to_string(lifetime.ttl.count());
  const std::string how_long = std::to_string(grace.duration.count());
  const std::array<std::string_view, 5> arguments = {was, text, ttl, how_long, head};
  append_script(out, by, scripts().json_rekey, names, arguments);
}

void append_json_erase(std::string& out, CallBy by, std::span<const JsonKeys> chain) {
  std::vector<std::string_view> names;
  for (const JsonKeys& keys : chain) {
    names.push_back(keys.text);
    names.push_back(keys.frozen);
  }
  append_script(out, by, scripts().json_erase, names, {});
}

Result<Held> decode_held(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() == Reply::Type::oversized) {
    return make_error(Errc::corrupt, "a session is larger than record_bytes_max allows");
  }
  const std::span<const Reply::Element> parts = reply.elements();
  if (reply.type() != Reply::Type::array || parts.size() < 2 || parts.size() > 3) {
    return unexpected_reply();
  }
  Held held;
  const std::array members = {&held.text, &held.frozen, &held.moved_to};
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
  if (reply.type() == Reply::Type::nil) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  if (reply.type() != Reply::Type::status) return unexpected_reply(true);
  return {};
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
  Result<FrozenRecord> frozen = parse_frozen(reply.text());
  if (!frozen) return std::move(frozen).error();
  return Ended{false, std::move(frozen->successor)};
}

}  // namespace websession::redis
