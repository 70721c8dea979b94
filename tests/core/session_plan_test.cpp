// The policy of a session's life, as a table: what was loaded, what is wanted, what is due.
#include "session_plan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace websession::internal {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Action = Plan::Action;
using CookieAction = Plan::CookieAction;

const WallTime now{milliseconds(1'700'000'000'000)};

PlanOptions defaults() {
  return {minutes(30), hours(12), minutes(3), seconds(10), seconds(20), false};
}

PlanOptions rolling() {
  PlanOptions options = defaults();
  options.rolling = true;
  return options;
}

// A session of some age with some time to live left.
Loaded session(milliseconds age, milliseconds remaining) { return {now - age, remaining, false}; }

Loaded frozen() { return {now - minutes(1), seconds(5), true}; }

Wishes nothing() { return {}; }
Wishes brought(Wishes wishes) {
  wishes.brought_cookie = true;
  return wishes;
}
Wishes changed() { return {.has_attributes = true, .changed = true}; }
Wishes emptied() { return {.has_attributes = false, .changed = true}; }
Wishes regenerate() { return {.regenerate = true}; }
Wishes invalidate() { return {.invalidate = true}; }

PlanOptions own() {  // of a session with timeouts of its own
  PlanOptions options = defaults();
  options.may_shorten = true;
  return options;
}
Wishes passive(Wishes wishes) {
  wishes.passive = true;
  return wishes;
}
Wishes timeouts() { return {.timeouts = true, .resend_cookie = true}; }

struct Row {
  std::string rule;
  std::optional<Loaded> loaded;
  Wishes wishes;
  PlanOptions options;
  Plan expected;
};

