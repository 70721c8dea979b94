#include "tls_error.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace websession::redis {
namespace {

Error rejected(std::string detail) { return make_error(Errc::rejected, std::move(detail)); }

// What is wrong with the server's certificate.
Error bad_certificate(long result, const TlsContext& context) {
  const std::string whose = "the certificate of Redis at " + context.address();
  switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return rejected(whose +
                      " comes from an unknown CA: set tls.ca_file (or tls.ca_folder) to the CA "
                      "that signed it");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return rejected(whose + " is not for \"" + context.server_name() +
                      "\": put the name that it holds into the URL, or into tls.server_name");
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return rejected(whose + ", or its CA's, has expired: renew it (or is this clock wrong?)");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return rejected(whose + ", or its CA's, is not valid yet: compare the clocks");
    default:
      return rejected(whose + " was refused: " + X509_verify_cert_error_string(result));
  }
}

Error bad_identity(const TlsContext& context, const char* reason) {
  const std::string redis = "Redis at " + context.address();
  if (context.has_certificate()) {
    return rejected(redis + " refused the client certificate (" + reason +
                    "): is it valid, and signed by the server's tls-ca-cert-file?");
  }
  return rejected(redis + " wants a client certificate (" + reason +
                  "): set tls.certificate_file and tls.key_file");
}

}  // namespace

Error tls_error(const SSL* ssl, const TlsContext& context) {
  const unsigned long error = ERR_peek_last_error();
  const char* known = ERR_reason_error_string(error);
  const char* reason = known != nullptr ? known : "no reason given";
  const bool of_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
  ERR_clear_error();
  const std::string redis = "Redis at " + context.address();
  switch (of_ssl ? ERR_GET_REASON(error) : 0) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return bad_certificate(SSL_get_verify_result(ssl), context);
    // These are what the server says about us.
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return bad_identity(context, reason);
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // TLS 1.2 has no alert of its own for the former
      return rejected(redis + " refused the TLS handshake (" + reason +
                      "): does it want a client certificate (tls.certificate_file), or other "
                      "ciphers?");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return rejected(redis + " and this program have no version of TLS in common (" + reason +
                      "): it must speak TLS 1.2 or newer, see its tls-protocols");
    default:
      return make_error(Errc::unavailable,
                        "the TLS connection to " + redis + " failed (" + reason + ")");
  }
}

}  // namespace websession::redis
