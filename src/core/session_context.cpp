#include "session_context.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "invalid.hpp"
#include "own_timeouts.hpp"
#include "websession/cookie.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {
namespace {

Result<void> validate(const SessionOptions& options) {
  if (auto valid = websession::validate(options.cookie); !valid) return valid;
  if (auto valid = websession::validate(options.transport); !valid) return valid;
  if (auto valid = websession::validate(options.id_format); !valid) return valid;
  const auto out_of_range = [](milliseconds time, milliseconds least) {
    return time < least || time > ttl_max;
  };
  constexpr milliseconds second = std::chrono::seconds(1);
  if (out_of_range(options.idle_timeout, second)) {
    return invalid("idle_timeout: must be 1 second to 400 days");
  }
  if (out_of_range(options.absolute_timeout, second)) {
    return invalid("absolute_timeout: must be 1 second to 400 days");
  }
  if (options.idle_timeout > options.absolute_timeout) {
    return invalid(
        "idle_timeout: must not be longer than absolute_timeout (30 minutes and 12 hours unless "
        "set), "
        "which would end the session first; set both, as in: options.idle_timeout = "
        "std::chrono::hours(24 * 7); options.absolute_timeout = std::chrono::hours(24 * 30)");
  }
  if (options.idle_timeout_max &&
      (*options.idle_timeout_max < options.idle_timeout || *options.idle_timeout_max > ttl_max)) {
    return invalid("idle_timeout_max: must be idle_timeout to 400 days");
  }
  if (options.absolute_timeout_max && (*options.absolute_timeout_max < options.absolute_timeout ||
                                       *options.absolute_timeout_max > ttl_max)) {
    return invalid("absolute_timeout_max: must be absolute_timeout to 400 days");
  }
  if (longest_timeouts(options).idle > longest_timeouts(options).absolute) {
    return invalid(
        "idle_timeout_max: must not be longer than absolute_timeout_max (none set: "
        "absolute_timeout), which would end the session first; set both");
  }
  if (options.renew_after &&
      (*options.renew_after < milliseconds(0) || *options.renew_after > options.idle_timeout / 2)) {
    return invalid("renew_after: must be 0 to half of idle_timeout: a session may end that early");
  }
  if (out_of_range(options.regenerate_grace, milliseconds(0)) ||
      options.regenerate_grace > std::chrono::minutes(5)) {
    return invalid("regenerate_grace: must be 0 to 5 minutes; the old id works that long");
  }
  if (!options.id_namespace.empty() && options.id_storage == IdStorage::plain) {
    return invalid(
        "id_namespace: needs hashed ids (id_storage); plain ones are kept apart by the "
        "store's prefix or by signing");
  }
  if (options.session_bytes_max == 0) return invalid("session_bytes_max: must not be 0");
  if (options.name_bytes_max == 0) return invalid("name_bytes_max: must not be 0");
  if (options.attributes_max == 0 || options.attributes_max > 1000) {
    return invalid("attributes_max: must be 1 to 1,000");
  }
  const std::optional<std::size_t>& sessions_max = options.max_sessions_per_principal;
  if (sessions_max && (*sessions_max == 0 || *sessions_max > 1000)) {
    return invalid("max_sessions_per_principal: must be 1 to 1,000");
  }
  if (options.operation_timeout < milliseconds(10) ||
      options.operation_timeout > std::chrono::minutes(10)) {
    return invalid("operation_timeout: must be 10 ms to 10 minutes");
  }
  return {};
}

// An id that is over is remembered for so long at least: as long as a request may have been under
// way with it.
constexpr milliseconds mark_min = std::chrono::seconds(10);

PlanOptions plan_options(const SessionOptions& options) {
  return {options.idle_timeout,
          options.absolute_timeout,
          options.renew_after.value_or(options.idle_timeout / 10),
          options.regenerate_grace,
          std::max(options.regenerate_grace, mark_min),
          options.cookie.rolling};
}

}  // namespace

Result<void> set_up(SessionContext& context, SessionOptions options, bool has_index,
                    std::shared_ptr<const KeyPlacement> placement) {
  if (auto valid = validate(options); !valid) return valid;
  if (options.max_sessions_per_principal && !has_index) {
    Error error = no_principal_index();
    error.detail = "max_sessions_per_principal: " + error.detail;
    return error;
  }
  if (!options.signing.keys.empty()) {
    Result<CookieSigner> signer =
        CookieSigner::make(options.cookie.name, options.signing, options.id_format);
    if (!signer) return std::move(signer).error();
    context.signer = *std::move(signer);
  }
  context.plan = plan_options(options);
  context.clock = options.clock ? options.clock : system_clock();
  context.keys = SessionKeys(options.id_storage, options.id_namespace, std::move(placement));
  context.has_index = has_index;
  context.options = std::move(options);
  return {};
}

}  // namespace websession::internal
