// An exchange, for a caller that blocks.
#pragma once

#include <optional>
#include <vector>

#include "greeting.hpp"
#include "resp.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// Sends the commands, and reads all their replies, or those that come before the error. What a
// server says before it closes is read even when writing has failed.
std::optional<Error> run(Transport& transport, ReplyParser& parser, const Exchange& exchange,
                         SteadyTime deadline, std::vector<Reply>& replies);

}  // namespace websession::redis
