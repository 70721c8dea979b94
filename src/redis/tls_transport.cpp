#include "tls_transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>

#include "system.hpp"
#include "tls_error.hpp"

namespace websession::redis {
namespace {

// A whole record and a little more.
constexpr std::size_t receive_size = std::size_t{17} * 1024;
// Whoever looks does not wait, and so has no deadline: beyond so many pieces that hold nothing for
// anybody (session tickets, new keys), a peer is talking without end.
constexpr int pieces_at_a_look = 8;
// A peer that makes OpenSSL answer, and does not take the answers, would fill the memory.
constexpr std::size_t answers_max = std::size_t{64} * 1024;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

// An alert or a handshake (RFC 8446, 5.1).
bool begins_tls(char first) { return first == 21 || first == 22; }

// OpenSSL reads and writes in memory; between there and the socket, bytes are moved by hand. So its
// calls never meet a socket that is full, and no SIGPIPE can come of them.
//
// An SSL is for one thread at a time: whatever touches it holds the mutex and does not wait, and
// whoever waits for the socket does not hold the mutex.
class TlsTransport : public Transport {
 public:
  TlsTransport(std::shared_ptr<const TlsContext> context, Descriptor socket)
      : context_(std::move(context)), ssl_(context_->open()), socket_(std::move(socket)) {}

  ~TlsTransport() override {
    // A word of farewell, if it can be said at once. But a record that a writer has begun and given
    // up must never be completed: its bytes count as not sent.
    if (!socket_ || unsent() > 0) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    (void)flush();
    ERR_clear_error();
  }

  // One step of the handshake, without waiting. Gives poll's events to wait for before the next
  // one; 0: it is done.
  Result<short> shake_hands();
  // What it means that the deadline has come before it was done.
  [[nodiscard]] Error silent() const;

  // One record a call. The server can read nothing of a record before all of it has come, so one
  // that is partly sent at the deadline has not passed: the next call, which brings the same bytes
  // again, sends the rest of it.
  Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) override {
    std::unique_lock lock(mutex_);
    while (true) {
      if (const int error = flush(); error != 0) return why_lost(error);
      if (record_size_ > 0 && record_unsent_ == 0) return std::exchange(record_size_, 0);
      if (unsent() == 0) {
        if (auto begun = begin_record(bytes); !begun) return std::move(begun).error();
        continue;
      }
      lock.unlock();
      if (!wait_for(socket_.get(), POLLOUT, deadline)) return timed_out();
      lock.lock();
    }
  }

  Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) override {
    std::unique_lock lock(mutex_);
    while (true) {
      Result<std::size_t> size = decrypt(buffer);
      if (!size || *size > 0) return size;
      Result<bool> full = send_answers();
      if (!full.has_value()) return std::move(full).error();
      lock.unlock();
      if (!wait_for(socket_.get(), *full ? POLLIN | POLLOUT : POLLIN, deadline)) return timed_out();
      lock.lock();
      if (auto taken = take_in(); !taken) return std::move(taken).error();
    }
  }

  Result<std::size_t> read_ready(std::span<char> buffer) override {
    const std::lock_guard lock(mutex_);
    Result<std::size_t> size = decrypt(buffer);
    if (!size || *size > 0) return size;
    if (auto full = send_answers(); !full.has_value()) return std::move(full).error();
    if (auto taken = take_in(); !taken) return std::move(taken).error();
    return decrypt(buffer);
  }

  [[nodiscard]] bool is_stale() const noexcept override { return look() != Sight::nothing; }

  [[nodiscard]] bool has_ended() const noexcept override {
    return internal::has_hung_up(socket_.get()) || look() == Sight::end;
  }

  [[nodiscard]] int descriptor() const noexcept override { return socket_.get(); }
  [[nodiscard]] bool has_buffered() const noexcept override {
    const std::lock_guard lock(mutex_);
    return SSL_pending(ssl_.get()) > 0 || BIO_ctrl_pending(SSL_get_rbio(ssl_.get())) > 0;
  }
  [[nodiscard]] bool has_unsent() const noexcept override {
    const std::lock_guard lock(mutex_);
    return record_unsent_ == 0 && unsent() > 0;
  }

  void shut_down() noexcept override { ::shutdown(socket_.get(), SHUT_RDWR); }

  // OpenSSL's part stays as it is: the parent's threads may have been in the middle of it.
  void disown() noexcept override { socket_ = Descriptor(); }

