// Random test data whose seed is printed, so that a failure can be repeated.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace websession::testing {

// Seeded from WEBSESSION_TEST_SEED when it is set.
class Random {
 public:
  Random() : seed_(choose()), engine_(seed_) {
    std::cout << "WEBSESSION_TEST_SEED=" << seed_ << '\n';
  }

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_);
  }

  std::uint64_t bits() { return engine_(); }

  std::string bytes(std::size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(below(256));
    return text;
  }

  // Of the given characters only.
  std::string text(std::size_t size, const std::string& characters) {
    std::string text(size, '\0');
    for (char& c : text) c = characters[below(characters.size())];
    return text;
  }

 private:
  static std::uint64_t choose() {
    if (const char* given = std::getenv("WEBSESSION_TEST_SEED")) return std::stoull(given);
    return std::random_device{}();
  }
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace websession::testing
