// What a commit does: all policy of a session's life in one pure function. It knows no store, no
// cookie syntax and no clock, so a table of cases tests it.
#pragma once

#include <chrono>
#include <optional>

#include "websession/clock.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

using std::chrono::milliseconds;

// The options that decide, completed: renew_after has its value.
struct PlanOptions {
  milliseconds idle_timeout{};
  milliseconds absolute_timeout{};
  milliseconds renew_after{};
  milliseconds regenerate_grace{};  // how long the old id can be read
  milliseconds mark{};              // how long one that is over is remembered
  bool rolling = false;
  // The timeouts are the session's own, or were: what it has left may be more than they give.
  bool may_shorten = false;
};

// What was loaded.
struct Loaded {
  std::optional<WallTime> created{};  // none: a foreign hash that is being adopted
  milliseconds remaining{};           // time to live that is left now
  bool frozen = false;
};

// What the handler wants.
struct Wishes {
  bool has_attributes = false;  // with the changes on top
  bool changed = false;
  bool regenerate = false;
  bool invalidate = false;
  bool sign_in = false;
  bool sign_out = false;
  bool brought_cookie = false;  // the request named an id, whether known or not
  bool unread = false;          // there may be a session under it, which could not be loaded
  bool passive = false;         // the request is no sign of a visitor: it renews nothing
  bool timeouts = false;        // other timeouts than the stored ones
  bool resend_cookie = false;   // it is to look otherwise
};

struct Plan {
  enum class Action { nothing, touch, create, update, rekey, erase, report_gone };
  enum class CookieAction { none, send, remove };

  Action action = Action::nothing;
  milliseconds ttl{};
  Grace grace{};  // what stays under the old id
  CookieAction cookie = CookieAction::none;
  bool shortens = false;  // the session has more left than `ttl`
  bool renews = true;     // if that is due
};

// What is left of the absolute timeout; zero when it is over. A `created` in the future (a server
// whose clock runs ahead) counts as now.
milliseconds absolute_left(std::optional<WallTime> created, const PlanOptions& options,
                           WallTime now);

// How much a renewal has to lengthen a session's life for it to be made: `renew_after`. The one
// that reaches the absolute timeout is the last, and worth making for less: else a session that is
// in use would end before.
milliseconds renewal_least(milliseconds ttl, const PlanOptions& options);

// Whether it is the absolute timeout that ends a session after so much time.
[[nodiscard]] inline bool is_absolute(milliseconds ttl, const PlanOptions& options) noexcept {
  return ttl < options.idle_timeout;
}

// The time to live that a write would give.
milliseconds time_to_live(std::optional<WallTime> created, const PlanOptions& options,
                          WallTime now);

// `loaded`: none for a session that has not been stored.
Plan session_plan(const std::optional<Loaded>& loaded, Wishes wishes, const PlanOptions& options,
                  WallTime now);

}  // namespace websession::internal
