// PrincipalIndex: whoever finds no entry knows that there is no session.
#include <algorithm>
#include <atomic>

#include "trial.hpp"
#include "websession/principal_index.hpp"

namespace websession::testing {
namespace {

PrincipalIndex& index_of(SessionStore& store) {
  PrincipalIndex* index = store.index();
  if (index == nullptr) throw Exception(no_principal_index());
  return *index;
}
PrincipalIndex& index_of(Trial& t) { return index_of(t.store()); }

// A principal that no other case has.
std::string fresh_principal() { return "p-" + std::string(SessionId::generate().value().secret()); }

Lifetime owned_by(const std::string& principal, milliseconds ttl = long_ttl) {
  return {ttl, principal};
}

std::vector<StoreKey> listed(Trial& t, const std::string& principal, std::string_view what,
                             int process = 0) {
  Result<std::vector<StoreKey>> entries = index_of(t.store_of(process)).entries(principal);
  t.expect_ok(entries, what);
  return entries ? *std::move(entries) : std::vector<StoreKey>();
}

bool is_listed(Trial& t, const std::string& principal, const StoreKey& key, std::string_view what,
               int process = 0) {
  const std::vector<StoreKey> keys = listed(t, principal, what, process);
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

void expect_listed(Trial& t, const std::string& principal, const StoreKey& key,
                   std::string_view what, int process = 0) {
  t.expect(is_listed(t, principal, key, what, process), std::string(what) + ": should be listed");
}

void expect_nothing_listed(Trial& t, const std::string& principal, std::string_view what) {
  t.expect(listed(t, principal, what).empty(), std::string(what) + ": nothing should be listed");
}

StoreKey signed_in(Trial& t, const std::string& principal, milliseconds ttl = long_ttl) {
  StoreKey key = t.fresh_key();
  const Fields fields = t.session({{user_field, principal}, {"a", "1"}});
  t.expect_ok(t.store().create(key, fields, owned_by(principal, ttl)), "create");
  return key;
}

void creating_lists(Trial& t) {
  const std::string ada = fresh_principal();
  const std::string bob = fresh_principal();
  expect_nothing_listed(t, ada, "before");
  const StoreKey first = signed_in(t, ada);
  const StoreKey second = signed_in(t, ada);
  const StoreKey other = signed_in(t, bob);
  const std::vector<StoreKey> keys = listed(t, ada, "afterwards");
  t.expect(keys.size() == 2, "two are listed");
  expect_listed(t, ada, first, "the first");
  expect_listed(t, ada, second, "the second");
  expect_listed(t, bob, other, "the other principal's");
  t.expect(!is_listed(t, bob, first, "bob"), "nobody is listed with another principal's session");
}

void anonymous_sessions_are_not_listed(Trial& t) {
  t.stored({{"a", "1"}});
  const std::vector<StoreKey> keys = listed(t, "", "nobody");
  t.expect(keys.empty(), "the empty principal has no sessions");
}

// Any principal that an application may have: the index must not mix up what is alike.
void principals_are_taken_literally(Trial& t) {
  const std::string stem = fresh_principal();
  const std::vector<std::string> names{stem,       stem + ":",        stem + " x", stem + "*",
                                       stem + "?", stem + "\xc3\xa4", stem + "{a}"};
  std::vector<StoreKey> keys;
  keys.reserve(names.size());
  for (const std::string& name : names) keys.push_back(signed_in(t, name));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::vector<StoreKey> found = listed(t, names[i], names[i]);
    t.expect(found.size() == 1 && found[0] == keys[i], "each has its own session: " + names[i]);
  }
}

void a_rekey_lists_the_new_key(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey from = signed_in(t, ada);
  const StoreKey kept = t.fresh_key();
  t.expect_applied(t.store().rekey(from, kept, {}, owned_by(ada), {milliseconds(5000)}), "rekey");
  expect_listed(t, ada, kept, "with a grace");
  expect_listed(t, ada, from, "the frozen one");
  const StoreKey moved = t.fresh_key();
  t.expect_applied(t.store().rekey(kept, moved, {}, owned_by(ada), {}), "rekey without grace");
  expect_listed(t, ada, moved, "without grace");
}

void signing_in_lists(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey from = t.stored({{"a", "1"}});
  const StoreKey to = t.fresh_key();
  t.expect_applied(
      t.store().rekey(from, to, setting(std::string(user_field), ada), owned_by(ada), {}), "rekey");
  expect_listed(t, ada, to, "after the rekey");
  const StoreKey stays = t.stored({{"a", "1"}});
  t.expect_applied(t.store().update(stays, setting(std::string(user_field), ada), owned_by(ada)),
                   "update");
  expect_listed(t, ada, stays, "after the update");
}

void passing_to_another_lists_there(Trial& t) {
  const std::string ada = fresh_principal();
  const std::string bob = fresh_principal();
  const StoreKey stays = signed_in(t, ada);
  const Changes to_bob = setting(std::string(user_field), bob);
  t.expect_applied(t.store().update(stays, to_bob, owned_by(bob)), "update");
  expect_listed(t, bob, stays, "after an update");
  const StoreKey from = signed_in(t, ada);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(from, to, to_bob, owned_by(bob), {}), "rekey");
  expect_listed(t, bob, to, "after a rekey");
}

void the_oldest_comes_first(Trial& t) {
  const std::string ada = fresh_principal();
  std::vector<StoreKey> keys;
  for (int i = 0; i < 5; ++i) {
    keys.push_back(signed_in(t, ada));
    t.let_pass(milliseconds(20));
  }
  t.expect(listed(t, ada, "five") == keys, "those are first that were listed longest ago");
}

void an_end_takes_the_entry_along(Trial& t) {
  const std::string ada = fresh_principal();
  t.expect_ok(t.store().erase(signed_in(t, ada)), "erase");
  expect_nothing_listed(t, ada, "after erase");
  const StoreKey from = signed_in(t, ada);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(from, to, {}, owned_by(ada), {milliseconds(5000)}), "rekey");
  t.expect_ok(t.store().erase(from), "erase of a chain");
  expect_nothing_listed(t, ada, "after erase of a chain");
  const StoreKey moves = signed_in(t, ada);
  t.expect_applied(t.store().rekey(moves, to, {}, owned_by(ada), {}), "rekey without grace");
  t.expect(listed(t, ada, "moved") == std::vector<StoreKey>{to}, "only the new key is listed");
}

