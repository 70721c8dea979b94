// What every fuzz target needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// Each target defines this one function. libFuzzer calls it with inputs that it makes up, the tests
// (replay_main.cpp) with those of the corpus. It aborts when a property does not hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace websession::fuzz {

// States a property. `property` is what should have held.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "VIOLATED: %s\n", property);
  std::abort();
}

}  // namespace websession::fuzz
