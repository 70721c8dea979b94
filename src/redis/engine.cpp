#include "engine.hpp"

#include <unistd.h>

#include "cluster/cluster_call.hpp"
#include "endpoint.hpp"
#include "server_error.hpp"

namespace websession::redis {

Engine::Engine(Servers servers, Login login, const RedisOptions& options)
    : servers_(std::move(servers)),
      login_(std::move(login)),
      options_(engine_options(login_, options)),
      current_(make_owned(nullptr)) {}

Engine::~Engine() {
  Owned* own = current_.load();
  // What was inherited is not destroyed: its mutex may be locked for ever.
  if (own->owner == ::getpid()) delete own;
}

Engine::Owned* Engine::make_owned(Owned* inherited) const {
  auto made = std::make_unique<Owned>(Owned{::getpid(), {}, {}, {}, inherited});
  if (servers_.are_cluster()) {
    made->map = std::make_unique<ClusterMap>(servers_.named);
    made->nodes = std::make_unique<NodeLanes>(*made->map, servers_.node, login_, options_);
  } else {
    made->lanes = std::make_unique<Lanes>(servers_.one(), login_, options_);
  }
  return made.release();
}

Engine::Owned& Engine::owned() {
  Owned* found = current_.load(std::memory_order_acquire);
  if (found->owner == ::getpid()) return *found;
  Owned* mine = make_owned(found);
  if (current_.compare_exchange_strong(found, mine)) {
    const Owned& before = *mine->inherited;
    if (before.lanes != nullptr) before.lanes->disown();
    if (before.nodes != nullptr) before.nodes->disown();
    return *mine;
  }
  delete mine;  // another thread of this child was first
  return *found;
}

Result<void> Engine::connect() {
  Owned& mine = owned();
  const SteadyTime until = std::chrono::steady_clock::now() + options_.connect_timeout;
  if (mine.lanes != nullptr) return mine.lanes->connect(until);
  internal::FrameMemory memory;
  Driver driver(*this, mine);
  CallFlow flow(memory.arena(), driver, until);
  return internal::finish(look_at_slots(flow, std::nullopt));
}

SteadyTime Engine::deadline() const {
  return std::chrono::steady_clock::now() + options_.operation_timeout;
}

Result<Replies> Engine::send(Owned& mine, const Commands& commands, NodeId node,
                             SteadyTime until) const {
  Lanes& lanes = mine.lanes != nullptr ? *mine.lanes : mine.nodes->at(node);
  const std::uint64_t generation = lanes.generation();
  Result<Replies> result = lanes.execute(commands, until);
  if (result && refers_elsewhere(*result, login_.must_be_primary)) lanes.renew(generation);
  return result;
}

}  // namespace websession::redis