std::vector<Row> rows() {
  const milliseconds idle = minutes(30);
  const Plan none{};
  return {
      // Lazy: no record, no cookie before the first attribute.
      {"a new visitor who stores nothing", {}, nothing(), defaults(), none},
      {"a new visitor with an unknown cookie who stores nothing",
       {},
       brought(nothing()),
       defaults(),
       none},
      {"a new visitor whose changes cancel out", {}, emptied(), defaults(), none},
      {"regenerate of a session that is not stored", {}, regenerate(), defaults(), none},
      {"the first attribute",
       {},
       changed(),
       defaults(),
       {Action::create, idle, {}, CookieAction::send}},
      {"the first attribute, with an unknown cookie",
       {},
       brought(changed()),
       defaults(),
       {Action::create, idle, {}, CookieAction::send}},
      {"an absolute timeout below the idle one",
       {},
       changed(),
       {minutes(30), minutes(10), minutes(3), seconds(10), seconds(20), false},
       {Action::create, minutes(10), {}, CookieAction::send}},

      // Renewal is throttled.
      {"just renewed", session(minutes(1), minutes(30)), nothing(), defaults(), none},
      {"a gain below renew_after", session(minutes(5), minutes(27) + milliseconds(1)), nothing(),
       defaults(), none},
      {"a gain of renew_after",
       session(minutes(5), minutes(27)),
       nothing(),
       defaults(),
       {Action::touch, idle, {}, CookieAction::none}},
      {"a gain above renew_after",
       session(hours(2), minutes(1)),
       nothing(),
       defaults(),
       {Action::touch, idle, {}, CookieAction::none}},
      {"renew_after zero, some gain",
       session(minutes(1), minutes(30) - milliseconds(1)),
       nothing(),
       {minutes(30), hours(12), milliseconds(0), seconds(10), seconds(20), false},
       {Action::touch, idle, {}, CookieAction::none}},
      {"renew_after zero, no gain",
       session(minutes(1), minutes(30)),
       nothing(),
       {minutes(30), hours(12), milliseconds(0), seconds(10), seconds(20), false},
       none},
      {"a touch never shortens", session(minutes(1), hours(5)), nothing(), defaults(), none},

      {"the last renewal, which reaches the absolute timeout",
       session(hours(12) - minutes(29), minutes(28)),
       nothing(),
       defaults(),
       {Action::touch, minutes(29), {}, CookieAction::none}},
      {"less than a second before the absolute timeout",
       session(hours(12) - minutes(29), minutes(29) - milliseconds(999)), nothing(), defaults(),
       none},

      // The lesser of idle and absolute; near the absolute limit there are no touches.
      {"near the absolute limit, nothing to gain", session(hours(12) - minutes(5), minutes(5)),
       nothing(), defaults(), none},
      {"near the absolute limit, a write",
       session(hours(12) - minutes(5), minutes(5)),
       changed(),
       defaults(),
       {Action::update, minutes(5), {}, CookieAction::none}},
      {"the last touch reaches up to the absolute limit",
       session(hours(12) - minutes(20), minutes(5)),
       nothing(),
       defaults(),
       {Action::touch, minutes(20), {}, CookieAction::none}},
      {"created in the future, by a clock that runs ahead",
       {{now + hours(1), minutes(20), false}},
       nothing(),
       defaults(),
       {Action::touch, idle, {}, CookieAction::none}},
      {"past the absolute limit, a write",
       session(hours(13), minutes(5)),
       changed(),
       defaults(),
       {Action::update, milliseconds(1), {}, CookieAction::none}},

      // Every write renews; the cookie is sent when the id is new.
      {"a change",
       session(minutes(1), minutes(30)),
       changed(),
       defaults(),
       {Action::update, idle, {}, CookieAction::none}},
      {"the last attribute removed",
       session(minutes(1), minutes(30)),
       emptied(),
       defaults(),
       {Action::update, idle, {}, CookieAction::none}},
      {"rolling: a change sends the cookie",
       session(minutes(1), minutes(30)),
       changed(),
       rolling(),
       {Action::update, idle, {}, CookieAction::send}},
      {"rolling: a touch sends the cookie",
       session(minutes(9), minutes(21)),
       nothing(),
       rolling(),
       {Action::touch, idle, {}, CookieAction::send}},
      {"rolling: no write, no cookie", session(minutes(1), minutes(30)), nothing(), rolling(),
       none},

      // Regenerate.
      {"regenerate",
       session(minutes(1), minutes(30)),
       regenerate(),
       defaults(),
       {Action::rekey, idle, {seconds(10)}, CookieAction::send}},
      {"regenerate with changes",
       session(hours(11) + minutes(50), minutes(10)),
       {.has_attributes = true, .changed = true, .regenerate = true},
       defaults(),
       {Action::rekey, minutes(10), {seconds(10)}, CookieAction::send}},

      // Signing in and out.
      {"a new visitor signs in",
       {},
       {.sign_in = true},
       defaults(),
       {Action::create, idle, {}, CookieAction::send}},
      {"signing in",
       session(minutes(1), minutes(30)),
       {.sign_in = true},
       defaults(),
       {Action::rekey, idle, {seconds(20), false}, CookieAction::send}},
      {"signing the same principal in again",
       session(minutes(1), minutes(30)),
       {.sign_in = true},
       defaults(),
       {Action::rekey, idle, {seconds(20), false}, CookieAction::send}},
      {"regenerate and signing in",
       session(minutes(1), minutes(30)),
       {.regenerate = true, .sign_in = true},
       defaults(),
       {Action::rekey, idle, {seconds(20), false}, CookieAction::send}},
      {"signing out",
       session(minutes(1), minutes(30)),
       {.changed = true, .sign_out = true},
       defaults(),
       {Action::erase, {}, {}, CookieAction::remove}},
      {"signing out with a farewell",
       session(minutes(1), minutes(30)),
       {.has_attributes = true, .changed = true, .sign_out = true},
       defaults(),
       {Action::rekey, idle, {seconds(20), false}, CookieAction::send}},
      {"signing out of nothing, with a stale cookie",
       {},
       brought({.sign_out = true}),
       defaults(),
       {Action::nothing, {}, {}, CookieAction::remove}},
      {"signing out of nothing, with a farewell",
       {},
       {.has_attributes = true, .changed = true, .sign_out = true},
       defaults(),
       {Action::create, idle, {}, CookieAction::send}},
      {"frozen, signing in",
       frozen(),
       {.sign_in = true},
       defaults(),
       {Action::report_gone, {}, {}, CookieAction::none}},
      {"frozen, signing out with a farewell",
       frozen(),
       {.has_attributes = true, .changed = true, .sign_out = true},
       defaults(),
       {Action::erase, {}, {}, CookieAction::remove}},

      // Invalidate: the only time that a cookie is deleted.
      {"invalidate",
       session(minutes(1), minutes(30)),
       invalidate(),
       defaults(),
       {Action::erase, {}, {}, CookieAction::remove}},
      {"invalidate beats all else",
       session(minutes(1), minutes(1)),
       {.has_attributes = true, .changed = true, .regenerate = true, .invalidate = true},
       rolling(),
       {Action::erase, {}, {}, CookieAction::remove}},
      {"invalidate of nothing, without a cookie", {}, invalidate(), defaults(), none},
      {"invalidate of nothing, with a stale cookie",
       {},
       brought(invalidate()),
       defaults(),
       {Action::nothing, {}, {}, CookieAction::remove}},

      // A frozen record is never renewed or written; erasing it is the store's business.
      {"frozen, read only", frozen(), nothing(), rolling(), none},
      {"frozen, a change",
       frozen(),
       changed(),
       defaults(),
       {Action::report_gone, {}, {}, CookieAction::none}},
      {"frozen, regenerate",
       frozen(),
       regenerate(),
       defaults(),
       {Action::report_gone, {}, {}, CookieAction::none}},
      {"frozen, invalidate",
       frozen(),
       invalidate(),
       defaults(),
       {Action::erase, {}, {}, CookieAction::remove}},

      // A foreign hash that is being adopted gets its @created and its expiry.
      {"adopting",
       {{std::nullopt, minutes(30), false}},
       nothing(),
       defaults(),
       {Action::touch, idle, {}, CookieAction::none}},
      {"adopting with a change",
       {{std::nullopt, hours(20), false}},
       changed(),
       defaults(),
       {Action::update, idle, {}, CookieAction::none}},

      // Timeouts of its own.
      {"other timeouts are written, and the cookie is sent again",
       session(minutes(1), minutes(30)),
       timeouts(),
       own(),
       {Action::update, idle, {}, CookieAction::send}},
      {"timeouts that are shorter shorten, by whatever it is",
       session(minutes(1), minutes(30) + milliseconds(1)),
       timeouts(),
       own(),
       {Action::update, idle, {}, CookieAction::send, true}},
      {"timeouts alone make no session", {}, timeouts(), own(), none},
      {"more left than they give, as far as clocks differ",
       session(minutes(1), minutes(30) + seconds(5)), nothing(), own(), none},
      {"more left than that is shortened by the next request",
       session(minutes(1), minutes(30) + seconds(6)),
       nothing(),
       own(),
       {Action::touch, idle, {}, CookieAction::none, true}},
      {"by a passive one, too",
       session(minutes(1), minutes(30) + seconds(6)),
       passive(nothing()),
       own(),
       {Action::touch, idle, {}, CookieAction::none, true, false}},
      {"a new id and shorter timeouts",
       session(minutes(1), hours(2)),
       {.regenerate = true, .timeouts = true, .resend_cookie = true},
       own(),
       {Action::rekey, idle, {seconds(10)}, CookieAction::send, true}},
      {"frozen, other timeouts",
       frozen(),
       timeouts(),
       own(),
       {Action::report_gone, {}, {}, CookieAction::none}},

      // Passive requests renew nothing.
      {"passive, a renewal would be due", session(minutes(20), minutes(10)), passive(nothing()),
       defaults(), none},
      {"passive, a change",
       session(minutes(20), minutes(10)),
       passive(changed()),
       defaults(),
       {Action::update, minutes(10), {}, CookieAction::none, false, false}},
      {"passive, a new id",
       session(minutes(20), minutes(10)),
       passive(regenerate()),
       defaults(),
       {Action::rekey, minutes(10), {seconds(10)}, CookieAction::send, false, false}},
      {"passive, at the very end",
       session(minutes(20), milliseconds(0)),
       passive(changed()),
       defaults(),
       {Action::update, milliseconds(1), {}, CookieAction::none, false, false}},
      {"passive, a sign-in is somebody",
       session(minutes(20), minutes(10)),
       passive({.sign_in = true}),
       defaults(),
       {Action::rekey, idle, {seconds(20), false}, CookieAction::send}},
      {"passive, so are other timeouts",
       session(minutes(20), minutes(10)),
       passive(timeouts()),
       defaults(),
       {Action::update, idle, {}, CookieAction::send}},
      {"passive, a foreign hash gets its end",
       {{std::nullopt, milliseconds(0), false}},
       passive(nothing()),
       defaults(),
       {Action::touch, idle, {}, CookieAction::none}},
      {"passive, a new visitor's session lives as long as any",
       {},
       passive(changed()),
       defaults(),
       {Action::create, idle, {}, CookieAction::send}},
  };
}

