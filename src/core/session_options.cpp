#include "session_options.hpp"

#include <chrono>
#include <cstddef>
#include <optional>

#include "invalid.hpp"
#include "websession/cookie.hpp"
#include "websession/session_store.hpp"

namespace websession {

using internal::invalid;
using std::chrono::milliseconds;

Result<void> internal::validate(const SessionOptions& options) {
  if (auto valid = websession::validate(options.cookie); !valid) return valid;
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

}  // namespace websession
