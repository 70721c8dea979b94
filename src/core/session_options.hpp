// Which options of a SessionManager make sense.
#pragma once

#include "websession/result.hpp"
#include "websession/session_options.hpp"

namespace websession::internal {

// Error: invalid_argument, naming the option that is wrong and what would be right.
Result<void> validate(const SessionOptions& options);

}  // namespace websession::internal
