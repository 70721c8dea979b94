// What has gone wrong with a TLS connection, and what to do about it.
#pragma once

#include <openssl/types.h>

#include "tls_context.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// Takes it from this thread's OpenSSL error queue, which is empty afterwards.
// Errors: rejected when one side does not accept the other (trying again would not help), else
// unavailable.
Error tls_error(const SSL* ssl, const TlsContext& context);

}  // namespace websession::redis
