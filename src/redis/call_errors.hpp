// The errors of calls that both engines give.
#pragma once

#include <chrono>
#include <cstddef>

#include "websession/result.hpp"

namespace websession::redis {

// Nothing was sent.
Error overloaded(std::size_t pending_max);
Error no_connection();

Error no_answer(std::chrono::milliseconds timeout);
Error stopped_answering();
Error store_destroyed();

}  // namespace websession::redis
