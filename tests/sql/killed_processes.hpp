// Processes that write to one database and are killed.
#pragma once

#include <functional>
#include <memory>

#include "websession/session_store.hpp"

namespace websession::testing {

// Two processes write, and are killed in turn, ten times. What they were told to be written is
// there, nothing is half written, and the other one goes on. `open`: a store on that database,
// called in each process; the one that calls this has none, and no other threads.
void expect_acknowledged_writes_survive(const std::function<std::shared_ptr<SessionStore>()>& open);

}  // namespace websession::testing
