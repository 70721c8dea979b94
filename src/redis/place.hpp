// Where a server is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace websession::redis {

struct Place {
  std::string host{};  // empty: a unix socket
  std::string port = "6379";
  std::string socket_path{};

  // What may be shown to people: "127.0.0.1:6379".
  [[nodiscard]] std::string display() const;
  bool operator==(const Place&) const = default;
};

// As a server tells it. None: that is no place.
[[nodiscard]] std::optional<Place> told_place(std::string_view host, std::string_view port);

// Whether it can be the host of a server: a name or an address, for people and for certificates.
[[nodiscard]] bool is_host(std::string_view host) noexcept;

}  // namespace websession::redis
