#include "operations.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "server_error.hpp"

namespace websession::redis {
namespace {

constexpr std::string_view until_prefix = "@until.";
constexpr std::string_view frozen_field = "@frozen";

std::string milliseconds_text(std::chrono::milliseconds time) {
  return std::to_string(time.count());
}

std::string until_text(WallTime time) { return milliseconds_text(time.time_since_epoch()); }

std::string until_name(std::string_view name) {
  return std::string(until_prefix) + std::string(name);
}

Error unexpected(bool maybe_applied = false) {
  Error error = make_error(Errc::corrupt, "Redis gave a reply that this command does not have");
  error.maybe_applied = maybe_applied;
  return error;
}

std::string script_command(std::string_view verb, const std::string& script,
                           const ScriptCall& call) {
  const std::string key_count = std::to_string(call.keys.size());
  std::vector<std::string_view> words{verb, script, key_count};
  words.insert(words.end(), call.keys.begin(), call.keys.end());
  words.insert(words.end(), call.arguments.begin(), call.arguments.end());
  std::string out;
  append_command(out, words);
  return out;
}

// The value beyond which adding `by` leaves the range of int64.
std::int64_t overflow_limit(std::int64_t by) {
  using Limits = std::numeric_limits<std::int64_t>;
  return by < 0 ? Limits::min() - by : Limits::max() - by;
}

void append_counted(std::vector<std::string>& out, const std::vector<std::string>& list) {
  out.push_back(std::to_string(list.size()));
  out.insert(out.end(), list.begin(), list.end());
}

// In the order that change.lua takes them.
std::vector<std::string> change_arguments(const Layout& layout, const Changes& changes,
                                          Lifetime lifetime, WallTime now) {
  std::vector<std::string> out{until_text(now), milliseconds_text(lifetime.ttl),
                               layout.adopt_foreign_hashes ? "1" : "0", changes.clear ? "1" : "0"};
  out.push_back(std::to_string(changes.expect.size()));
  for (const Changes::Expect& expect : changes.expect) {
    out.push_back(expect.name);
    append_counted(out, expect.any_of);
  }
  out.push_back(std::to_string(changes.increment.size()));
  for (const Changes::Increment& increment : changes.increment) {
    out.push_back(increment.name);
    out.push_back(std::to_string(increment.by));
    out.push_back(std::to_string(overflow_limit(increment.by)));
  }
  std::vector<std::string> fields;
  for (const Changes::Set& set : changes.set) {
    fields.push_back(set.name);
    fields.push_back(set.value);
    if (set.deadline) {
      fields.push_back(until_name(set.name));
      fields.push_back(until_text(*set.deadline));
    }
  }
  out.push_back(std::to_string(fields.size() / 2));
  out.insert(out.end(), fields.begin(), fields.end());
  append_counted(out, changes.remove);
  append_counted(out, changes.reap);
  return out;
}

std::optional<WallTime> parse_time(std::string_view text) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  if (!ms) return std::nullopt;
  return WallTime(std::chrono::milliseconds(*ms));
}

bool is_text(const Reply& reply) { return reply.type == Reply::Type::string; }

const Reply* first_error(std::span<const Reply> replies) {
  const auto found = std::find_if(replies.begin(), replies.end(), [](const Reply& reply) {
    return reply.type == Reply::Type::error;
  });
  return found == replies.end() ? nullptr : &*found;
}

// The fields of a hash, sorted out.
struct Hash {
  std::vector<Field> fields{};
  std::vector<std::string> expired{};
  bool has_created = false;
  std::string successor{};
};

Result<Hash> sort_out(const Reply& flat, WallTime now) {
  std::vector<std::pair<std::string_view, WallTime>> deadlines;
  Hash hash;
  for (std::size_t i = 0; i + 1 < flat.elements.size(); i += 2) {
    if (!is_text(flat.elements[i]) || !is_text(flat.elements[i + 1])) return unexpected();
    const std::string_view name = flat.elements[i].text;
    const std::string_view text = flat.elements[i + 1].text;
    if (name.starts_with(until_prefix)) {
      const std::optional<WallTime> deadline = parse_time(text);
      if (!deadline) {
        return make_error(Errc::corrupt, "an attribute's deadline (@until.) is not a number");
      }
      deadlines.emplace_back(name.substr(until_prefix.size()), *deadline);
    } else if (name == frozen_field) {
      hash.successor = text;
    } else {
      if (name == created_field && !parse_time(text)) {
        return make_error(Errc::corrupt, "a session's @created is not a number");
      }
      hash.has_created = hash.has_created || name == created_field;
      hash.fields.push_back({name, text, std::nullopt});
    }
  }
  for (const auto& [attribute, deadline] : deadlines) {
    const std::string_view name = attribute;  // clang 14 captures no structured binding
    const auto field = std::find_if(hash.fields.begin(), hash.fields.end(),
                                    [name](const Field& f) { return f.name == name; });
    const bool expired = deadline <= now;
    if (expired) hash.expired.emplace_back(name);
    if (field == hash.fields.end()) continue;
    if (expired) {
      hash.fields.erase(field);
    } else {
      field->deadline = deadline;
    }
  }
  return hash;
}

}  // namespace

Script::Script(std::string_view source) : source_(source) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(source.data(), source.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
    throw std::bad_alloc();
  }
  constexpr std::string_view hex = "0123456789abcdef";
  for (unsigned int i = 0; i < size; ++i) {
    sha1_ += hex[digest[i] >> 4U];
    sha1_ += hex[digest[i] & 15U];
  }
}

std::string ScriptCall::by_hash() const { return script_command("EVALSHA", script->sha1(), *this); }

