#include "websession/redis_store.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "answers.hpp"
#include "engine.hpp"
#include "operations.hpp"
#include "redis_store_impl.hpp"
#include "successors.hpp"

namespace websession {
namespace {

using redis::CallBy;
using redis::Repeat;
using redis::Replies;
using redis::Reply;

// A listed key with what a reply takes for it: the prefix and an id are seldom longer.
constexpr std::size_t entry_bytes_max = 512;
// A session that is passed on while a change of it looks for its principal.
constexpr int principals_asked_max = 8;
// Of a chain of replaced sessions, which is no longer than internal::successors_max.
constexpr std::size_t principals_ended_max = 128;
// Names and texts that one script call takes (Redis itself allows more).
constexpr std::size_t fields_max = 10'000;

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

}  // namespace

struct RedisStore::Impl {
  Impl(redis::Endpoint endpoint, RedisOptions the_options)
      : options(std::move(the_options)),
        clock(options.clock ? options.clock : system_clock()),
        layout{options.prefix, options.adopt_foreign_hashes},
        engine(std::move(endpoint), options) {}

  // A command that removes something, and may do so twice. `append(out, by)`.
  template <class Append>
  Result<void> remove(const Append& append, SteadyTime until) {
    return engine.change(append, Repeat::harmless, until,
                         [](const Reply& reply, bool) { return redis::decode_removal(reply); });
  }

  Result<std::optional<redis::Loaded>> load(const StoreKey& key, SteadyTime until) {
    const auto append = [&](std::string& out) { redis::append_load(out, layout, key); };
    const Result<Replies> replies = engine.read({redis::load_replies, append}, until);
    if (!replies) return replies.error();
    if (!redis::holds_no_hash(*replies)) {
      return redis::decode_load(layout, *replies, clock->wall());
    }
    const auto append_mark = [&](std::string& out) { redis::append_mark(out, layout, key); };
    const Result<Replies> mark = engine.read({redis::mark_replies, append_mark}, until);
    if (!mark) return mark.error();
    return redis::decode_mark(layout, *mark, clock->wall());
  }

  // Makes a change whose script may have to be told first whom the session belongs to.
  // `append(out, by, former)`.
  template <class Append>
  Result<Outcome> change(const Changes& changes, std::string former, Repeat repeat,
                         const Append& append) {
    const SteadyTime until = engine.deadline();
    for (int i = 0; i < principals_asked_max; ++i) {
      Result<redis::Changed> changed = engine.change(
          [&](std::string& out, CallBy by) { append(out, by, former); }, repeat, until,
          [&](const Reply& reply, bool) { return redis::decode_change(reply, changes); });
      if (!changed) return std::move(changed).error();
      if (!changed->former) return std::move(changed->outcome);
      former = *std::move(changed->former);
    }
    return make_error(Errc::overloaded, "the session keeps passing from principal to principal");
  }

  // After a write that was applied without a script and has put attributes back.
  Result<Outcome> bound(const StoreKey& key, const Changes& changes) {
    if (changes.bytes_max == 0 && changes.attributes_max == 0) return Outcome{};
    const Result<void> looked = engine.change(
        [&](std::string& out, CallBy by) { redis::append_bound(out, by, layout, key, changes); },
        Repeat::harmless, engine.deadline(),
        [](const Reply& reply, bool) { return redis::decode_bound(reply); });
    // If nobody could look, the write stands.
    if (!looked && looked.error().code == Errc::too_large) return looked.error();
    return Outcome{};
  }

  // `principals`: those of the chain; grows by those that the server names.
  Result<internal::Ended<std::string>> end(std::span<const std::string> chain,
                                           std::vector<std::string>& principals, Grace grace,
                                           SteadyTime until) {
    while (principals.size() < principals_ended_max) {
      Result<redis::Erased> erased = engine.change(
          [&](std::string& out, CallBy by) {
            redis::append_erase(out, by, layout, chain, principals, grace);
          },
          Repeat::harmless, until,
          [](const Reply& reply, bool repeated) {
            Result<redis::Erased> result = redis::decode_erase(reply);
            // When an answer was lost, it was most likely the one that said "erased".
            const bool over = result && !result->successor && result->principals.empty();
            if (over) result->any = result->any || repeated;
            return result;
          });
      if (!erased) return std::move(erased).error();
      const bool asks_for_principals = !erased->principals.empty();
      std::move(erased->principals.begin(), erased->principals.end(),
                std::back_inserter(principals));
      if (erased->successor || !asks_for_principals) {
        return internal::Ended<std::string>{erased->any, std::move(erased->successor)};
      }
    }
    return make_error(Errc::corrupt, "a chain of replaced sessions has too many principals");
  }

