// redis://, rediss:// and unix:// URLs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "websession/result.hpp"

namespace websession::redis {

struct RedisUrl {
  std::string host{};  // empty: a unix socket
  std::string port = "6379";
  std::string socket_path{};
  std::string user{};  // empty: the default user
  std::optional<std::string> password{};
  int database = 0;
  bool tls = false;

  // What may be shown to people: "127.0.0.1:6379". Never the password.
  [[nodiscard]] std::string display() const;
};

// Error: invalid_argument, without any part of the URL.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace websession::redis
