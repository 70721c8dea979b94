#include "operations.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory_resource>
#include <new>

#include "mark.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

constexpr std::string_view until_prefix = "@until.";

constexpr std::size_t short_script_names_max = 1000;  // Lua passes a few thousand values at once

std::int64_t unix_ms(WallTime time) { return time.time_since_epoch().count(); }

Error too_large() {
  return make_error(Errc::too_large,
                    "with what others have written the session would hold more than it may "
                    "(session_bytes_max, attributes_max)");
}

// The bound of bytes that a script has to see to: none, if the write is too small to matter
// (limits.lua). A counter that is new takes up to 20 characters.
std::size_t bytes_max_for(const Changes& changes) {
  if (changes.bytes_max == 0) return 0;
  std::size_t bytes = 0;
  const auto add = [&bytes](std::string_view name, std::size_t text_bytes) {
    if (!name.starts_with('@')) bytes += name.size() + text_bytes;
  };
  for (const Changes::Set& set : changes.set) add(set.name, set.value.size());
  for (const Changes::Increment& increment : changes.increment) add(increment.name, 20);
  const bool is_small =
      changes.attributes_max != 0 && bytes < changes.bytes_max / changes.attributes_max;
  return bytes == 0 || is_small ? 0 : changes.bytes_max;
}

// The value beyond which adding `by` leaves the range of int64.
std::int64_t overflow_limit(std::int64_t by) {
  using Limits = std::numeric_limits<std::int64_t>;
  return by < 0 ? Limits::min() - by : Limits::max() - by;
}

template <class Sink>
void write_key(Sink& sink, const Layout& layout, const StoreKey& key) {
  sink.word(layout.prefix, key.secret());
}

// The index comes last among the keys, and only for those who have signed in.
std::size_t keys_of(std::size_t sessions, const Lifetime& lifetime) {
  return lifetime.principal.empty() ? sessions : sessions + 1;
}

template <class Sink>
void write_index(Sink& sink, const Layout& layout, const Lifetime& lifetime) {
  if (!lifetime.principal.empty()) sink.word(layout.index_key(lifetime.principal));
}

template <class Sink, class List>
void write_list(Sink& sink, const List& list) {
  sink.number(static_cast<std::int64_t>(list.size()));
  for (const auto& word : list) sink.word(word);
}

// One field, whether it has a deadline or not (timed.lua).
template <class Sink, class FieldLike>
void write_field(Sink& sink, const FieldLike& field) {
  if (field.deadline) {
    sink.word(until_prefix, field.name);
    sink.word(std::to_string(unix_ms(*field.deadline)) + ":", field.value);
  } else {
    sink.word(field.name);
    sink.word(field.value);
  }
}

// The keys of a script that may move a session from one principal to another.
bool is_another(std::string_view former, const Lifetime& lifetime) {
  return !former.empty() && former != lifetime.principal;
}

std::size_t keys_of(std::size_t sessions, const Lifetime& lifetime, std::string_view former) {
  return keys_of(sessions, lifetime) + (is_another(former, lifetime) ? 1 : 0);
}

template <class Sink>
void write_indexes(Sink& sink, const Layout& layout, const Lifetime& lifetime,
                   std::string_view former) {
  write_index(sink, layout, lifetime);
  if (is_another(former, lifetime)) sink.word(layout.index_key(former));
}

template <class Sink>
void write_size(Sink& sink, std::size_t size) {
  sink.number(static_cast<std::int64_t>(size));
}

// In the order that change.lua takes them. A rekey reads all fields anyway, and adds them up.
template <class Sink>
void write_changes(Sink& sink, const Layout& layout, const Changes& changes, Lifetime lifetime,
                   std::size_t bytes_max, std::string_view former, WallTime now) {
  sink.number(unix_ms(now));
  sink.number(lifetime.ttl.count());
  sink.number(renewal_due_at(lifetime));
  sink.word(layout.adopt_foreign_hashes ? "1" : "0");
  sink.word(changes.clear ? "1" : "0");
  write_size(sink, bytes_max);
  write_size(sink, changes.attributes_max);
  sink.word(lifetime.principal.empty() ? "0" : "1");
  sink.word(former);
  sink.number(static_cast<std::int64_t>(changes.expect.size()));
  for (const Changes::Expect& expect : changes.expect) {
    sink.word(expect.name);
    write_list(sink, expect.any_of);
  }
  sink.number(static_cast<std::int64_t>(changes.increment.size()));
  for (const Changes::Increment& increment : changes.increment) {
    sink.word(increment.name);
    sink.number(increment.by);
    sink.number(overflow_limit(increment.by));
  }
  write_size(sink, changes.set.size());
  for (const Changes::Set& set : changes.set) write_field(sink, set);
  write_list(sink, changes.remove);
  write_list(sink, changes.reap);
}

