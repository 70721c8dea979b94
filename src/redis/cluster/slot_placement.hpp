// Which keys lie in one slot of a Redis Cluster.
#pragma once

#include <memory>

#include "greeting.hpp"
#include "websession/key_placement.hpp"

namespace websession::redis {

// Null: there are no slots.
std::shared_ptr<const KeyPlacement> make_placement(const Login& login);

}  // namespace websession::redis
