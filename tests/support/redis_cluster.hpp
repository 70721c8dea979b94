// A Redis Cluster on 127.0.0.1: primaries, which share the slots evenly, and replicas of theirs.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redis_server.hpp"

namespace websession::testing {

class RedisCluster {
 public:
  // `replicas`: of each primary. `options`: of all nodes.
  explicit RedisCluster(std::size_t primaries = 3, std::size_t replicas = 0,
                        std::vector<std::string> options = {}, std::optional<RedisTls> tls = {});

  [[nodiscard]] std::string url() const;      // redis-cluster://, with all nodes
  [[nodiscard]] std::string tls_url() const;  // rediss-cluster://, with one
  // The primaries come first.
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] RedisServer& node(std::size_t i) { return *nodes_[i]; }
  // Whether a node that answers has that role.
  [[nodiscard]] bool is_primary(std::size_t i);
  [[nodiscard]] std::string id(std::size_t i);  // by CLUSTER MYID

  // Which slots it has, by its own word.
  [[nodiscard]] std::vector<bool> slots_of(std::size_t i);

  // Waits until all nodes that answer see the same Cluster, and that it is well.
  void settle();
  // Kills a primary. Returns when a replica of it has taken over, and all the others know.
  void fail_over(std::size_t i);
  // One that was killed comes back, and follows whoever has its slots.
  void restore(std::size_t i);
  // Another primary, without slots. Gives its number.
  std::size_t add();

  // Moves slots, with all that is in them, from whoever has them. `between(slot)`: called while a
  // slot is open, half of its keys moved.
  void move_slots(std::size_t first, std::size_t last, std::size_t to,
                  const std::function<void(std::size_t)>& between = {});

 private:
  std::size_t start_node();
  // That the others know it by.
  [[nodiscard]] int port(std::size_t i) const;
  [[nodiscard]] bool is_well();

  std::vector<std::string> options_;
  std::optional<RedisTls> tls_;
  std::vector<std::unique_ptr<RedisServer>> nodes_{};
};

}  // namespace websession::testing
