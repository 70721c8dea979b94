// Other names of sessions (SessionBase::set_alias), by which they are ended from outside.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "session_context.hpp"
#include "session_state.hpp"
#include "store_flow.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

namespace websession::internal {

// 1 to 256 bytes, none of them a control byte. Error: invalid_argument.
Result<void> validate_alias(std::string_view alias);

// What records hold of an alias: 43 base64url characters of its SHA-256. So who reads the store
// cannot end sessions by it elsewhere, and it has one form whatever it is.
[[nodiscard]] std::string alias_text(std::string_view alias, std::string_view id_namespace);

// A record of its own says which principals have sessions of this name: an attribute for each,
// whose value is the principal. It is there before the first such session is, and outlives it; so
// whoever does not find it knows that there is no session.
[[nodiscard]] StoreKey alias_key(std::string_view text);

// Of a commit that gives the session an alias (alias_text), or one that has it other timeouts;
// before it writes.
Task<Result<void>> announce_alias(StoreFlow& flow, const SessionState& state,
                                  std::string_view alias);

// Ends all sessions of this name, and gives how many.
Task<Result<std::size_t>> end_by_alias(StoreFlow& flow, const SessionContext& context,
                                       std::string_view alias);

}  // namespace websession::internal
