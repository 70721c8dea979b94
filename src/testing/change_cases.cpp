// One atomic step of changes: what it writes, and that a refused one writes nothing.
#include <limits>

#include "trial.hpp"

namespace websession::testing {
namespace {

constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

// Runs a change that must be refused, and checks that neither a field nor the expiry has moved.
void expect_untouched(Trial& t, const StoreKey& key, const std::function<void()>& refused,
                      std::string_view what) {
  const Record before = t.loaded(key, what);
  refused();
  const Record after = t.loaded(key, what);
  t.expect(before.fields == after.fields, std::string(what) + ": a field has changed");
  t.expect(after.remaining <= before.remaining, std::string(what) + ": it renewed");
}

void only_named_attributes_change(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  Changes changes = setting("a", "changed");
  changes.remove.emplace_back("b");
  changes.remove.emplace_back("never there");
  changes.set.push_back({"d", "new"});
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "update");
  const Fields expected = t.session({{"a", "changed"}, {"c", "3"}, {"d", "new"}});
  t.expect(t.loaded(key, "load").fields == expected, "a changed, b gone, c as it was, d new");
}

void removing_all_keeps_the_session(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}});
  t.expect_applied(t.store().update(key, removing("a"), {long_ttl}), "remove of the last one");
  t.expect(t.loaded(key, "load").fields == t.session(), "an empty session is a session");
  t.expect_applied(t.store().update(key, setting("a", "2"), {long_ttl}), "set after that");
}

void clear_leaves_the_librarys_fields(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"b", "7"}, {"@user", "ada"}});
  Changes changes = setting("c", "3");
  changes.clear = true;
  changes.increment.push_back({"b", 2});
  const Result<Outcome> outcome = t.store().update(key, changes, {long_ttl});
  t.expect_applied(outcome, "clear");
  if (outcome && t.expect(outcome->counters.size() == 1, "one counter")) {
    t.expect(outcome->counters[0] == 2, "a counter after clear starts at 0");
  }
  const Fields expected = t.session({{"b", "2"}, {"c", "3"}, {"@user", "ada"}});
  t.expect(t.loaded(key, "load").fields == expected, "clear, then the rest of the changes");
}

// For a session that passes to somebody else: what a parallel request has stored goes, too.
void clear_reserved_leaves_the_identity(Trial& t) {
  for (const bool by_rekey : {false, true}) {
    const WallTime later = t.clock().wall() + long_ttl;
    const StoreKey key = t.stored({{"a", "1"},
                                   {"@user", "ada"},
                                   {"@label", "old"},
                                   {"@flash.1", "seen"},
                                   {"@code", "5", later}});
    Changes changes = setting("@flash.2", "new");
    changes.clear = changes.clear_reserved = true;
    StoreKey to = by_rekey ? t.fresh_key() : key;
    const Lifetime lifetime{long_ttl, "ada"};
    t.expect_applied(by_rekey ? t.store().rekey(key, to, changes, lifetime, {})
                              : t.store().update(key, changes, lifetime),
                     "clear all");
    const Fields expected = t.session({{"@user", "ada"}, {"@flash.2", "new"}});
    t.expect(t.loaded(to, "load").fields == expected, "only whose it is, and what was set");
    t.expect_applied(t.store().update(to, setting("a", "2"), lifetime), "a write after that");
    t.expect_value(to, "a", "2", "after that");
  }
}

void expect_holds_or_conflicts(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"empty", ""}});
  SessionStore& s = t.store();
  t.expect_applied(s.update(key, expecting("a", {"1"}, setting("b", "x")), {long_ttl}), "equal");
  t.expect_applied(s.update(key, expecting("a", {"0", "1"}), {long_ttl}), "one of two");
  t.expect_applied(s.update(key, expecting("none", {}), {long_ttl}), "absent as expected");
  t.expect_applied(s.update(key, expecting("empty", {""}), {long_ttl}), "an empty value");
  t.expect_conflict(s.update(key, expecting("empty", {}), {long_ttl}), "empty is not absent");
  t.expect_conflict(s.update(key, expecting("none", {""}), {long_ttl}), "absent is not empty");
  t.expect_conflict(s.update(key, expecting("a", {"1 "}), {long_ttl}), "texts are compared whole");
  t.expect_conflict(s.update(key, expecting("a", {}), {long_ttl}), "there, expected absent");
  const Result<Outcome> found = s.update(key, expecting("a", {"2"}), {long_ttl});
  t.expect(found && found->found == "1", "a conflict tells what is there");
  const Result<Outcome> nothing = s.update(key, expecting("none", {"2"}), {long_ttl});
  t.expect(nothing && !nothing->found, "a conflict tells that nothing is there");
}