// Marks without anything to read are nothing that a principal has.
void marks_are_not_listed(Trial& t) {
  constexpr Grace mark{long_ttl, false};
  const std::string ada = fresh_principal();
  t.expect_ok(t.store().erase(signed_in(t, ada), mark), "erase");
  expect_nothing_listed(t, ada, "after erase");
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(signed_in(t, ada), to, {}, owned_by(ada), mark), "rekey");
  t.expect(listed(t, ada, "moved") == std::vector<StoreKey>{to}, "only the new key is listed");
}

// One session for each kind of change, after it.
std::vector<StoreKey> changed(Trial& t, const std::string& principal, milliseconds ttl,
                              const Lifetime& lifetime) {
  std::vector<StoreKey> keys;
  for (const KindOfChange& kind : each_kind_of_change()) {
    keys.push_back(signed_in(t, principal, ttl));
    t.expect_applied(t.store().update(keys.back(), kind.changes, lifetime), kind.name);
  }
  return keys;
}

// A write that is not to renew the session leaves it as long to live, and so its entry.
void a_write_without_a_renewal_keeps_the_entry(Trial& t) {
  const std::string ada = fresh_principal();
  const auto keys = changed(t, ada, long_ttl, {long_ttl, ada, long_ttl / 2});
  t.let_pass(short_ttl);
  for (const StoreKey& key : keys) {
    t.expect(!t.loaded(key, "not renewed").fields.empty(), "the session is there");
    expect_listed(t, ada, key, "a session that was written to and not renewed");
  }
}

// Each form of change can renew, and then the entry must go along.
void renewing_keeps_the_entry(Trial& t) {
  const std::string ada = fresh_principal();
  const auto keys = changed(t, ada, short_ttl, owned_by(ada));
  t.let_pass(short_ttl + milliseconds(100));
  for (const StoreKey& key : keys) {
    t.expect(!t.loaded(key, "renewed").fields.empty(), "the renewed session is there");
    expect_listed(t, ada, key, "a renewed session");
  }
}

void a_shorter_renewal_keeps_the_entry(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey key = signed_in(t, ada);
  t.expect_applied(t.store().update(key, setting("a", "2"), owned_by(ada, short_ttl)), "update");
  t.let_pass(short_ttl + milliseconds(100));
  expect_listed(t, ada, key, "a session whose time to live a write did not shorten");
}

void forgetting_drops_what_has_ended(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey stays = signed_in(t, ada);
  const StoreKey erased = signed_in(t, ada);
  const StoreKey expired = signed_in(t, ada, short_ttl);
  t.expect_ok(t.store().erase(erased), "erase");
  t.let_pass(short_ttl + milliseconds(100));
  const std::vector<StoreKey> over{erased, expired, t.fresh_key()};
  t.expect_ok(index_of(t).forget(ada, over, BeingMade::ends), "forget");
  const std::vector<StoreKey> keys = listed(t, ada, "afterwards");
  t.expect(keys.size() == 1 && keys[0] == stays, "only what is there is listed");
  t.expect_ok(index_of(t).forget(ada, over, BeingMade::ends), "forget again");
  t.expect_ok(index_of(t).forget(ada, {}, BeingMade::ends), "forget nothing");
}

