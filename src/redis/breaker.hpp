// When to try again to connect.
#pragma once

#include <chrono>
#include <random>

#include "websession/clock.hpp"

namespace websession::redis {

// An attempt that failed at once costs little, so the next caller tries again. One that took long
// (a silent server, a resolver that does not answer) would cost every caller as much: for a while,
// nobody tries. Each time twice as long, with jitter.
class Breaker {
 public:
  // `long_time`: what an attempt may take.
  explicit Breaker(std::chrono::milliseconds long_time)
      : long_time_(long_time), jitter_(std::random_device{}()) {}

  // Nobody tries before that.
  [[nodiscard]] SteadyTime retry_at() const noexcept { return retry_at_; }
  void succeeded() noexcept { backoff_ = std::chrono::milliseconds(0); }
  // One that was cut short because its caller had little time left says nothing about the server.
  void failed(SteadyTime start, SteadyTime now);

 private:
  const std::chrono::milliseconds long_time_;
  std::chrono::milliseconds backoff_{0};
  SteadyTime retry_at_{};
  std::minstd_rand jitter_;
};

}  // namespace websession::redis
