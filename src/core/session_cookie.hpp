// What gives a session's cookie to a browser, and takes it away.
#pragma once

#include "session_state.hpp"
#include "websession/http.hpp"

namespace websession::internal {

// Precondition: it is stored.
void send_cookie(Commit& commit, const SessionState& state);
void delete_cookie(Commit& commit, const SessionState& state);

}  // namespace websession::internal
