// A store in memory whose time stands still until a test moves it, and whose calls it can count and
// fail. To derive a fixture from.
#pragma once

#include <memory>

#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {

struct FaultyMemory {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>(clock);
  std::shared_ptr<FaultStore> store = std::make_shared<FaultStore>(memory);
};

}  // namespace websession::testing
