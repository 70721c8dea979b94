// Waiting for something that comes within microseconds: giving the processor away a few times beats
// sleeping, as long as nobody else wants the processor for long.
#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>

#include "websession/clock.hpp"

namespace websession::redis {

// Safe to use from many threads at once.
class Patience {
 public:
  // A yield that takes so long is late: others compute, and none is made for a while.
  explicit constexpr Patience(std::chrono::milliseconds late) noexcept : late_(late) {}

  // Asks `is_there` and yields in turn, at most `times`. True: it is there. False: better sleep.
  template <class IsThere>
  bool wait_for(int times, const IsThere& is_there) {
    using SteadyClock = std::chrono::steady_clock;
    SteadyTime now = SteadyClock::now();
    if (now < off_until_.load(std::memory_order_relaxed)) times = 0;
    for (; times > 0; --times) {
      if (is_there()) return true;
      const SteadyTime before = now;
      ::sched_yield();
      now = SteadyClock::now();
      // Others compute. Whoever yields among them gets the processor back late; whoever sleeps is
      // preferred when it wakes.
      if (now - before < late_) continue;
      off_until_.store(now + pause, std::memory_order_relaxed);
      break;
    }
    return is_there();
  }

 private:
  const std::chrono::milliseconds late_;
  static constexpr std::chrono::milliseconds pause{100};
  std::atomic<SteadyTime> off_until_{SteadyTime()};
};

}  // namespace websession::redis
