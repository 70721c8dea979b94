#include "place.hpp"

#include <algorithm>

namespace websession::redis {

std::string Place::display() const {
  if (host.empty()) return socket_path;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

bool is_host(std::string_view host) noexcept {
  constexpr std::size_t bytes_max = 253;  // of DNS
  // In certificates a leading dot would stand for "any name below".
  return !host.empty() && host.size() <= bytes_max && !host.starts_with('.') &&
         std::all_of(host.begin(), host.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace websession::redis
