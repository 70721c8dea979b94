#include "socket_transport.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "socket.hpp"
#include "system.hpp"

namespace websession::redis {
namespace {

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(Descriptor socket) : socket_(std::move(socket)) {}

  Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) override {
    while (true) {
      const ssize_t sent = internal::send_quietly(socket_.get(), bytes.data(), bytes.size());
      if (sent >= 0) return static_cast<std::size_t>(sent);
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return end(lost(errno));
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
    if (received > 0) {
      const bool first = !heard_.exchange(true, std::memory_order_relaxed);
      if (first && buffer[0] == tls_alert) return speaks_tls();
      return static_cast<std::size_t>(received);
    }
    if (received == 0) return end(closed_by_peer());
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return end(lost(errno));
    return std::size_t{0};
  }

  [[nodiscard]] bool is_stale() const noexcept override {
    pollfd now{socket_.get(), POLLIN, 0};
    return ::poll(&now, 1, 0) != 0;
  }

  [[nodiscard]] bool has_ended() const noexcept override {
    return internal::has_hung_up(socket_.get());
  }

  [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }

  void shut_down() noexcept override { ::shutdown(socket_.get(), SHUT_RDWR); }

  void disown() noexcept override { socket_ = Descriptor(); }

 private:
  // A port for TLS hangs up on whoever talks plainly to it, some with an alert and some without a
  // word.
  static constexpr char tls_alert = 21;  // RFC 8446, 5.1; no reply of Redis begins so
  static Error speaks_tls() {
    return make_error(Errc::rejected, "this port of Redis speaks TLS: use rediss://");
  }
  [[nodiscard]] Error end(Error error) const {
    if (!heard_.load(std::memory_order_relaxed)) {
      error.detail += " before it said a word: if this is its port for TLS, use rediss://";
    }
    return error;
  }

  Descriptor socket_;
  std::atomic<bool> heard_ = false;  // whether the server has ever said anything
};

class SocketConnector final : public Connector {
 public:
  explicit SocketConnector(Place place) : dialer_(std::move(place)) {}

  Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) override {
    Result<Descriptor> socket = dialer_.dial(deadline);
    if (!socket) return std::move(socket).error();
    return make_socket_transport(*std::move(socket));
  }

  void forget_address() noexcept override { dialer_.forget_address(); }

 private:
  SocketDialer dialer_;
};

}  // namespace

std::unique_ptr<Transport> make_socket_transport(Descriptor socket) {
  return std::make_unique<SocketTransport>(std::move(socket));
}

std::unique_ptr<Connector> make_socket_connector(Place place) {
  return std::make_unique<SocketConnector>(std::move(place));
}

}  // namespace websession::redis
