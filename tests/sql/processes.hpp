// Processes that share one database. Those who call these have no store open, and no other
// threads. `open`: a store on that database; called in each process.
#pragma once

#include <functional>
#include <memory>

#include "websession/session_store.hpp"

namespace websession::testing {

using OpenStore = std::function<std::shared_ptr<SessionStore>()>;

// Two processes write, and are killed in turn, ten times. What they were told to be written is
// there, nothing is half written, and the other one goes on.
void expect_acknowledged_writes_survive(const OpenStore& open);

// Three processes at once: no increment is lost, one consumes what is there once, one moves a
// session, and a sign-out that meets their sign-ins leaves nobody in.
void expect_processes_race_well(const OpenStore& open);

}  // namespace websession::testing
