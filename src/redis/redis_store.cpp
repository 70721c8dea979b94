#include "websession/redis_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "lanes.hpp"
#include "operations.hpp"
#include "redis_store_impl.hpp"
#include "redis_url.hpp"
#include "server_error.hpp"
#include "socket_transport.hpp"
#include "tls_transport.hpp"

namespace websession {
namespace {

using redis::CallBy;
using redis::Commands;
using redis::Lanes;
using redis::Replies;
using redis::Reply;
using std::chrono::milliseconds;

// Regenerations that fit into a grace: a longer chain of frozen records is not followed.
constexpr std::size_t successors_max = 64;
// A listed key with what a reply takes for it: the prefix and an id are seldom longer.
constexpr std::size_t entry_bytes_max = 512;
// Names and texts that one script call takes (Redis itself allows more).
constexpr std::size_t fields_max = 10'000;

Error invalid(std::string detail) { return make_error(Errc::invalid_argument, std::move(detail)); }

Result<void> validate(const RedisOptions& options) {
  const auto out_of_range = [](milliseconds time) {
    return time < milliseconds(1) || time > std::chrono::minutes(1);
  };
  if (options.prefix.empty()) return invalid("prefix: must not be empty");
  if (out_of_range(options.connect_timeout)) return invalid("connect_timeout: is 1 ms to 1 minute");
  if (out_of_range(options.operation_timeout)) {
    return invalid("operation_timeout: is 1 ms to 1 minute");
  }
  if (options.pending_max == 0) return invalid("pending_max: must not be 0");
  if (options.connections == 0 || options.connections > 64) {
    return invalid("connections: is 1 to 64");
  }
  if (options.record_bytes_max < 1024) return invalid("record_bytes_max: must be 1,024 or more");
  const bool printable = std::all_of(options.client_name.begin(), options.client_name.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return invalid("client_name: only printable ASCII without blanks");
  return {};
}

Result<std::unique_ptr<redis::Connector>> make_connector(redis::RedisUrl url,
                                                         const TlsOptions& tls) {
  if (url.tls) return redis::make_tls_connector(std::move(url), tls);
  // Whoever asks for TLS must not get plain text.
  if (tls != TlsOptions()) return invalid("tls: is for rediss:// URLs, and this one is none");
  return redis::make_socket_connector(std::move(url));
}

// What is written must be readable again.
template <class List>
Result<void> validate_size(const List& fields, std::size_t removals, std::size_t bytes_max) {
  std::size_t bytes = 0;
  for (const auto& field : fields) bytes += field.name.size() + field.value.size();
  if (bytes > bytes_max) {
    return make_error(Errc::too_large,
                      "the session is larger than record_bytes_max; nothing was sent");
  }
  if (fields.size() + removals > fields_max) {
    return make_error(Errc::too_large, "more than 10,000 fields in one step; nothing was sent");
  }
  return {};
}

// What may be done again after its answer was lost.
enum class Repeat { harmless, only_if_not_applied };

}  // namespace

struct RedisStore::Impl {
  // Lanes belong to the process that made them. After a fork, the child must not even lock their
  // mutexes: another thread of the parent may have held one. So the child makes its own lanes, and
  // keeps the old ones, disowned and untouched, for the rest of its life.
  struct OwnedLanes {
    pid_t owner;
    Lanes lanes;
    OwnedLanes* inherited;
  };

  Impl(std::shared_ptr<redis::Connector> the_connector, redis::Login the_login,
       RedisOptions the_options)
      : connector(std::move(the_connector)),
        login(std::move(the_login)),
        options(std::move(the_options)),
        clock(options.clock ? options.clock : system_clock()),
        layout{options.prefix, options.adopt_foreign_hashes},
        current(make_lanes(nullptr)) {}

