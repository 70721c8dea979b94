#include "cluster/cluster_map.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace websession::redis {
namespace {

// While slots move, each of them casts doubt on the map.
constexpr std::chrono::milliseconds between_questions{100};

}  // namespace

ClusterMap::ClusterMap(const std::vector<Place>& named) {
  for (const Place& place : named) {
    if (places_.size() < nodes_max) static_cast<void>(add(place));
  }
  named_count_ = places_.size();
}

std::optional<NodeId> ClusterMap::add(const Place& place) {
  const auto found = std::find(places_.begin(), places_.end(), place);
  if (found == places_.end() && places_.size() == nodes_max) return std::nullopt;
  const auto node = static_cast<NodeId>(found - places_.begin());
  if (found == places_.end()) places_.push_back(place);
  return node;
}

const Place& ClusterMap::place_of(NodeId node) const {
  const std::lock_guard lock(mutex_);
  return places_[node];
}

std::optional<NodeId> ClusterMap::node_at(const Place& place) {
  const std::lock_guard lock(mutex_);
  return add(place);
}

bool ClusterMap::has_slots(NodeId node) const {
  const std::lock_guard lock(mutex_);
  return std::find(primaries_.begin(), primaries_.end(), node) != primaries_.end();
}

std::optional<Slot> ClusterMap::slot_of_node(NodeId node) const {
  if (!has_slots(node)) return std::nullopt;
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [node](const auto& has) { return has.load() == node; });
  if (found == nodes_.end()) return std::nullopt;
  return static_cast<Slot>(found - nodes_.begin());
}

void ClusterMap::moved(Slot slot, NodeId node) noexcept {
  nodes_[slot].store(node, std::memory_order_relaxed);
  doubt();
}

bool ClusterMap::assign(std::span<const SlotRange> ranges) {
  const std::lock_guard lock(mutex_);
  std::vector<NodeId> primaries;
  std::vector<std::optional<NodeId>> by_slot(slots_count);
  for (const SlotRange& range : ranges) {
    const std::optional<NodeId> node = add(range.place);
    if (!node) continue;
    if (std::find(primaries.begin(), primaries.end(), *node) == primaries.end()) {
      primaries.push_back(*node);
    }
    for (std::size_t slot = range.first; slot <= range.last; ++slot) by_slot[slot] = node;
  }
  if (primaries.empty()) return false;
  for (std::size_t slot = 0; slot < slots_count; ++slot) {
    nodes_[slot].store(by_slot[slot].value_or(primaries.front()), std::memory_order_relaxed);
  }
  primaries_ = std::move(primaries);
  return !is_known_.exchange(true);
}

bool ClusterMap::begin_asking(SteadyTime now) noexcept {
  if (is_being_asked_.exchange(true)) return false;
  const SteadyTime before = asked_at_.load();
  const bool is_time =
      !is_known_ || before == SteadyTime::min() || now - before >= between_questions;
  if (!is_time) {
    is_being_asked_ = false;
    return false;
  }
  asked_at_ = now;
  is_doubted_ = false;
  return true;
}

std::vector<NodeId> ClusterMap::to_ask(std::optional<NodeId> in_vain) {
  const std::lock_guard lock(mutex_);
  std::vector<NodeId> all = primaries_;
  if (!all.empty()) {
    const auto first = static_cast<std::ptrdiff_t>(++asked_first_ % all.size());
    std::rotate(all.begin(), all.begin() + first, all.end());
  }
  for (NodeId named = 0; named < named_count_; ++named) {
    if (std::find(all.begin(), all.end(), named) == all.end()) all.push_back(named);
  }
  if (in_vain) std::erase(all, *in_vain);
  return all;
}

}  // namespace websession::redis
