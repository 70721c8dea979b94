#include "websession/key_ring.hpp"

#include <algorithm>

#include "invalid.hpp"

namespace websession {

Result<KeyRing> KeyRing::make(std::vector<std::string> secrets, std::size_t bytes_min) {
  using internal::invalid;
  if (secrets.empty()) return invalid("a key ring needs at least one secret");
  for (auto secret = secrets.begin(); secret != secrets.end(); ++secret) {
    if (secret->empty() || secret->size() < bytes_min) {
      return invalid("a secret of the key ring has fewer than " + std::to_string(bytes_min) +
                     " bytes: make one with `openssl rand -base64 32`");
    }
    if (std::find(secrets.begin(), secret, *secret) != secret) {
      return invalid("a secret stands twice in the key ring");
    }
  }
  KeyRing ring;
  ring.secrets_ = std::move(secrets);
  return ring;
}

}  // namespace websession
