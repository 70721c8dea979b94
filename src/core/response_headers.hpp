// What caches are told of a response that was made with a session.
#pragma once

#include <vector>

#include "websession/http.hpp"
#include "websession/session_options.hpp"

namespace websession::internal {

// Adds `Vary: Cookie`, and for a visitor who brought a session cookie `Cache-Control: private`,
// unless the header is there: that of a Set-Cookie is stricter.
void add_cache_headers(std::vector<Header>& headers, bool brought_cookie);
// Those of a response for which there is no Commit.
[[nodiscard]] std::vector<Header> cache_headers(const SessionOptions& options,
                                                const RequestInfo& request);

}  // namespace websession::internal