 private:
  enum class Sight { nothing, data, end };

  // What a reader would meet now. Session tickets and the like are nothing, unless there is no end
  // of them.
  [[nodiscard]] Sight look() const noexcept {
    const std::lock_guard lock(mutex_);
    for (int piece = 0; piece < pieces_at_a_look; ++piece) {
      char byte = 0;
      std::size_t size = 0;
      ERR_clear_error();
      const int done = SSL_peek_ex(ssl_.get(), &byte, 1, &size);
      if (done == 1) return Sight::data;
      const bool open = SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ;
      ERR_clear_error();
      if (!open) return Sight::end;
      const ssize_t received = receive();
      if (received > 0 || (received < 0 && errno == EINTR)) continue;
      return received < 0 && would_block(errno) ? Sight::nothing : Sight::end;
    }
    return Sight::data;
  }

  // From here on: with the mutex held.

  // Takes what the socket has, as recv(): 0 when the peer has closed, -1 and errno.
  ssize_t receive() const noexcept {
    std::array<char, receive_size> buffer;
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return size;
    const int taken = BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(size));
    if (taken == size) return size;
    errno = ENOMEM;
    return -1;
  }

  Result<void> take_in() const {
    const ssize_t received = receive();
    if (received == 0) return closed_by_peer();
    if (received < 0 && !would_block(errno)) return lost(errno);
    return {};
  }

  // Reading can make OpenSSL answer for itself (a new key, an alert). That is sent by the reader,
  // but for what a writer has begun, which is the writer's alone. True: the socket is full.
  Result<bool> send_answers() {
    if (record_unsent_ > 0 || unsent() == 0) return false;
    if (const int error = flush(); error != 0) return lost(error);
    if (unsent() > answers_max) return closed_by_peer();
    return unsent() > 0;
  }

  // Sends what the socket takes. Gives 0, or the errno of a lost connection.
  [[nodiscard]] int flush() noexcept {
    BIO* outgoing = SSL_get_wbio(ssl_.get());
    const char* bytes = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(outgoing, &bytes));
    while (sent_ < size) {
      const ssize_t sent = internal::send_quietly(socket_.get(), bytes + sent_, size - sent_);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return would_block(errno) ? 0 : errno;
      sent_ += static_cast<std::size_t>(sent);
      record_unsent_ -= std::min(record_unsent_, static_cast<std::size_t>(sent));
    }
    if (size > 0) BIO_reset(outgoing);
    sent_ = 0;
    return 0;
  }

  [[nodiscard]] std::size_t unsent() const noexcept {
    return BIO_ctrl_pending(SSL_get_wbio(ssl_.get())) - sent_;
  }

  // Precondition: nothing is unsent.
  Result<void> begin_record(std::string_view bytes) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), SSL3_RT_MAX_PLAIN_LENGTH);
    ERR_clear_error();
    std::size_t written = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(), size, &written) != 1) {
      return tls_error(ssl_.get(), *context_);
    }
    record_size_ = written;
    record_unsent_ = unsent();
    return {};
  }

  // 0: more must be received first.
  Result<std::size_t> decrypt(std::span<char> buffer) {
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
    if (done == 1) return size;
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        return std::size_t{0};
      case SSL_ERROR_ZERO_RETURN:
        return closed_by_peer();
      default:
        return tls_error(ssl_.get(), *context_);
    }
  }

  // A server that refuses us says why in an alert, and closes; that is worth more than a broken
  // pipe. (With TLS 1.3 it looks at our certificate when we are done with the handshake.)
  Error why_lost(int error) {
    for (int piece = 0; piece < pieces_at_a_look && receive() > 0; ++piece) {
    }
    char byte = 0;
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_peek_ex(ssl_.get(), &byte, 1, &size);
    if (done != 1 && SSL_get_error(ssl_.get(), done) == SSL_ERROR_SSL) {
      return tls_error(ssl_.get(), *context_);
    }
    return lost(error);
  }

  [[nodiscard]] Error no_tls() const;
  [[nodiscard]] Error cut_off(Error error) const;

  const std::shared_ptr<const TlsContext> context_;
  mutable std::mutex mutex_;
  const SslPointer ssl_;
  Descriptor socket_;
  std::size_t sent_ = 0;           // of what OpenSSL has written
  std::size_t record_size_ = 0;    // bytes of the caller that the record of a writer holds
  std::size_t record_unsent_ = 0;  // bytes of that record, and of what is before it
  std::optional<char> first_byte_{};
  bool waits_for_input_ = false;  // the handshake does
};