  Result<internal::Link<std::string>> look_at(const std::string& key, SteadyTime until) {
    const auto append = [&key](std::string& out) { redis::append_successor(out, key); };
    const Result<Replies> replies = engine.read({redis::successor_replies, append}, until);
    if (!replies) return replies.error();
    return redis::decode_successor(*replies);
  }

  const RedisOptions options;
  const std::shared_ptr<const Clock> clock;
  const redis::Layout layout;
  redis::Engine engine;
};

RedisStore::RedisStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisStore::~RedisStore() = default;

Result<std::shared_ptr<RedisStore>> RedisStore::connect_later(std::string_view url,
                                                              RedisOptions options) {
  if (options.prefix.empty()) {
    return make_error(Errc::invalid_argument, "prefix: must not be empty");
  }
  const redis::Scripts& scripts = redis::scripts();
  Result<redis::Endpoint> endpoint =
      redis::make_endpoint(url, options, options.prefix,
                           {scripts.create.source(), scripts.set.source(), scripts.count.source(),
                            scripts.bound.source(), scripts.update.source(), scripts.rekey.source(),
                            scripts.erase.source(), scripts.strip.source()});
  if (!endpoint) return std::move(endpoint).error();
  endpoint->login.guarded = endpoint->login.transactions = !options.adopt_foreign_hashes;
  return redis::make_store(std::move(endpoint->connector), std::move(endpoint->login),
                           std::move(options));
}

Result<std::shared_ptr<RedisStore>> RedisStore::connect(std::string_view url,
                                                        RedisOptions options) {
  Result<std::shared_ptr<RedisStore>> store = connect_later(url, std::move(options));
  if (!store) return store;
  Result<void> connected = (*store)->impl_->engine.connect();
  if (!connected) return std::move(connected).error();
  return store;
}

Result<std::optional<Record>> RedisStore::load(const StoreKey& key) {
  const SteadyTime until = impl_->engine.deadline();
  Result<std::optional<redis::Loaded>> loaded = impl_->load(key, until);
  if (!loaded.has_value()) return std::move(loaded).error();
  if (!*loaded) return std::optional<Record>();
  if (!(*loaded)->successor.empty()) {
    const Result<bool> alive = internal::ends_alive(
        (*loaded)->successor, [&](const std::string& next) { return impl_->look_at(next, until); });
    if (!alive.has_value()) return alive.error();
    if (!*alive) (*loaded)->record.fields = Fields();
  }
  return std::optional<Record>(std::move((*loaded)->record));
}

Result<void> RedisStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = websession::validate(fields, lifetime); !valid) return valid;
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(fields, 0, bytes_max); !valid) return valid;
  return impl_->engine.change(
      [&](std::string& out, CallBy by) {
        redis::append_create(out, by, impl_->layout, key, fields, lifetime);
      },
      Repeat::only_if_not_applied, impl_->engine.deadline(),
      [](const Reply& reply, bool) { return redis::decode_create(reply); });
}

