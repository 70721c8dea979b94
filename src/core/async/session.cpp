#include "websession/async/session.hpp"

#include "async/session_operation.hpp"
#include "decisions.hpp"

namespace websession {

using internal::SessionState;
using internal::StoreFlow;

Op<std::int64_t> AsyncSession::increment(std::string_view name, std::int64_t by) {
  return internal::session_operation<std::int64_t>(
      *this, [name = std::string(name), by](StoreFlow& flow, SessionState& state) {
        return internal::increment_attribute(flow, state, name, by);
      });
}

Op<bool> AsyncSession::replace(std::string_view name, Texts any_of,
                               std::optional<Result<std::string>> desired) {
  return internal::session_operation<bool>(
      *this, [name = std::string(name), any_of = std::move(any_of), desired = std::move(desired)](
                 StoreFlow& flow, SessionState& state) mutable {
        return internal::replace_attribute(flow, state, name, any_of, desired);
      });
}

}  // namespace websession
