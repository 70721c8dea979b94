// TCP and unix sockets.
#pragma once

#include <memory>

#include "place.hpp"
#include "socket.hpp"
#include "transport.hpp"

namespace websession::redis {

// Resolves the host each time it connects, and tries the address that worked last time first.
std::unique_ptr<Connector> make_socket_connector(Place place);

// Of a connected socket that does not block.
std::unique_ptr<Transport> make_socket_transport(Descriptor socket);

}  // namespace websession::redis
