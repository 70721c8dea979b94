// A session that moves to a new id.
#include "trial.hpp"

namespace websession::testing {
namespace {

constexpr Grace grace{short_ttl};

struct Moved {
  StoreKey from;
  StoreKey to;
};

Moved moved(Trial& t, Grace how_long = {long_ttl}) {
  Moved keys{t.stored({{"a", "old"}, {"n", "1"}}), t.fresh_key()};
  t.expect_applied(t.store().rekey(keys.from, keys.to, {}, {long_ttl}, how_long), "rekey");
  return keys;
}

void moves_with_changes(Trial& t) {
  const StoreKey from = t.stored({{"a", "old"}, {"b", "kept"}, {"c", "x"}, {"n", "1"}});
  const StoreKey to = t.fresh_key();
  Changes changes = expecting("a", {"old"}, setting("a", "new"));
  changes.remove.emplace_back("c");
  changes.increment.push_back({"n", 41});
  const Result<Outcome> outcome = t.store().rekey(from, to, changes, {long_ttl}, grace);
  t.expect_applied(outcome, "rekey");
  t.expect(outcome && outcome->counters == std::vector<std::int64_t>{42}, "the counter");
  const Record record = t.loaded(to, "load of the new id");
  t.expect(record.fields == t.session({{"a", "new"}, {"b", "kept"}, {"n", "42"}}),
           "the new id has the old state with the changes on top");
  t.expect(!record.frozen, "the new id is not frozen");
  const Record old = t.loaded(from, "load of the old id");
  t.expect(old.fields == t.session({{"a", "old"}, {"b", "kept"}, {"c", "x"}, {"n", "1"}}),
           "the old id reads the old state");
  t.expect(old.frozen, "the old id is frozen");
}

void old_id_never_sees_what_came_after(Trial& t) {
  const Moved keys = moved(t);
  t.expect_applied(t.store().update(keys.to, setting("secret", "1"), {long_ttl}), "update");
  t.expect_value(keys.from, "secret", std::nullopt, "through the old id");
  t.expect_value(keys.from, "a", "old", "through the old id");
}

void old_id_is_not_writable(Trial& t) {
  const Moved keys = moved(t);
  const milliseconds before = t.loaded(keys.from, "load").remaining;
  t.expect_gone(t.store().update(keys.from, setting("a", "1"), {2 * long_ttl}), "set");
  t.expect_gone(t.store().update(keys.from, removing("a"), {2 * long_ttl}), "remove");
  t.expect_gone(t.store().update(keys.from, adding("n", 1), {2 * long_ttl}), "increment");
  t.expect_gone(t.store().update(keys.from, expecting("a", {"x"}), {2 * long_ttl}), "expect");
  t.expect_gone(t.store().update(keys.from, {}, {2 * long_ttl}), "touch");
  const StoreKey other = t.fresh_key();
  t.expect_gone(t.store().rekey(keys.from, other, {}, {long_ttl}, {}), "rekey to another key");
  t.expect_absent(other, "that other key");
  const Record record = t.loaded(keys.from, "load after all of these");
  t.expect(record.fields == t.session({{"a", "old"}, {"n", "1"}}), "nothing has changed");
  t.expect(record.remaining <= before, "a frozen record is never renewed");
  t.expect_value(keys.to, "a", "old", "the new id");
}

void old_id_ends_after_the_grace(Trial& t) {
  const Moved keys = moved(t, grace);
  t.expect_remaining(keys.from, grace.duration, "the old id");
  t.let_pass(grace.duration + milliseconds(10));
  t.expect_absent(keys.from, "the old id after the grace");
  t.expect_value(keys.to, "a", "old", "the new id after the grace");
}

void grace_never_lengthens(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}}, short_ttl);
  t.expect_applied(t.store().rekey(from, t.fresh_key(), {}, {long_ttl}, {long_ttl}), "rekey");
  t.expect_remaining(from, short_ttl, "the old id");
}

void zero_grace_ends_the_old_id(Trial& t) {
  const Moved keys = moved(t, Grace{});
  t.expect_absent(keys.from, "the old id");
  t.expect_gone(t.store().update(keys.from, setting("a", "1"), {long_ttl}), "update");
  t.expect_value(keys.to, "a", "old", "the new id");
}

void repeated_rekey_is_applied(Trial& t) {
  for (const Grace how_long : {Grace{long_ttl}, Grace{}}) {
    const StoreKey from = t.stored({{"n", "1"}});
    const StoreKey to = t.fresh_key();
    const Changes changes = adding("n", 1);
    t.expect_applied(t.store().rekey(from, to, changes, {long_ttl}, how_long), "rekey");
    const Result<Outcome> again = t.store().rekey(from, to, changes, {long_ttl}, how_long);
    t.expect_applied(again, "the same rekey again");
    t.expect(
        again && again->counters == std::vector<std::int64_t>{2},
        "the same rekey again gives the counter that the new id holds (2), and does not count");
    t.expect_value(to, "n", "2", "the new id: counted once");
  }
}

