// A MemoryStore under a clock that tests move.
#pragma once

#include <memory>

#include "websession/memory_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

// For any store that takes all its time from the clock.
template <class Store>
class ClockedHarness : public StoreHarness {
 public:
  template <class... Args>
  explicit ClockedHarness(Args&&... args)
      : clock_(std::make_shared<ManualClock>()), store_(std::forward<Args>(args)..., clock_) {}

  SessionStore& store() override { return store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override { clock_->advance(duration); }

 private:
  std::shared_ptr<ManualClock> clock_;
  Store store_;
};

using MemoryHarness = ClockedHarness<MemoryStore>;

}  // namespace websession::testing
