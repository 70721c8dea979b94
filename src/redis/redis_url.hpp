// redis://, unix://, redis-sentinel:// and redis-cluster:// URLs, and those with TLS.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "place.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct RedisUrl {
  // Where to connect: one place, or where the Sentinels are that know it, or nodes of a Cluster.
  std::vector<Place> places{};
  std::string primary{};  // what the Sentinels call it; empty: there are none
  std::string user{};     // empty: the default user
  std::optional<std::string> password{};
  int database = 0;
  bool tls = false;
  bool of_cluster = false;

  [[nodiscard]] bool by_sentinel() const noexcept { return !primary.empty(); }
};

// Error: invalid_argument, without any part of the URL.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace websession::redis
