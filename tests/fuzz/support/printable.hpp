// What is asked of every error, whatever bytes it is about.
#pragma once

#include <algorithm>
#include <string>

#include "fuzz_target.hpp"
#include "websession/result.hpp"

namespace websession::fuzz {

inline void require_printable(const Error& error) {
  const std::string text = error.message();
  require(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }),
          "an error can stand in a log");
}

}  // namespace websession::fuzz