void rekey_never_overwrites(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}});
  const StoreKey taken = t.stored({{"b", "2"}});
  t.expect_error(t.store().rekey(from, taken, {}, {long_ttl}, {}), Errc::key_exists, "rekey");
  t.expect_value(taken, "b", "2", "the session that was there");
  t.expect_value(taken, "a", std::nullopt, "the session that was there");
  t.expect_applied(t.store().update(from, {}, {long_ttl}), "the old id is not frozen");
}

void rekey_gives_the_larger_time_to_live(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}}, short_ttl);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(from, to, {}, {long_ttl}, {}), "rekey");
  t.expect(t.loaded(to, "load").remaining > short_ttl, "a longer lifetime counts");
  t.let_pass(short_ttl + milliseconds(10));
  t.expect_value(to, "a", "1", "after the time that the old id had");
}

// What is asked of a frozen record comes too late, whatever else is wrong with it.
void rekey_of_a_frozen_one_onto_another_is_gone(Trial& t) {
  const Moved keys = moved(t);
  const StoreKey taken = t.stored({{"b", "2"}});
  t.expect_gone(t.store().rekey(keys.from, taken, {}, {long_ttl}, {}), "rekey");
  t.expect_value(taken, "b", "2", "the session that was there");
  t.expect_value(taken, "a", std::nullopt, "the session that was there");
}

// Frozen records may lead through others.
void a_chain_of_frozen_ones_is_one_session(Trial& t) {
  const Moved keys = moved(t);
  std::vector<StoreKey> chain{keys.from, keys.to};
  for (int i = 0; i < 3; ++i) {
    const StoreKey next = t.fresh_key();
    t.expect_applied(t.store().rekey(chain.back(), next, {}, {long_ttl}, {long_ttl}), "rekey");
    chain.push_back(next);
  }
  t.expect_applied(t.store().update(chain.back(), setting("a", "new"), {long_ttl}), "update");
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    t.expect(t.loaded(chain[i], "a frozen one").frozen, "all but the last are frozen");
    t.expect_value(chain[i], "a", "old", "a frozen one");
  }
  const Result<bool> erased = t.store().erase(chain[1]);
  t.expect(erased.has_value() && *erased, "erase from the middle says that there was one");
  for (const StoreKey& key : chain) t.expect_unreadable(key, "every link");
}

void erasing_the_old_id_ends_the_new_one(Trial& t) {
  const Moved keys = moved(t);
  const StoreKey newest = t.fresh_key();
  t.expect_applied(t.store().rekey(keys.to, newest, {}, {long_ttl}, {long_ttl}), "second rekey");
  const Result<bool> erased = t.store().erase(keys.from);
  t.expect(erased.has_value() && *erased, "erase of the frozen id says that there was one");
  t.expect_unreadable(keys.from, "the old id");
  t.expect_unreadable(keys.to, "the id between");
  t.expect_absent(newest, "the newest id");
}

void erasing_the_new_id_ends_the_old_one(Trial& t) {
  const Moved keys = moved(t);
  const StoreKey newest = t.fresh_key();
  t.expect_applied(t.store().rekey(keys.to, newest, {}, {long_ttl}, {long_ttl}), "second rekey");
  t.expect_value(keys.from, "a", "old", "the old id, while the session lives");
  t.expect_ok(t.store().erase(newest), "erase");
  t.expect_absent(newest, "the newest id");
  t.expect_unreadable(keys.to, "the frozen id before it");
  t.expect_unreadable(keys.from, "the frozen id before that");
}

}  // namespace

std::vector<ConformanceCase> rekey_cases() {
  return {
      {"moves_with_changes", "P10", moves_with_changes, {"n"}},
      {"old_id_never_sees_what_came_after", "P10", old_id_never_sees_what_came_after},
      {"old_id_is_not_writable", "P10", old_id_is_not_writable, {"n"}},
      {"old_id_ends_after_the_grace", "P10", old_id_ends_after_the_grace},
      {"grace_never_lengthens", "P10", grace_never_lengthens},
      {"zero_grace_ends_the_old_id", "P10", zero_grace_ends_the_old_id},
      {"repeated_rekey_is_applied", "P8 P10", repeated_rekey_is_applied, {"n"}},
      {"rekey_never_overwrites", "P1 P10", rekey_never_overwrites},
      {"rekey_gives_the_larger_time_to_live", "P10", rekey_gives_the_larger_time_to_live},
      {"rekey_of_a_frozen_one_onto_another_is_gone", "P1 P10",
       rekey_of_a_frozen_one_onto_another_is_gone},
      {"a_chain_of_frozen_ones_is_one_session", "P1 P10", a_chain_of_frozen_ones_is_one_session},
      {"erasing_the_old_id_ends_the_new_one", "P1 P10", erasing_the_old_id_ends_the_new_one},
      {"erasing_the_new_id_ends_the_old_one", "P1 P10", erasing_the_new_id_ends_the_old_one},
  };
}

}  // namespace websession::testing
