// TCP with TLS.
#pragma once

#include <memory>

#include "redis_url.hpp"
#include "socket.hpp"
#include "tls_context.hpp"
#include "transport.hpp"

namespace websession::redis {

// As make_socket_connector(); each connection is made with its handshake.
// Error: invalid_argument, as of TlsContext::load().
Result<std::unique_ptr<Connector>> make_tls_connector(RedisUrl url, const TlsOptions& options);

// Speaks TLS on a connected socket that does not block.
// Errors: rejected (a certificate, or no TLS at all), unavailable, timeout.
Result<std::unique_ptr<Transport>> start_tls(std::shared_ptr<const TlsContext> context,
                                             Descriptor socket, SteadyTime deadline);

}  // namespace websession::redis
