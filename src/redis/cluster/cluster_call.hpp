// How commands find the node of a Redis Cluster that has their keys.
#pragma once

#include "call_flow.hpp"
#include "pipeline.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// What execute() does on a Cluster: asks the node that has the slot, as far as is known, and goes
// where it is sent, until the deadline.
Task<Result<Replies>> execute_on_cluster(CallFlow& flow, const Commands& commands, Repeat repeat,
                                         bool& repeated);

// Asks the nodes who has which slot, unless somebody else does so or has just done so. `in_vain`:
// one that does not answer. Error: why nothing is known (yet).
Task<Result<void>> look_at_slots(CallFlow& flow, std::optional<NodeId> in_vain);

}  // namespace websession::redis
