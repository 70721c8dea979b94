// What this process holds, for tests that look for leaks.
#pragma once

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>

namespace websession::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

struct Possessions {
  std::size_t descriptors = 0;
  std::size_t heap_bytes = 0;
  std::size_t resident_bytes = 0;
};

inline Possessions possessions() {
  Possessions now;
  // The one that reads the folder is always among them.
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  now.descriptors = static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
  now.heap_bytes = ::mallinfo2().uordblks;
  std::ifstream statm("/proc/self/statm");
  std::size_t virtual_pages = 0;
  std::size_t resident_pages = 0;
  statm >> virtual_pages >> resident_pages;
  now.resident_bytes = resident_pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return now;
}

}  // namespace websession::testing
