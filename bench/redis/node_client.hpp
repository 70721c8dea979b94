// connect-redis on Node, in a process of its own.
#pragma once

#include <optional>
#include <string>

#include "measure.hpp"

namespace websession::bench {

class NodeClient {
 public:
  // `directory` holds connect_redis.mjs and its node_modules.
  explicit NodeClient(std::string directory) : directory_(std::move(directory)) {}

  // Why it cannot run here; nothing when it can.
  [[nodiscard]] std::optional<std::string> obstacle() const;

  // Like measure(). `load.threads` promises are in flight. It makes as many sessions of its own,
  // since it stores one as JSON.
  Sample run(const Target& target, const Keys& keys, const Load& load, ServerMeter& server) const;

 private:
  const std::string directory_;
};

}  // namespace websession::bench
