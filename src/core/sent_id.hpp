// What gives a session's id to a client, and takes it away.
#pragma once

#include "session_state.hpp"
#include "websession/http.hpp"

namespace websession::internal {

// A new one, as a cookie or in a header. Precondition of both: it is stored.
void send_id(Commit& commit, const SessionState& state);
// One that the client has: only a cookie is sent again, for its attributes.
void send_again(Commit& commit, const SessionState& state);
// Deletes the cookie. A token is the client's to forget.
void take_id_away(Commit& commit, const SessionState& state);

}  // namespace websession::internal
