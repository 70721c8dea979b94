// The headers that give a session's cookie to a browser, and take it away.
#pragma once

#include <vector>

#include "session_state.hpp"
#include "websession/http.hpp"

namespace websession::internal {

// Precondition: it is stored.
[[nodiscard]] std::vector<Header> session_cookie(const SessionState& state);
[[nodiscard]] std::vector<Header> deleting_cookie(const SessionState& state);

}  // namespace websession::internal
