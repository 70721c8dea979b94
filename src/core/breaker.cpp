#include "breaker.hpp"

#include <algorithm>
#include <utility>

namespace websession::internal {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds backoff_first{100};
constexpr milliseconds backoff_most{1000};

}  // namespace

void Breaker::failed(SteadyTime start, SteadyTime now) {
  if (now - start < long_time_ / 2) {
    if (!std::exchange(is_first_, false)) retry_at_ = now + pause_;
    return;
  }
  is_first_ = false;
  backoff_ = std::clamp(backoff_ * 2, backoff_first, backoff_most);
  std::uniform_real_distribution<double> around(0.5, 1.5);
  const double ms = static_cast<double>(backoff_.count()) * around(jitter_);
  retry_at_ = now + milliseconds(static_cast<milliseconds::rep>(ms));
}

}  // namespace websession::internal
