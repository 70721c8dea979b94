#include "websession/redis_json_store.hpp"

#include <utility>
#include <vector>

#include "engine.hpp"
#include "invalid.hpp"
#include "json_document.hpp"
#include "json_operations.hpp"
#include "redis_json_store_impl.hpp"
#include "successors.hpp"

namespace websession {
namespace {

using redis::CallBy;
using redis::Commands;
using redis::Held;
using redis::JsonKeys;
using redis::Repeat;
using redis::Replies;
using redis::Reply;
using std::chrono::milliseconds;

using Status = Outcome::Status;

using internal::invalid;

Result<void> validate(const RedisJsonOptions& options) {
  const ExpressCookie& cookie = options.cookie;
  if (options.prefix.empty()) return invalid("prefix: must not be empty");
  if (cookie.max_age && (*cookie.max_age < milliseconds(1) || *cookie.max_age > ttl_max)) {
    return invalid("cookie.max_age: must be 1 ms to 400 days");
  }
  SetCookie as_sent{"sid", "x", cookie.path, cookie.domain};
  if (auto text = serialize(as_sent); !text) return std::move(text).error();
  return {};
}

Result<void> validate_size(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return {};
  return make_error(Errc::too_large,
                    "the session is larger than record_bytes_max; nothing was sent");
}

// What changes make of a session.
struct Next {
  Outcome outcome{};
  // None: there is nothing to write. Empty: only the time to live is due.
  std::optional<std::string> text{};
  bool passes = false;  // to another principal
};

Result<Next> next_of(std::string_view text, const Changes& changes, WallTime now) {
  Result<redis::JsonDocument> document = redis::parse_document(text);
  if (!document) return std::move(document).error();
  Result<Applied> applied = apply(document->fields, changes, now);
  if (!applied) return std::move(applied).error();
  Next next{std::move(applied->outcome)};
  if (next.outcome.status != Status::applied) return next;
  next.passes = passes_on(document->fields, applied->fields);
  const bool is_new_here = !applied->fields.contains(created_field);
  if (changes.empty() && !is_new_here) {
    next.text = "";
    return next;
  }
  if (is_new_here) {  // made by Express, and first written here
    std::vector<Field> fields(applied->fields.begin(), applied->fields.end());
    const std::string created = std::to_string(now.time_since_epoch().count());
    fields.push_back({created_field, created});
    applied->fields = Fields(fields);
  }
  next.text = redis::write_document(applied->fields, document->kept);
  return next;
}

// The counters of changes that were applied before. `text`: none, when that session is over by now.
Result<Next> applied_before(const std::optional<std::string>& text, const Changes& changes,
                            WallTime now) {
  Fields held;
  if (text) {
    const Result<redis::JsonDocument> document = redis::parse_document(*text);
    if (!document) return document.error();
    held = live_fields(document->fields, now);
  }
  Next next;
  for (const Changes::Increment& increment : changes.increment) {
    const std::string_view counter = held.find(increment.name).value_or("");
    next.outcome.counters.push_back(parse_integer(counter).value_or(0));
  }
  return next;
}

Error others_were_faster() {
  return make_error(Errc::timeout,
                    "others kept changing this session until the operation timeout; nothing was "
                    "written");
}

}  // namespace

struct RedisJsonStore::Impl {
  Impl(redis::Endpoint endpoint, RedisJsonOptions the_options)
      : options(std::move(the_options)),
        clock(options.redis.clock ? options.redis.clock : system_clock()),
        engine(std::move(endpoint), options.redis) {}

  [[nodiscard]] JsonKeys keys(const StoreKey& key) const { return {options.prefix, key}; }

  // `append` appends the one command that asks for it.
  template <class Append>
  Result<Held> held(const Append& append, SteadyTime until) {
    const Result<Replies> replies = engine.read(Commands(1, append), until);
    if (!replies) return replies.error();
    return redis::decode_held((*replies)[0]);
  }

  Result<internal::Link<StoreKey>> look_at(const StoreKey& key, SteadyTime until) {
    const JsonKeys where = keys(key);
    const Result<Held> found =
        held([&where](std::string& out) { redis::append_held(out, where); }, until);
    if (!found) return found.error();
    if (!found->mark) return internal::Link<StoreKey>{found->text.has_value()};
    Result<redis::JsonMark> mark = redis::parse_json_mark(*found->mark);
    if (!mark) return std::move(mark).error();
    if (!mark->is_frozen) return internal::Link<StoreKey>{};
    return internal::Link<StoreKey>{true, std::move(mark->successor)};
  }

  [[nodiscard]] Result<std::optional<Record>> record(std::string_view text,
                                                     milliseconds left) const {
    Result<redis::JsonDocument> document = redis::parse_document(text);
    if (!document) return std::move(document).error();
    return std::optional<Record>(Record{live_fields(document->fields, clock->wall()), left});
  }

