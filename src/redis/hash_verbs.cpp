#include "hash_verbs.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "answers.hpp"
#include "changed_fields.hpp"
#include "successors.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;

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

// Makes a change whose script may have to be told first whom the session belongs to: `former`, as
// far as that is known, and whom it turned out to be. `append(out, by, former)`.
template <class Append>
Task<Result<Changed>> change_of_somebodys(CallFlow& flow, Slot slot, const Changes& changes,
                                          std::string& former, Repeat repeat, Append append) {
  for (int i = 0; i < principals_asked_max; ++i) {
    auto call = change(
        flow, slot, [&](std::string& out, CallBy by) { append(out, by, former); }, repeat,
        [&](const Reply& reply, bool) { return decode_change(reply, changes); });
    Result<Changed> changed = co_await call;
    if (!changed || !changed->former) co_return std::move(changed);
    former = *std::move(changed->former);
  }
  co_return make_error(Errc::overloaded, "the session keeps passing from principal to principal");
}

Result<Outcome> outcome_of(Result<Changed> changed) {
  if (!changed) return std::move(changed).error();
  return std::move(changed->outcome);
}

// Ends a chain. `principals`: those of the chain; grows by those that the server names. `former`:
// where the index is apart, whose the session was.
Task<Result<internal::Ended<std::string>>> end(CallFlow& flow, const Layout& layout,
                                               std::span<const std::string> chain,
                                               std::vector<std::string>& principals, Grace grace,
                                               std::optional<std::string>& former) {
  while (principals.size() < principals_ended_max) {
    auto call = change(
        flow, layout.slot_of(chain.front()),
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
    former = std::move(erased->former);
    if (erased->successor || !asks_for_principals) {
      co_return internal::Ended<std::string>{erased->any, std::move(erased->successor)};
    }
  }
  co_return make_error(Errc::corrupt, "a chain of replaced sessions has too many principals");
}

// A command that removes something, and may do so twice. `append(out, by)`.
template <class Append>
auto remove(CallFlow& flow, Slot slot, Append append) {
  return change(flow, slot, std::move(append), Repeat::harmless,
                [](const Reply& reply, bool) { return decode_removal(reply); });
}

}  // namespace

HashVerbs::HashVerbs(RedisOptions options, bool on_cluster)
    : clock_(options.clock ? std::move(options.clock) : system_clock()),
      layout_{std::move(options.prefix), options.adopt_foreign_hashes, on_cluster},
      record_bytes_max_(options.record_bytes_max) {}

