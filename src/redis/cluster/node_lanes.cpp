#include "cluster/node_lanes.hpp"

#include "cluster/login_at.hpp"

namespace websession::redis {

NodeLanes::NodeLanes(const ClusterMap& map, const MakeNodeConnector& connector, const Login& login,
                     const EngineOptions& options) noexcept
    : map_(map), connector_(connector), login_(login), options_(options) {}

NodeLanes::~NodeLanes() {
  for (const std::atomic<Lanes*>& lanes : lanes_) delete lanes.load();
}

Lanes& NodeLanes::at(NodeId node) {
  Lanes* const there = lanes_[node].load(std::memory_order_acquire);
  return there != nullptr ? *there : add(node);
}

Lanes& NodeLanes::add(NodeId node) {
  const std::lock_guard lock(adding_);
  if (Lanes* const there = lanes_[node].load()) return *there;
  auto made = std::make_unique<Lanes>(connector_(map_.place_of(node)), login_at(login_, map_, node),
                                      options_);
  lanes_[node].store(made.get(), std::memory_order_release);
  return *made.release();
}

void NodeLanes::rest() {
  for (NodeId node = 0; node < nodes_max; ++node) {
    Lanes* const lanes = lanes_[node].load(std::memory_order_acquire);
    if (lanes != nullptr && !map_.has_slots(node)) lanes->rest();
  }
}

void NodeLanes::renew(std::span<const NodeId> fresh) noexcept {
  for (const NodeId node : fresh) {
    Lanes* const lanes = lanes_[node].load(std::memory_order_acquire);
    if (lanes != nullptr) lanes->renew(lanes->generation());
  }
}

void NodeLanes::disown() noexcept {
  for (const std::atomic<Lanes*>& lanes : lanes_) {
    if (Lanes* const there = lanes.load(std::memory_order_acquire)) there->disown();
  }
}

}  // namespace websession::redis
