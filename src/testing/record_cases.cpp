// A record as such: it is there or not, holds any bytes, and always ends.
#include "trial.hpp"

namespace websession::testing {
namespace {

void unknown_is_absent(Trial& t) {
  const StoreKey key = t.fresh_key();
  t.expect_absent(key, "load of an unknown key");
  t.expect_absent(key, "load after load");
  t.expect_gone(t.store().update(key, setting("a", "1"), {long_ttl}), "update");
  t.expect_gone(t.store().update(key, {}, {long_ttl}), "touch");
  t.expect_gone(t.store().rekey(key, t.fresh_key(), {}, {long_ttl}, {}), "rekey");
  t.expect_absent(key, "load after all of these");
  const Result<bool> erased = t.store().erase(key);
  if (t.expect_ok(erased, "erase")) t.expect(!*erased, "erase of nothing says false");
}

void create_then_load(Trial& t) {
  const StoreKey key = t.fresh_key();
  const Fields fields = t.session({{"name", "Ada"}, {"count", "1"}, {"@user", "ada"}});
  t.expect_ok(t.store().create(key, fields, {long_ttl}), "create");
  const Record record = t.loaded(key, "load");
  t.expect(record.fields == fields, "load gives what create stored, and nothing else");
  t.expect(!record.frozen, "a new session is not frozen");
  t.expect(record.expired.empty(), "nothing has expired");
}

void create_never_overwrites(Trial& t) {
  const StoreKey key = t.stored({{"a", "first"}}, short_ttl);
  t.expect_error(t.store().create(key, t.session({{"b", "second"}}), {long_ttl}), Errc::key_exists,
                 "create over a session");
  t.expect_value(key, "a", "first", "after the refused create");
  t.expect_value(key, "b", std::nullopt, "after the refused create");
  t.expect_remaining(key, short_ttl, "after the refused create");
}

void create_refuses_bad_input(Trial& t) {
  const StoreKey key = t.fresh_key();
  t.expect_error(t.store().create(key, {{"a", "1"}}, {long_ttl}), Errc::invalid_argument,
                 "create without @created");
  t.expect_error(t.store().create(key, {{"@created", "soon"}}, {long_ttl}), Errc::invalid_argument,
                 "create with a bad @created");
  t.expect_error(t.store().create(key, t.session({{"@until.a", "1"}}), {long_ttl}),
                 Errc::invalid_argument, "create with the store's own deadline");
  t.expect_error(t.store().create(key, t.session(), {milliseconds(0)}), Errc::invalid_argument,
                 "create without a time to live");
  t.expect_error(t.store().create(key, t.session(), {milliseconds(-1)}), Errc::invalid_argument,
                 "create with a negative time to live");
  t.expect_error(t.store().create(key, t.session(), {ttl_max + milliseconds(1)}),
                 Errc::invalid_argument, "create that would be immortal");
  t.expect_absent(key, "after the refused creates");
}

void erased_never_comes_back(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}});
  const Result<bool> erased = t.store().erase(key);
  if (t.expect_ok(erased, "erase")) t.expect(*erased, "erase says that there was one");
  t.expect_absent(key, "after erase");
  t.expect_gone(t.store().update(key, setting("a", "2"), {long_ttl}), "update after erase");
  t.expect_gone(t.store().update(key, adding("n", 1), {long_ttl}), "increment after erase");
  t.expect_gone(t.store().update(key, expecting("a", {}), {long_ttl}), "expect after erase");
  t.expect_gone(t.store().update(key, {}, {long_ttl}), "touch after erase");
  t.expect_gone(t.store().rekey(key, t.fresh_key(), {}, {long_ttl}, {long_ttl}),
                "rekey after erase");
  t.expect_absent(key, "after all of these");
  t.expect_ok(t.store().create(key, t.session({{"b", "2"}}), {long_ttl}), "create after erase");
  t.expect_value(key, "a", std::nullopt, "nothing of the old session is in the new one");
}