Task<Result<std::optional<Record>>> HashVerbs::load(CallFlow& flow, const StoreKey& key) const {
  const auto append = [&](std::string& out) { append_load(out, layout_, key); };
  const Slot slot = layout_.slot(key);
  const Commands commands(load_replies, append, {}, slot);
  auto ask = read(flow, commands);
  const Result<Replies> replies = co_await ask;
  if (!replies) co_return replies.error();
  Result<std::optional<Loaded>> loaded = std::optional<Loaded>();
  if (!holds_no_hash(*replies)) {
    loaded = decode_load(layout_, *replies, clock_->wall());
  } else {
    const auto append_the_mark = [&](std::string& out) { append_mark(out, layout_, key); };
    const Commands for_mark(mark_replies, append_the_mark, {}, slot);
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
      const Commands for_next(successor_replies, append_next, {}, layout_.slot_of(walk.at()));
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
  Covered covered;
  const bool is_apart = layout_.index_is_apart() && !lifetime.principal.empty();
  if (is_apart) {
    auto before = announce(flow, key, lifetime.principal, lifetime.ttl, true);
    const Result<Covered> announced = co_await before;
    if (!announced) co_return announced.error();
    covered = *announced;
  }
  auto call = change(
      flow, layout_.slot(key),
      [&](std::string& out, CallBy by) {
        append_create(out, by, layout_, key, fields, lifetime, covered);
      },
      Repeat::only_if_not_applied, [](const Reply& reply, bool) { return decode_create(reply); });
  Result<void> created = co_await call;
  if (is_apart && !created && !created.error().maybe_applied) {
    const std::string entry = layout_.key(key);
    auto after = unlist(flow, lifetime.principal, {&entry, 1});
    static_cast<void>(co_await after);
  }
  co_return created;
}

Task<Result<Outcome>> HashVerbs::update(CallFlow& flow, const StoreKey& key, const Changes& changes,
                                        Lifetime lifetime) const {
  if (auto valid = websession::validate(changes, lifetime); !valid) {
    co_return std::move(valid).error();
  }
  auto fits = validate_size(changes.set, changes.remove.size(), record_bytes_max_);
  if (!fits) co_return std::move(fits).error();
  const WallTime now = clock_->wall();
  if (layout_.index_is_apart() && !lifetime.principal.empty()) {
    auto call = update_apart(flow, key, changes, lifetime, now);
    co_return co_await call;
  }
  auto call = update_now(flow, key, changes, lifetime, now, {});
  co_return co_await call;
}

Task<Result<Outcome>> HashVerbs::update_now(CallFlow& flow, const StoreKey& key,
                                            const Changes& changes, Lifetime lifetime, WallTime now,
                                            Covered covered) const {
  const std::size_t parts = update_parts(layout_, changes, lifetime);
  if (parts > 0) {
    auto call = update_by_shortcut(flow, key, changes, lifetime, parts, now);
    co_return co_await call;
  }
  const Repeat repeat = changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied;
  std::string nobody_known;
  auto call = change_of_somebodys(flow, layout_.slot(key), changes, nobody_known, repeat,
                                  [&](std::string& out, CallBy by, std::string_view former) {
                                    append_update(out, by, layout_, key, changes, lifetime, former,
                                                  now, covered);
                                  });
  co_return outcome_of(co_await call);
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
      flow, layout_.slot(key),
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
      flow, layout_.slot(key),
      [&](std::string& out, CallBy by) { append_bound(out, by, layout_, key, changes); },
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
  if (layout_.index_is_apart()) {
    auto call = rekey_apart(flow, from, to, changes, lifetime, grace, now);
    co_return co_await call;
  }
  std::string former(lifetime.principal);  // most sessions stay with their principal
  auto call = change_of_somebodys(flow, layout_.slot(from), changes, former, Repeat::harmless,
                                  [&](std::string& out, CallBy by, std::string_view known) {
                                    append_rekey(out, by, layout_, from, to, changes, lifetime,
                                                 grace, known, now);
                                  });
  co_return outcome_of(co_await call);
}

Task<Result<bool>> HashVerbs::erase(CallFlow& flow, const StoreKey& key, Grace grace) const {
  std::vector<std::string> principals;
  internal::Chain<std::string> chain(layout_.key(key));
  while (!chain.result()) {
    std::optional<std::string> former;
    auto call = end(flow, layout_, chain.keys(), principals, grace, former);
    auto ended = co_await call;
    if (former) {
      auto after = unlist(flow, *former, chain.keys());
      static_cast<void>(co_await after);
    }
    chain.tried(std::move(ended));
  }
  co_return *chain.result();
}

// Page by page, as a reply has a limit. Entries that move from page to page meanwhile may be given
// twice or not at all; what fits into one page is from one moment.
Task<Result<std::vector<StoreKey>>> HashVerbs::entries(CallFlow& flow,
                                                       std::string_view principal) const {
  constexpr std::size_t most = PrincipalIndex::entries_max;
  const std::size_t page = std::clamp<std::size_t>(record_bytes_max_ / entry_bytes_max, 2, 1000);
  const Slot slot = layout_.index_slot(principal);
  std::vector<StoreKey> all;
  std::size_t rank = 0;
  while (all.size() < most) {
    const std::size_t wanted = std::min(page, most - all.size());
    const auto append = [&](std::string& out) {
      append_entries(out, layout_, principal, rank, wanted);
    };
    const Commands commands(1, append, {}, slot);
    auto ask = read(flow, commands);
    const Result<Replies> replies = co_await ask;
    if (!replies) co_return replies.error();
    Result<Entries> found = decode_entries(layout_, (*replies)[0]);
    if (!found) co_return std::move(found).error();
    std::move(found->keys.begin(), found->keys.end(), std::back_inserter(all));
    rank += found->ranks;
    if (found->ranks < wanted) break;
  }
  co_return std::move(all);
}

Task<Result<void>> HashVerbs::forget(CallFlow& flow, std::string_view principal,
                                     std::span<const StoreKey> keys, BeingMade made) const {
  const std::size_t at_once = layout_.index_is_apart() ? 50 : 1000;
  for (; !keys.empty(); keys = keys.subspan(std::min(at_once, keys.size()))) {
    const auto some = keys.first(std::min(at_once, keys.size()));
    if (layout_.index_is_apart()) {
      auto call = forget_apart(flow, principal, some, made);
      Result<void> removed = co_await call;
      if (!removed) co_return std::move(removed);
      continue;
    }
    auto call = remove(flow, layout_.index_slot(principal), [&](std::string& out, CallBy) {
      append_forget(out, layout_, principal, some);
    });
    Result<void> removed = co_await call;
    if (!removed) co_return std::move(removed);
  }
  co_return Result<void>();
}

Task<Result<void>> HashVerbs::end_frozen(CallFlow& flow, const StoreKey& key) const {
  auto call = remove(flow, layout_.slot(key),
                     [&](std::string& out, CallBy by) { append_strip(out, by, layout_, key); });
  co_return co_await call;
}

// An index that is apart.

Task<Result<Covered>> HashVerbs::announce(CallFlow& flow, const StoreKey& key,
                                          std::string_view principal, milliseconds ttl,
                                          bool may_make) const {
  const auto left = std::chrono::ceil<milliseconds>(flow.until() - flow.driver().now());
  const milliseconds window = std::max(left, milliseconds(0));
  auto call = change(
      flow, layout_.index_slot(principal),
      [&](std::string& out, CallBy by) {
        append_announce(out, by, layout_, principal, key, ttl, window, may_make);
      },
      Repeat::harmless, [](const Reply& reply, bool) { return decode_announce(reply); });
  Result<std::int64_t> latest = co_await call;
  if (latest) co_return Covered{*latest, ttl.count()};
  // That there is an entry is nothing that anybody could see.
  Error error = std::move(latest).error();
  error.maybe_applied = false;
  co_return error;
}

Task<Result<void>> HashVerbs::unlist(CallFlow& flow, std::string_view principal,
                                     std::span<const std::string> keys) const {
  auto call = remove(flow, layout_.index_slot(principal), [&](std::string& out, CallBy) {
    append_unlist(out, layout_, principal, keys);
  });
  co_return co_await call;
}

// Only what gives the session a longer life, or another principal, concerns the index. A foreign
// hash may not be listed yet.
Task<Result<Outcome>> HashVerbs::update_apart(CallFlow& flow, const StoreKey& key,
                                              const Changes& changes, Lifetime lifetime,
                                              WallTime now) const {
  const bool passes = internal::replaces(changes, user_field);
  const bool renews = !lifetime.left || is_renewal_due(lifetime, *lifetime.left);
  Covered covered;
  if (passes || renews || layout_.adopt_foreign_hashes) {
    const milliseconds life = std::max(lifetime.ttl, lifetime.left.value_or(milliseconds(0)));
    auto before = announce(flow, key, lifetime.principal, life, passes);
    const Result<Covered> announced = co_await before;
    if (!announced) co_return announced.error();
    covered = *announced;
  } else {
    lifetime.renew_after = lifetime.ttl + milliseconds(1);  // never
  }
  auto call = update_now(flow, key, changes, lifetime, now, covered);
  Result<Outcome> updated = co_await call;
  if (passes && (updated || !updated.error().maybe_applied)) {
    auto after = remove(
        flow, layout_.index_slot(lifetime.principal),
        [&](std::string& out, CallBy) { append_written(out, layout_, lifetime.principal, key); });
    static_cast<void>(co_await after);
  }
  co_return std::move(updated);
}

Task<Result<Outcome>> HashVerbs::rekey_apart(CallFlow& flow, const StoreKey& from,
                                             const StoreKey& to, const Changes& changes,
                                             Lifetime lifetime, Grace grace, WallTime now) const {
  constexpr int lives_asked_max = 4;  // of a session that others keep renewing
  milliseconds life = std::max(lifetime.ttl, lifetime.left.value_or(milliseconds(0)));
  std::string former(lifetime.principal);
  std::optional<Result<Changed>> moved;
  for (int i = 0; i < lives_asked_max; ++i) {
    Covered covered;
    if (!lifetime.principal.empty()) {
      auto before = announce(flow, to, lifetime.principal, life, true);
      const Result<Covered> announced = co_await before;
      if (!announced) co_return announced.error();
      covered = *announced;
    }
    auto call = change_of_somebodys(flow, layout_.slot(from), changes, former, Repeat::harmless,
                                    [&](std::string& out, CallBy by, std::string_view known) {
                                      append_rekey(out, by, layout_, from, to, changes, lifetime,
                                                   grace, known, now, covered);
                                    });
    moved.emplace(co_await call);
    if (!*moved || !(*moved)->life) break;
    life = *(*moved)->life;
  }
  if (*moved && (*moved)->life) {
    co_return make_error(Errc::overloaded, "the session keeps being renewed");
  }
  // The entry of the new key stays, whatever became of this: another try may have made it.
  const bool has_moved = *moved && (*moved)->outcome.status == Outcome::Status::applied;
  if (has_moved && !former.empty() && !(*moved)->was_nobodys) {
    const bool stays =
        grace.readable && grace.duration >= milliseconds(1) && former == lifetime.principal;
    if (stays) {
      auto after = remove(flow, layout_.index_slot(former), [&](std::string& out, CallBy by) {
        append_shorten(out, by, layout_, former, from, grace.duration);
      });
      static_cast<void>(co_await after);
    } else {
      const std::string entry = layout_.key(from);
      auto after = unlist(flow, former, {&entry, 1});
      static_cast<void>(co_await after);
    }
  }
  co_return outcome_of(*std::move(moved));
}

// Whether a session is there is asked of its own node, after its entry was looked at: what the
// caller has seen of it may be from before it was made. One that is being made is no reason for
// those who only look to drop its entry. Who ends all sessions takes its key, so that it never will
// be.
Task<Result<void>> HashVerbs::forget_apart(CallFlow& flow, std::string_view principal,
                                           std::span<const StoreKey> keys, BeingMade made) const {
  const Slot index = layout_.index_slot(principal);
  auto call = change(
      flow, index,
      [&](std::string& out, CallBy by) { append_look(out, by, layout_, principal, keys); },
      Repeat::harmless, [&](const Reply& reply, bool) { return decode_look(reply, keys); });
  Result<std::vector<Entry>> entries = co_await call;
  if (!entries) co_return std::move(entries).error();
  std::vector<Entry> over;
  std::optional<Error> failed;
  for (Entry& entry : *entries) {
    const bool is_left_alone = entry.made_until > 0 && made == BeingMade::stays;
    if (entry.score.empty() || is_left_alone) continue;
    auto ask = change(
        flow, layout_.slot(entry.key),
        [&](std::string& out, CallBy by) {
          append_bar(out, by, layout_, entry.key, entry.made_until, principal);
        },
        Repeat::harmless, [](const Reply& reply, bool) { return decode_bar(reply); });
    const Result<Under> under = co_await ask;
    if (!under) {
      failed = under.error();
      break;
    }
    entry.is_barred = *under == Under::nobodys && entry.made_until > 0;
    // Somebody else's may become the principal's while it is being written, and not later.
    const bool is_over =
        *under == Under::nobodys || (*under == Under::others && entry.made_until == 0);
    if (is_over) over.push_back(std::move(entry));
  }
  if (!over.empty()) {
    auto drop = change(
        flow, index,
        [&](std::string& out, CallBy by) { append_forget(out, by, layout_, principal, over); },
        Repeat::harmless, [](const Reply& reply, bool) { return decode_removal(reply); });
    const Result<void> dropped = co_await drop;
    if (!dropped && !failed) failed = dropped.error();
  }
  if (failed) co_return *std::move(failed);
  co_return Result<void>();
}

}  // namespace websession::redis