Result<Outcome> RedisStore::update(const StoreKey& key, const Changes& changes, Lifetime lifetime) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(changes.set, changes.remove.size(), bytes_max); !valid) {
    return std::move(valid).error();
  }
  const WallTime now = impl_->clock->wall();
  const auto append = [&](std::string& out, CallBy by, std::string_view former) {
    redis::append_update(out, by, impl_->layout, key, changes, lifetime, former, now);
  };
  const std::size_t parts = redis::update_parts(impl_->layout, changes, lifetime);
  if (parts == 0) {
    return impl_->change(changes, {},
                         changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied, append);
  }
  const auto append_parts = [&](std::string& out) {
    redis::append_update_parts(out, impl_->layout, key, changes, lifetime);
  };
  const auto append_hsetex = [&](std::string& out) {
    redis::append_update_by_hsetex(out, impl_->layout, key, changes, lifetime);
  };
  redis::Shortcuts shortcuts;
  shortcuts.transaction.emplace(redis::Shortcuts::Transaction{parts, append_parts});
  switch (redis::update_by_hsetex(changes, lifetime)) {
    case redis::Hsetex::no:
      break;
    case redis::Hsetex::alone:
      shortcuts.guarded.emplace(redis::Shortcuts::Guarded{1, append_hsetex});
      break;
    case redis::Hsetex::renewing:
      shortcuts.guarded.emplace(redis::Shortcuts::Guarded{2, append_hsetex});
      break;
  }
  Result<redis::Changed> changed = impl_->engine.change(
      [&](std::string& out, CallBy by) { append(out, by, {}); }, Repeat::only_if_not_applied,
      impl_->engine.deadline(),
      [&](const Reply& reply, bool) { return redis::decode_change(reply, changes); }, shortcuts,
      redis::decode_shortcut);
  if (!changed) return std::move(changed).error();
  if (changed->put_back) return impl_->bound(key, changes);
  return std::move(changed->outcome);
}

Result<Outcome> RedisStore::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                  Lifetime lifetime, Grace grace) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  const std::size_t bytes_max = impl_->options.record_bytes_max;
  if (auto valid = validate_size(changes.set, changes.remove.size(), bytes_max); !valid) {
    return std::move(valid).error();
  }
  const WallTime now = impl_->clock->wall();
  // Most sessions stay with their principal.
  return impl_->change(changes, std::string(lifetime.principal), Repeat::harmless,
                       [&](std::string& out, CallBy by, std::string_view former) {
                         redis::append_rekey(out, by, impl_->layout, from, to, changes, lifetime,
                                             grace, former, now);
                       });
}

Result<bool> RedisStore::erase(const StoreKey& key, Grace grace) {
  const SteadyTime until = impl_->engine.deadline();
  std::vector<std::string> principals;
  return internal::end_chain(impl_->layout.key(key), [&](std::span<const std::string> chain) {
    return impl_->end(chain, principals, grace, until);
  });
}

// Page by page, as a reply has a limit. Entries that move from page to page meanwhile may be given
// twice or not at all; what fits into one page is from one moment.
Result<std::vector<StoreKey>> RedisStore::entries(std::string_view principal) {
  const SteadyTime until = impl_->engine.deadline();
  const std::size_t page =
      std::clamp<std::size_t>(impl_->options.record_bytes_max / entry_bytes_max, 2, 1000);
  std::vector<StoreKey> all;
  while (all.size() < entries_max) {
    const std::size_t wanted = std::min(page, entries_max - all.size());
    const auto append = [&](std::string& out) {
      redis::append_entries(out, impl_->layout, principal, all.size(), wanted);
    };
    const Result<Replies> replies = impl_->engine.read({1, append}, until);
    if (!replies) return replies.error();
    Result<std::vector<StoreKey>> keys = redis::decode_entries(impl_->layout, (*replies)[0]);
    if (!keys) return keys;
    const bool last = keys->size() < wanted;
    std::move(keys->begin(), keys->end(), std::back_inserter(all));
    if (last) break;
  }
  return all;
}

Result<void> RedisStore::forget(std::string_view principal, std::span<const StoreKey> keys) {
  const SteadyTime until = impl_->engine.deadline();
  constexpr std::size_t at_once = 1000;
  for (; !keys.empty(); keys = keys.subspan(std::min(at_once, keys.size()))) {
    const auto some = keys.first(std::min(at_once, keys.size()));
    auto removed =
        impl_->remove([&](std::string& out,
                          CallBy) { redis::append_forget(out, impl_->layout, principal, some); },
                      until);
    if (!removed) return removed;
  }
  return {};
}

Result<void> RedisStore::end_frozen(const StoreKey& key) {
  return impl_->remove(
      [&](std::string& out, CallBy by) { redis::append_strip(out, by, impl_->layout, key); },
      impl_->engine.deadline());
}

std::shared_ptr<RedisStore> redis::make_store(std::shared_ptr<Connector> connector, Login login,
                                              RedisOptions options) {
  return std::make_shared<RedisStore>(std::make_unique<RedisStore::Impl>(
      Endpoint{std::move(connector), std::move(login)}, std::move(options)));
}

}  // namespace websession
