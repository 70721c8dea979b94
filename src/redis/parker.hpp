// Lets one thread sleep until another calls it or a deadline passes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "system.hpp"
#include "websession/clock.hpp"

namespace websession::redis {

class Parker {
 public:
  // Any thread, once: wakes the owner for good. The owner may destroy this before it returns; the
  // wake-up that may follow takes the address only.
  void finish() noexcept {
    if (state_.exchange(finished, std::memory_order_acq_rel) == asleep)
      internal::wake_sleeper(&state_);
  }

  // Any thread: wakes the owner to look around, or lets its next wait return at once.
  void call() noexcept {
    std::uint32_t before = state_.load(std::memory_order_relaxed);
    while (before != finished &&
           !state_.compare_exchange_weak(before, called, std::memory_order_acq_rel)) {
    }
    if (before == asleep) internal::wake_sleeper(&state_);
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

  void sleep_until(SteadyTime deadline) noexcept {
    while (state_.load(std::memory_order_acquire) == asleep &&
           std::chrono::steady_clock::now() < deadline) {
      internal::sleep_while(state_, asleep, deadline);
    }
  }

  std::atomic<std::uint32_t> state_ = awake;
};

}  // namespace websession::redis