// What most requests write is one of two forms, for each of which there is a script that costs the
// server a third of the general one (docs/decisions.md#sessions-in-redis).
enum class Form { set, count, general };

bool changes_user(const Changes& changes) {
  return std::any_of(changes.set.begin(), changes.set.end(),
                     [](const Changes::Set& set) { return set.name == user_field; }) ||
         std::find(changes.remove.begin(), changes.remove.end(), user_field) !=
             changes.remove.end();
}

Form form_of(const Layout& layout, const Changes& changes) {
  const bool plain = changes.expect.empty() && changes.reap.empty() && !changes.clear &&
                     !layout.adopt_foreign_hashes && !changes_user(changes);
  const std::size_t names = changes.set.size() + changes.remove.size();
  if (plain && changes.increment.empty() && names <= short_script_names_max) return Form::set;
  const bool is_one_counter = plain && changes.increment.size() == 1 && names == 0;
  if (is_one_counter && bytes_max_for(changes) == 0) return Form::count;
  return Form::general;
}

// Whether the session's life is to be lengthened, by what is known of it.
bool renews(const Lifetime& lifetime) {
  return lifetime.left && is_renewal_due(lifetime, *lifetime.left);
}

// In the order that set.lua takes them.
template <class Sink>
void write_set(Sink& sink, const Changes& changes, Lifetime lifetime, WallTime now) {
  sink.number(lifetime.ttl.count());
  sink.number(renewal_due_at(lifetime));
  sink.number(unix_ms(now));
  write_size(sink, bytes_max_for(changes));
  write_size(sink, changes.attributes_max);
  write_size(sink, 2 * changes.remove.size() + changes.set.size());
  for (const std::string& name : changes.remove) {
    sink.word(name);
    sink.word(until_prefix, name);
  }
  // An attribute is in one form or the other.
  for (const Changes::Set& set : changes.set) {
    sink.word(set.deadline ? std::string_view() : until_prefix, set.name);
  }
  for (const Changes::Set& set : changes.set) write_field(sink, set);
}

// In the order that count.lua takes them.
template <class Sink>
void write_count(Sink& sink, const Changes& changes, Lifetime lifetime, WallTime now) {
  const Changes::Increment& increment = changes.increment.front();
  sink.number(lifetime.ttl.count());
  sink.number(renewal_due_at(lifetime));
  sink.number(unix_ms(now));
  write_size(sink, changes.attributes_max);
  sink.word(increment.name);
  sink.number(increment.by);
}

std::optional<WallTime> parse_time(std::string_view text) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  if (!ms) return std::nullopt;
  return WallTime(std::chrono::milliseconds(*ms));
}

