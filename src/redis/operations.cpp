#include "operations.hpp"

#include <algorithm>
#include <limits>

#include "changed_fields.hpp"
#include "record_times.hpp"
#include "unix_time.hpp"

namespace websession::redis {
namespace {

using internal::unix_ms;

constexpr std::size_t short_script_names_max = 1000;  // Lua passes a few thousand values at once

// The bound of bytes that a script has to see to: none, if the write is too small to matter
// (limits.lua). A counter that is new takes up to 20 characters.
std::size_t bytes_max_for(const Changes& changes) {
  if (changes.bytes_max == 0) return 0;
  std::size_t bytes = 0;
  const auto add = [&](std::string_view name, std::size_t text_bytes) {
    const std::size_t size = name.size() + text_bytes;
    if (!name.starts_with('@')) bytes += size - std::min(size, changes.bytes_spare);
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
bool lists(const Layout& layout, const Lifetime& lifetime) {
  return !lifetime.principal.empty() && !layout.index_is_apart();
}

std::size_t keys_of(const Layout& layout, std::size_t sessions, const Lifetime& lifetime) {
  return lists(layout, lifetime) ? sessions + 1 : sessions;
}

template <class Sink>
void write_index(Sink& sink, const Layout& layout, const Lifetime& lifetime) {
  if (lists(layout, lifetime)) sink.word(layout.index_key(lifetime.principal));
}

// In the order that apart.lua takes them.
template <class Sink>
void write_covered(Sink& sink, const Layout& layout, const Covered& covered) {
  if (!layout.index_is_apart()) return;
  sink.number(covered.ttl);
  sink.number(covered.latest);
}

const Scripts& scripts_of(const Layout& layout) { return scripts(layout.index_is_apart()); }

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
bool is_another(const Layout& layout, std::string_view former, const Lifetime& lifetime) {
  return !former.empty() && former != lifetime.principal && !layout.index_is_apart();
}

std::size_t keys_of(const Layout& layout, std::size_t sessions, const Lifetime& lifetime,
                    std::string_view former) {
  const std::size_t more = is_another(layout, former, lifetime) ? 1 : 0;
  return keys_of(layout, sessions, lifetime) + more;
}

template <class Sink>
void write_indexes(Sink& sink, const Layout& layout, const Lifetime& lifetime,
                   std::string_view former) {
  write_index(sink, layout, lifetime);
  if (is_another(layout, former, lifetime)) sink.word(layout.index_key(former));
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
  sink.number(internal::renewal_due_at(lifetime).count());
  sink.word(layout.adopt_foreign_hashes ? "1" : "0");
  sink.number(static_cast<std::int64_t>(internal::clear_of(changes)));
  write_size(sink, bytes_max);
  write_size(sink, changes.attributes_max);
  write_size(sink, changes.bytes_spare);
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

Form form_of(const Layout& layout, const Changes& changes) {
  const bool plain = changes.expect.empty() && changes.reap.empty() && !changes.clear &&
                     !layout.adopt_foreign_hashes && !internal::replaces(changes, user_field);
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

// Whether it is what the shortcuts do: new texts of attributes that are there, and removals.
bool only_replaces(const Layout& layout, const Changes& changes, const Lifetime& lifetime) {
  if (form_of(layout, changes) != Form::set || changes.set.empty()) return false;
  // A shortcut's renewal never shortens. The index goes along with a renewal, and limits with what
  // is added: that takes a script.
  if (lifetime.shortens) return false;
  if (!lifetime.left || (renews(lifetime) && !lifetime.principal.empty())) return false;
  if (bytes_max_for(changes) != 0) return false;
  return std::all_of(changes.set.begin(), changes.set.end(), [](const Changes::Set& set) {
    return set.replaces && !set.deadline.has_value();
  });
}

void append_renewal(std::string& out, const Layout& layout, const StoreKey& key,
                    const Lifetime& lifetime) {
  append_command(out, [&](auto& sink) {
    sink.word("PEXPIRE");
    write_key(sink, layout, key);
    sink.number(lifetime.ttl.count());
    sink.word("GT");
  });
}

// In the order that set.lua takes them.
template <class Sink>
void write_set(Sink& sink, const Changes& changes, Lifetime lifetime, WallTime now) {
  sink.number(lifetime.ttl.count());
  sink.number(internal::renewal_due_at(lifetime).count());
  sink.number(unix_ms(now));
  write_size(sink, bytes_max_for(changes));
  write_size(sink, changes.attributes_max);
  write_size(sink, changes.bytes_spare);
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
  sink.number(internal::renewal_due_at(lifetime).count());
  sink.number(unix_ms(now));
  write_size(sink, changes.attributes_max);
  sink.word(increment.name);
  sink.number(increment.by);
}

}  // namespace

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
                   const Fields& fields, Lifetime lifetime, Covered covered) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).create, keys_of(layout, 1, lifetime));
    write_key(sink, layout, key);
    write_index(sink, layout, lifetime);
    sink.number(lifetime.ttl.count());
    for (const Field& field : fields) write_field(sink, field);
    write_covered(sink, layout, covered);
  });
}

void append_update(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Changes& changes, Lifetime lifetime, std::string_view former, WallTime now,
                   Covered covered) {
  const Form form = form_of(layout, changes);
  append_command(out, [&](auto& sink) {
    switch (form) {
      case Form::set:
        write_script(sink, by, scripts_of(layout).set, keys_of(layout, 1, lifetime));
        write_key(sink, layout, key);
        write_index(sink, layout, lifetime);
        write_set(sink, changes, lifetime, now);
        break;
      case Form::count:
        write_script(sink, by, scripts_of(layout).count, keys_of(layout, 1, lifetime));
        write_key(sink, layout, key);
        write_index(sink, layout, lifetime);
        write_count(sink, changes, lifetime, now);
        break;
      case Form::general:
        write_script(sink, by, scripts_of(layout).update, keys_of(layout, 1, lifetime, former));
        write_key(sink, layout, key);
        write_indexes(sink, layout, lifetime, former);
        write_changes(sink, layout, changes, lifetime, bytes_max_for(changes), former, now);
        break;
    }
    write_covered(sink, layout, covered);
  });
}

