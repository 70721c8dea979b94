// The lanes to each node of a Redis Cluster, for callers that block.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "cluster/cluster_map.hpp"
#include "dialer.hpp"
#include "greeting.hpp"
#include "lanes.hpp"
#include "place.hpp"
#include "transport.hpp"

namespace websession::redis {

// How to connect to a node.
using MakeNodeConnector = std::function<std::shared_ptr<Connector>(const Place&)>;

// Safe to use from many threads at once. Nodes stay as long as this does, since somebody may be on
// his way to one at any time.
class NodeLanes {
 public:
  // What is given outlives it.
  NodeLanes(const ClusterMap& map, const MakeNodeConnector& connector, const Login& login,
            const EngineOptions& options) noexcept;
  NodeLanes(const NodeLanes&) = delete;
  NodeLanes& operator=(const NodeLanes&) = delete;
  ~NodeLanes();

  Lanes& at(NodeId node);
  // Lets go of connections to nodes that have no slots, where nobody is in the midst of something.
  void rest();
  // Connections to nodes that had no slots when they were made are not used any more: on those
  // nothing could be tried (Login::probe_key).
  void renew(std::span<const NodeId> fresh) noexcept;
  // For the child of a fork: lets go of the parent's connections, without a lock.
  void disown() noexcept;

 private:
  Lanes& add(NodeId node);

  const ClusterMap& map_;
  const MakeNodeConnector& connector_;
  const Login& login_;
  const EngineOptions& options_;
  std::mutex adding_;
  std::array<std::atomic<Lanes*>, nodes_max> lanes_{};
};

}  // namespace websession::redis