std::string ScriptCall::by_source() const {
  return script_command("EVAL", script->source(), *this);
}

std::string load_command(const std::string& key) {
  std::string out;
  append_command(out, {"HGETALL", key});
  append_command(out, {"PTTL", key});
  return out;
}

std::string successor_command(const std::string& key) {
  std::string out;
  append_command(out, {"EXISTS", key});
  append_command(out, {"HGET", key, frozen_field});
  return out;
}

ScriptCall create_call(const Layout& layout, const StoreKey& key, const Fields& fields,
                       Lifetime lifetime) {
  ScriptCall call{&scripts().create, {layout.key(key)}, {milliseconds_text(lifetime.ttl)}};
  for (const Field& field : fields) {
    call.arguments.emplace_back(field.name);
    call.arguments.emplace_back(field.value);
    if (field.deadline) {
      call.arguments.push_back(until_name(field.name));
      call.arguments.push_back(until_text(*field.deadline));
    }
  }
  return call;
}

ScriptCall update_call(const Layout& layout, const StoreKey& key, const Changes& changes,
                       Lifetime lifetime, WallTime now) {
  return {&scripts().update, {layout.key(key)}, change_arguments(layout, changes, lifetime, now)};
}

ScriptCall rekey_call(const Layout& layout, const StoreKey& from, const StoreKey& to,
                      const Changes& changes, Lifetime lifetime, Grace grace, WallTime now) {
  ScriptCall call{&scripts().rekey,
                  {layout.key(from), layout.key(to)},
                  change_arguments(layout, changes, lifetime, now)};
  call.arguments.push_back(milliseconds_text(grace.duration));
  return call;
}

ScriptCall erase_call(const Layout& layout, const std::vector<std::string>& chain) {
  return {&scripts().erase, chain, {layout.adopt_foreign_hashes ? "1" : "0"}};
}

Result<std::optional<Loaded>> decode_load(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now) {
  if (const Reply* error = first_error(replies)) return server_error(error->text, false);
  const Reply& flat = replies[0];
  const Reply& ttl = replies[1];
  if (flat.type == Reply::Type::oversized) {
    return make_error(Errc::corrupt, "a session is larger than record_bytes_max allows");
  }
  if (flat.type != Reply::Type::array || ttl.type != Reply::Type::integer) return unexpected();
  if (flat.elements.empty() || ttl.integer == -2) return std::optional<Loaded>();
  Result<Hash> hash = sort_out(flat, now);
  if (!hash) return std::move(hash).error();
  if (!hash->has_created && !layout.adopt_foreign_hashes) return std::optional<Loaded>();
  if (ttl.integer < 0 && !layout.adopt_foreign_hashes) {
    return make_error(Errc::corrupt,
                      "a session has no time to live: another program has removed it (PERSIST)");
  }
  Loaded loaded;
  loaded.record.fields = Fields(hash->fields);
  loaded.record.expired = std::move(hash->expired);
  // A foreign hash may have no time to live: with none left, a renewal is due, which sets one.
  loaded.record.remaining = std::chrono::milliseconds(std::max<std::int64_t>(ttl.integer, 0));
  loaded.record.frozen = !hash->successor.empty();
  loaded.successor = std::move(hash->successor);
  return std::optional<Loaded>(std::move(loaded));
}

Result<Successor> decode_successor(std::span<const Reply> replies) {
  if (const Reply* error = first_error(replies)) return server_error(error->text, false);
  if (replies[0].type != Reply::Type::integer) return unexpected();
  Successor successor{replies[0].integer == 1, std::nullopt};
  if (is_text(replies[1])) successor.next = replies[1].text;
  return successor;
}

Result<void> decode_create(const Reply& reply) {
  if (reply.type == Reply::Type::error) return server_error(reply.text, true);
  if (reply.type != Reply::Type::integer) return unexpected(true);
  if (reply.integer == 0) return make_error(Errc::key_exists, "there is a session under this key");
  return {};
}

Result<Outcome> decode_change(const Reply& reply, const Changes& changes) {
  using Status = Outcome::Status;
  if (reply.type == Reply::Type::error) return server_error(reply.text, true);
  if (reply.type != Reply::Type::array || reply.elements.empty()) return unexpected(true);
  const std::string& status = reply.elements[0].text;
  if (status == "gone") return Outcome{Status::gone, {}};
  if (status == "conflict") {
    Outcome outcome{Status::conflict};
    if (reply.elements.size() > 1) outcome.found = reply.elements[1].text;
    return outcome;
  }
  if (status == "key_exists") {
    return make_error(Errc::key_exists, "there is a session under the new key");
  }
  if (status == "not_integer") {
    return make_error(Errc::invalid_argument, "the counter does not hold an integer to add to");
  }
  if (status == "overflow") {
    return make_error(Errc::invalid_argument,
                      "the counter would leave the range of a 64-bit integer");
  }
  if (status != "applied" || reply.elements.size() != changes.increment.size() + 1) {
    return unexpected(true);
  }
  Outcome outcome;
  for (std::size_t i = 1; i < reply.elements.size(); ++i) {
    outcome.counters.push_back(parse_integer(reply.elements[i].text).value_or(0));
  }
  return outcome;
}

Result<Erased> decode_erase(const Reply& reply) {
  if (reply.type == Reply::Type::error) return server_error(reply.text, true);
  if (reply.type == Reply::Type::integer) return Erased{reply.integer > 0, std::nullopt};
  if (is_text(reply)) return Erased{false, reply.text};
  return unexpected(true);
}

}  // namespace websession::redis
