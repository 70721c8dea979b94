// What a store tells of sessions that end by time (SessionEvent::end).
#include "trial.hpp"

namespace websession::testing {
namespace {

using Ends = std::vector<EndReason>;

// Any call about it will do.
void look(Trial& t, const StoreKey& key) { t.expect_ok(t.store().load(key), "load"); }

void expect_ends(Trial& t, const StoreKey& key, const Ends& ends, std::string_view what) {
  look(t, key);
  const Ends told = t.ends_of(key);
  std::string text(what);
  for (const EndReason reason : told) text += ", told: " + std::string(to_text(reason));
  t.expect(told == ends, text);
}

StoreKey stored(Trial& t, bool is_absolute) {
  StoreKey key = t.fresh_key();
  Lifetime lifetime{short_ttl};
  lifetime.is_absolute = is_absolute;
  t.expect_ok(t.store().create(key, t.session({{"a", "1"}}), lifetime), "create");
  return key;
}

void the_idle_timeout_is_told(Trial& t) {
  const StoreKey key = stored(t, false);
  expect_ends(t, key, {}, "before its end");
  t.let_pass(short_ttl + milliseconds(10));
  expect_ends(t, key, {EndReason::idle}, "after its end");
  expect_ends(t, key, {EndReason::idle}, "it is told once");
}

void the_absolute_timeout_is_told(Trial& t) {
  const StoreKey key = stored(t, true);
  t.let_pass(short_ttl + milliseconds(10));
  expect_ends(t, key, {EndReason::absolute}, "after its end");
}

void the_last_renewal_counts(Trial& t) {
  const StoreKey key = stored(t, false);
  Lifetime lifetime{2 * short_ttl};
  lifetime.is_absolute = true;
  t.expect_applied(t.store().update(key, {}, lifetime), "renew");
  t.let_pass(short_ttl + milliseconds(10));
  expect_ends(t, key, {}, "it was renewed");
  t.let_pass(short_ttl);
  expect_ends(t, key, {EndReason::absolute}, "after its end");
}

void a_new_key_takes_the_reason_along(Trial& t) {
  const StoreKey old = stored(t, true);
  const StoreKey key = t.fresh_key();
  t.expect_applied(t.store().rekey(old, key, {}, {milliseconds(1)}, {short_ttl}), "rekey");
  t.let_pass(short_ttl + milliseconds(10));
  expect_ends(t, key, {EndReason::absolute}, "the session");
  expect_ends(t, old, {}, "a replaced key is no session");
}

void what_is_erased_is_not_told_by_the_store(Trial& t) {
  const StoreKey key = stored(t, false);
  t.expect_ok(t.store().erase(key, {short_ttl, false}), "erase");
  t.let_pass(short_ttl + milliseconds(10));
  expect_ends(t, key, {}, "nor its mark");
}

}  // namespace

std::vector<ConformanceCase> end_event_cases() {
  return {
      {"the_idle_timeout_is_told", "ends", the_idle_timeout_is_told},
      {"the_absolute_timeout_is_told", "ends", the_absolute_timeout_is_told},
      {"the_last_renewal_counts", "ends", the_last_renewal_counts},
      {"a_new_key_takes_the_reason_along", "ends", a_new_key_takes_the_reason_along},
      {"what_is_erased_is_not_told_by_the_store", "ends", what_is_erased_is_not_told_by_the_store},
  };
}

}  // namespace websession::testing
