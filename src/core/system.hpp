// What the library asks of an operating system beyond POSIX, and the only place that does. There
// are two answers: system_linux.cpp, and system_portable.cpp for all others (WEBSESSION_PORTABLE),
// which gets along with POSIX 2008.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "websession/clock.hpp"
#include "websession/config.hpp"

// Exported, as the Redis store, a component of its own, uses it.
WEBSESSION_API_BEGIN
namespace websession::internal {

// Waits once, as poll does for one descriptor: more than 0, it is ready; 0, the deadline has
// passed; less, errno says why. A wait never ends before its deadline for the clock's coarseness.
int poll_until(pollfd& waiting, SteadyTime deadline) noexcept;

// Whether the peer will send no more. POSIX alone tells that when all that it has sent is read, and
// Linux before.
[[nodiscard]] bool has_hung_up(int fd) noexcept;

// A stream socket that exec closes, and that raises no SIGPIPE by send_quietly. Less than 0: errno.
[[nodiscard]] int make_stream_socket(int family, bool blocks) noexcept;
ssize_t send_quietly(int fd, const void* bytes, std::size_t size) noexcept;

// Probes an idle TCP connection after `first`, and then each `next`, and gives up after so many.
void keep_alive(int fd, std::chrono::seconds first, std::chrono::seconds next, int probes) noexcept;

// Sleeps while the word has this value, at most until the deadline; may wake for no reason.
void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                 SteadyTime deadline) noexcept;
// Wakes who sleeps on the word, of which it takes the address only: there may be no word any more.
void wake_sleeper(const void* word) noexcept;

// Waits for many descriptors, a time and a call: what an event loop stands on. One thread's, but
// for wake().
class Poller {
 public:
  struct Event {
    void* watched = nullptr;  // null: the time has come
    unsigned ready = 0;       // of Reactor::readable and writable; what is broken is both
  };

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // False: errno says why.
  [[nodiscard]] bool open() noexcept;
  // Readable when wait() would return at once; -1: this system has no such thing.
  [[nodiscard]] int descriptor() const noexcept;

  // Changes what is waited for at a descriptor, from `before` to `now` (Reactor::none: nothing).
  // False: errno says why. `watched` comes back in its events.
  bool watch(int fd, unsigned before, unsigned now, void* watched) noexcept;
  // One event without a descriptor is given at that time. A later call takes its place.
  void set_time(SteadyTime at) noexcept;
  // From any thread: the wait that is under way, or else the next one, returns.
  void wake() const noexcept;

  // Waits for something to happen, so many milliseconds at most (less than 0: without an end), and
  // gives what has, as far as there is room.
  using Room = std::array<Event, 64>;
  std::span<const Event> wait(int milliseconds, Room& room);

 private:
  struct Parts;
  const std::unique_ptr<Parts> parts_;
};

}  // namespace websession::internal
WEBSESSION_API_END
