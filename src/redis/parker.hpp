// Lets one thread sleep until another wakes it or a deadline passes.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

#include "websession/clock.hpp"

namespace websession::redis {

// A binary semaphore on a futex: std::atomic::wait has no timeout, and with a condition variable a
// lane of many callers reached less than half of the throughput.
class Parker {
 public:
  // Any thread. Wakes the owner, or lets its next park return at once.
  void unpark() noexcept {
    state_.store(1, std::memory_order_release);
    ::syscall(SYS_futex, address(), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

  // The owner only. Returns when it was unparked, or at the deadline.
  void park_until(SteadyTime deadline) noexcept {
    const auto since_boot = deadline.time_since_epoch();
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_boot);
    const std::timespec until{
        static_cast<std::time_t>(whole.count()),
        static_cast<long>(std::chrono::nanoseconds(since_boot - whole).count())};
    while (state_.exchange(0, std::memory_order_acquire) == 0) {
      if (std::chrono::steady_clock::now() >= deadline) return;
      // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which steady_clock is.
      ::syscall(SYS_futex, address(), FUTEX_WAIT_BITSET_PRIVATE, 0, &until, nullptr,
                FUTEX_BITSET_MATCH_ANY);
    }
  }

 private:
  std::uint32_t* address() noexcept { return reinterpret_cast<std::uint32_t*>(&state_); }

  std::atomic<std::uint32_t> state_ = 0;
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

}  // namespace websession::redis