  ~Impl() {
    OwnedLanes* own = current.load();
    // What was inherited is not destroyed: its mutex may be locked for ever.
    if (own->owner == ::getpid()) delete own;
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  OwnedLanes* make_lanes(OwnedLanes* inherited) {
    const redis::EngineOptions engine{options.connect_timeout, options.operation_timeout,
                                      options.pending_max, options.record_bytes_max,
                                      options.connections};
    return new OwnedLanes{::getpid(), Lanes(connector, login, engine), inherited};
  }

  Lanes& lanes() {
    OwnedLanes* found = current.load(std::memory_order_acquire);
    if (found->owner == ::getpid()) return found->lanes;
    OwnedLanes* mine = make_lanes(found);
    if (current.compare_exchange_strong(found, mine)) {
      mine->inherited->lanes.disown();
      return mine->lanes;
    }
    delete mine;  // another thread of this child was first
    return found->lanes;
  }

  [[nodiscard]] SteadyTime deadline() const {
    return std::chrono::steady_clock::now() + options.operation_timeout;
  }

  // `repeated`: set when an earlier try may have been applied.
  Result<Replies> execute(const Commands& commands, Repeat repeat, SteadyTime until,
                          bool* repeated = nullptr) {
    Result<Replies> result = lanes().execute(commands, until);
    // A connection that was lost (a restarted server, a failover) is worth one more try, on a new
    // one. A server that cannot be reached or does not answer is not.
    const bool lost = !result && result.error().code == Errc::unavailable;
    const bool sent = lost && result.error().maybe_applied;
    if (!lost || (sent && repeat != Repeat::harmless)) return result;
    if (repeated != nullptr) *repeated = *repeated || sent;
    return lanes().execute(commands, until);
  }

  // Runs a script and decodes its answer. `append(out, by)` appends the call; `decode(reply,
  // repeated)`. An error then knows of an earlier try, too.
  template <class Append, class Decode>
  auto change(const Append& append, Repeat repeat, SteadyTime until, const Decode& decode)
      -> decltype(decode(std::declval<const Reply&>(), false)) {
    const std::uint64_t generation = lanes().generation();
    bool repeated = false;
    CallBy by = CallBy::hash;
    const auto append_call = [&](std::string& out) { append(out, by); };
    const Commands call(1, append_call);
    Result<Replies> replies = execute(call, repeat, until, &repeated);
    const auto is_error = [&replies] {
      return replies && (*replies)[0].type() == Reply::Type::error;
    };
    if (is_error() && redis::is_wrong_server((*replies)[0].text())) lanes().renew(generation);
    if (is_error() && redis::is_noscript((*replies)[0].text())) {
      by = CallBy::source;
      replies = execute(call, repeat, until, &repeated);
    }
    using Decoded = decltype(decode(std::declval<const Reply&>(), false));
    Decoded result = replies ? decode((*replies)[0], repeated) : Decoded(replies.error());
    if (result || !repeated) return result;
    Error error = std::move(result).error();
    error.maybe_applied = true;
    return error;
  }

  // A read cannot be applied.
  Result<Replies> read(const Commands& commands, SteadyTime until) {
    Result<Replies> result = execute(commands, Repeat::harmless, until);
    if (result) return result;
    Error error = std::move(result).error();
    error.maybe_applied = false;
    return error;
  }

  // A command that removes something, and may do so twice.
  template <class Append>
  Result<void> remove(const Append& append, SteadyTime until) {
    const Result<Replies> replies = execute({1, append}, Repeat::harmless, until);
    if (!replies) return replies.error();
    return redis::decode_removal((*replies)[0]);
  }

  // Whether the session that a frozen record leads to is still there.
  Result<bool> ends_alive(std::string key, SteadyTime until) {
    for (std::size_t i = 0; i < successors_max; ++i) {
      const auto append = [&key](std::string& out) { redis::append_successor(out, key); };
      const Result<Replies> replies = read({redis::successor_replies, append}, until);
      if (!replies) return replies.error();
      Result<redis::Successor> successor = redis::decode_successor(*replies);
      if (!successor) return std::move(successor).error();
      if (!successor->exists) return false;
      if (!successor->next) return true;
      key = *std::move(successor->next);
    }
    return false;
  }

  const std::shared_ptr<redis::Connector> connector;
  const redis::Login login;
  const RedisOptions options;
  const std::shared_ptr<const Clock> clock;
  const redis::Layout layout;
  std::atomic<OwnedLanes*> current;
};

RedisStore::RedisStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisStore::~RedisStore() = default;

Result<std::shared_ptr<RedisStore>> RedisStore::connect_later(std::string_view url,
                                                              RedisOptions options) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  Result<redis::RedisUrl> parsed = redis::parse_redis_url(url);
  if (!parsed) return std::move(parsed).error();
  const redis::Scripts& scripts = redis::scripts();
  redis::Login login{parsed->user,
                     parsed->password,
                     parsed->database,
                     options.client_name,
                     {scripts.create.source(), scripts.set.source(), scripts.count.source(),
                      scripts.update.source(), scripts.rekey.source(), scripts.erase.source()}};
  Result<std::unique_ptr<redis::Connector>> connector =
      make_connector(*std::move(parsed), options.tls);
  if (!connector) return std::move(connector).error();
  return redis::make_store(*std::move(connector), std::move(login), std::move(options));
}

Result<std::shared_ptr<RedisStore>> RedisStore::connect(std::string_view url,
                                                        RedisOptions options) {
  Result<std::shared_ptr<RedisStore>> store = connect_later(url, std::move(options));
  if (!store) return store;
  Impl& impl = *(*store)->impl_;
  Result<void> connected =
      impl.lanes().connect(std::chrono::steady_clock::now() + impl.options.connect_timeout);
  if (!connected) return std::move(connected).error();
  return store;
}

Result<std::optional<Record>> RedisStore::load(const StoreKey& key) {
  const SteadyTime until = impl_->deadline();
  const auto append = [&](std::string& out) { redis::append_load(out, impl_->layout, key); };
  const Result<Replies> replies = impl_->read({redis::load_replies, append}, until);
  if (!replies) return replies.error();
  Result<std::optional<redis::Loaded>> loaded =
      redis::decode_load(impl_->layout, *replies, impl_->clock->wall());
  if (!loaded) return std::move(loaded).error();
  if (!*loaded) return std::optional<Record>();
  if ((*loaded)->record.frozen) {
    const Result<bool> alive = impl_->ends_alive((*loaded)->successor, until);
    if (!alive) return alive.error();
    if (!*alive) return std::optional<Record>();
  }
  return std::optional<Record>(std::move((*loaded)->record));
}

Result<void> RedisStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = websession::validate(fields, lifetime); !valid) return valid;
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(fields, 0, bytes_max); !valid) return valid;
  return impl_->change(
      [&](std::string& out, CallBy by) {
        redis::append_create(out, by, impl_->layout, key, fields, lifetime);
      },
      Repeat::only_if_not_applied, impl_->deadline(),
      [](const Reply& reply, bool) { return redis::decode_create(reply); });
}

