#include "tls_peer.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include <csignal>
#include <stdexcept>
#include <utility>

namespace websession::testing {
namespace {

void require(int done, const char* what) {
  if (done != 1) throw std::runtime_error(std::string("TLS peer: ") + what);
}

// OpenSSL's own sockets can raise SIGPIPE, reading too, for they send alerts. The peer must not, so
// that one that does come is the transport's.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() {
    const timespec now{};
    ::sigtimedwait(&pipe_, nullptr, &now);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

}  // namespace

void TlsPeer::Free::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
void TlsPeer::Free::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

TlsPeer::TlsPeer(redis::Descriptor socket, const TlsPeerOptions& options)
    : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX* context = context_.get();
  require(SSL_CTX_use_certificate_file(context, options.identity.certificate_file.c_str(),
                                       SSL_FILETYPE_PEM),
          "certificate");
  require(SSL_CTX_use_PrivateKey_file(context, options.identity.key_file.c_str(), SSL_FILETYPE_PEM),
          "key");
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(context, options.version);
    SSL_CTX_set_max_proto_version(context, options.version);
  }
  if (!options.client_ca_file.empty()) {
    require(SSL_CTX_load_verify_file(context, options.client_ca_file.c_str()), "client CA");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), socket_.get());
  set_blocking(true);
}

TlsPeer::~TlsPeer() = default;

bool TlsPeer::accept() {
  const WithoutPipeSignal guard;
  ERR_clear_error();
  return SSL_accept(ssl_.get()) == 1;
}

std::string TlsPeer::read_some(std::size_t bytes_max) {
  const WithoutPipeSignal guard;
  std::string bytes(bytes_max, '\0');
  std::size_t size = 0;
  ERR_clear_error();
  if (SSL_read_ex(ssl_.get(), bytes.data(), bytes.size(), &size) != 1) size = 0;
  bytes.resize(size);
  return bytes;
}

std::string TlsPeer::read_available() {
  std::string all;
  while (true) {
    const std::string some = read_some();
    if (some.empty()) return all;
    all += some;
  }
}

bool TlsPeer::write(std::string_view bytes) {
  const WithoutPipeSignal guard;
  std::size_t size = 0;
  ERR_clear_error();
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1;
}

void TlsPeer::update_keys() {
  require(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED), "key update");
}

bool TlsPeer::send_keys() {
  const WithoutPipeSignal guard;
  ERR_clear_error();
  return SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
         SSL_do_handshake(ssl_.get()) == 1;
}

void TlsPeer::say_goodbye() {
  const WithoutPipeSignal guard;
  SSL_shutdown(ssl_.get());
}

void TlsPeer::set_blocking(bool blocking) {
  const int flags = ::fcntl(socket_.get(), F_GETFL);
  ::fcntl(socket_.get(), F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

bool TlsPeer::heard_goodbye() const {
  return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

std::string TlsPeer::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

std::string TlsPeer::version() const { return SSL_get_version(ssl_.get()); }

}  // namespace websession::testing
