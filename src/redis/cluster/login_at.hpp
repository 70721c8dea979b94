// How a node of a Redis Cluster is greeted.
#pragma once

#include "cluster/cluster_map.hpp"
#include "greeting.hpp"

namespace websession::redis {

// The login with a key for its probe that the node has. The map outlives it.
[[nodiscard]] Login login_at(const Login& login, const ClusterMap& map, NodeId node);

}  // namespace websession::redis