Result<Outcome> RedisStore::update(const StoreKey& key, const Changes& changes, Lifetime lifetime) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(changes.set, changes.remove.size(), bytes_max); !valid) {
    return std::move(valid).error();
  }
  const WallTime now = impl_->clock->wall();
  return impl_->change(
      [&](std::string& out, CallBy by) {
        redis::append_update(out, by, impl_->layout, key, changes, lifetime, now);
      },
      changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied, impl_->deadline(),
      [&](const Reply& reply, bool) { return redis::decode_change(reply, changes); });
}

Result<Outcome> RedisStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                  Lifetime lifetime, Grace grace) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(changes.set, changes.remove.size(), bytes_max); !valid) {
    return std::move(valid).error();
  }
  const WallTime now = impl_->clock->wall();
  return impl_->change(
      [&](std::string& out, CallBy by) {
        redis::append_rekey(out, by, impl_->layout, from, to, changes, lifetime, grace, now);
      },
      Repeat::harmless, impl_->deadline(),
      [&](const Reply& reply, bool) { return redis::decode_change(reply, changes); });
}

Result<bool> RedisStore::erase(const StoreKey& key) {
  const SteadyTime until = impl_->deadline();
  std::vector<std::string> chain{impl_->layout.key(key)};
  while (chain.size() <= successors_max) {
    Result<redis::Erased> erased = impl_->change(
        [&](std::string& out, CallBy by) { redis::append_erase(out, by, impl_->layout, chain); },
        Repeat::harmless, until,
        [](const Reply& reply, bool repeated) {
          Result<redis::Erased> result = redis::decode_erase(reply);
          // When an answer was lost, it was most likely the one that said "erased".
          if (result && !result->successor) result->any = result->any || repeated;
          return result;
        });
    if (!erased) return std::move(erased).error();
    if (!erased->successor) return erased->any;
    chain.push_back(*std::move(erased->successor));
  }
  return make_error(Errc::corrupt, "a chain of replaced sessions has no end");
}

// Page by page, as a reply has a limit. Entries that move from page to page meanwhile may be given
// twice or not at all; what fits into one page is from one moment.
Result<std::vector<StoreKey>> RedisStore::entries(std::string_view principal) {
  const SteadyTime until = impl_->deadline();
  const std::size_t page =
      std::clamp<std::size_t>(impl_->options.record_bytes_max / entry_bytes_max, 2, 1000);
  std::vector<StoreKey> all;
  std::size_t last = page;
  while (last == page && all.size() + page <= entries_max) {
    const auto append = [&](std::string& out) {
      redis::append_entries(out, impl_->layout, principal, all.size(), page);
    };
    const Result<Replies> replies = impl_->read({1, append}, until);
    if (!replies) return replies.error();
    Result<std::vector<StoreKey>> keys = redis::decode_entries(impl_->layout, (*replies)[0]);
    if (!keys) return keys;
    last = keys->size();
    std::move(keys->begin(), keys->end(), std::back_inserter(all));
  }
  return all;
}

Result<void> RedisStore::forget(std::string_view principal, std::span<const StoreKey> keys) {
  const SteadyTime until = impl_->deadline();
  constexpr std::size_t at_once = 1000;
  for (; !keys.empty(); keys = keys.subspan(std::min(at_once, keys.size()))) {
    const auto some = keys.first(std::min(at_once, keys.size()));
    auto removed = impl_->remove(
        [&](std::string& out) { redis::append_forget(out, impl_->layout, principal, some); },
        until);
    if (!removed) return removed;
  }
  return {};
}

Result<void> RedisStore::end_frozen(const StoreKey& key) {
  return impl_->remove([&](std::string& out) { redis::append_unlink(out, impl_->layout, key); },
                       impl_->deadline());
}

std::shared_ptr<RedisStore> redis::make_store(std::shared_ptr<Connector> connector, Login login,
                                              RedisOptions options) {
  return std::make_shared<RedisStore>(std::make_unique<RedisStore::Impl>(
      std::move(connector), std::move(login), std::move(options)));
}

}  // namespace websession