Result<short> TlsTransport::shake_hands() {
  if (waits_for_input_) {
    char first = 0;
    if (!first_byte_ && ::recv(socket_.get(), &first, 1, MSG_PEEK) == 1) first_byte_ = first;
    const ssize_t received = receive();
    if (received == 0) return cut_off(closed_by_peer());
    if (received < 0 && !would_block(errno)) return cut_off(lost(errno));
  }
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  const bool needs_more = done != 1 && SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ;
  std::optional<Error> failed;
  if (done != 1 && !needs_more) failed = tls_error(ssl_.get(), *context_);
  const int error = flush();  // also what we have against the server
  if (failed) return first_byte_ && !begins_tls(*first_byte_) ? no_tls() : *failed;
  if (error != 0) return cut_off(why_lost(error));
  waits_for_input_ = needs_more;
  return static_cast<short>((needs_more ? POLLIN : 0) | (unsent() > 0 ? POLLOUT : 0));
}

Error TlsTransport::no_tls() const {
  return make_error(Errc::rejected, "the port " + context_->address() +
                                        " does not speak TLS: use redis://, or the port that the "
                                        "server has for TLS (tls-port)");
}

Error TlsTransport::cut_off(Error error) const {
  if (error.code == Errc::unavailable) {
    error.detail = "Redis at " + context_->address() +
                   " ended the connection during the TLS handshake: is this its port for TLS "
                   "(tls-port), and has it room (maxclients)?";
  }
  return error;
}

Error TlsTransport::silent() const {
  const std::string redis = "Redis at " + context_->address();
  if (first_byte_) {
    return make_error(Errc::timeout, redis + " did not finish the TLS handshake by the deadline");
  }
  return make_error(Errc::timeout, redis +
                                       " took the connection but does not answer to TLS: if the "
                                       "port is one without TLS, use redis://");
}

class TlsConnector final : public Connector {
 public:
  TlsConnector(Place place, std::shared_ptr<const TlsContext> context)
      : dialer_(std::move(place)), context_(std::move(context)) {}

  Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) override {
    Result<Descriptor> socket = dialer_.dial(deadline);
    if (!socket) return std::move(socket).error();
    auto transport = start_tls(context_, *std::move(socket), deadline);
    // The address may have become somebody else's.
    if (!transport && transport.error().code == Errc::rejected) dialer_.forget_address();
    return transport;
  }

  void forget_address() noexcept override { dialer_.forget_address(); }

 private:
  SocketDialer dialer_;
  const std::shared_ptr<const TlsContext> context_;
};

}  // namespace

class TlsHandshake::Impl final : public TlsTransport {
 public:
  using TlsTransport::TlsTransport;
};

TlsHandshake::TlsHandshake(std::shared_ptr<const TlsContext> context, Descriptor socket)
    : impl_(std::make_unique<Impl>(std::move(context), std::move(socket))) {}
TlsHandshake::TlsHandshake(TlsHandshake&&) noexcept = default;
TlsHandshake& TlsHandshake::operator=(TlsHandshake&&) noexcept = default;
TlsHandshake::~TlsHandshake() = default;
Result<short> TlsHandshake::step() { return impl_->shake_hands(); }
int TlsHandshake::descriptor() const noexcept { return impl_->descriptor(); }
Error TlsHandshake::silent() const { return impl_->silent(); }
std::unique_ptr<Transport> TlsHandshake::take() && { return std::move(impl_); }

Result<std::unique_ptr<Transport>> start_tls(std::shared_ptr<const TlsContext> context,
                                             Descriptor socket, SteadyTime deadline) {
  TlsHandshake handshake(std::move(context), std::move(socket));
  while (true) {
    const Result<short> events = handshake.step();
    if (!events) return events.error();
    if (*events == 0) return std::move(handshake).take();
    if (!wait_for(handshake.descriptor(), *events, deadline)) return handshake.silent();
  }
}

std::unique_ptr<Connector> make_tls_connector(Place place,
                                              std::shared_ptr<const TlsContext> context) {
  return std::make_unique<TlsConnector>(std::move(place), std::move(context));
}

}  // namespace websession::redis
