#include "websession/principal_index.hpp"

namespace websession {

PrincipalIndex* principal_index_of(SessionStore& store) noexcept {
  return dynamic_cast<PrincipalIndex*>(&store);
}

Error no_principal_index() {
  return make_error(Errc::invalid_argument,
                    "the store keeps no index of principals (PrincipalIndex), which this needs");
}

}  // namespace websession
