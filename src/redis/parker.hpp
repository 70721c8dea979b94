// Lets one thread sleep until another calls it or a deadline passes.
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

// On a futex: std::atomic::wait has no timeout, and with a condition variable a lane of many
// callers reached less than half of the throughput.
class Parker {
 public:
  // Any thread, once: wakes the owner for good. The owner may destroy this before it returns; the
  // wake-up that may follow touches the address only in the kernel.
  void finish() noexcept {
    if (state_.exchange(finished, std::memory_order_acq_rel) == asleep) wake(address());
  }

  // Any thread: wakes the owner to look around, or lets its next wait return at once.
  void call() noexcept {
    std::uint32_t before = state_.load(std::memory_order_relaxed);
    while (before != finished &&
           !state_.compare_exchange_weak(before, called, std::memory_order_acq_rel)) {
    }
    if (before == asleep) wake(address());
  }

  // The owner only: whether wait() would return at once.
  [[nodiscard]] bool is_called() const noexcept {
    return state_.load(std::memory_order_relaxed) != awake;
  }

  // The owner only. Sleeps until it is called or finished, or until the deadline. True: finished.
  bool wait(SteadyTime deadline) noexcept {
    std::uint32_t expected = awake;
    if (state_.compare_exchange_strong(expected, asleep, std::memory_order_acq_rel)) {
      sleep_until(deadline);
    }
    // Whatever ended the sleep: a call is used up, the end is for good.
    std::uint32_t before = state_.load(std::memory_order_acquire);
    while (before != finished &&
           !state_.compare_exchange_weak(before, awake, std::memory_order_acq_rel)) {
    }
    return before == finished;
  }

 private:
  static constexpr std::uint32_t awake = 0;
  static constexpr std::uint32_t asleep = 1;
  static constexpr std::uint32_t called = 2;
  static constexpr std::uint32_t finished = 3;

  std::uint32_t* address() noexcept { return reinterpret_cast<std::uint32_t*>(&state_); }
  static void wake(std::uint32_t* address) noexcept {
    ::syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

  void sleep_until(SteadyTime deadline) noexcept {
    const auto since_boot = deadline.time_since_epoch();
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_boot);
    const std::timespec until{
        static_cast<std::time_t>(whole.count()),
        static_cast<long>(std::chrono::nanoseconds(since_boot - whole).count())};
    while (state_.load(std::memory_order_acquire) == asleep &&
           std::chrono::steady_clock::now() < deadline) {
      // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which steady_clock is.
      ::syscall(SYS_futex, address(), FUTEX_WAIT_BITSET_PRIVATE, asleep, &until, nullptr,
                FUTEX_BITSET_MATCH_ANY);
    }
  }

  std::atomic<std::uint32_t> state_ = awake;
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

}  // namespace websession::redis
