// Connects to one place, in plain text or over TLS.
#pragma once

#include <memory>

#include "place.hpp"
#include "tls_context.hpp"
#include "transport.hpp"

namespace websession::redis {

// `tls`: null, in plain text; else whom it is for is not looked at.
std::unique_ptr<Connector> make_place_connector(const Place& place,
                                                const std::shared_ptr<const TlsContext>& tls);

}  // namespace websession::redis
