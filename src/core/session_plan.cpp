#include "session_plan.hpp"

#include <algorithm>

namespace websession::internal {
namespace {

using Action = Plan::Action;
using CookieAction = Plan::CookieAction;

Plan plan_new(const Wishes& wishes, const PlanOptions& options, WallTime now) {
  // A visitor who asks to be forgotten may hold the cookie of a session that has ended.
  if (wishes.invalidate) {
    const Action action = wishes.unread ? Action::erase : Action::nothing;
    return {action, {}, {}, wishes.brought_cookie ? CookieAction::remove : CookieAction::none};
  }
  if (!wishes.has_attributes && !wishes.sign_in) return {};
  return {Action::create, time_to_live(now, options, now), {}, CookieAction::send};
}

// How much more than its timeouts give a session may have left: the clocks of servers may be so
// far apart, by which the absolute one is reckoned.
constexpr milliseconds surplus_max = std::chrono::seconds(5);

}  // namespace

milliseconds absolute_left(std::optional<WallTime> created, const PlanOptions& options,
                           WallTime now) {
  const milliseconds age = std::max(now - created.value_or(now), milliseconds(0));
  return std::max(options.absolute_timeout - age, milliseconds(0));
}

milliseconds time_to_live(std::optional<WallTime> created, const PlanOptions& options,
                          WallTime now) {
  const milliseconds left = std::min(options.idle_timeout, absolute_left(created, options, now));
  return std::max(left, milliseconds(1));  // a store accepts no zero; in 1 ms it is over anyway
}

milliseconds renewal_least(milliseconds ttl, const PlanOptions& options) {
  constexpr milliseconds last_least = std::chrono::seconds(1);
  return is_absolute(ttl, options) ? std::min(options.renew_after, last_least)
                                   : options.renew_after;
}

Plan session_plan(const std::optional<Loaded>& loaded, Wishes wishes, const PlanOptions& options,
                  WallTime now) {
  // Signing out ends the session, unless something is to be kept for the visitor. A frozen one can
  // only be ended, and must be: an old id that signs out means the session that it was.
  const bool ends = !wishes.has_attributes || (loaded && loaded->frozen);
  wishes.invalidate = wishes.invalidate || (wishes.sign_out && ends);
  wishes.regenerate = wishes.regenerate || wishes.sign_in || wishes.sign_out;
  if (!loaded) return plan_new(wishes, options, now);
  if (wishes.invalidate) return {Action::erase, {}, {}, CookieAction::remove};
  if (loaded->frozen) {
    const bool writes =
        wishes.changed || wishes.regenerate || wishes.timeouts || wishes.resend_cookie;
    return {writes ? Action::report_gone : Action::nothing};
  }

  const bool signs = wishes.sign_in || wishes.sign_out;
  const bool adopt = !loaded->created;
  Plan plan;
  plan.renews = !wishes.passive || signs || wishes.timeouts || adopt;
  plan.ttl = time_to_live(loaded->created, options, now);
  const milliseconds surplus = loaded->remaining - plan.ttl;
  plan.shortens =
      options.may_shorten && surplus > (wishes.timeouts ? milliseconds(0) : surplus_max);
  if (!plan.renews && !plan.shortens) plan.ttl = std::max(loaded->remaining, milliseconds(1));
  if (wishes.regenerate) {
    // Whoever signs in, again too, or out must not leave an old id with anything to read, whatever
    // the application keeps in place of a principal.
    const bool readable = !signs && options.regenerate_grace > milliseconds(0);
    plan.grace = readable ? Grace{options.regenerate_grace, true} : Grace{options.mark, false};
    plan.action = Action::rekey;
    plan.cookie = CookieAction::send;
    return plan;
  }
  const Lifetime renewed{plan.ttl, {}, renewal_least(plan.ttl, options)};
  const bool is_due = plan.renews && is_renewal_due(renewed, loaded->remaining);
  if (wishes.changed || wishes.timeouts || wishes.resend_cookie) {
    plan.action = Action::update;
  } else if (adopt || is_due || plan.shortens) {
    plan.action = Action::touch;
  } else {
    return {};
  }
  if (options.rolling || wishes.resend_cookie) plan.cookie = CookieAction::send;
  return plan;
}

}  // namespace websession::internal
