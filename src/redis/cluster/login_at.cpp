#include "cluster/login_at.hpp"

#include <optional>
#include <string>

#include "slots.hpp"

namespace websession::redis {

Login login_at(const Login& login, const ClusterMap& map, NodeId node) {
  Login made = login;
  made.probe_key = [&map, node, prefix = login.prefix] {
    const std::optional<Slot> slot = map.slot_of_node(node);
    if (!slot) return std::string();
    if (!has_tag(prefix)) return prefix + "{" + tag_of(*slot) + "}:probe";
    return map.node_of(slot_of(prefix)) == node ? prefix + ":probe" : std::string();
  };
  return made;
}

}  // namespace websession::redis
