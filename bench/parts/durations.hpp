// How long each of many calls took. In the end the slowest ones are what matters.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

namespace websession::bench {

class Durations {
 public:
  // `call()`: whether it succeeded.
  template <class Call>
  void take(Call call) {
    const auto begin = std::chrono::steady_clock::now();
    if (!call()) std::abort();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    us_.push_back(took.count());
  }
  void tell(benchmark::State& state, const std::string& name) {
    std::sort(us_.begin(), us_.end());
    state.counters[name + "_median_us"] = us_[us_.size() / 2];
    state.counters[name + "_p999_us"] = us_[us_.size() - 1 - us_.size() / 1000];
    state.counters[name + "_worst_us"] = us_.back();
  }

 private:
  std::vector<double> us_;
};

}  // namespace websession::bench