// What TIME answers.
std::optional<WallTime> server_time(const Reply& reply) {
  const std::span<const Reply::Element> parts = reply.elements();
  if (reply.type() != Reply::Type::array || parts.size() != 2) return std::nullopt;
  const std::optional<std::int64_t> seconds = parse_integer(parts[0].text);
  const std::optional<std::int64_t> microseconds = parse_integer(parts[1].text);
  if (!seconds || !microseconds || *seconds < 0 || *seconds > 253'402'300'799) return std::nullopt;
  return WallTime(std::chrono::seconds(*seconds) + std::chrono::milliseconds(*microseconds / 1000));
}

Error no_mark() {
  return make_error(Errc::corrupt,
                    "the session's key holds something that is neither a session nor the mark of "
                    "one: is the prefix shared with another program?");
}

bool is_text(const Reply& reply) { return reply.type() == Reply::Type::string; }
bool is_text(const Reply::Element& element) { return element.type == Reply::Type::string; }

const Reply* first_error(std::span<const Reply> replies) {
  const auto found = std::find_if(replies.begin(), replies.end(), [](const Reply& reply) {
    return reply.type() == Reply::Type::error;
  });
  return found == replies.end() ? nullptr : &*found;
}

bool in_order(const Field& a, const Field& b) { return a.name < b.name; }

// The fields of a hash, sorted out. What is needed on the way lives on the stack, unless the
// session is unusually large.
class Hash {
 public:
  Result<void> sort_out(std::span<const Reply::Element> flat, WallTime now);

  std::pmr::vector<Field> fields{&memory_};
  std::vector<std::string> expired{};
  bool has_created = false;

 private:
  Result<void> take_deadlines(WallTime now);
  Result<void> find_created();

  std::array<std::byte, 4096> stack_;
  std::pmr::monotonic_buffer_resource memory_{stack_.data(), stack_.size()};
};

Result<void> Hash::sort_out(std::span<const Reply::Element> flat, WallTime now) {
  if (flat.size() % 2 != 0) return unexpected_reply();
  fields.reserve(flat.size() / 2);
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    if (!is_text(flat[i]) || !is_text(flat[i + 1])) return unexpected_reply();
    fields.push_back({flat[i].text, flat[i + 1].text, std::nullopt});
  }
  std::sort(fields.begin(), fields.end(), in_order);
  // No hash names a field twice. Of such two, one could outlive the deadline of both.
  const auto twice =
      std::adjacent_find(fields.begin(), fields.end(),
                         [](const Field& a, const Field& b) { return a.name == b.name; });
  if (twice != fields.end()) return unexpected_reply();
  if (auto taken = take_deadlines(now); !taken) return taken;
  return find_created();
}

// A field with a deadline (timed.lua) becomes the attribute that it is. Precondition: the fields
// are in order, and stay so; those with a deadline stand together.
Result<void> Hash::take_deadlines(WallTime now) {
  const auto is_timed = [](const Field& field) { return field.name.starts_with(until_prefix); };
  const auto first = std::find_if(fields.begin(), fields.end(), is_timed);
  const auto last = std::find_if_not(first, fields.end(), is_timed);
  std::pmr::vector<Field> timed(first, last, &memory_);
  fields.erase(first, last);
  for (Field field : timed) {
    field.name.remove_prefix(until_prefix.size());
    const std::size_t colon = field.value.find(':');
    if (colon != std::string_view::npos) field.deadline = parse_time(field.value.substr(0, colon));
    if (!field.deadline) {
      return make_error(Errc::corrupt, "an attribute's deadline (@until.) is not a number");
    }
    field.value.remove_prefix(colon + 1);
    const auto place = std::lower_bound(fields.begin(), fields.end(), field, in_order);
    // A plain one beside it counts, and knows no deadline.
    const bool counts = place == fields.end() || place->name != field.name;
    if (*field.deadline <= now) {
      expired.emplace_back(field.name);
    } else if (counts) {
      fields.insert(place, field);
    }
  }
  return {};
}

Result<void> Hash::find_created() {
  const auto created =
      std::lower_bound(fields.begin(), fields.end(), Field{created_field, {}}, in_order);
  has_created = created != fields.end() && created->name == created_field;
  if (has_created && !parse_time(created->value)) {
    return make_error(Errc::corrupt, "a session's @created is not a number");
  }
  return {};
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

std::int64_t renewal_due_at(const Lifetime& lifetime) noexcept {
  const auto least = std::max<std::int64_t>(lifetime.renew_after.count(), 1);
  return std::max<std::int64_t>(lifetime.ttl.count() - least, -1);
}

void append_load(std::string& out, const Layout& layout, const StoreKey& key) {
  for (const std::string_view verb : {"HGETALL", "PTTL"}) {
    append_command(out, [&](auto& sink) {
      sink.word(verb);
      write_key(sink, layout, key);
    });
  }
}

void append_mark(std::string& out, const Layout& layout, const StoreKey& key) {
  append_command(out, {"GET", layout.key(key)});
  append_command(out, {"TIME"});
}

void append_successor(std::string& out, std::string_view key) {
  append_command(out, {"HLEN", key});
  append_command(out, {"GET", key});
}

void append_create(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Fields& fields, Lifetime lifetime) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts().create, keys_of(1, lifetime));
    write_key(sink, layout, key);
    write_index(sink, layout, lifetime);
    sink.number(lifetime.ttl.count());
    for (const Field& field : fields) write_field(sink, field);
  });
}

