#include "own_timeouts.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "invalid.hpp"
#include "library_names.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {
namespace {

constexpr milliseconds timeout_min = std::chrono::seconds(1);

std::optional<milliseconds> timeout_of(std::string_view text) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  if (!ms || *ms < timeout_min.count() || *ms > ttl_max.count()) return std::nullopt;
  return milliseconds(*ms);
}

}  // namespace

Timeouts longest_timeouts(const SessionOptions& options) {
  return {options.idle_timeout_max.value_or(options.idle_timeout),
          options.absolute_timeout_max.value_or(options.absolute_timeout)};
}

Result<void> validate(const Timeouts& timeouts, const SessionOptions& options) {
  if (timeouts.idle < timeout_min || timeouts.absolute < timeout_min) {
    return invalid("1 second is the least");
  }
  const Timeouts longest = longest_timeouts(options);
  if (timeouts.idle > longest.idle) {
    return invalid(
        "the idle timeout is longer than SessionOptions::idle_timeout_max allows (none set: "
        "idle_timeout)");
  }
  if (timeouts.absolute > longest.absolute) {
    return invalid(
        "the absolute timeout is longer than SessionOptions::absolute_timeout_max allows (none "
        "set: absolute_timeout)");
  }
  if (timeouts.idle > timeouts.absolute) {
    return invalid("the idle timeout is longer than the absolute one");
  }
  return {};
}

std::optional<Timeouts> timeouts_of(const Fields& fields) {
  const std::optional<std::string_view> text = fields.find(timeouts_field);
  if (!text) return std::nullopt;
  const std::size_t blank = text->find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto idle = timeout_of(text->substr(0, blank));
  const auto absolute = timeout_of(text->substr(blank + 1));
  if (!idle || !absolute) return std::nullopt;
  return Timeouts{*idle, *absolute};
}

std::string timeouts_text(const Timeouts& timeouts) {
  return std::to_string(timeouts.idle.count()) + ' ' + std::to_string(timeouts.absolute.count());
}

PlanOptions plan_with(const PlanOptions& plan, const SessionOptions& options,
                      const std::optional<Timeouts>& own) {
  if (!own) return plan;
  const Timeouts longest = longest_timeouts(options);
  PlanOptions held = plan;
  held.absolute_timeout = std::min(own->absolute, longest.absolute);
  held.idle_timeout = std::min({own->idle, longest.idle, held.absolute_timeout});
  held.renew_after =
      std::min(options.renew_after.value_or(held.idle_timeout / 10), held.idle_timeout / 2);
  held.may_shorten = true;
  return held;
}

}  // namespace websession::internal