void expired_never_comes_back(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}}, short_ttl);
  const StoreKey other = t.stored({{"a", "1"}}, short_ttl);
  t.expect_remaining(key, short_ttl, "after create");
  t.let_pass(short_ttl + milliseconds(10));
  t.expect_absent(key, "after its time");
  t.expect_gone(t.store().update(key, setting("a", "2"), {long_ttl}), "update after expiry");
  t.expect_gone(t.store().update(key, {}, {long_ttl}), "touch after expiry");
  const StoreKey to = t.fresh_key();
  t.expect_gone(t.store().rekey(key, to, {}, {long_ttl}, {long_ttl}), "rekey after expiry");
  t.expect_absent(key, "after all of these");
  t.expect_absent(to, "the new id of a session that had expired");
  const Result<bool> erased = t.store().erase(other);
  if (t.expect_ok(erased, "erase after expiry")) t.expect(!*erased, "an expired one is not there");
  t.expect_ok(t.store().create(key, t.session({{"b", "2"}}), {long_ttl}), "create after expiry");
  t.expect_value(key, "a", std::nullopt, "nothing of the old session is in the new one");
}

void every_write_has_an_expiry(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}}, short_ttl);
  t.expect_remaining(key, short_ttl, "after create");
  t.expect_applied(t.store().update(key, setting("a", "2"), {long_ttl}), "update");
  t.expect_remaining(key, long_ttl, "after update");
  t.expect(t.loaded(key, "load").remaining > short_ttl, "a write renews");
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, {}, {long_ttl}, {short_ttl}), "rekey");
  t.expect_remaining(to, long_ttl, "the new id after rekey");
  t.expect_remaining(key, short_ttl, "the old id after rekey");
}

void touch_only_renews(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}}, short_ttl);
  const Fields before = t.loaded(key, "load").fields;
  t.expect_applied(t.store().update(key, {}, {long_ttl}), "touch");
  const Record after = t.loaded(key, "load after touch");
  t.expect(after.fields == before, "a touch changes no field");
  t.expect(after.remaining > short_ttl && after.remaining <= long_ttl, "a touch renews");
}

// Of each form of change.
void a_write_renews_when_that_is_due(Trial& t) {
  const Lifetime not_due{long_ttl, {}, long_ttl};
  const Lifetime due{long_ttl, {}, long_ttl - 2 * short_ttl};
  for (const KindOfChange& kind : each_kind_of_change()) {
    const StoreKey stays = t.stored({{"a", "1"}, {"n", "1"}}, short_ttl);
    t.expect_applied(t.store().update(stays, kind.changes, not_due), kind.name);
    t.expect_remaining(stays, short_ttl, "a renewal that was not due");
    const StoreKey renewed = t.stored({{"a", "1"}, {"n", "1"}}, short_ttl);
    t.expect_applied(t.store().update(renewed, kind.changes, due), kind.name);
    t.expect(t.loaded(renewed, "load").remaining > short_ttl, "a renewal that was due");
  }
}

// Whoever says so goes by it afterwards.
void a_renewal_that_is_known_to_be_due_is_made(Trial& t) {
  const Lifetime due{long_ttl, {}, long_ttl - short_ttl / 2, short_ttl / 2};
  for (const KindOfChange& kind : each_kind_of_change()) {
    const StoreKey key = t.stored({{"a", "1"}, {"n", "1"}}, short_ttl);
    t.expect_applied(t.store().update(key, kind.changes, due), kind.name);
    t.expect(t.loaded(key, "load").remaining > short_ttl, "the session had more left than known");
  }
}

// Of each form of change, and of none.
void a_write_shortens_when_it_is_asked_to(Trial& t) {
  Lifetime shorter{short_ttl, {}, short_ttl / 2, long_ttl};
  shorter.shortens = true;
  for (const KindOfChange& kind : each_kind_of_change()) {
    const StoreKey key = t.stored({{"a", "1"}, {"n", "1"}}, long_ttl);
    t.expect_applied(t.store().update(key, kind.changes, shorter), kind.name);
    t.expect(t.loaded(key, "load").remaining <= short_ttl, "a write was to shorten");
  }
  const StoreKey key = t.stored({{"a", "1"}}, long_ttl);
  t.expect_applied(t.store().update(key, {}, shorter), "a touch that shortens");
  t.expect(t.loaded(key, "load").remaining <= short_ttl, "a touch was to shorten");
  t.expect_applied(t.store().update(key, {}, {long_ttl}), "a renewal afterwards");
  t.expect(t.loaded(key, "load").remaining > short_ttl, "it can be renewed again");
}

