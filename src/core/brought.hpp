// What a request brings that may name its session (TransportOptions).
#pragma once

#include <string_view>
#include <vector>

#include "websession/http.hpp"
#include "websession/session_options.hpp"
#include "websession/transport.hpp"

namespace websession::internal {

struct Brought {
  Transport by = Transport::none;
  std::vector<std::string_view> ids{};  // as they came, views of the request; several: of cookies
};

// Pure. Whatever else the request names is not looked at.
[[nodiscard]] Brought brought_by(const RequestInfo& request, const SessionOptions& options);

}  // namespace websession::internal
