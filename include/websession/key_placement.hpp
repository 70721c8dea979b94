// Keys that a store can move a session between: an ability that a store on several servers may
// have besides its five verbs (SessionStore::placement).
#pragma once

#include <string>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A rekey is one atomic step, so both keys have to be on one server. Managers ask here for new ids
// that are where the old one is, and keep hashed keys there, too. Immutable, so safe to use from
// many threads at once, and without its store.
class KeyPlacement {
 public:
  KeyPlacement() = default;
  KeyPlacement(const KeyPlacement&) = delete;
  KeyPlacement& operator=(const KeyPlacement&) = delete;
  virtual ~KeyPlacement() = default;

  // A new id, as SessionId::generate gives, in the place of `id`. It has at least 128 random bits
  // (OWASP ASVS 5.0 7.2.3). Error: no_randomness.
  [[nodiscard]] virtual Result<SessionId> generate_beside(const SessionId& id) const = 0;
  // What a hashed key of the id holds before the hash, to be in the same place as the plain one.
  [[nodiscard]] virtual std::string tag_of(const SessionId& id) const = 0;
};

}  // namespace websession
WEBSESSION_API_END
