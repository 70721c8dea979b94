#include "websession/principal_index.hpp"

namespace websession {

Error no_principal_index() {
  return make_error(Errc::invalid_argument,
                    "the store keeps no index of principals (PrincipalIndex), which this needs");
}

}  // namespace websession
