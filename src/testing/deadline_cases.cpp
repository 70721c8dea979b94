// Attributes that end before their session does.
#include "trial.hpp"

namespace websession::testing {
namespace {

constexpr milliseconds soon{1000};

// The clock that decides about attributes moves without real waiting.
void pass_deadline(Trial& t) { t.clock().advance(soon); }

StoreKey with_deadline(Trial& t) {
  return t.stored({{"code", "42", t.clock().wall() + soon}, {"a", "1"}});
}

// What a caller does who has loaded the session: hand over what has expired.
Changes reaping(Trial& t, const StoreKey& key, Changes changes) {
  changes.reap = t.loaded(key, "load").expired;
  return changes;
}

void expired_is_absent_for_load(Trial& t) {
  const StoreKey key = with_deadline(t);
  const Record before = t.loaded(key, "load");
  t.expect(before.fields.find("code") == "42", "there before its deadline");
  const std::optional<Field> field = before.fields.find_field("code");
  t.expect(field && field->deadline == t.clock().wall() + soon, "the deadline can be read");
  t.expect(before.fields.size() == 3, "the deadline is no field");
  t.clock().advance(soon - milliseconds(1));
  t.expect_value(key, "code", "42", "1 ms before its deadline");
  t.clock().advance(milliseconds(1));
  const Record after = t.loaded(key, "load");
  t.expect(!after.fields.contains("code"), "absent at its deadline");
  t.expect(after.fields.find("a") == "1", "the others stay");
}

void expired_is_absent_for_expect(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  t.expect_conflict(t.store().update(key, expecting("code", {"42"}), {long_ttl}), "its old value");
  t.expect_conflict(t.store().rekey(key, t.fresh_key(), expecting("code", {"42"}), {long_ttl}, {}),
                    "its old value in rekey");
  t.expect_applied(t.store().update(key, expecting("code", {}), {long_ttl}), "absent");
}

void expired_is_absent_for_increment(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  Changes bounded = adding("code", 1);
  bounded.attributes_max = 1;
  t.expect_error(t.store().update(key, bounded, {long_ttl}), Errc::too_large,
                 "a counter that begins anew beside as many attributes as there may be");
  const Result<Outcome> outcome = t.store().update(key, adding("code", 1), {long_ttl});
  t.expect_applied(outcome, "increment");
  t.expect(outcome && outcome->counters == std::vector<std::int64_t>{1}, "it starts at 0");
  t.expect_value(key, "code", "1", "after the increment");
  t.clock().advance(soon * 10);
  t.expect_value(key, "code", "1", "the old deadline does not come back");
}

void increment_keeps_a_deadline(Trial& t) {
  const StoreKey key = with_deadline(t);
  t.expect_applied(t.store().update(key, adding("code", 1), {long_ttl}), "increment");
  t.expect_value(key, "code", "43", "before the deadline");
  pass_deadline(t);
  t.expect_value(key, "code", std::nullopt, "at the deadline");
}

void set_forgets_an_old_deadline(Trial& t) {
  const StoreKey key = with_deadline(t);
  t.expect_applied(t.store().update(key, setting("code", "7"), {long_ttl}), "set");
  pass_deadline(t);
  t.expect_value(key, "code", "7", "set without a deadline");
}

void set_renews_a_deadline(Trial& t) {
  const StoreKey key = with_deadline(t);
  const WallTime later = t.clock().wall() + 2 * soon;
  t.expect_applied(t.store().update(key, setting("code", "7", later), {long_ttl}), "set");
  pass_deadline(t);
  t.expect_value(key, "code", "7", "at the old deadline");
  pass_deadline(t);
  t.expect_value(key, "code", std::nullopt, "at the new one");
}

void remove_forgets_a_deadline(Trial& t) {
  const StoreKey key = with_deadline(t);
  t.expect_applied(t.store().update(key, removing("code"), {long_ttl}), "remove");
  t.expect_applied(t.store().update(key, adding("code", 5), {long_ttl}), "count anew");
  pass_deadline(t);
  t.expect_value(key, "code", "5", "the old deadline does not come back");
}

void clear_forgets_deadlines(Trial& t) {
  const StoreKey key = with_deadline(t);
  Changes changes = adding("code", 5);
  changes.clear = true;
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "clear and count anew");
  pass_deadline(t);
  t.expect_value(key, "code", "5", "the old deadline does not come back");
}

// A one-time code ends before its session; clear leaves both as they are.
void clear_keeps_the_librarys_deadlines(Trial& t) {
  Changes clear;
  clear.clear = true;
  for (const bool by_rekey : {false, true}) {
    const auto cleared = [&](const StoreKey& key) {
      StoreKey to = by_rekey ? t.fresh_key() : key;
      t.expect_applied(by_rekey ? t.store().rekey(key, to, clear, {long_ttl}, {})
                                : t.store().update(key, clear, {long_ttl}),
                       "clear");
      return to;
    };
    const StoreKey key = cleared(t.stored({{"@code", "1", t.clock().wall() + soon}}));
    t.expect_value(key, "@code", "1", "after clear");
    const StoreKey late = t.stored({{"@code", "1", t.clock().wall() + soon}});
    pass_deadline(t);
    t.expect_value(key, "@code", std::nullopt, "at its deadline, after clear");
    t.expect_value(cleared(late), "@code", std::nullopt, "cleared after its deadline");
  }
}

void rekey_moves_deadlines(Trial& t) {
  const StoreKey key = with_deadline(t);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, {}, {long_ttl}, {long_ttl}), "rekey");
  t.expect_value(to, "code", "42", "under the new id");
  pass_deadline(t);
  t.expect_value(to, "code", std::nullopt, "under the new id, at the deadline");
  t.expect_value(key, "code", std::nullopt, "under the old id, at the deadline");
}

