// The few connections of a store, and who takes which: few callers take an idle lane each, as with
// a pool; many share one, since commands that travel together cost both sides least.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dialer.hpp"
#include "lane.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

class Lanes {
 public:
  Lanes(std::shared_ptr<Connector> connector, Login login, EngineOptions options);

  // Sends the commands and gives their replies, error replies among them. Connects if need be.
  // Safe to call from many threads at once.
  // Errors: unavailable, timeout, overloaded, corrupt, rejected (login).
  Result<Replies> execute(const Commands& commands, SteadyTime deadline);

  // Makes the first connection, unless there is one.
  Result<void> connect(SteadyTime deadline);

  // Connections are of one generation until they are renewed: from then on calls connect anew, and
  // resolve the name again; calls in flight are not disturbed. renew() does nothing when the
  // generation that it is to end has ended already.
  [[nodiscard]] std::uint64_t generation() const noexcept { return dialer_.generation(); }
  void renew(std::uint64_t generation) noexcept { dialer_.renew(generation); }

  // Lets go of connections that nobody uses. Safe to call at any time.
  void rest();

  // For the child of a fork: lets go of the parent's connections. Of no use afterwards.
  void disown() noexcept;

 private:
  struct Choice {
    Lane* lane;
    bool is_spare;  // it has yet to connect, while another lane is connected
  };
  // Each enters the lane that it gives. Null: there is no such lane.
  Choice choose(std::size_t callers);
  Lane* enter_connected() noexcept;

  const EngineOptions options_;
  Dialer dialer_;
  Silence silence_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<std::size_t> callers_ = 0;
  std::atomic<SteadyTime> no_spare_before_{SteadyTime()};
};

}  // namespace websession::redis
