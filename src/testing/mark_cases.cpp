// What stays under the key of a session that was replaced or has ended.
#include "trial.hpp"

namespace websession::testing {
namespace {

constexpr Grace mark{long_ttl, false};
constexpr Grace short_mark{short_ttl, false};
constexpr Grace frozen{long_ttl};

void expect_nothing_can_be_written(Trial& t, const StoreKey& key) {
  t.expect_gone(t.store().update(key, setting("a", "1"), {2 * long_ttl}), "set");
  t.expect_gone(t.store().update(key, removing("a"), {2 * long_ttl}), "remove");
  t.expect_gone(t.store().update(key, adding("n", 1), {2 * long_ttl}), "increment");
  t.expect_gone(t.store().update(key, expecting("a", {}), {2 * long_ttl}), "expect");
  t.expect_gone(t.store().update(key, {}, {2 * long_ttl}), "touch");
  const StoreKey other = t.fresh_key();
  t.expect_gone(t.store().rekey(key, other, {}, {long_ttl}, frozen), "rekey");
  t.expect_absent(other, "the key of that rekey");
  t.expect_error(t.store().create(key, t.session({{"b", "2"}}), {long_ttl}), Errc::key_exists,
                 "create");
}

void expect_ends(Trial& t, const StoreKey& key, bool ends, std::string_view what) {
  const Result<bool> erased = t.store().erase(key, mark);
  if (t.expect_ok(erased, what)) t.expect(*erased == ends, what);
}

StoreKey moved(Trial& t, const StoreKey& from, Grace grace, const Changes& changes = {}) {
  StoreKey to = t.fresh_key();
  std::string principal;
  for (const Changes::Set& set : changes.set) {
    if (set.name == user_field) principal = set.value;
  }
  t.expect_applied(t.store().rekey(from, to, changes, {long_ttl, principal}, grace), "rekey");
  return to;
}

void an_end_leaves_a_mark(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"n", "1"}});
  expect_ends(t, key, true, "erase says that there was one");
  t.expect_over(key, "after erase");
  t.expect_remaining(key, mark.duration, "the mark");
  expect_nothing_can_be_written(t, key);
  t.expect_over(key, "after late writes");
  expect_ends(t, key, false, "nothing is left to end");
  t.expect_over(key, "after erasing again");
}

void a_mark_ends_by_itself(Trial& t) {
  const StoreKey ended = t.stored({{"a", "1"}});
  t.expect_ok(t.store().erase(ended, short_mark), "erase");
  const StoreKey replaced = t.stored({{"a", "1"}});
  moved(t, replaced, short_mark);
  for (const StoreKey& key : {ended, replaced}) {
    t.expect_gone(t.store().update(key, setting("a", "1"), {long_ttl}), "a late write");
    t.expect_gone(t.store().update(key, {}, {long_ttl}), "a late touch");
    t.expect_remaining(key, short_mark.duration, "which lengthens nothing");
  }
  t.let_pass(short_mark.duration + milliseconds(10));
  t.expect_absent(ended, "one that ended, after the grace");
  t.expect_absent(replaced, "one that was replaced, after the grace");
}

// Whoever was late for a session that had little time left is late all the same.
void a_mark_outlives_what_the_session_had_left(Trial& t) {
  const StoreKey ended = t.stored({{"a", "1"}}, short_ttl);
  t.expect_ok(t.store().erase(ended, mark), "erase");
  const StoreKey replaced = t.stored({{"a", "1"}}, short_ttl);
  moved(t, replaced, mark);
  t.let_pass(short_ttl + milliseconds(10));
  t.expect_over(ended, "one that ended");
  t.expect_over(replaced, "one that was replaced");
}

void rekey_can_leave_nothing_to_read(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}, {"n", "1"}});
  const StoreKey to = moved(t, from, mark, adding("n", 1));
  t.expect_over(from, "the old id");
  expect_nothing_can_be_written(t, from);
  t.expect_value(to, "n", "2", "the new id");
  const Result<Outcome> again = t.store().rekey(from, to, adding("n", 1), {long_ttl}, mark);
  t.expect_applied(again, "the same rekey again");
  t.expect(again && again->counters == std::vector<std::int64_t>{2},
           "the same rekey again gives the counter that the new id holds (2), and does not count");
  expect_ends(t, from, true, "erase of the old id ends the new one");
  t.expect_over(to, "the new id");
}

void rekey_never_overwrites_a_mark(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}});
  const StoreKey taken = t.stored({{"b", "2"}});
  t.expect_ok(t.store().erase(taken, mark), "erase");
  t.expect_error(t.store().rekey(from, taken, {}, {long_ttl}, {}), Errc::key_exists, "rekey");
  t.expect_over(taken, "the session that has ended");
  t.expect_value(from, "a", "1", "the one that was to be moved");
  t.expect_applied(t.store().update(from, {}, {long_ttl}), "it is not frozen");
}

