// The servers that one event loop talks to: one, or the nodes of a Redis Cluster.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "cluster/cluster_map.hpp"
#include "dialer.hpp"
#include "event/event_line.hpp"
#include "event/loop_connector.hpp"
#include "greeting.hpp"
#include "place.hpp"
#include "websession/async/reactor.hpp"

namespace websession::redis {

// On its loop.
class EventServers {
 public:
  using MakeLoopConnector = std::function<std::unique_ptr<LoopConnector>(const Place&)>;

  // On any thread. The loop outlives all calls on it.
  EventServers(const std::shared_ptr<Reactor>& loop, std::unique_ptr<LoopConnector> connector,
               const Login& login, const EngineOptions& options);
  // `named`: nodes of a Cluster.
  EventServers(const std::shared_ptr<Reactor>& loop, const std::vector<Place>& named,
               MakeLoopConnector connector, Login login, const EngineOptions& options);
  EventServers(const EventServers&) = delete;
  EventServers& operator=(const EventServers&) = delete;
  ~EventServers() = default;

  [[nodiscard]] Reactor& loop() const noexcept { return loop_; }
  [[nodiscard]] const EngineOptions& options() const noexcept { return options_; }
  // Null: it is one server.
  [[nodiscard]] ClusterMap* map() noexcept { return map_ ? &*map_ : nullptr; }

  // Null: this is closed.
  EventLine* line_to(NodeId node);
  // As those of NodeLanes.
  void rest();
  void renew(std::span<const NodeId> fresh);

  // Of calls that pause: those are woken when this is closed.
  void add_pause(Timer& timer) { pauses_.insert(&timer); }
  void remove_pause(Timer& timer) noexcept { pauses_.erase(&timer); }

  // EventLine's.
  void close();
  void drop() noexcept;

 private:
  Reactor& loop_;
  const std::weak_ptr<Reactor> kept_loop_;
  const MakeLoopConnector connector_{};
  const Login login_;
  const EngineOptions options_;
  std::optional<ClusterMap> map_{};
  std::vector<std::shared_ptr<EventLine>> lines_{};  // by NodeId; null: none yet
  std::set<Timer*> pauses_{};
  bool is_closed_ = false;
};

}  // namespace websession::redis
