#include "socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "system.hpp"

namespace websession::redis {

namespace {

// A stateful firewall forgets a connection that has been idle for minutes, without a word to either
// side. A probe each minute keeps it from that, and finds out when it has happened all the same.
constexpr std::chrono::seconds keepalive_first{60};
constexpr std::chrono::seconds keepalive_next{15};
constexpr int keepalive_probes = 4;

void set_tcp_options(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  internal::keep_alive(fd, keepalive_first, keepalive_next, keepalive_probes);
}

}  // namespace

bool wait_for(int fd, short events, SteadyTime deadline) noexcept {
  while (true) {
    pollfd waiting{fd, events, 0};
    const int ready = internal::poll_until(waiting, deadline);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return true;  // the next call on the socket tells what is wrong
  }
}

std::string words(int error) { return std::error_code(error, std::generic_category()).message(); }

Error timed_out() { return make_error(Errc::timeout, "the deadline has passed"); }

Error closed_by_peer() { return make_error(Errc::unavailable, "Redis closed the connection"); }

Error connect_timed_out() {
  return make_error(Errc::timeout, "no answer to the attempt to connect");
}

Error backlog_full() {
  return make_error(Errc::timeout, "its queue of new connections stayed full (tcp-backlog)");
}

Error lost(int error) {
  return make_error(Errc::unavailable, "the connection to Redis was lost (" + words(error) + ")");
}

Result<Begun> begin_connect(const Address& address) {
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  Begun begun;
  begun.socket = Descriptor(internal::make_stream_socket(target->sa_family, /*blocks=*/false));
  if (!begun.socket) return make_error(Errc::unavailable, "no socket: " + words(errno));
  const bool is_unix = target->sa_family == AF_UNIX;
  if (!is_unix) set_tcp_options(begun.socket.get());
  begun.connected = ::connect(begun.socket.get(), target, address.size) == 0;
  begun.full = is_unix && !begun.connected && errno == EAGAIN;
  if (!begun.connected && !begun.full && errno != EINPROGRESS) {
    return make_error(Errc::unavailable, words(errno));
  }
  return begun;
}

int error_of(const Descriptor& socket) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

Error cannot_connect(const Place& place, Error last) {
  last.detail = "cannot connect to Redis at " + place.display() + ": " + last.detail +
                "; is it running, and is the URL right?";
  return last;
}

Result<Descriptor> SocketDialer::connect_to(const Address& address, SteadyTime deadline) {
  if (address.storage.ss_family == AF_UNIX) return connect_to_unix(address, deadline);
  Result<Begun> begun = begin_connect(address);
  if (!begun) return std::move(begun).error();
  if (begun->connected) return std::move(begun->socket);
  if (!wait_for(begun->socket.get(), POLLOUT, deadline)) return connect_timed_out();
  if (const int error = error_of(begun->socket); error != 0) {
    return make_error(Errc::unavailable, words(error));
  }
  return std::move(begun->socket);
}

// A unix socket is connected at once or, when the server's queue is full, not at all: no event
// tells when there is room again. Only a socket that blocks waits for it, as long as it may send.
Result<Descriptor> SocketDialer::connect_to_unix(const Address& address, SteadyTime deadline) {
  using std::chrono::microseconds;
  Descriptor socket(internal::make_stream_socket(AF_UNIX, /*blocks=*/true));
  if (!socket) return make_error(Errc::unavailable, "no socket: " + words(errno));
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  int error = EINTR;
  while (error == EINTR) {
    const auto left = std::chrono::ceil<microseconds>(deadline - std::chrono::steady_clock::now());
    const auto us = std::max(left, microseconds(1)).count();  // 0 would be without an end
    const timeval timeout{static_cast<time_t>(us / 1'000'000),
                          static_cast<suseconds_t>(us % 1'000'000)};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    error = ::connect(socket.get(), target, address.size) == 0 ? 0 : errno;
    if (error == EINTR && std::chrono::steady_clock::now() >= deadline) error = EAGAIN;
  }
  if (error == EAGAIN) return backlog_full();
  if (error != 0) return make_error(Errc::unavailable, words(error));
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  return socket;
}

Result<Descriptor> SocketDialer::dial(SteadyTime deadline) {
  Error last = make_error(Errc::unavailable, "no address");
  if (last_good_) {
    // It must leave time for the others; and it stays, for the time that no name is resolved.
    const auto now = std::chrono::steady_clock::now();
    Result<Descriptor> socket = connect_to(*last_good_, now + (deadline - now) / 2);
    if (socket) return socket;
  }
  Result<std::vector<Address>> addresses = find_addresses();
  if (!addresses) return std::move(addresses).error();
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    // An address that does not answer must leave time for the others.
    const auto now = std::chrono::steady_clock::now();
    const auto share = (deadline - now) / static_cast<int>(addresses->size() - i);
    Result<Descriptor> socket = connect_to((*addresses)[i], now + share);
    if (socket) {
      last_good_ = (*addresses)[i];
      return socket;
    }
    last = std::move(socket).error();
  }
  return cannot_connect(place_, std::move(last));
}

Result<std::vector<Address>> SocketDialer::find_addresses() const {
  if (!place_.host.empty()) return resolve(place_);
  Result<Address> address = unix_address(place_);
  if (!address) return std::move(address).error();
  return std::vector<Address>{*address};
}

Result<Address> unix_address(const Place& place) {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  if (place.socket_path.size() >= sizeof path.sun_path) {
    return make_error(Errc::unavailable, "the path of the Redis socket is too long");
  }
  std::memcpy(path.sun_path, place.socket_path.c_str(), place.socket_path.size() + 1);
  Address address;
  std::memcpy(&address.storage, &path, sizeof path);
  address.size = sizeof path;
  return address;
}

Result<std::vector<Address>> resolve(const Place& place, bool only_literal) {
  addrinfo hints{};
  if (only_literal) hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &list);
  if (error != 0) {
    return make_error(Errc::unavailable, "cannot resolve the Redis host \"" + place.host +
                                             "\": " + ::gai_strerror(error));
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

}  // namespace websession::redis