void append_update(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Changes& changes, Lifetime lifetime, std::string_view former,
                   WallTime now) {
  const Form form = form_of(layout, changes);
  append_command(out, [&](auto& sink) {
    switch (form) {
      case Form::set:
        write_script(sink, by, scripts().set, keys_of(1, lifetime));
        write_key(sink, layout, key);
        write_index(sink, layout, lifetime);
        write_set(sink, changes, lifetime, now);
        break;
      case Form::count:
        write_script(sink, by, scripts().count, keys_of(1, lifetime));
        write_key(sink, layout, key);
        write_index(sink, layout, lifetime);
        write_count(sink, changes, lifetime, now);
        break;
      case Form::general:
        write_script(sink, by, scripts().update, keys_of(1, lifetime, former));
        write_key(sink, layout, key);
        write_indexes(sink, layout, lifetime, former);
        write_changes(sink, layout, changes, lifetime, bytes_max_for(changes), former, now);
        break;
    }
  });
}

std::size_t update_parts(const Layout& layout, const Changes& changes, const Lifetime& lifetime) {
  if (form_of(layout, changes) != Form::set || changes.set.empty()) return 0;
  // The index goes along with a renewal, and limits with what is added: that takes a script.
  if (!lifetime.left || (renews(lifetime) && !lifetime.principal.empty())) return 0;
  if (bytes_max_for(changes) != 0) return 0;
  const bool replaces_all = std::all_of(
      changes.set.begin(), changes.set.end(),
      [](const Changes::Set& set) { return set.replaces && !set.deadline.has_value(); });
  if (!replaces_all) return 0;
  return 2U + (changes.remove.empty() ? 0U : 1U) + (renews(lifetime) ? 1U : 0U);
}

void append_update_parts(std::string& out, const Layout& layout, const StoreKey& key,
                         const Changes& changes, const Lifetime& lifetime) {
  append_command(out, [&](auto& sink) {
    sink.word("HSET");
    write_key(sink, layout, key);
    for (const Changes::Set& set : changes.set) write_field(sink, set);
  });
  append_command(out, [&](auto& sink) {
    sink.word("PEXPIREAT");
    write_key(sink, layout, key);
    sink.word("1");
    sink.word("NX");
  });
  if (!changes.remove.empty()) {
    append_command(out, [&](auto& sink) {
      sink.word("HDEL");
      write_key(sink, layout, key);
      for (const std::string& name : changes.remove) {
        sink.word(name);
        sink.word(until_prefix, name);
      }
    });
  }
  if (renews(lifetime)) {
    append_command(out, [&](auto& sink) {
      sink.word("PEXPIRE");
      write_key(sink, layout, key);
      sink.number(lifetime.ttl.count());
      sink.word("GT");
    });
  }
}

void append_rekey(std::string& out, CallBy by, const Layout& layout, const StoreKey& from,
                  const StoreKey& to, const Changes& changes, Lifetime lifetime, Grace grace,
                  std::string_view former, WallTime now) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts().rekey, keys_of(2, lifetime, former));
    write_key(sink, layout, from);
    write_key(sink, layout, to);
    write_indexes(sink, layout, lifetime, former);
    write_changes(sink, layout, changes, lifetime, changes.bytes_max, former, now);
    sink.number(grace.duration.count());
    sink.word(grace.readable ? "1" : "0");
  });
}

void append_erase(std::string& out, CallBy by, const Layout& layout,
                  std::span<const std::string> chain, std::span<const std::string> principals,
                  Grace grace) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts().erase, chain.size() + principals.size());
    for (const std::string& key : chain) sink.word(key);
    for (const std::string& principal : principals) sink.word(layout.index_key(principal));
    sink.word(layout.adopt_foreign_hashes ? "1" : "0");
    sink.number(static_cast<std::int64_t>(chain.size()));
    sink.number(grace.duration.count());
    for (const std::string& principal : principals) sink.word(principal);
  });
}

