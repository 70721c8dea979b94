// What every store on Redis that blocks stands on: lanes that survive a fork. It knows no layout.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "blocking_flow.hpp"
#include "call_flow.hpp"
#include "dialer.hpp"
#include "lanes.hpp"
#include "pipeline.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// Safe to use from many threads at once, and on both sides of a fork.
class Engine {
 public:
  Engine(MakeConnector connector, Login login, const RedisOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes the first connection, by connect_timeout.
  Result<void> connect();

  // Sends the commands once, and leaves a server whose answer says that the one to ask is
  // elsewhere.
  Result<Replies> send(const Commands& commands, SteadyTime until);

  // Runs a verb to its end. `make(flow)` gives its Task.
  template <class Make>
  auto run(const Make& make) {
    internal::FrameMemory memory;
    Driver driver(*this);
    CallFlow flow(memory.arena(), driver, deadline(), options_.waits_for);
    return internal::finish(make(flow));
  }

 private:
  class Driver final : public CallDriver {
   public:
    explicit Driver(Engine& engine) noexcept : engine_(engine) {}
    bool send(const Commands& commands, SteadyTime until,
              internal::Answer<Result<Replies>>& answer) override {
      answer.put(engine_.send(commands, until));
      return true;
    }

   private:
    Engine& engine_;
  };

  // Lanes belong to the process that made them. After a fork, the child must not even lock their
  // mutexes: another thread of the parent may have held one. So the child makes its own lanes, and
  // keeps the old ones, disowned and untouched, for the rest of its life.
  struct OwnedLanes {
    pid_t owner;
    Lanes lanes;
    OwnedLanes* inherited;
  };
  OwnedLanes* make_lanes(OwnedLanes* inherited) const;
  Lanes& lanes();
  // By when a verb that begins now returns.
  [[nodiscard]] SteadyTime deadline() const;

  const MakeConnector make_connector_;
  const Login login_;
  const EngineOptions options_;
  std::atomic<OwnedLanes*> current_;
};

}  // namespace websession::redis
