// A session store of Node, in a process of its own.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "measure.hpp"

namespace websession::bench {

class NodeClient {
 public:
  // `directory` holds the scripts and their node_modules; `package` is the store, whose script
  // has its name.
  NodeClient(std::string directory, std::string package)
      : directory_(std::move(directory)), package_(std::move(package)) {}

  // Why it cannot run here; nothing when it can.
  [[nodiscard]] std::optional<std::string> obstacle() const;

  // Like measure(). `load.threads` promises are in flight. It makes as many sessions of its own,
  // since it stores one as JSON. `words`: the script's first ones, that say where.
  [[nodiscard]] Sample run(const std::vector<std::string>& words, const Keys& keys,
                           const Load& load, ServerMeter& server) const;

 private:
  const std::string directory_;
  const std::string package_;
};

}  // namespace websession::bench