std::size_t update_parts(const Layout& layout, const Changes& changes, const Lifetime& lifetime) {
  if (!only_replaces(layout, changes, lifetime)) return 0;
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
  if (renews(lifetime)) append_renewal(out, layout, key, lifetime);
}

void append_bound(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                  const Changes& changes) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).bound, 1);
    write_key(sink, layout, key);
    write_size(sink, changes.bytes_max);
    write_size(sink, changes.attributes_max);
    write_size(sink, changes.bytes_spare);
    for (const Changes::Set& set : changes.set) {
      if (!set.name.starts_with('@')) sink.word(set.name);
    }
  });
}

// Removing goes by another command, and so by a transaction: both are seen, or neither is.
Hsetex update_by_hsetex(const Changes& changes, const Lifetime& lifetime) {
  if (!changes.remove.empty()) return Hsetex::no;
  return renews(lifetime) ? Hsetex::renewing : Hsetex::alone;
}

void append_update_by_hsetex(std::string& out, const Layout& layout, const StoreKey& key,
                             const Changes& changes, const Lifetime& lifetime) {
  if (renews(lifetime)) append_renewal(out, layout, key, lifetime);
  append_command(out, [&](auto& sink) {
    sink.word("HSETEX");
    write_key(sink, layout, key);
    sink.word("FXX");
    sink.word("FIELDS");
    write_size(sink, changes.set.size());
    for (const Changes::Set& set : changes.set) write_field(sink, set);
  });
}

void append_rekey(std::string& out, CallBy by, const Layout& layout, const StoreKey& from,
                  const StoreKey& to, const Changes& changes, Lifetime lifetime, Grace grace,
                  std::string_view former, WallTime now, Covered covered) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).rekey, keys_of(layout, 2, lifetime, former));
    write_key(sink, layout, from);
    write_key(sink, layout, to);
    write_indexes(sink, layout, lifetime, former);
    write_changes(sink, layout, changes, lifetime, changes.bytes_max, former, now);
    sink.number(grace.duration.count());
    sink.word(grace.readable ? "1" : "0");
    write_covered(sink, layout, covered);
  });
}

void append_erase(std::string& out, CallBy by, const Layout& layout,
                  std::span<const std::string> chain, std::span<const std::string> principals,
                  Grace grace) {
  append_command(out, [&](auto& sink) {
    const std::size_t indexes = layout.index_is_apart() ? 0 : principals.size();
    write_script(sink, by, scripts_of(layout).erase, chain.size() + indexes);
    for (const std::string& key : chain) sink.word(key);
    for (std::size_t i = 0; i < indexes; ++i) sink.word(layout.index_key(principals[i]));
    sink.word(layout.adopt_foreign_hashes ? "1" : "0");
    sink.number(static_cast<std::int64_t>(chain.size()));
    sink.number(grace.duration.count());
    for (const std::string& principal : principals) sink.word(principal);
    write_covered(sink, layout, {});
  });
}

void append_strip(std::string& out, CallBy by, const Layout& layout, const StoreKey& key) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).strip, 1);
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

// How far the clocks of a Cluster's nodes may be apart.
constexpr std::chrono::milliseconds nodes_skew_max{10'000};

void append_announce(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                     const StoreKey& key, std::chrono::milliseconds ttl,
                     std::chrono::milliseconds window, bool may_make) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).announce, 1);
    sink.word(layout.index_key(principal));
    write_key(sink, layout, key);
    sink.number(ttl.count());
    sink.number((window + nodes_skew_max).count());
    sink.number(nodes_skew_max.count());
    sink.word(may_make ? "1" : "0");
  });
}

void append_look(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                 std::span<const StoreKey> keys) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).look, 1);
    sink.word(layout.index_key(principal));
    for (const StoreKey& key : keys) write_key(sink, layout, key);
  });
}

void append_forget(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                   std::span<const Entry> entries) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).forget, 1);
    sink.word(layout.index_key(principal));
    for (const Entry& entry : entries) {
      write_key(sink, layout, entry.key);
      sink.word(entry.score);
      sink.word(entry.is_barred ? "1" : "0");
    }
  });
}

void append_written(std::string& out, const Layout& layout, std::string_view principal,
                    const StoreKey& key) {
  append_command(out, [&](auto& sink) {
    sink.word("ZREM");
    sink.word(layout.index_key(principal));
    sink.word(layout.key(key), being_written);
  });
}

void append_unlist(std::string& out, const Layout& layout, std::string_view principal,
                   std::span<const std::string> keys) {
  append_command(out, [&](auto& sink) {
    sink.word("ZREM");
    sink.word(layout.index_key(principal));
    for (const std::string& key : keys) {
      sink.word(key);
      sink.word(key, being_written);
    }
  });
}

void append_shorten(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                    const StoreKey& key, std::chrono::milliseconds ttl) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).shorten, 1);
    sink.word(layout.index_key(principal));
    write_key(sink, layout, key);
    sink.number((ttl + nodes_skew_max).count());
  });
}

void append_bar(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                std::int64_t until, std::string_view principal) {
  append_command(out, [&](auto& sink) {
    write_script(sink, by, scripts_of(layout).bar, 1);
    write_key(sink, layout, key);
    sink.number(until);
    sink.word(principal);
  });
}

}  // namespace websession::redis
