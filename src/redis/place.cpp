#include "place.hpp"

#include <algorithm>
#include <charconv>

namespace websession::redis {

std::string Place::display() const {
  if (host.empty()) return socket_path;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::optional<Place> told_place(std::string_view host, std::string_view port) {
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool is_port =
      error == std::errc() && end == port.data() + port.size() && number > 0 && number <= 65535;
  if (!is_port || !is_host(host)) return std::nullopt;
  return Place{.host = std::string(host), .port = std::to_string(number)};
}

bool is_host(std::string_view host) noexcept {
  constexpr std::size_t bytes_max = 253;  // of DNS
  // In certificates a leading dot would stand for "any name below".
  return !host.empty() && host.size() <= bytes_max && !host.starts_with('.') &&
         std::all_of(host.begin(), host.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace websession::redis