void no_write_shortens(Trial& t) {
  const StoreKey key = t.stored({{"a", "1"}}, long_ttl);
  t.expect_applied(t.store().update(key, {}, {short_ttl}), "touch");
  t.expect(t.loaded(key, "load").remaining > short_ttl, "a shorter touch leaves the time to live");
  t.expect_applied(t.store().update(key, setting("a", "2"), {short_ttl}), "update");
  t.expect(t.loaded(key, "load").remaining > short_ttl, "a shorter write leaves the time to live");
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, {}, {short_ttl}, {}), "rekey");
  t.expect(t.loaded(to, "load").remaining > short_ttl, "a shorter rekey keeps the time to live");
}

void any_bytes_survive(Trial& t) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::string long_name(128, 'n');
  const std::string odd_name = "\xff\xfe name=;\"'{}";
  const std::string nul_name("a\0b", 3);
  const std::string big(std::size_t{60} * 1024, 'x');
  const StoreKey key = t.stored(
      {{"empty", ""}, {"bytes", all_bytes}, {long_name, "1"}, {odd_name, "\r\n"}, {nul_name, "2"}});
  t.expect_value(key, "empty", "", "an empty value is a value");
  t.expect_value(key, "bytes", all_bytes, "all bytes");
  t.expect_value(key, long_name, "1", "a name of 128 bytes");
  t.expect_value(key, odd_name, "\r\n", "a name of odd bytes");
  t.expect_value(key, nul_name, "2", "a name with a NUL");
  t.expect_value(key, "a", std::nullopt, "the same name up to its NUL");
  t.expect_applied(t.store().update(key, setting("bytes", ""), {long_ttl}), "update to nothing");
  t.expect_value(key, "bytes", "", "an empty value after an update");
  t.expect_applied(t.store().update(key, setting("big", big), {long_ttl}), "a large update");
  t.expect_value(key, "big", big, "a large value");
}

void many_attributes(Trial& t) {
  std::vector<std::string> names;
  names.reserve(1000);
  for (int i = 0; i < 1000; ++i) names.push_back("attribute" + std::to_string(i));
  const StoreKey key = t.stored();
  Changes changes;
  changes.set.reserve(names.size());
  for (const std::string& name : names) {
    changes.set.push_back({name, name, t.clock().wall() + long_ttl});
  }
  t.expect_applied(t.store().update(key, changes, {long_ttl}), "a thousand attributes");
  t.expect(t.loaded(key, "load").fields.size() == 1001, "all thousand are there");
  const StoreKey to = t.fresh_key();
  t.expect_applied(t.store().rekey(key, to, {}, {long_ttl}, {}), "rekey of a thousand");
  t.expect(t.loaded(to, "load").fields.size() == 1001, "all thousand have moved");
  Changes clear;
  clear.clear = true;
  t.expect_applied(t.store().update(to, clear, {long_ttl}), "clear of a thousand");
  t.expect(t.loaded(to, "load").fields.size() == 1, "only @created is left");
}

void keys_are_apart(Trial& t) {
  const StoreKey a = t.stored({{"x", "a"}});
  const StoreKey b = t.stored({{"x", "b"}});
  t.expect_applied(t.store().update(a, setting("y", "1"), {long_ttl}), "update");
  t.expect_value(b, "y", std::nullopt, "the other session");
  t.expect_ok(t.store().erase(a), "erase");
  t.expect_value(b, "x", "b", "the other session after an erase");
}

}  // namespace

std::vector<ConformanceCase> record_cases() {
  return {
      {"unknown_is_absent", "P1 P4 P9", unknown_is_absent},
      {"create_then_load", "P2", create_then_load},
      {"create_never_overwrites", "P1", create_never_overwrites},
      {"create_refuses_bad_input", "P3", create_refuses_bad_input},
      {"erased_never_comes_back", "P1", erased_never_comes_back, {"n"}},
      {"expired_never_comes_back", "P1", expired_never_comes_back},
      {"every_write_has_an_expiry", "P3", every_write_has_an_expiry},
      {"touch_only_renews", "P6", touch_only_renews},
      {"a_write_renews_when_that_is_due", "P6", a_write_renews_when_that_is_due, {"n"}},
      {"a_renewal_that_is_known_to_be_due_is_made",
       "P6",
       a_renewal_that_is_known_to_be_due_is_made,
       {"n"}},
      {"a_write_shortens_when_it_is_asked_to", "P6", a_write_shortens_when_it_is_asked_to, {"n"}},
      {"no_write_shortens", "P6", no_write_shortens},
      {"any_bytes_survive", "P2", any_bytes_survive},
      {"many_attributes", "P2", many_attributes},
      {"keys_are_apart", "P2", keys_are_apart},
  };
}

}  // namespace websession::testing
