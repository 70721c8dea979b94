// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "websession/clock.hpp"

namespace websession::testing {

// Starts at the given Unix time. Safe to call from many threads at once.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(WallTime start = WallTime(std::chrono::milliseconds(1'700'000'000'000)))
      : start_(start) {}

  [[nodiscard]] WallTime wall() const noexcept override { return start_ + passed(); }
  [[nodiscard]] SteadyTime steady() const noexcept override { return SteadyTime() + passed(); }

  void advance(std::chrono::milliseconds by) noexcept { passed_ += by.count(); }

 private:
  [[nodiscard]] std::chrono::milliseconds passed() const noexcept {
    return std::chrono::milliseconds(passed_.load());
  }
  WallTime start_;
  std::atomic<std::int64_t> passed_ = 0;
};

}  // namespace websession::testing