void conflict_writes_nothing(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"n", "5"}}, short_ttl);
  Changes changes = expecting("a", {"2"}, setting("b", "x"));
  changes.expect.push_back({"n", {"5"}});
  changes.remove.emplace_back("a");
  changes.increment.push_back({"n", 1});
  changes.clear = true;
  expect_untouched(
      t, key, [&] { t.expect_conflict(t.store().update(key, changes, {long_ttl}), "update"); },
      "a conflict");
  expect_untouched(
      t, key,
      [&] {
        const StoreKey to = t.fresh_key();
        t.expect_conflict(t.store().rekey(key, to, changes, {long_ttl}, {}), "rekey");
        t.expect_absent(to, "the new id after a conflict");
      },
      "a conflict of rekey");
}

void counters_count(Trial& t) {
  const StoreKey key = t.stored({{"n", "5"}, {"low", "-3"}});
  Changes changes = adding("n", 2);
  changes.increment.push_back({"fresh", -4});
  changes.increment.push_back({"low", 3});
  changes.set.push_back({"a", "1"});
  const Result<Outcome> outcome = t.store().update(key, changes, {long_ttl});
  t.expect_applied(outcome, "increment");
  if (outcome) {
    t.expect(outcome->counters == std::vector<std::int64_t>{7, -4, 0},
             "the new values, in the order asked for");
  }
  const Fields expected = t.session({{"n", "7"}, {"fresh", "-4"}, {"low", "0"}, {"a", "1"}});
  t.expect(t.loaded(key, "load").fields == expected, "counters are kept as decimal text");
}

void counters_at_the_ends(Trial& t) {
  const StoreKey key = t.stored({{"high", std::to_string(highest - 1)},
                                 {"low", std::to_string(lowest + 1)},
                                 {"beyond", "9007199254740993"}});
  const auto add = [&](std::string name, std::int64_t by) {
    return t.store().update(key, adding(std::move(name), by), {long_ttl});
  };
  t.expect_applied(add("high", 1), "up to the highest");
  t.expect_value(key, "high", std::to_string(highest), "the highest");
  t.expect_applied(add("low", -1), "down to the lowest");
  t.expect_value(key, "low", std::to_string(lowest), "the lowest");
  t.expect_applied(add("beyond", 1), "beyond what a double can count");
  t.expect_value(key, "beyond", "9007199254740994", "beyond what a double can count");
  const Result<Outcome> all = add("low", highest);
  t.expect_applied(all, "the largest step");
  if (all) t.expect(all->counters == std::vector<std::int64_t>{-1}, "the largest step up");
  t.expect_applied(add("zero", lowest), "the largest step down");
  t.expect_value(key, "zero", std::to_string(lowest), "the largest step down");
  const auto expect_overflow = [&](const std::string& name, std::int64_t by) {
    expect_untouched(
        t, key, [&] { t.expect_error(add(name, by), Errc::invalid_argument, "overflow"); },
        "an overflow of " + name);
  };
  expect_overflow("high", 1);
  expect_overflow("high", highest);
  expect_overflow("zero", -1);
  expect_overflow("zero", lowest);
}

void bad_counter_writes_nothing(Trial& t) {
  for (const std::string_view text :
       {"", "x", "1.0", "1e3", " 1", "1 ", "+1", "01", "-0", "-", "--1", "0x1", "true", "\"1\"",
        "9223372036854775808", "-9223372036854775809", "99999999999999999999"}) {
    const StoreKey key = t.stored({{"bad", text}, {"good", "1"}}, short_ttl);
    Changes changes = adding("good", 1);
    changes.increment.push_back({"bad", 1});
    changes.set.push_back({"a", "1"});
    changes.remove.emplace_back("b");
    expect_untouched(
        t, key,
        [&] {
          t.expect_error(t.store().update(key, changes, {long_ttl}), Errc::invalid_argument,
                         "increment of \"" + std::string(text) + "\"");
        },
        "increment of \"" + std::string(text) + "\"");
    expect_untouched(
        t, key,
        [&] {
          const StoreKey to = t.fresh_key();
          t.expect_error(t.store().rekey(key, to, changes, {long_ttl}, {}), Errc::invalid_argument,
                         "rekey with increment of \"" + std::string(text) + "\"");
          t.expect_absent(to, "the new id of a refused rekey");
        },
        "rekey with increment of \"" + std::string(text) + "\"");
  }
}

