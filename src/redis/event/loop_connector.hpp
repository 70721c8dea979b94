// How connections are made on an event loop. Tests replace it.
#pragma once

#include <memory>

#include "place.hpp"
#include "transport.hpp"
#include "websession/async/callback.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// An attempt that runs. Destroying it ends it, untold.
class Attempt {
 public:
  Attempt() = default;
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  virtual ~Attempt() = default;
};

// For one loop, and on it only.
class LoopConnector {
 public:
  using Made = Result<std::unique_ptr<Transport>>;

  LoopConnector() = default;
  LoopConnector(const LoopConnector&) = delete;
  LoopConnector& operator=(const LoopConnector&) = delete;
  virtual ~LoopConnector() = default;

  // `made`: once, by the deadline, never inside of this. It may destroy the attempt.
  // Errors: those of Connector::connect.
  virtual std::unique_ptr<Attempt> connect(SteadyTime deadline, Callback<void(Made)> made) = 0;
  virtual void forget_address() noexcept {}
  // `told`: each time the server turns out to be another one by now, without anybody asking.
  virtual void when_moved(Callback<void()> /*told*/) {}
  // Nothing of it is on the loop any more. Of no use from then on.
  virtual void close() noexcept {}
};

class TlsContext;

// Tries the address that worked last time first. A literal address and a unix socket need no
// resolver. A name is resolved by a thread of its own, which lives as long as the system's resolver
// takes, on nobody's behalf if nobody waits any more; there is one at a time for each connector.
//
// `tls`: null, in plain text.
std::unique_ptr<LoopConnector> make_loop_connector(Place place,
                                                   std::shared_ptr<const TlsContext> tls,
                                                   const std::shared_ptr<Reactor>& loop);

}  // namespace websession::redis
