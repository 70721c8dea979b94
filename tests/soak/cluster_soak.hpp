// The soak on a Redis Cluster.
#pragma once

#include <chrono>
#include <cstdint>

#include "session_history.hpp"

namespace websession::testing {

// Of each call.
inline constexpr std::chrono::milliseconds cluster_timeout{1000};

// 64 threads on three primaries with a replica each, while slots move back and forth and primaries
// are killed in turn. Every write is waited for (RedisOptions::replicas_to_wait_for), so none that
// was acknowledged may be lost; beside them some visitors whose writes are not, and whose losses
// are counted: only what was on the killed primary may be among them.
void soak_on_cluster(std::chrono::seconds duration, std::uint64_t seed, Tally& tally);

}  // namespace websession::testing
