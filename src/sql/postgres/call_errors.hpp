// The errors of calls that both engines give.
#pragma once

#include <cstddef>

#include "websession/result.hpp"

namespace websession::postgres {

Error no_answer();
Error no_connection();
Error overloaded(std::size_t pending_max);

}  // namespace websession::postgres
