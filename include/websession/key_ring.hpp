// The secrets of an application, for signing and encrypting.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Secrets in order, the newest first. The first one signs and encrypts; all of them verify and
// decrypt. So a secret is replaced without logging anyone out: put the new one in front on all
// servers, and take the old one away when nothing made with it is left.
//
// What is done with a secret never uses it as it is, but keys derived from it, one for each
// purpose; so one ring may serve for all (Express' cookie format aside, which uses the secret
// itself).
//
// Cheap to copy. Const members are safe to call from many threads at once.
class KeyRing {
 public:
  // A secret of fewer bytes could be guessed. 32 random bytes are best, for example those of
  // `openssl rand -base64 32`, as a text or decoded.
  static constexpr std::size_t secret_bytes_min = 32;

  // An empty ring, for options that are switched off.
  KeyRing() = default;

  // Errors: invalid_argument (no secret, one of fewer bytes than `bytes_min`, or one that is there
  // twice). The error never shows a secret. Lower `bytes_min` only for a secret that another
  // program dictates.
  static Result<KeyRing> make(std::vector<std::string> secrets,
                              std::size_t bytes_min = secret_bytes_min);

  [[nodiscard]] bool empty() const noexcept { return secrets_.empty(); }
  // The secrets themselves. Never log them.
  [[nodiscard]] const std::vector<std::string>& secrets() const noexcept { return secrets_; }

 private:
  std::vector<std::string> secrets_;
};

}  // namespace websession
WEBSESSION_API_END