void bad_changes_are_refused(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}, {"n", "1"}}, short_ttl);
  Changes twice = setting("a", "2");
  twice.remove.emplace_back("a");
  Changes set_and_count = setting("n", "2");
  set_and_count.increment.push_back({"n", 1});
  const std::vector<std::pair<std::string, Changes>> bad = {
      {"a deadline field", setting("@until.a", "1")},
      {"removing a deadline field", removing("@until.a")},
      {"removing @created", removing("@created")},
      {"a bad @created", setting("@created", "now")},
      {"a @created that ends", setting("@created", "1", t.clock().wall() + long_ttl)},
      {"a @user that ends", setting("@user", "ada", t.clock().wall() + long_ttl)},
      {"counting @created", adding("@created", 1)},
      {"expecting a deadline field", expecting("@until.a", {})},
      {"set and remove of one name", twice},
      {"set and increment of one name", set_and_count},
  };
  for (const auto& [what, changes] : bad) {
    expect_untouched(
        t, key,
        [&, &change = changes, &name = what] {
          t.expect_error(t.store().update(key, change, {long_ttl}), Errc::invalid_argument, name);
          t.expect_error(t.store().rekey(key, t.fresh_key(), change, {long_ttl}, {}),
                         Errc::invalid_argument, name);
        },
        what);
  }
  expect_untouched(
      t, key,
      [&] {
        for (const milliseconds ttl : {milliseconds(0), milliseconds(-5), ttl_max * 2}) {
          t.expect_error(t.store().update(key, {}, {ttl}), Errc::invalid_argument, "a bad ttl");
          t.expect_error(t.store().rekey(key, t.fresh_key(), {}, {ttl}, {}), Errc::invalid_argument,
                         "a bad ttl for rekey");
        }
      },
      "bad times to live");
}

void library_fields_can_be_set(Trial& t) {
  const StoreKey key = t.stored({{"@user", "ada"}});
  Changes changes = setting("@created", "1700000000001");
  changes.remove.emplace_back("@user");
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "update");
  t.expect(t.loaded(key, "load").fields == Fields{{"@created", "1700000000001"}},
           "@created is new and @user is gone");
}

// Names and values are bytes, in every kind of change.
void any_bytes_in_changes(Trial& t) {
  const std::string odd("\xff\0 \n'\"{$}", 9);
  const std::string other("\xff\0 \n'\"{$]", 9);
  const StoreKey key = t.stored({{"a", "1"}});
  t.expect_applied(t.store().update(key, setting(odd, odd), {long_ttl}), "set");
  t.expect_conflict(t.store().update(key, expecting(odd, {other, "a"}), {long_ttl}),
                    "expect others");
  t.expect_applied(
      t.store().update(key, expecting(odd, {other, odd}, setting(other, "")), {long_ttl}),
      "expect it");
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, expecting(other, {""}), {long_ttl}, {}), "rekey");
  t.expect_value(to, odd, odd, "after the rekey");
  t.expect_value(to, other, "", "after the rekey");
  t.expect_applied(t.store().update(to, removing(odd), {long_ttl}), "remove");
  t.expect_value(to, odd, std::nullopt, "after the removal");
  t.expect_value(to, other, "", "its neighbour");
}

