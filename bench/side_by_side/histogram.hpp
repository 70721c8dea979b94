// Latencies of one thread, in a few thousand counters whatever their number.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace websession::bench {

// Log-linear: 64 steps for each power of two, so a quantile is within 1.6 %. Not thread-safe; each
// thread has one, and they are added up afterwards.
class Histogram {
 public:
  void add(std::uint64_t nanoseconds) noexcept { ++counts_[index_of(nanoseconds)]; }

  Histogram& operator+=(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    return *this;
  }

  // The latency that this share of all stays within, in nanoseconds; 0 when there is none.
  [[nodiscard]] std::uint64_t quantile(double share) const noexcept {
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts_) total += count;
    const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > rank) return upper_bound_of(i);
    }
    return 0;
  }

 private:
  static constexpr unsigned step_bits = 6;
  static constexpr std::size_t steps = std::size_t{1} << step_bits;

  static std::size_t index_of(std::uint64_t value) noexcept {
    if (value < steps) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - step_bits - 1;
    return (std::size_t{shift} << step_bits) + static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t upper_bound_of(std::size_t index) noexcept {
    if (index < 2 * steps) return index;
    const std::size_t shift = (index >> step_bits) - 1;
    const std::uint64_t mantissa = steps + (index & (steps - 1));
    return ((mantissa + 1) << shift) - 1;
  }

  std::array<std::uint64_t, steps*(64 - step_bits + 1)> counts_{};
};

}  // namespace websession::bench