  Result<std::optional<Record>> load_mark(const JsonKeys& where, std::string_view text,
                                          SteadyTime until) {
    Result<redis::JsonMark> mark = redis::parse_json_mark(text);
    if (!mark) return std::move(mark).error();
    if (mark->is_frozen && mark->successor) {
      const Result<bool> alive = internal::ends_alive(
          *mark->successor, [&](const StoreKey& next) { return look_at(next, until); });
      if (!alive.has_value()) return alive.error();
      mark->is_frozen = *alive;
    }
    const auto append = [&where](std::string& out) { redis::append_left(out, where.mark); };
    const Result<Replies> replies = engine.read(Commands(1, append), until);
    if (!replies) return replies.error();
    const Result<std::optional<milliseconds>> left = redis::decode_left((*replies)[0]);
    if (!left.has_value()) return left.error();
    if (!*left) return std::optional<Record>();
    if (!mark->is_frozen) return std::optional<Record>(Record{{}, **left, true});
    Result<std::optional<Record>> found = record(mark->text, **left);
    if (found.has_value()) (*found)->frozen = true;
    return found;
  }

  // Replaces what was found by what `make_next(held)`, a Result<Next>, makes of it, until nobody
  // else was faster. `append(out, by, was, text)` appends the call of the script.
  template <class MakeNext, class Append>
  Result<Outcome> change(Result<Held> found, Repeat repeat, SteadyTime until,
                         const MakeNext& make_next, const Append& append) {
    bool maybe_applied = false;
    const auto failed = [&maybe_applied](Error error) {
      error.maybe_applied = error.maybe_applied || maybe_applied;
      return error;
    };
    while (found) {
      Result<Next> next = make_next(*found);
      if (!next) return failed(std::move(next).error());
      if (!next->text) return next->outcome;
      if (auto fits = validate_size(*next->text, options.redis.record_bytes_max); !fits) {
        return failed(std::move(fits).error());
      }
      if (std::chrono::steady_clock::now() >= until) return failed(others_were_faster());
      Result<std::optional<Held>> swapped = engine.change(
          [&](std::string& out, CallBy by) { append(out, by, *found->text, *next->text); }, repeat,
          until,
          [&maybe_applied](const Reply& reply, bool repeated) {
            maybe_applied = maybe_applied || repeated;
            return redis::decode_swap(reply);
          });
      if (!swapped.has_value()) return failed(std::move(swapped).error());
      if (!*swapped) return next->outcome;
      found = **std::move(swapped);
    }
    return failed(std::move(found).error());
  }

  const RedisJsonOptions options;
  const std::shared_ptr<const Clock> clock;
  redis::Engine engine;
};

RedisJsonStore::RedisJsonStore(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
RedisJsonStore::~RedisJsonStore() = default;

Result<std::shared_ptr<RedisJsonStore>> RedisJsonStore::connect_later(std::string_view url,
                                                                      RedisJsonOptions options) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  const redis::Scripts& scripts = redis::scripts();
  Result<redis::Endpoint> endpoint =
      redis::make_endpoint(url, options.redis, options.prefix,
                           {scripts.json_create.source(), scripts.json_update.source(),
                            scripts.json_rekey.source(), scripts.json_erase.source()});
  if (!endpoint) return std::move(endpoint).error();
  return redis::make_json_store(std::move(endpoint->connector), std::move(endpoint->login),
                                std::move(options));
}

Result<std::shared_ptr<RedisJsonStore>> RedisJsonStore::connect(std::string_view url,
                                                                RedisJsonOptions options) {
  Result<std::shared_ptr<RedisJsonStore>> store = connect_later(url, std::move(options));
  if (!store) return store;
  Result<void> connected = (*store)->impl_->engine.connect();
  if (!connected) return std::move(connected).error();
  return store;
}

Result<std::optional<Record>> RedisJsonStore::load(const StoreKey& key) {
  const SteadyTime until = impl_->engine.deadline();
  const JsonKeys keys = impl_->keys(key);
  const auto append = [&keys](std::string& out) {
    redis::append_held(out, keys);
    redis::append_left(out, keys.text);
  };
  const Result<Replies> replies = impl_->engine.read(Commands(2, append), until);
  if (!replies) return replies.error();
  Result<Held> held = redis::decode_held((*replies)[0]);
  if (!held) return std::move(held).error();
  if (held->mark) return impl_->load_mark(keys, *held->mark, until);
  Result<std::optional<milliseconds>> left = redis::decode_left((*replies)[1]);
  if (!left.has_value()) return std::move(left).error();
  if (!held->text || !*left) return std::optional<Record>();
  return impl_->record(*held->text, **left);
}

Result<void> RedisJsonStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  if (auto valid = websession::validate(fields, lifetime); !valid) return valid;
  if (auto valid = redis::validate_names(fields); !valid) return valid;
  const std::string text = redis::write_document(
      fields, redis::write_cookie(impl_->options.cookie, impl_->clock->wall()));
  if (auto fits = validate_size(text, impl_->options.redis.record_bytes_max); !fits) return fits;
  const JsonKeys keys = impl_->keys(key);
  return impl_->engine.change(
      [&](std::string& out, CallBy by) {
        redis::append_json_create(out, by, keys, text, lifetime);
      },
      Repeat::only_if_not_applied, impl_->engine.deadline(),
      [](const Reply& reply, bool) { return redis::decode_json_create(reply); });
}