// Whoever asks because the answer was lost must not hear that it has never happened.
void a_rekey_can_be_repeated_after_the_end(Trial& t) {
  for (const Grace how_long : {mark, frozen, Grace{}}) {
    const StoreKey from = t.stored({{"n", "1"}});
    const StoreKey to = moved(t, from, how_long, adding("n", 1));
    expect_ends(t, to, true, "erase of the new id");
    const Result<Outcome> again = t.store().rekey(from, to, adding("n", 1), {long_ttl}, how_long);
    t.expect_applied(again, "the same rekey again");
    t.expect(again && again->counters == std::vector<std::int64_t>{0},
             "the same rekey again gives 0 for a counter that has ended with its session");
    t.expect_over(to, "the new id");
  }
}

// Whatever the grace says.
void what_passes_on_leaves_nothing_to_read(Trial& t) {
  const std::string user(user_field);
  const auto passes = [&](std::initializer_list<Field> attributes, const Changes& changes) {
    const StoreKey from = t.stored(attributes);
    const StoreKey to = moved(t, from, frozen, changes);
    t.expect_over(from, "the old id");
    expect_ends(t, from, false, "what is another principal's does not end");
    t.expect(!t.loaded(to, "the new id").frozen, "it lives on");
  };
  passes({{"a", "1"}}, setting(user, "ada"));
  passes({{"a", "1"}, {user_field, "ada"}}, setting(user, "bob"));
  passes({{"a", "1"}, {user_field, "ada"}}, removing(user));
}

void signing_in_again_stays_with_the_principal(Trial& t) {
  const StoreKey from = t.stored({{user_field, "ada"}});
  const StoreKey to = moved(t, from, mark, setting(std::string(user_field), "ada"));
  t.expect_over(from, "the old id");
  expect_ends(t, from, true, "the principal stayed the same, so the old id means the session");
  t.expect_over(to, "the new id");
}

void a_chain_through_a_mark_cannot_be_read(Trial& t) {
  const StoreKey first = t.stored({{"a", "1"}});
  const StoreKey second = moved(t, first, frozen);
  t.expect_value(first, "a", "1", "frozen, while its successor lives");
  const StoreKey third = moved(t, second, mark);
  t.expect_over(second, "one that left nothing to read");
  t.expect_over(first, "one that leads to such a one");
  expect_ends(t, first, true, "all of them were one session");
  for (const StoreKey& key : {first, second, third}) t.expect_over(key, "each of the three");
}

void an_end_takes_what_can_be_read_along(Trial& t) {
  const StoreKey from = t.stored({{"a", "1"}});
  const StoreKey to = moved(t, from, frozen);
  expect_ends(t, to, true, "erase of the new id");
  t.expect_over(from, "the old id");
  t.expect_over(to, "the new id");
  expect_ends(t, from, false, "nothing is left to end");
}

void any_bytes_can_be_read_in_a_frozen_one(Trial& t) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::string name = all_bytes.substr(0, 64) + "\r\n:$*";
  const Fields fields = t.session({{"bytes", all_bytes}, {name, "2"}, {"empty", ""}});
  const StoreKey from = t.fresh_key();
  t.expect_ok(t.store().create(from, fields, {long_ttl}), "create");
  moved(t, from, frozen);
  t.expect(t.loaded(from, "load of the old id").fields == fields, "it reads as it was");
}

void a_deadline_ends_in_a_frozen_one_too(Trial& t) {
  const StoreKey from = t.stored();
  const WallTime soon = t.clock().wall() + short_ttl;
  Changes changes = setting("a", "1", soon);
  changes.set.push_back({"b", "2"});
  t.expect_applied(t.store().update(from, changes, {long_ttl}), "update");
  moved(t, from, frozen);
  t.expect_value(from, "a", "1", "before its end");
  t.let_pass(short_ttl + milliseconds(10));
  t.expect_value(from, "a", std::nullopt, "after its end");
  t.expect_value(from, "b", "2", "one without a deadline");
}

}  // namespace

std::vector<ConformanceCase> mark_cases() {
  return {
      {"an_end_leaves_a_mark", "P1 P10", an_end_leaves_a_mark, {"n"}},
      {"a_mark_ends_by_itself", "P3", a_mark_ends_by_itself},
      {"a_mark_outlives_what_the_session_had_left", "P10",
       a_mark_outlives_what_the_session_had_left},
      {"rekey_can_leave_nothing_to_read", "P10", rekey_can_leave_nothing_to_read, {"n"}},
      {"rekey_never_overwrites_a_mark", "P1 P10", rekey_never_overwrites_a_mark},
      {"a_rekey_can_be_repeated_after_the_end",
       "P8 P10",
       a_rekey_can_be_repeated_after_the_end,
       {"n"}},
      {"what_passes_on_leaves_nothing_to_read", "P10", what_passes_on_leaves_nothing_to_read},
      {"signing_in_again_stays_with_the_principal", "P10",
       signing_in_again_stays_with_the_principal},
      {"a_chain_through_a_mark_cannot_be_read", "P10", a_chain_through_a_mark_cannot_be_read},
      {"an_end_takes_what_can_be_read_along", "P1 P10", an_end_takes_what_can_be_read_along},
      {"any_bytes_can_be_read_in_a_frozen_one", "P2 P10", any_bytes_can_be_read_in_a_frozen_one},
      {"a_deadline_ends_in_a_frozen_one_too", "P10", a_deadline_ends_in_a_frozen_one_too},
  };
}

}  // namespace websession::testing
