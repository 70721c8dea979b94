// The server's side of a TLS connection, for tests: it does as it is told, right or wrong.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "certificates.hpp"
#include "socket.hpp"

namespace websession::testing {

struct TlsPeerOptions {
  Identity identity;
  int version = 0;               // the only one it speaks, as TLS1_3_VERSION; 0: any
  std::string client_ca_file{};  // not empty: the client must have a certificate of this CA
};

// Waits in each call, until set_blocking(false). For one thread at a time. Raises no SIGPIPE.
class TlsPeer {
 public:
  TlsPeer(redis::Descriptor socket, const TlsPeerOptions& options);
  ~TlsPeer();
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  bool accept();
  // Empty: there is nothing now, or the client has ended the connection.
  std::string read_some(std::size_t bytes_max = 16 * 1024);
  // All that can be had without waiting.
  std::string read_available();
  // False: the client is gone.
  bool write(std::string_view bytes);
  // With the next write: asks the client for new keys, and takes new ones.
  void update_keys();
  // Sends new keys at once, and nothing else. Of TLS 1.3.
  bool send_keys();
  void say_goodbye();
  void set_blocking(bool blocking);
  void close() { socket_ = redis::Descriptor(); }

  // Whether the client has said goodbye, as it should before it closes.
  [[nodiscard]] bool heard_goodbye() const;
  // The server name that the client has sent ahead.
  [[nodiscard]] std::string server_name() const;
  [[nodiscard]] std::string version() const;

 private:
  struct Free {
    void operator()(SSL* ssl) const noexcept;
    void operator()(SSL_CTX* context) const noexcept;
  };
  redis::Descriptor socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace websession::testing
