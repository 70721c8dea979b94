#include "delay_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

namespace websession::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

sockaddr_in local_address(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The proxy's loop, in its own process.
class Relay {
 public:
  Relay(int listener, int server_port, std::chrono::nanoseconds delay)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        listener_(listener),
        server_port_(server_port),
        delay_(delay) {
    watch(listener_);
  }

  [[noreturn]] void run() {
    for (;;) {
      wait_for_next();
      std::array<epoll_event, 64> events{};
      const int ready =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), /*timeout=*/0);
      for (int i = 0; i < ready; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        fd == listener_ ? connect_next() : receive(fd);
      }
      deliver();
    }
  }

 private:
  struct Chunk {
    SteadyClock::time_point due;
    int to;
    std::string bytes;  // none: the other side has closed
  };

  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  // Until bytes come in or the first chunk is due. epoll_wait itself knows only milliseconds.
  void wait_for_next() const {
    pollfd readable{epoll_, POLLIN, 0};
    timespec timeout{};
    if (!chunks_.empty()) {
      const auto left = std::chrono::nanoseconds(chunks_.front().due - SteadyClock::now()).count();
      timeout.tv_nsec = left > 0 ? left : 0;  // the delay is well below a second
    }
    ::ppoll(&readable, 1, chunks_.empty() ? nullptr : &timeout, nullptr);
  }

  void connect_next() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = local_address(server_port_);
    ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    for (const int fd : {client, server}) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(fd);
    }
    peers_[client] = server;
    peers_[server] = client;
  }

  void receive(int fd) {
    const ssize_t size = ::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    chunks_.push_back(
        {SteadyClock::now() + delay_, peers_[fd],
         std::string(buffer_.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)))});
  }

  void deliver() {
    while (!chunks_.empty() && chunks_.front().due <= SteadyClock::now()) {
      const Chunk& chunk = chunks_.front();
      std::size_t sent = 0;
      while (sent < chunk.bytes.size()) {  // blocking: socket buffers are larger than what waits
        const ssize_t size =
            ::send(chunk.to, chunk.bytes.data() + sent, chunk.bytes.size() - sent, MSG_NOSIGNAL);
        if (size <= 0) break;
        sent += static_cast<std::size_t>(size);
      }
      if (chunk.bytes.empty()) end(chunk.to);
      chunks_.pop_front();
    }
  }

  // Nothing more goes to `fd`. The pair is closed when that holds for both: no chunk is left then.
  void end(int fd) {
    ::shutdown(fd, SHUT_WR);
    ended_.insert(fd);
    const int peer = peers_[fd];
    if (!ended_.contains(peer)) return;
    for (const int closed : {fd, peer}) {
      ended_.erase(closed);
      peers_.erase(closed);
      ::close(closed);
    }
  }

  const int epoll_;
  const int listener_;
  const int server_port_;
  const std::chrono::nanoseconds delay_;
  std::map<int, int> peers_;
  std::set<int> ended_;
  std::deque<Chunk> chunks_;  // the delay is the same for all, so the first is due first
  std::array<char, 65536> buffer_{};
};

}  // namespace

DelayProxy::DelayProxy(int server_port, std::chrono::nanoseconds each_way) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local_address(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 256) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // or 50 µs would be added to each way
    Relay(listener, server_port, each_way).run();
  }
  ::close(listener);
}

DelayProxy::~DelayProxy() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

double DelayProxy::cpu_seconds() const {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace websession::bench
