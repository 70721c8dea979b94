// What a store with a defect does in the midst of a step, so that races meet there.
#pragma once

#include <chrono>
#include <thread>

namespace websession::testing {

// Lets other threads come to the same point. Bounded by the clock: on a busy machine one yield can
// take as long as another process' turn.
inline void give_way() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  for (int i = 0; i < 1000 && std::chrono::steady_clock::now() < end; ++i) {
    std::this_thread::yield();
  }
}

}  // namespace websession::testing
