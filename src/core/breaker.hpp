// When to try again to connect.
#pragma once

#include <chrono>
#include <random>

#include "websession/clock.hpp"
#include "websession/config.hpp"

// Exported, as the stores that use it are components of their own.
WEBSESSION_API_BEGIN
namespace websession::internal {

// An attempt that failed at once costs little, so the next caller tries again (after a pause, if
// there is to be one, and it was not the first). One that took long
// (a silent server, a resolver that does not answer) would cost every caller as much: for a while,
// nobody tries. Each time twice as long, with jitter.
class Breaker {
 public:
  // `long_time`: what an attempt may take.
  explicit Breaker(std::chrono::milliseconds long_time,
                   std::chrono::milliseconds pause = std::chrono::milliseconds(0))
      : long_time_(long_time), pause_(pause), jitter_(std::random_device{}()) {}

  // Nobody tries before that.
  [[nodiscard]] SteadyTime retry_at() const noexcept { return retry_at_; }
  void succeeded() noexcept {
    backoff_ = std::chrono::milliseconds(0);
    is_first_ = true;
  }
  // One that was cut short because its caller had little time left says nothing about the server.
  void failed(SteadyTime start, SteadyTime now);

 private:
  const std::chrono::milliseconds long_time_;
  const std::chrono::milliseconds pause_;
  std::chrono::milliseconds backoff_{0};
  bool is_first_ = true;  // of a row of failed ones
  SteadyTime retry_at_{};
  std::minstd_rand jitter_;
};

}  // namespace websession::internal
WEBSESSION_API_END
