// TCP with TLS.
#pragma once

#include <memory>

#include "place.hpp"
#include "socket.hpp"
#include "tls_context.hpp"
#include "transport.hpp"

namespace websession::redis {

// As make_socket_connector(); each connection is made with its handshake.
std::unique_ptr<Connector> make_tls_connector(Place place,
                                              std::shared_ptr<const TlsContext> context);

// The handshake on a connected socket that does not block, step by step.
class TlsHandshake {
 public:
  TlsHandshake(std::shared_ptr<const TlsContext> context, Descriptor socket);
  TlsHandshake(TlsHandshake&&) noexcept;
  TlsHandshake& operator=(TlsHandshake&&) noexcept;
  ~TlsHandshake();

  // Gives poll's events to wait for before the next step; 0: it is done.
  // Errors: rejected (a certificate, or no TLS at all), unavailable.
  Result<short> step();
  [[nodiscard]] int descriptor() const noexcept;
  // What it means that the deadline has come before it was done.
  [[nodiscard]] Error silent() const;
  // Once it is done.
  std::unique_ptr<Transport> take() &&;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Speaks TLS on a connected socket that does not block.
// Errors: rejected (a certificate, or no TLS at all), unavailable, timeout.
Result<std::unique_ptr<Transport>> start_tls(std::shared_ptr<const TlsContext> context,
                                             Descriptor socket, SteadyTime deadline);

}  // namespace websession::redis
