// What caches are told of a response that was made with a session.
#pragma once

#include <vector>

#include "websession/http.hpp"
#include "websession/session_options.hpp"

namespace websession::internal {

// Adds a `Vary` that names what the session was found by, and for a visitor who brought an id
// `Cache-Control: private`, unless the header is there: that of a new id is stricter.
void add_cache_headers(std::vector<Header>& headers, const TransportOptions& transport,
                       bool brought_id);
// Those of a response for which there is no Commit.
[[nodiscard]] std::vector<Header> cache_headers(const SessionOptions& options,
                                                const RequestInfo& request);

}  // namespace websession::internal