void append_strip(std::string& out, CallBy by, const Layout& layout, const StoreKey& key) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts().strip, 1);
    write_key(sink, layout, key);
  });
}

void append_entries(std::string& out, const Layout& layout, std::string_view principal,
                    std::size_t first, std::size_t count) {
  append_command(out, [&](auto& sink) {
    sink.word("ZRANGE");
    sink.word(layout.index_key(principal));
    sink.number(static_cast<std::int64_t>(first));
    sink.number(static_cast<std::int64_t>(first + count - 1));
  });
}

void append_forget(std::string& out, const Layout& layout, std::string_view principal,
                   std::span<const StoreKey> keys) {
  append_command(out, [&](auto& sink) {
    sink.word("ZREM");
    sink.word(layout.index_key(principal));
    for (const StoreKey& key : keys) write_key(sink, layout, key);
  });
}

bool holds_no_hash(std::span<const Reply> replies) {
  return replies[0].type() == Reply::Type::error && is_wrong_type(replies[0].text());
}

Result<std::optional<Loaded>> decode_load(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now) {
  if (const Reply* error = first_error(replies)) return server_error(error->text(), false);
  const Reply& flat = replies[0];
  const Reply& ttl = replies[1];
  if (flat.type() == Reply::Type::oversized) {
    return make_error(Errc::corrupt, "a session is larger than record_bytes_max allows");
  }
  if (flat.type() != Reply::Type::array || ttl.type() != Reply::Type::integer)
    return unexpected_reply();
  if (flat.elements().empty() || ttl.integer() == -2) return std::optional<Loaded>();
  Hash hash;
  if (auto sorted = hash.sort_out(flat.elements(), now); !sorted) return std::move(sorted).error();
  if (!hash.has_created && !layout.adopt_foreign_hashes) return std::optional<Loaded>();
  if (ttl.integer() < 0 && !layout.adopt_foreign_hashes) {
    return make_error(Errc::corrupt,
                      "a session has no time to live: another program has removed it (PERSIST)");
  }
  Loaded loaded;
  loaded.record.fields = Fields(hash.fields);
  loaded.record.expired = std::move(hash.expired);
  // A foreign hash may have no time to live: with none left, a renewal is due, which sets one.
  loaded.record.remaining = std::chrono::milliseconds(std::max<std::int64_t>(ttl.integer(), 0));
  return std::optional<Loaded>(std::move(loaded));
}

Result<std::optional<Loaded>> decode_mark(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now) {
  Loaded loaded;
  loaded.record.frozen = true;
  // With what it says of the fields it may be larger than a session may be: then it is only a mark.
  if (replies[0].type() == Reply::Type::oversized) return std::optional<Loaded>(std::move(loaded));
  if (const Reply* error = first_error(replies)) return server_error(error->text(), false);
  if (replies[0].type() == Reply::Type::nil) return std::optional<Loaded>();  // it has just ended
  if (!is_text(replies[0])) return unexpected_reply();
  const std::optional<WallTime> time = server_time(replies[1]);
  if (!time) return unexpected_reply();
  const std::optional<Mark> mark = parse_mark(replies[0].text());
  if (!mark) return no_mark();
  loaded.record.remaining = mark->ends - *time;
  if (loaded.record.remaining <= std::chrono::milliseconds(0)) return std::optional<Loaded>();
  if (!mark->is_frozen) return std::optional<Loaded>(std::move(loaded));
  Hash hash;
  if (auto sorted = hash.sort_out(mark->flat, now); !sorted) return std::move(sorted).error();
  if (!hash.has_created && !layout.adopt_foreign_hashes) return no_mark();
  loaded.record.fields = Fields(hash.fields);
  loaded.successor = mark->successor;
  return std::optional<Loaded>(std::move(loaded));
}

