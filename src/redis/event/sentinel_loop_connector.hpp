// Finds the Redis that Sentinels watch, on an event loop.
#pragma once

#include <memory>

#include "endpoint.hpp"
#include "event/loop_connector.hpp"

namespace websession::redis {

// As make_sentinel_connector().
std::unique_ptr<LoopConnector> make_sentinel_loop_connector(const Endpoint& endpoint,
                                                            const std::shared_ptr<Reactor>& loop);

}  // namespace websession::redis