TEST(SessionPlan, FollowsTheTable) {
  for (const Row& row : rows()) {
    const Plan plan = session_plan(row.loaded, row.wishes, row.options, now);
    EXPECT_EQ(static_cast<int>(plan.action), static_cast<int>(row.expected.action)) << row.rule;
    EXPECT_EQ(plan.ttl.count(), row.expected.ttl.count()) << row.rule;
    EXPECT_EQ(plan.grace.duration, row.expected.grace.duration) << row.rule;
    EXPECT_EQ(plan.grace.readable, row.expected.grace.readable) << row.rule;
    EXPECT_EQ(static_cast<int>(plan.cookie), static_cast<int>(row.expected.cookie)) << row.rule;
    EXPECT_EQ(plan.shortens, row.expected.shortens) << row.rule;
    EXPECT_EQ(plan.renews, row.expected.renews) << row.rule;
  }
}

TEST(SessionPlan, AbsoluteLeftCountsFromCreated) {
  EXPECT_EQ(absolute_left(now, defaults(), now), hours(12));
  EXPECT_EQ(absolute_left(now - hours(2), defaults(), now), hours(10));
  EXPECT_EQ(absolute_left(now - hours(12), defaults(), now), milliseconds(0));
  EXPECT_EQ(absolute_left(now - hours(99), defaults(), now), milliseconds(0));
  EXPECT_EQ(absolute_left(now + hours(99), defaults(), now), hours(12));
  EXPECT_EQ(absolute_left(std::nullopt, defaults(), now), hours(12));
}

}  // namespace
}  // namespace websession::internal