Result<internal::Link<std::string>> decode_successor(std::span<const Reply> replies) {
  using Link = internal::Link<std::string>;
  if (!holds_no_hash(replies)) {
    if (replies[0].type() == Reply::Type::error) return server_error(replies[0].text(), false);
    if (replies[0].type() != Reply::Type::integer) return unexpected_reply();
    return Link{replies[0].integer() > 0};
  }
  if (replies[1].type() == Reply::Type::error) return server_error(replies[1].text(), false);
  if (replies[1].type() == Reply::Type::nil) return Link{};
  const std::optional<Mark> mark =
      is_text(replies[1]) ? parse_mark(replies[1].text()) : std::nullopt;
  if (!mark || !mark->is_frozen) return Link{};
  return Link{true, std::string(mark->successor)};
}

Result<void> decode_create(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  if (reply.integer() == 0) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  if (reply.integer() != 1) return unexpected_reply(true);
  return {};
}

Result<Changed> decode_change(const Reply& reply, const Changes& changes) {
  using Status = Outcome::Status;
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer && changes.increment.empty()) {  // set.lua
    if (reply.integer() == 2) return too_large();
    if (reply.integer() != 0 && reply.integer() != 1) return unexpected_reply(true);
    return Changed{Outcome{reply.integer() == 1 ? Status::applied : Status::gone}};
  }
  const std::span<const Reply::Element> elements = reply.elements();
  if (reply.type() != Reply::Type::array || elements.empty()) return unexpected_reply(true);
  const std::string_view status = elements[0].text;
  if (status == "gone") return Changed{Outcome{Status::gone}};
  if (status == "conflict") {
    Changed conflict{Outcome{Status::conflict}};
    if (elements.size() > 1) conflict.outcome.found = std::string(elements[1].text);
    return conflict;
  }
  if (status == "principal" && elements.size() == 2 && is_text(elements[1])) {
    Changed asks;
    asks.former = std::string(elements[1].text);
    return asks;
  }
  if (status == "key_exists") {
    return make_error(Errc::key_exists, "there is a session under the new key");
  }
  if (status == "too_large") return too_large();
  if (status == "not_integer") {
    return make_error(Errc::invalid_argument, "the counter does not hold an integer to add to");
  }
  if (status == "overflow") {
    return make_error(Errc::invalid_argument,
                      "the counter would leave the range of a 64-bit integer");
  }
  if (status != "applied" || elements.size() != changes.increment.size() + 1) {
    return unexpected_reply(true);
  }
  Changed applied;
  for (const Reply::Element& element : elements.subspan(1)) {
    const std::optional<std::int64_t> counter = parse_integer(element.text);
    if (!counter) return unexpected_reply(true);
    applied.outcome.counters.push_back(*counter);
  }
  return applied;
}

Result<Changed> decode_update_parts(const Reply& reply) {
  using Status = Outcome::Status;
  const std::span<const Reply::Element> elements = reply.elements();
  if (elements.size() < 2) return unexpected_reply(true);
  const Reply::Element& written = elements[0];
  const Reply::Element& ended = elements[1];
  if (written.type == Reply::Type::error) {
    if (is_wrong_type(written.text)) return Changed{Outcome{Status::gone}};
    return server_error(written.text, true);
  }
  if (written.type != Reply::Type::integer || ended.type != Reply::Type::integer) {
    return unexpected_reply(true);
  }
  return Changed{Outcome{ended.integer == 1 ? Status::gone : Status::applied}};
}

Result<Erased> decode_erase(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer) return Erased{reply.integer() > 0};
  if (reply.type() != Reply::Type::array || reply.elements().empty()) return unexpected_reply(true);
  Erased asks;
  for (const Reply::Element& element : reply.elements()) {
    if (!is_text(element)) return unexpected_reply(true);
    asks.principals.emplace_back(element.text);
  }
  const std::string successor = std::move(asks.principals.front());
  asks.principals.erase(asks.principals.begin());
  if (!successor.empty()) asks.successor = successor;
  if (!asks.successor && asks.principals.empty()) return unexpected_reply(true);
  return asks;
}

Result<std::vector<StoreKey>> decode_entries(const Layout& layout, const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::array) return unexpected_reply();
  std::vector<StoreKey> keys;
  for (const Reply::Element& element : reply.elements()) {
    if (!is_text(element) || !element.text.starts_with(layout.prefix)) return unexpected_reply();
    keys.emplace_back(std::string(element.text.substr(layout.prefix.size())));
  }
  return keys;
}

Result<void> decode_removal(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  return {};
}

}  // namespace websession::redis
