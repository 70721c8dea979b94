#include "place_connector.hpp"

#include "socket_transport.hpp"
#include "tls_transport.hpp"

namespace websession::redis {

std::unique_ptr<Connector> make_place_connector(const Place& place,
                                                const std::shared_ptr<const TlsContext>& tls) {
  if (tls == nullptr) return make_socket_connector(place);
  return make_tls_connector(place, tls->at(place));
}

}  // namespace websession::redis
