// What the calling thread asked of the kernel and the allocator.
#pragma once

#include <cstdint>

namespace websession::bench {

// The calls that any code of this process made on one thread, its shared libraries included: the
// program has send, read, poll, malloc… of its own, which count and go on to the real ones.
struct Counters {
  std::uint64_t writes = 0;       // send, sendto, sendmsg, write, writev
  std::uint64_t reads = 0;        // recv, recvfrom, recvmsg, read, readv
  std::uint64_t waits = 0;        // poll, ppoll, epoll_wait
  std::uint64_t yields = 0;       // sched_yield
  std::uint64_t allocations = 0;  // malloc, calloc, realloc, operator new, aligned ones

  Counters& operator+=(const Counters& other) noexcept;
  Counters operator-(const Counters& other) const noexcept;
};

// Those of the calling thread since it began.
Counters counters_of_this_thread() noexcept;

}  // namespace websession::bench
