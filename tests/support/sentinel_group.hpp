// A primary, a replica and three Sentinels that watch them, on 127.0.0.1.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redis_server.hpp"

namespace websession::testing {

// A Sentinel that watches the server on that port as `mymaster`. `more`: lines of its file.
std::unique_ptr<RedisServer> start_sentinel(int port, int quorum = 1, const std::string& more = {},
                                            std::optional<RedisTls> tls = {});
std::string sentinel_url(const std::vector<int>& ports);

class SentinelGroup {
 public:
  SentinelGroup();

  [[nodiscard]] std::string url() const;
  [[nodiscard]] RedisServer& primary() { return *servers_[primary_]; }
  [[nodiscard]] RedisServer& replica() { return *servers_[1 - primary_]; }
  // Waits until the replica has all that was written, and all Sentinels know it.
  void settle();
  // The primary is killed. Returns when the replica has taken over, and all Sentinels say so.
  void fail_over();
  // The one that was killed comes back, and becomes a replica.
  void restore();

 private:
  std::vector<std::unique_ptr<RedisServer>> servers_{};
  std::vector<std::unique_ptr<RedisServer>> sentinels_{};
  std::size_t primary_ = 0;
};

}  // namespace websession::testing