void a_frozen_one_whose_session_has_ended_can_be_forgotten(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey from = signed_in(t, ada);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(from, to, {}, owned_by(ada), {milliseconds(5000)}), "rekey");
  t.expect_ok(t.store().erase(to), "erase");
  t.expect_over(from, "the frozen one has ended with its successor");
  t.expect_ok(index_of(t).forget(ada, std::vector<StoreKey>{from, to}, BeingMade::ends), "forget");
  expect_nothing_listed(t, ada, "afterwards");
}

void a_frozen_one_can_end_alone(Trial& t) {
  const std::string ada = fresh_principal();
  const StoreKey from = signed_in(t, ada);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(from, to, {}, owned_by(ada), {milliseconds(5000)}), "rekey");
  t.expect(t.loaded(from, "before").frozen, "it is frozen");
  t.expect_ok(index_of(t).end_frozen(from), "end_frozen");
  t.expect_over(from, "the frozen one");
  t.expect(!t.loaded(to, "its successor").fields.empty(), "the successor stays");
  t.expect_ok(index_of(t).end_frozen(from), "end_frozen again");
}

// What sign_out_everywhere rests on: at no moment is a session that moves from key to key missing.
void a_moving_session_is_never_missing(Trial& t) {
  const std::string ada = fresh_principal();
  StoreKey key = signed_in(t, ada);
  std::atomic<bool> moving = true;
  const int moves = 20 * t.race_rounds();
  Trial::together(4, [&](int thread) {
    if (thread == 0) {
      for (int i = 0; i < moves; ++i) {
        const StoreKey next = t.fresh_key();
        const Grace grace{milliseconds(i % 2 == 0 ? 0 : 1)};
        t.expect_applied(t.store().rekey(key, next, {}, owned_by(ada), grace), "rekey");
        key = next;
      }
      moving = false;
      return;
    }
    while (moving) {
      // As a visitor's own list: few entries, since what has moved on is forgotten.
      SessionStore& store = t.store_of(thread);
      const std::vector<StoreKey> keys = listed(t, ada, "while it moves", thread);
      if (!t.expect(!keys.empty(), "the session is missing while it moves")) return;
      std::vector<StoreKey> gone;
      for (const StoreKey& found : keys) {
        const auto record = store.load(found);
        if (t.expect_ok(record, "load") && (!*record || (*record)->is_over())) {
          gone.push_back(found);
        }
      }
      t.expect_ok(index_of(store).forget(ada, gone, BeingMade::stays), "forget");
    }
  });
  expect_listed(t, ada, key, "the last key");
}

void what_can_be_loaded_is_listed(Trial& t) {
  for (int round = 0; round < t.race_rounds(); ++round) {
    const std::string ada = fresh_principal();
    const StoreKey key = t.fresh_key();
    const Fields fields = t.session({{user_field, ada}});
    Trial::together(4, [&](int thread) {
      if (thread == 0) {
        t.expect_ok(t.store().create(key, fields, owned_by(ada)), "create");
        return;
      }
      for (bool there = false; !there;) {
        const auto record = t.store_of(thread).load(key);
        if (!t.expect_ok(record, "load")) return;
        there = record->has_value();
        if (!there) continue;
        expect_listed(t, ada, key, "what was just loaded", thread);
      }
    });
  }
}

}  // namespace

std::vector<ConformanceCase> principal_index_cases() {
  return {
      {"creating_lists", "index", creating_lists},
      {"anonymous_sessions_are_not_listed", "index", anonymous_sessions_are_not_listed},
      {"principals_are_taken_literally", "index", principals_are_taken_literally},
      {"a_rekey_lists_the_new_key", "index", a_rekey_lists_the_new_key},
      {"signing_in_lists", "index", signing_in_lists},
      {"passing_to_another_lists_there", "index", passing_to_another_lists_there},
      {"the_oldest_comes_first", "index", the_oldest_comes_first},
      {"an_end_takes_the_entry_along", "index", an_end_takes_the_entry_along},
      {"marks_are_not_listed", "index", marks_are_not_listed},
      {"a_write_without_a_renewal_keeps_the_entry",
       "index",
       a_write_without_a_renewal_keeps_the_entry,
       {"n"}},
      {"renewing_keeps_the_entry", "index", renewing_keeps_the_entry, {"n"}},
      {"a_shorter_renewal_keeps_the_entry", "index", a_shorter_renewal_keeps_the_entry},
      {"forgetting_drops_what_has_ended", "index", forgetting_drops_what_has_ended},
      {"a_frozen_one_whose_session_has_ended_can_be_forgotten", "index",
       a_frozen_one_whose_session_has_ended_can_be_forgotten},
      {"a_frozen_one_can_end_alone", "index", a_frozen_one_can_end_alone},
      {"race_a_moving_session_is_never_missing", "index", a_moving_session_is_never_missing},
      {"race_what_can_be_loaded_is_listed", "index", what_can_be_loaded_is_listed},
  };
}

}  // namespace websession::testing
