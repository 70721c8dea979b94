// Finds the Redis that Sentinels watch, on an event loop.
#pragma once

#include <chrono>
#include <memory>

#include "endpoint.hpp"
#include "event/loop_connector.hpp"

namespace websession::redis {

// As make_sentinel_connector(). `ask_for`: so long all of them together are asked.
std::unique_ptr<LoopConnector> make_sentinel_loop_connector(const Endpoint& endpoint,
                                                            const std::shared_ptr<Reactor>& loop,
                                                            std::chrono::milliseconds ask_for);

}  // namespace websession::redis
