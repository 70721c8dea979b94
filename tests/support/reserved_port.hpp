// A port of 127.0.0.1 that stays ours while nobody listens on it.
//
// Free ports come from the range that outgoing connections take theirs from. So while a test server
// is down, its port could go to somebody else, or a client that tries to connect to it could even
// be given that very port and be connected to itself. A socket that is bound and does not listen
// keeps both from happening; servers that set SO_REUSEADDR can listen beside it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

namespace websession::testing {

inline sockaddr_in local_address(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The descriptor that holds it; `port` is set to its number.
inline int reserve_port(int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local_address(0);
  socklen_t size = sizeof address;
  const int on = 1;
  // Set after binding, so that the port is nobody else's already.
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    if (fd >= 0) ::close(fd);
    throw std::runtime_error("no free port");
  }
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace websession::testing
