// For how long no reply has come from the server, on any connection, though some were due. Bytes
// that never make a reply are silence.
#pragma once

#include <atomic>

#include "websession/clock.hpp"

namespace websession::redis {

// Each connection alone would have to wait for its own share of lost answers before a dead path is
// noticed. Safe to use from many threads at once.
class Silence {
 public:
  // A reply has come.
  void end() noexcept {
    if (since_.load(std::memory_order_relaxed) != none) since_ = none;
  }

  // Somebody has waited in vain on a connection where none has come since `due`. Gives since
  // when none has come on any of them.
  SteadyTime goes_on(SteadyTime due) noexcept {
    SteadyTime since = none;
    return since_.compare_exchange_strong(since, due) ? due : since;
  }

 private:
  static constexpr SteadyTime none = SteadyTime::max();
  std::atomic<SteadyTime> since_ = none;
};

}  // namespace websession::redis