Result<Outcome> RedisJsonStore::update(const StoreKey& key, const Changes& changes,
                                       Lifetime lifetime) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  if (auto valid = redis::validate_names(changes); !valid) return std::move(valid).error();
  const SteadyTime until = impl_->engine.deadline();
  const WallTime now = impl_->clock->wall();
  const JsonKeys keys = impl_->keys(key);
  return impl_->change(
      impl_->held([&keys](std::string& out) { redis::append_held(out, keys); }, until),
      changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied, until,
      [&](const Held& held) -> Result<Next> {
        if (!held.text || held.mark) return Next{{Status::gone}};
        return next_of(*held.text, changes, now);
      },
      [&](std::string& out, CallBy by, std::string_view was, std::string_view text) {
        redis::append_json_update(out, by, keys, was, text, lifetime);
      });
}

Result<Outcome> RedisJsonStore::rekey(const StoreKey& from, const StoreKey& to,
                                      const Changes& changes, Lifetime lifetime, Grace grace) {
  if (auto valid = websession::validate(changes, lifetime); !valid) return std::move(valid).error();
  if (auto valid = redis::validate_names(changes); !valid) return std::move(valid).error();
  const SteadyTime until = impl_->engine.deadline();
  const WallTime now = impl_->clock->wall();
  const JsonKeys old_keys = impl_->keys(from);
  const JsonKeys new_keys = impl_->keys(to);
  redis::JsonMark mark{.successor = to};  // what will stay
  return impl_->change(
      impl_->held([&](std::string& out) { redis::append_held(out, old_keys, new_keys); }, until),
      Repeat::harmless, until,
      [&](const Held& held) -> Result<Next> {
        std::optional<StoreKey> successor;
        if (held.mark) {
          Result<redis::JsonMark> present = redis::parse_json_mark(*held.mark);
          if (!present) return std::move(present).error();
          successor = std::move(present->successor);
        }
        // Asked for again: the first time has done it all.
        const bool is_taken = held.new_text || held.new_mark;
        const bool done = held.mark ? successor == to : !held.text && is_taken;
        if (done) return applied_before(held.new_mark ? std::nullopt : held.new_text, changes, now);
        if (!held.text || held.mark) return Next{{Status::gone}};
        Result<Next> next = next_of(*held.text, changes, now);
        if (!next || !next->text) return next;
        mark.passed = next->passes;
        mark.is_frozen = grace.readable && !mark.passed;
        if (is_taken) {
          return make_error(Errc::key_exists,
                            "there is a session, or the mark of one, under the new key");
        }
        if (next->text->empty()) next->text = *held.text;
        return next;
      },
      [&](std::string& out, CallBy by, std::string_view was, std::string_view text) {
        redis::append_json_rekey(out, by, old_keys, new_keys, was, text, lifetime, grace, mark);
      });
}

Result<bool> RedisJsonStore::erase(const StoreKey& key, Grace grace) {
  const SteadyTime until = impl_->engine.deadline();
  return internal::end_chain(key, [&](std::span<const StoreKey> chain) {
    std::vector<JsonKeys> keys;
    keys.reserve(chain.size());
    for (const StoreKey& one : chain) keys.push_back(impl_->keys(one));
    return impl_->engine.change(
        [&](std::string& out, CallBy by) { redis::append_json_erase(out, by, keys, grace); },
        Repeat::harmless, until,
        [](const Reply& reply, bool repeated) {
          Result<internal::Ended<StoreKey>> result = redis::decode_json_erase(reply);
          // When an answer was lost, it was most likely the one that said "erased".
          if (result && !result->successor) result->any = result->any || repeated;
          return result;
        });
  });
}

std::shared_ptr<RedisJsonStore> redis::make_json_store(std::shared_ptr<Connector> connector,
                                                       Login login, RedisJsonOptions options) {
  return std::make_shared<RedisJsonStore>(std::make_unique<RedisJsonStore::Impl>(
      Endpoint{std::move(connector), std::move(login)}, std::move(options)));
}

}  // namespace websession
