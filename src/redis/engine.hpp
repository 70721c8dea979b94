// What every store on Redis that blocks stands on: lanes that survive a fork. It knows no layout.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "blocking_flow.hpp"
#include "call_flow.hpp"
#include "cluster/cluster_map.hpp"
#include "cluster/node_lanes.hpp"
#include "dialer.hpp"
#include "lanes.hpp"
#include "pipeline.hpp"
#include "place.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// Where an engine connects to: one server, or the nodes of a Cluster.
struct Servers {
  template <class Make>
  requires std::is_convertible_v<Make, MakeConnector> Servers(Make make) : one(std::move(make)) {}
  Servers(std::vector<Place> its_nodes, MakeNodeConnector make)
      : named(std::move(its_nodes)), node(std::move(make)) {}
  [[nodiscard]] bool are_cluster() const noexcept { return !named.empty(); }

  MakeConnector one{};
  std::vector<Place> named{};  // of a Cluster's, those to ask first
  MakeNodeConnector node{};
};

// Safe to use from many threads at once, and on both sides of a fork.
class Engine {
 public:
  Engine(Servers servers, Login login, const RedisOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes the first connection, by connect_timeout. To a Cluster: asks for its slots.
  Result<void> connect();

  // Runs a verb to its end. `make(flow)` gives its Task.
  template <class Make>
  auto run(const Make& make) {
    internal::FrameMemory memory;
    Driver driver(*this, owned());
    CallFlow flow(memory.arena(), driver, deadline(), options_.waits_for);
    return internal::finish(make(flow));
  }

 private:
  // What belongs to one process. After a fork, the child must not even lock the mutexes of its
  // parent: another thread of that may have held one. So the child makes its own, and keeps the
  // old ones, disowned and untouched, for the rest of its life.
  struct Owned {
    pid_t owner;
    std::unique_ptr<Lanes> lanes;     // to one server
    std::unique_ptr<ClusterMap> map;  // or of a Cluster
    std::unique_ptr<NodeLanes> nodes;
    Owned* inherited;
  };
  class Driver final : public CallDriver {
   public:
    Driver(Engine& engine, Owned& mine) noexcept : engine_(engine), mine_(mine) {}
    bool send(const Commands& commands, NodeId node, SteadyTime until,
              internal::Answer<Result<Replies>>& answer) override {
      answer.put(engine_.send(mine_, commands, node, until));
      return true;
    }
    [[nodiscard]] ClusterMap* cluster() noexcept override { return mine_.map.get(); }
    [[nodiscard]] SteadyTime now() const noexcept override {
      return std::chrono::steady_clock::now();
    }
    bool pause(SteadyTime until, internal::Answer<Result<void>>& answer) override {
      std::this_thread::sleep_until(until);
      answer.put(Result<void>());
      return true;
    }
    [[nodiscard]] std::size_t pending_max() const noexcept override {
      return engine_.options_.pending_max;
    }
    void map_changed(std::span<const NodeId> fresh) override {
      mine_.nodes->renew(fresh);
      mine_.nodes->rest();
    }

   private:
    Engine& engine_;
    Owned& mine_;
  };

  Owned* make_owned(Owned* inherited) const;
  Owned& owned();
  // Sends the commands once, and leaves a server whose answer says that the one to ask is
  // elsewhere.
  Result<Replies> send(Owned& mine, const Commands& commands, NodeId node, SteadyTime until) const;
  // By when a verb that begins now returns.
  [[nodiscard]] SteadyTime deadline() const;

  const Servers servers_;
  const Login login_;
  const EngineOptions options_;
  std::atomic<Owned*> current_;
};

}  // namespace websession::redis
