// Finds the Redis that Sentinels watch, for callers that block.
#pragma once

#include <memory>

#include "endpoint.hpp"
#include "transport.hpp"

namespace websession::redis {

// Asks a Sentinel each time it connects, and keeps that connection to hear of a failover.
std::shared_ptr<Connector> make_sentinel_connector(const Endpoint& endpoint);

}  // namespace websession::redis
