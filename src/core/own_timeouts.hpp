// Timeouts that one session has of its own (SessionBase::set_timeouts).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "session_plan.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_options.hpp"

namespace websession::internal {

struct Timeouts {
  milliseconds idle{};
  milliseconds absolute{};
  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

// The most that a session may be given.
[[nodiscard]] Timeouts longest_timeouts(const SessionOptions& options);

// Error: invalid_argument, they are not within what the options allow.
Result<void> validate(const Timeouts& timeouts, const SessionOptions& options);

// What a record says. None: it has none of its own, or what is there was written by somebody else
// and makes no sense.
[[nodiscard]] std::optional<Timeouts> timeouts_of(const Fields& fields);
[[nodiscard]] std::string timeouts_text(const Timeouts& timeouts);

// `plan` for a session with these timeouts, held to what the options allow.
[[nodiscard]] PlanOptions plan_with(const PlanOptions& plan, const SessionOptions& options,
                                    const std::optional<Timeouts>& own);

}  // namespace websession::internal
