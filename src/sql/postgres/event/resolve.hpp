// Addresses of the hosts of a connection string, which libpq would wait for.
#pragma once

#include "connection.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

// Whether some host is a name, whose address is not there.
bool needs_resolver(const ConnectionInfo& info);
// The same with all addresses of all names. Takes as long as the system's resolver takes. Error:
// unavailable, one of the names has none.
Result<ConnectionInfo> resolved(const ConnectionInfo& info);

}  // namespace websession::postgres
