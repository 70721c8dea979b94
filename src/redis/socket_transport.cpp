#include "socket_transport.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

namespace websession::redis {
namespace {

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

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::string words(int error) { return std::error_code(error, std::generic_category()).message(); }

// Waits for the socket. False: the deadline has passed.
bool wait_for(int fd, short events, SteadyTime deadline) noexcept {
  while (true) {
    const auto left = std::max(deadline - std::chrono::steady_clock::now(),
                               std::chrono::steady_clock::duration(0));
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec timeout{static_cast<time_t>(whole.count()),
                           static_cast<long>(std::chrono::nanoseconds(left - whole).count())};
    pollfd waiting{fd, events, 0};
    const int ready = ::ppoll(&waiting, 1, &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return true;  // the next call on the socket tells what is wrong
  }
}

Error timed_out() { return make_error(Errc::timeout, "the deadline has passed"); }

Error ended(int error) {
  return make_error(Errc::unavailable, "the connection to Redis was lost (" + words(error) + ")");
}

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(Descriptor socket) : socket_(std::move(socket)) {}

  Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) override {
    while (true) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) return static_cast<std::size_t>(sent);
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return ended(errno);
      if (!wait_for(socket_.get(), POLLOUT, deadline)) return timed_out();
    }
  }

  Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) override {
    while (true) {
      // The answer is hardly ever there yet, so waiting first saves a call.
      if (!wait_for(socket_.get(), POLLIN, deadline)) return timed_out();
      Result<std::size_t> received = read_ready(buffer);
      if (!received || *received > 0) return received;
    }
  }

  Result<std::size_t> read_ready(std::span<char> buffer) override {
    const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (received > 0) return static_cast<std::size_t>(received);
    if (received == 0) return make_error(Errc::unavailable, "Redis closed the connection");
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return ended(errno);
    return std::size_t{0};
  }

  [[nodiscard]] bool is_stale() const noexcept override {
    pollfd now{socket_.get(), POLLIN, 0};
    return ::poll(&now, 1, 0) != 0;
  }

  [[nodiscard]] bool has_ended() const noexcept override {
    pollfd now{socket_.get(), POLLRDHUP, 0};
    return ::poll(&now, 1, 0) != 0;
  }

  void shut_down() noexcept override { ::shutdown(socket_.get(), SHUT_RDWR); }

  void disown() noexcept override { socket_ = Descriptor(); }

 private:
  Descriptor socket_;
};

Result<Descriptor> connect_to(const Address& address, SteadyTime deadline) {
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  Descriptor socket(::socket(target->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return make_error(Errc::unavailable, "no socket: " + words(errno));
  if (target->sa_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (::connect(socket.get(), target, address.size) == 0) return socket;
  if (errno != EINPROGRESS) return make_error(Errc::unavailable, words(errno));
  if (!wait_for(socket.get(), POLLOUT, deadline)) {
    return make_error(Errc::timeout, "no answer to the attempt to connect");
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return make_error(Errc::unavailable, words(error));
  return socket;
}

class SocketConnector final : public Connector {
 public:
  explicit SocketConnector(RedisUrl url) : url_(std::move(url)) {}

  Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) override {
    Error last = make_error(Errc::unavailable, "no address");
    if (last_good_) {
      // It must leave time for the others; and it stays, for the time that no name is resolved.
      const auto now = std::chrono::steady_clock::now();
      Result<Descriptor> socket = connect_to(*last_good_, now + (deadline - now) / 2);
      if (socket) return std::unique_ptr<Transport>(new SocketTransport(*std::move(socket)));
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
        return std::unique_ptr<Transport>(new SocketTransport(*std::move(socket)));
      }
      last = std::move(socket).error();
    }
    last.detail = "cannot connect to Redis at " + url_.display() + ": " + last.detail +
                  "; is it running, and is the URL right?";
    return last;
  }

  void forget_address() noexcept override { last_good_.reset(); }

 private:
  Result<std::vector<Address>> find_addresses() const {
    return url_.host.empty() ? unix_address() : resolve();
  }

  Result<std::vector<Address>> unix_address() const {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    if (url_.socket_path.size() >= sizeof path.sun_path) {
      return make_error(Errc::unavailable, "the path of the Redis socket is too long");
    }
    std::memcpy(path.sun_path, url_.socket_path.c_str(), url_.socket_path.size() + 1);
    Address address;
    std::memcpy(&address.storage, &path, sizeof path);
    address.size = sizeof path;
    return std::vector<Address>{address};
  }

  Result<std::vector<Address>> resolve() const {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(url_.host.c_str(), url_.port.c_str(), &hints, &list);
    if (error != 0) {
      return make_error(Errc::unavailable, "cannot resolve the Redis host \"" + url_.host +
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

  RedisUrl url_;
  std::optional<Address> last_good_{};
};

}  // namespace

std::unique_ptr<Connector> make_socket_connector(RedisUrl url) {
  return std::make_unique<SocketConnector>(std::move(url));
}

}  // namespace websession::redis
