#include "counters.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

// glibc's own names for what the functions below replace.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace websession::bench {
namespace {

// The program is no shared library, so this needs no allocation on a thread's first use.
thread_local constinit Counters counters;

}  // namespace

Counters& Counters::operator+=(const Counters& other) noexcept {
  writes += other.writes;
  reads += other.reads;
  waits += other.waits;
  yields += other.yields;
  allocations += other.allocations;
  return *this;
}

Counters Counters::operator-(const Counters& other) const noexcept {
  return {writes - other.writes, reads - other.reads, waits - other.waits, yields - other.yields,
          allocations - other.allocations};
}

Counters counters_of_this_thread() noexcept { return counters; }

}  // namespace websession::bench

// Replacements of the C library's functions. A definition in the program comes before that of a
// shared library, for the callers in other libraries too.
using websession::bench::counters;

extern "C" {

ssize_t send(int fd, const void* data, std::size_t size, int flags) {
  ++counters.writes;
  return ::syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
}

ssize_t sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* address,
               socklen_t address_size) {
  ++counters.writes;
  return ::syscall(SYS_sendto, fd, data, size, flags, address, address_size);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  ++counters.writes;
  return ::syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t write(int fd, const void* data, std::size_t size) {
  ++counters.writes;
  return ::syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  ++counters.writes;
  return ::syscall(SYS_writev, fd, parts, count);
}

ssize_t recv(int fd, void* data, std::size_t size, int flags) {
  ++counters.reads;
  return ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
}

ssize_t recvfrom(int fd, void* __restrict data, std::size_t size, int flags,
                 sockaddr* __restrict address, socklen_t* __restrict address_size) {
  ++counters.reads;
  return ::syscall(SYS_recvfrom, fd, data, size, flags, address, address_size);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  ++counters.reads;
  return ::syscall(SYS_recvmsg, fd, message, flags);
}

ssize_t read(int fd, void* data, std::size_t size) {
  ++counters.reads;
  return ::syscall(SYS_read, fd, data, size);
}

ssize_t readv(int fd, const iovec* parts, int count) {
  ++counters.reads;
  return ::syscall(SYS_readv, fd, parts, count);
}

int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  ++counters.waits;
  timespec left{};  // the kernel writes to it
  if (timeout != nullptr) left = *timeout;
  return static_cast<int>(::syscall(SYS_ppoll, fds, count, timeout != nullptr ? &left : nullptr,
                                    mask, std::size_t{8} /* a kernel sigset */));
}

int poll(pollfd* fds, nfds_t count, int milliseconds) {
  timespec timeout{milliseconds / 1000, milliseconds % 1000 * 1000000L};
  return ppoll(fds, count, milliseconds < 0 ? nullptr : &timeout, nullptr);
}

int sched_yield() noexcept {
  ++counters.yields;
  return static_cast<int>(::syscall(SYS_sched_yield));
}

int epoll_wait(int fd, epoll_event* events, int max, int milliseconds) {
  ++counters.waits;
  return static_cast<int>(
      ::syscall(SYS_epoll_pwait, fd, events, max, milliseconds, nullptr, std::size_t{8}));
}

void* malloc(std::size_t size) {
  ++counters.allocations;
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  ++counters.allocations;
  return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) {
  ++counters.allocations;
  return __libc_realloc(block, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++counters.allocations;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  ++counters.allocations;
  *block = __libc_memalign(alignment, size);
  return *block != nullptr ? 0 : ENOMEM;
}

}  // extern "C"
