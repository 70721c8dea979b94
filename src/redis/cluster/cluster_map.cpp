#include "cluster/cluster_map.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace websession::redis {
namespace {

// While slots move, each of them casts doubt on the map; and while a node is away, each call to it.
constexpr std::chrono::milliseconds pause_of(ClusterMap::Doubt doubt) {
  const bool is_urgent = doubt == ClusterMap::Doubt::leads_to_nobody;
  return std::chrono::milliseconds(is_urgent ? 100 : 1000);
}
// Of those that have slots, so many are asked before those of the URL, which may know better when
// all of them have gone.
constexpr std::ptrdiff_t primaries_first = 3;

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
  if (!is_known_) return std::nullopt;
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [node](const auto& has) { return has.load() == node; });
  if (found == nodes_.end()) return std::nullopt;
  return static_cast<Slot>(found - nodes_.begin());
}

void ClusterMap::moved(Slot slot, NodeId node) noexcept {
  nodes_[slot].store(node, std::memory_order_relaxed);
  doubt(Doubt::in_parts);
}

std::vector<NodeId> ClusterMap::assign(std::span<const SlotRange> ranges) {
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
  if (primaries.empty()) return {};
  for (std::size_t slot = 0; slot < slots_count; ++slot) {
    nodes_[slot].store(by_slot[slot].value_or(primaries.front()), std::memory_order_relaxed);
  }
  std::swap(primaries_, primaries);
  is_known_ = true;
  std::vector<NodeId> fresh = primaries_;
  std::erase_if(fresh, [&](NodeId node) {
    return std::find(primaries.begin(), primaries.end(), node) != primaries.end();
  });
  return fresh;
}

void ClusterMap::doubt(Doubt doubt) noexcept {
  Doubt before = doubt_;
  while (before < doubt && !doubt_.compare_exchange_weak(before, doubt)) {
  }
}

bool ClusterMap::begin_asking(SteadyTime now) noexcept {
  if (is_being_asked_.exchange(true)) return false;
  const SteadyTime before = asked_at_.load();
  const bool is_time =
      !is_known_ || before == SteadyTime::min() || now - before >= pause_of(doubt_);
  if (!is_time) {
    is_being_asked_ = false;
    return false;
  }
  asked_at_ = now;
  doubt_ = Doubt::none;
  return true;
}

void ClusterMap::end_asking(std::optional<Error> failed) {
  {
    const std::lock_guard lock(mutex_);
    last_error_ = std::move(failed);
  }
  is_being_asked_ = false;
}

std::optional<Error> ClusterMap::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

std::vector<NodeId> ClusterMap::to_ask(std::optional<NodeId> in_vain) {
  const std::lock_guard lock(mutex_);
  ++asked_first_;
  const auto rotated = [this](std::vector<NodeId> nodes) {
    if (!nodes.empty()) {
      const auto first = static_cast<std::ptrdiff_t>(asked_first_ % nodes.size());
      std::rotate(nodes.begin(), nodes.begin() + first, nodes.end());
    }
    return nodes;
  };
  std::vector<NodeId> all = rotated(primaries_);
  std::vector<NodeId> named;
  for (NodeId node = 0; node < named_count_; ++node) {
    if (std::find(all.begin(), all.end(), node) == all.end()) named.push_back(node);
  }
  named = rotated(std::move(named));
  const auto behind = std::min(primaries_first, static_cast<std::ptrdiff_t>(all.size()));
  all.insert(all.begin() + behind, named.begin(), named.end());
  if (in_vain) std::erase(all, *in_vain);
  return all;
}

}  // namespace websession::redis
