#include "hash_verbs.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "answers.hpp"
#include "successors.hpp"

namespace websession::redis {
namespace {

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

// Makes a change whose script may have to be told first whom the session belongs to.
// `append(out, by, former)`.
template <class Append>
Task<Result<Outcome>> change_of_somebodys(CallFlow& flow, const Changes& changes,
                                          std::string former, Repeat repeat, Append append) {
  for (int i = 0; i < principals_asked_max; ++i) {
    auto call = change(
        flow, [&](std::string& out, CallBy by) { append(out, by, former); }, repeat,
        [&](const Reply& reply, bool) { return decode_change(reply, changes); });
    Result<Changed> changed = co_await call;
    if (!changed) co_return std::move(changed).error();
    if (!changed->former) co_return std::move(changed->outcome);
    former = *std::move(changed->former);
  }
  co_return make_error(Errc::overloaded, "the session keeps passing from principal to principal");
}

// Ends a chain. `principals`: those of the chain; grows by those that the server names.
Task<Result<internal::Ended<std::string>>> end(CallFlow& flow, const Layout& layout,
                                               std::span<const std::string> chain,
                                               std::vector<std::string>& principals, Grace grace) {
  while (principals.size() < principals_ended_max) {
    auto call = change(
        flow,
        [&](std::string& out, CallBy by) {
          append_erase(out, by, layout, chain, principals, grace);
        },
        Repeat::harmless,
        [](const Reply& reply, bool repeated) {
          Result<Erased> result = decode_erase(reply);
          // When an answer was lost, it was most likely the one that said "erased".
          const bool over = result && !result->successor && result->principals.empty();
          if (over) result->any = result->any || repeated;
          return result;
        });
    Result<Erased> erased = co_await call;
    if (!erased) co_return std::move(erased).error();
    const bool asks_for_principals = !erased->principals.empty();
    std::move(erased->principals.begin(), erased->principals.end(), std::back_inserter(principals));
    if (erased->successor || !asks_for_principals) {
      co_return internal::Ended<std::string>{erased->any, std::move(erased->successor)};
    }
  }
  co_return make_error(Errc::corrupt, "a chain of replaced sessions has too many principals");
}

// A command that removes something, and may do so twice. `append(out, by)`.
template <class Append>
auto remove(CallFlow& flow, Append append) {
  return change(flow, std::move(append), Repeat::harmless,
                [](const Reply& reply, bool) { return decode_removal(reply); });
}

}  // namespace

HashVerbs::HashVerbs(RedisOptions options)
    : clock_(options.clock ? std::move(options.clock) : system_clock()),
      layout_{std::move(options.prefix), options.adopt_foreign_hashes},
      record_bytes_max_(options.record_bytes_max) {}

Task<Result<std::optional<Record>>> HashVerbs::load(CallFlow& flow, const StoreKey& key) const {
  const auto append = [&](std::string& out) { append_load(out, layout_, key); };
  const Commands commands(load_replies, append);
  auto ask = read(flow, commands);
  const Result<Replies> replies = co_await ask;
  if (!replies) co_return replies.error();
  Result<std::optional<Loaded>> loaded = std::optional<Loaded>();
  if (!holds_no_hash(*replies)) {
    loaded = decode_load(layout_, *replies, clock_->wall());
  } else {
    const auto append_the_mark = [&](std::string& out) { append_mark(out, layout_, key); };
    const Commands for_mark(mark_replies, append_the_mark);
    auto ask_for_mark = read(flow, for_mark);
    const Result<Replies> mark = co_await ask_for_mark;
    if (!mark) co_return mark.error();
    loaded = decode_mark(layout_, *mark, clock_->wall());
  }
  if (!loaded.has_value()) co_return std::move(loaded).error();
  if (!*loaded) co_return std::optional<Record>();
  if (!(*loaded)->successor.empty()) {
    internal::Walk<std::string> walk((*loaded)->successor);
    while (!walk.is_alive()) {
      const auto append_next = [&](std::string& out) { append_successor(out, walk.at()); };
      const Commands for_next(successor_replies, append_next);
      auto look = read(flow, for_next);
      const Result<Replies> next = co_await look;
      if (!next) co_return next.error();
      Result<internal::Link<std::string>> link = decode_successor(*next);
      if (!link) co_return std::move(link).error();
      walk.found(*std::move(link));
    }
    if (!*walk.is_alive()) (*loaded)->record.fields = Fields();
  }
  co_return std::optional<Record>(std::move((*loaded)->record));
}

Task<Result<void>> HashVerbs::create(CallFlow& flow, const StoreKey& key, const Fields& fields,
                                     Lifetime lifetime) const {
  if (auto valid = websession::validate(fields, lifetime); !valid) co_return valid;
  if (auto valid = validate_size(fields, 0, record_bytes_max_); !valid) co_return valid;
  auto call = change(
      flow,
      [&](std::string& out, CallBy by) { append_create(out, by, layout_, key, fields, lifetime); },
      Repeat::only_if_not_applied, [](const Reply& reply, bool) { return decode_create(reply); });
  co_return co_await call;
}

Task<Result<Outcome>> HashVerbs::update(CallFlow& flow, const StoreKey& key, const Changes& changes,
                                        Lifetime lifetime) const {
  if (auto valid = websession::validate(changes, lifetime); !valid) {
    co_return std::move(valid).error();
  }
  auto fits = validate_size(changes.set, changes.remove.size(), record_bytes_max_);
  if (!fits) co_return std::move(fits).error();
  const WallTime now = clock_->wall();
  const std::size_t parts = update_parts(layout_, changes, lifetime);
  if (parts > 0) {
    auto call = update_by_shortcut(flow, key, changes, lifetime, parts, now);
    co_return co_await call;
  }
  const Repeat repeat = changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied;
  auto call = change_of_somebodys(
      flow, changes, {}, repeat, [&](std::string& out, CallBy by, std::string_view former) {
        append_update(out, by, layout_, key, changes, lifetime, former, now);
      });
  co_return co_await call;
}

Task<Result<Outcome>> HashVerbs::update_by_shortcut(CallFlow& flow, const StoreKey& key,
                                                    const Changes& changes, Lifetime lifetime,
                                                    std::size_t parts, WallTime now) const {
  const auto append_parts = [&](std::string& out) {
    append_update_parts(out, layout_, key, changes, lifetime);
  };
  const auto append_hsetex = [&](std::string& out) {
    append_update_by_hsetex(out, layout_, key, changes, lifetime);
  };
  Shortcuts shortcuts;
  shortcuts.transaction.emplace(Shortcuts::Transaction{parts, append_parts});
  switch (update_by_hsetex(changes, lifetime)) {
    case Hsetex::no:
      break;
    case Hsetex::alone:
      shortcuts.guarded.emplace(Shortcuts::Guarded{1, append_hsetex});
      break;
    case Hsetex::renewing:
      shortcuts.guarded.emplace(Shortcuts::Guarded{2, append_hsetex});
      break;
  }
  auto call = change(
      flow,
      [&](std::string& out, CallBy by) {
        append_update(out, by, layout_, key, changes, lifetime, {}, now);
      },
      Repeat::only_if_not_applied,
      [&](const Reply& reply, bool) { return decode_change(reply, changes); }, shortcuts,
      decode_shortcut);
  Result<Changed> changed = co_await call;
  if (!changed) co_return std::move(changed).error();
  if (!changed->put_back) co_return std::move(changed->outcome);
  auto look = bound(flow, key, changes);
  co_return co_await look;
}

// After a write that was applied without a script and has put attributes back.
Task<Result<Outcome>> HashVerbs::bound(CallFlow& flow, const StoreKey& key,
                                       const Changes& changes) const {
  if (changes.bytes_max == 0 && changes.attributes_max == 0) co_return Outcome{};
  auto call = change(
      flow, [&](std::string& out, CallBy by) { append_bound(out, by, layout_, key, changes); },
      Repeat::harmless, [](const Reply& reply, bool) { return decode_bound(reply); });
  const Result<void> looked = co_await call;
  // If nobody could look, the write stands.
  if (!looked && looked.error().code == Errc::too_large) co_return looked.error();
  co_return Outcome{};
}

Task<Result<Outcome>> HashVerbs::rekey(CallFlow& flow, const StoreKey& from, const StoreKey& to,
                                       const Changes& changes, Lifetime lifetime,
                                       Grace grace) const {
  if (auto valid = websession::validate(changes, lifetime); !valid) {
    co_return std::move(valid).error();
  }
  auto fits = validate_size(changes.set, changes.remove.size(), record_bytes_max_);
  if (!fits) co_return std::move(fits).error();
  const WallTime now = clock_->wall();
  // Most sessions stay with their principal.
  auto call = change_of_somebodys(flow, changes, std::string(lifetime.principal), Repeat::harmless,
                                  [&](std::string& out, CallBy by, std::string_view former) {
                                    append_rekey(out, by, layout_, from, to, changes, lifetime,
                                                 grace, former, now);
                                  });
  co_return co_await call;
}

Task<Result<bool>> HashVerbs::erase(CallFlow& flow, const StoreKey& key, Grace grace) const {
  std::vector<std::string> principals;
  internal::Chain<std::string> chain(layout_.key(key));
  while (!chain.result()) {
    auto call = end(flow, layout_, chain.keys(), principals, grace);
    chain.tried(co_await call);
  }
  co_return *chain.result();
}

// Page by page, as a reply has a limit. Entries that move from page to page meanwhile may be given
// twice or not at all; what fits into one page is from one moment.
Task<Result<std::vector<StoreKey>>> HashVerbs::entries(CallFlow& flow,
                                                       std::string_view principal) const {
  constexpr std::size_t most = PrincipalIndex::entries_max;
  const std::size_t page = std::clamp<std::size_t>(record_bytes_max_ / entry_bytes_max, 2, 1000);
  std::vector<StoreKey> all;
  while (all.size() < most) {
    const std::size_t wanted = std::min(page, most - all.size());
    const auto append = [&](std::string& out) {
      append_entries(out, layout_, principal, all.size(), wanted);
    };
    const Commands commands(1, append);
    auto ask = read(flow, commands);
    const Result<Replies> replies = co_await ask;
    if (!replies) co_return replies.error();
    Result<std::vector<StoreKey>> keys = decode_entries(layout_, (*replies)[0]);
    if (!keys) co_return std::move(keys);
    const bool last = keys->size() < wanted;
    std::move(keys->begin(), keys->end(), std::back_inserter(all));
    if (last) break;
  }
  co_return std::move(all);
}

Task<Result<void>> HashVerbs::forget(CallFlow& flow, std::string_view principal,
                                     std::span<const StoreKey> keys) const {
  constexpr std::size_t at_once = 1000;
  for (; !keys.empty(); keys = keys.subspan(std::min(at_once, keys.size()))) {
    const auto some = keys.first(std::min(at_once, keys.size()));
    auto call = remove(
        flow, [&](std::string& out, CallBy) { append_forget(out, layout_, principal, some); });
    Result<void> removed = co_await call;
    if (!removed) co_return std::move(removed);
  }
  co_return Result<void>();
}

Task<Result<void>> HashVerbs::end_frozen(CallFlow& flow, const StoreKey& key) const {
  auto call =
      remove(flow, [&](std::string& out, CallBy by) { append_strip(out, by, layout_, key); });
  co_return co_await call;
}

}  // namespace websession::redis