// Many writers, none of which knows of the others, never exceed twice what a session may hold.
void growth_is_bounded(Trial& t) {
  const auto bounded = [](Changes changes) {
    changes.bytes_max = 1000;
    changes.attributes_max = 10;
    return changes;
  };
  const auto extent = [&](const StoreKey& key) {
    std::pair<std::size_t, std::size_t> sum;
    for (const Field& field : t.loaded(key, "load").fields) {
      if (field.name.starts_with('@')) continue;
      sum.first += field.name.size() + field.value.size();
      ++sum.second;
    }
    return sum;
  };
  for (const std::size_t size : {std::size_t{900}, std::size_t{80}}) {
    const StoreKey key = t.stored();
    int refused = 0;
    for (int i = 0; i < 20; ++i) {
      const Changes changes = bounded(setting('a' + std::to_string(i), std::string(size, 'x')));
      const Fields before = t.loaded(key, "load").fields;
      const Result<Outcome> outcome = t.store().update(key, changes, {long_ttl});
      if (outcome) continue;
      ++refused;
      t.expect_error(outcome, Errc::too_large, "a session that would grow too large");
      t.expect(t.loaded(key, "load").fields == before, "a refused change writes nothing");
    }
    t.expect(refused >= 10, "growth was not refused");
    t.expect(extent(key).first <= 2000, "more than twice the bytes");
    t.expect(extent(key).second <= 10, "more than the attributes");
    t.expect_applied(t.store().update(key, bounded(setting("a0", "")), {long_ttl}), "shrinking");
    t.expect_applied(t.store().update(key, bounded({}), {long_ttl}), "a renewal");
    Changes clears = bounded(setting("b", "1"));
    clears.clear = true;
    const StoreKey to = t.fresh_key();
    t.expect_applied(t.store().rekey(key, to, clears, {long_ttl}, {}), "a rekey that clears");
    t.expect(extent(to).second == 1, "what was cleared is gone");
    t.expect_ok(t.store().erase(to), "erase");
  }
}

// While its backend is away, a store knows nothing, and says so.
void an_outage_is_no_answer(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}});
  const StoreKey created = t.fresh_key();
  const StoreKey moved = t.fresh_key();
  if (!t.let_backend_fail(true)) return;
  const Result<std::optional<Record>> loaded = t.store().load(key);
  t.expect(!loaded.has_value(), "load gave an answer without its backend");
  const Result<void> create = t.store().create(created, t.session(), {long_ttl});
  t.expect(!create, "create gave an answer without its backend");
  const Result<Outcome> update = t.store().update(key, setting("a", "2"), {long_ttl});
  t.expect(!update, "update gave an answer without its backend");
  const Result<Outcome> rekey = t.store().rekey(key, moved, {}, {long_ttl}, {long_ttl});
  t.expect(!rekey, "rekey gave an answer without its backend");
  const StoreKey ended = t.fresh_key();
  t.expect(!t.store().erase(ended).has_value(), "erase gave an answer without its backend");
  const auto is_outage = [&](const auto& result, std::string_view what) {
    if (result.has_value()) return;
    const std::error_code code = result.error().code;
    t.expect(code == Errc::unavailable || code == Errc::timeout || code == Errc::overloaded,
             std::string(what) + " in an outage: " + result.error().message());
  };
  is_outage(loaded, "load");
  is_outage(create, "create");
  is_outage(update, "update");
  is_outage(rekey, "rekey");

  t.let_backend_fail(false);
  for (int i = 0; i < 200 && !t.store().load(key).has_value(); ++i) t.let_pass(milliseconds(50));
  // What was certainly not applied is not there.
  const bool may_have_changed = !update && update.error().maybe_applied;
  const bool may_have_moved = !rekey && rekey.error().maybe_applied;
  if (!may_have_changed) t.expect_value(key, "a", "1", "after the outage");
  if (!may_have_moved) t.expect_absent(moved, "a rekey that was not applied");
  const bool may_be_there = !create && create.error().maybe_applied;
  if (!may_be_there) t.expect_absent(created, "a create that was not applied");
}

}  // namespace

std::vector<ConformanceCase> change_cases() {
  return {
      {"only_named_attributes_change", "P2", only_named_attributes_change},
      {"removing_all_keeps_the_session", "P1", removing_all_keeps_the_session},
      {"clear_leaves_the_librarys_fields", "P2", clear_leaves_the_librarys_fields, {"b"}},
      {"clear_reserved_leaves_the_identity", "P2", clear_reserved_leaves_the_identity},
      {"expect_holds_or_conflicts", "P2", expect_holds_or_conflicts},
      {"conflict_writes_nothing", "P8", conflict_writes_nothing, {"n"}},
      {"counters_count", "P2", counters_count, {"n", "fresh", "low"}},
      {"counters_at_the_ends", "P2 P8", counters_at_the_ends, {"high", "low", "beyond", "zero"}},
      {"bad_counter_writes_nothing", "P8", bad_counter_writes_nothing, {"bad", "good"}},
      {"bad_changes_are_refused", "P8", bad_changes_are_refused},
      {"library_fields_can_be_set", "P2", library_fields_can_be_set},
      {"any_bytes_in_changes", "P2", any_bytes_in_changes},
      {"growth_is_bounded", "P8", growth_is_bounded},
      {"an_outage_is_no_answer", "P8 P9", an_outage_is_no_answer},
  };
}

}  // namespace websession::testing
