// Random bytes for ids by way of a small buffer a thread: from OpenSSL's CSPRNG, and in a child of
// a fork from the kernel's.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "websession/result.hpp"

namespace websession::internal {

// Fills `out`, at most 256 bytes, with bytes that are given to nobody else: to no other thread, and
// to no other process after a fork. False: the generator failed, and `out` is not to be used.
//
// Safe to call from many threads, and at any time in the life of a thread or of the process (from
// destructors of thread-local and static objects, too). Not from a signal handler.
[[nodiscard]] bool fill_random(std::span<unsigned char> out) noexcept;

// The same as a string of so many bytes. Error: no_randomness.
[[nodiscard]] Result<std::string> random_string(std::size_t size);

}  // namespace websession::internal