void rekey_leaves_expired_behind(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, {}, {long_ttl}, {}), "rekey");
  const Record record = t.loaded(to, "load");
  t.expect(!record.fields.contains("code"), "it is absent");
  t.expect(record.expired.empty(), "and takes no room");
}

void repeated_rekey_counts_what_lives(Trial& t) {
  const StoreKey key = with_deadline(t);
  const StoreKey to = t.fresh_key();
  const Changes changes = adding("code", 1);
  t.expect_applied(t.store().rekey(key, to, changes, {long_ttl}, {long_ttl}), "rekey");
  pass_deadline(t);
  const Result<Outcome> again = t.store().rekey(key, to, changes, {long_ttl}, {long_ttl});
  t.expect_applied(again, "the same rekey again, after the counter's deadline");
  t.expect(again && again->counters == std::vector<std::int64_t>{0}, "it gives 0");
  t.expect_value(to, "code", std::nullopt, "after that");
}

void reap_frees_the_room(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  t.expect_applied(t.store().update(key, reaping(t, key, setting("b", "2")), {long_ttl}), "write");
  const Record record = t.loaded(key, "load");
  t.expect(record.expired.empty(), "nothing expired is left after a write that reaps");
  t.expect(record.fields.find("a") == "1" && record.fields.find("b") == "2", "the others stay");
}

void reap_checks_again(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  Changes changes = reaping(t, key, setting("b", "2"));
  changes.reap = {"code", "a", "never there"};
  // Another request sets the attribute between this one's load and its write.
  t.expect_applied(t.store().update(key, setting("code", "new"), {long_ttl}), "the other request");
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "the write that reaps");
  t.expect_value(key, "code", "new", "what was set meanwhile");
  t.expect_value(key, "a", "1", "what never had a deadline");
}

void expire_then_set_again(Trial& t) {
  const StoreKey key = with_deadline(t);
  pass_deadline(t);
  const WallTime later = t.clock().wall() + soon;
  Changes changes = setting("code", "43", later);
  changes.reap = {"code"};
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "set again while reaping");
  t.expect_value(key, "code", "43", "after that");
  pass_deadline(t);
  t.expect_value(key, "code", std::nullopt, "at the new deadline");
}

}  // namespace

std::vector<ConformanceCase> deadline_cases() {
  return {
      {"expired_is_absent_for_load", "P1", expired_is_absent_for_load},
      {"expired_is_absent_for_expect", "P1", expired_is_absent_for_expect},
      {"expired_is_absent_for_increment", "P1", expired_is_absent_for_increment, {"code"}},
      {"increment_keeps_a_deadline", "P1", increment_keeps_a_deadline, {"code"}},
      {"set_forgets_an_old_deadline", "P2", set_forgets_an_old_deadline},
      {"set_renews_a_deadline", "P2", set_renews_a_deadline},
      {"remove_forgets_a_deadline", "P2", remove_forgets_a_deadline, {"code"}},
      {"clear_forgets_deadlines", "P2", clear_forgets_deadlines, {"code"}},
      {"clear_keeps_the_librarys_deadlines", "P1 P2", clear_keeps_the_librarys_deadlines},
      {"rekey_moves_deadlines", "P1 P10", rekey_moves_deadlines},
      {"rekey_leaves_expired_behind", "P1 P10", rekey_leaves_expired_behind},
      {"repeated_rekey_counts_what_lives", "P1 P10", repeated_rekey_counts_what_lives, {"code"}},
      {"reap_frees_the_room", "P2", reap_frees_the_room},
      {"reap_checks_again", "P2", reap_checks_again},
      {"expire_then_set_again", "P2", expire_then_set_again},
  };
}

}  // namespace websession::testing
