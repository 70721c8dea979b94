// Sockets: what the transports share.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "place.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// An owned file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// Waits for any of poll's events. False: the deadline has passed, whatever is ready: so a loop that
// waits in each round ends, also when the peer always has more to say.
bool wait_for(int fd, short events, SteadyTime deadline) noexcept;

// An errno for people.
std::string words(int error);

// The errors of a connection that both kinds of transport give.
Error timed_out();
Error closed_by_peer();
Error lost(int error);
// Those of an attempt to connect.
Error connect_timed_out();
Error backlog_full();

// Where a server may be.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};
// Errors: unavailable.
Result<Address> unix_address(const Place& place);
// Asks the system's resolver, for as long as that takes. `only_literal`: takes no time, and none is
// found for a name.
Result<std::vector<Address>> resolve(const Place& place, bool only_literal = false);

// An attempt that has begun, on a socket that does not block and is closed by exec.
struct Begun {
  Descriptor socket{};
  bool connected = false;  // else it is when it can be written to, and has no error_of()
  bool full = false;       // a unix socket, whose queue has no room: nothing has begun
};
Result<Begun> begin_connect(const Address& address);
// What became of it; 0: it is connected.
int error_of(const Descriptor& socket) noexcept;
// With what a user can do about it.
Error cannot_connect(const Place& place, Error last);

// Makes connected sockets: non-blocking, and closed by exec. Resolves the host each time, and tries
// the address that worked last time first.
class SocketDialer {
 public:
  explicit SocketDialer(Place place) : place_(std::move(place)) {}

  // Errors: unavailable, timeout.
  Result<Descriptor> dial(SteadyTime deadline);
  void forget_address() noexcept { last_good_.reset(); }

 private:
  static Result<Descriptor> connect_to(const Address& address, SteadyTime deadline);
  static Result<Descriptor> connect_to_unix(const Address& address, SteadyTime deadline);
  [[nodiscard]] Result<std::vector<Address>> find_addresses() const;

  Place place_;
  std::optional<Address> last_good_{};
};

}  // namespace websession::redis
