// What caches are told of a response that was made with a session.
#pragma once

#include <vector>

#include "websession/http.hpp"

namespace websession::internal {

// Adds `Vary: Cookie`, and for a visitor who brought a session cookie `Cache-Control: private`,
// unless the header is there: that of a Set-Cookie is stricter.
void add_cache_headers(std::vector<Header>& headers, bool brought_cookie);

}  // namespace websession::internal
