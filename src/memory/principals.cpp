#include "principals.hpp"

#include <algorithm>

namespace websession::memory {

void Principals::add(std::string_view principal, const Entry& entry) {
  Part& part = part_of(principal);
  const std::lock_guard lock(part.mutex);
  auto found = part.owners.find(principal);
  if (found == part.owners.end()) {
    found = part.owners.try_emplace(std::pmr::string(principal, &part.pool)).first;
  }
  Owner& owner = found->second;
  auto node = part.nodes.end();
  try {
    node = part.nodes.try_emplace(Place(&entry, &owner)).first;
    if (owner.count == 1) owner.rank = part.ranks.emplace(2, &owner);
  } catch (...) {
    if (node != part.nodes.end()) part.nodes.erase(node);
    if (owner.count == 0) part.owners.erase(found);
    throw;
  }
  link(owner, *node);
  rank(part, owner);
}

void Principals::remove(std::string_view principal, const Entry& entry) noexcept {
  Part& part = part_of(principal);
  const std::lock_guard lock(part.mutex);
  const auto found = part.owners.find(principal);
  if (found == part.owners.end()) return;
  Owner& owner = found->second;
  const auto node = part.nodes.find(Place(&entry, &owner));
  if (node == part.nodes.end()) return;
  unlink(owner, *node);
  part.nodes.erase(node);
  if (owner.count == 1) part.ranks.erase(owner.rank);
  rank(part, owner);
  if (owner.count == 0) part.owners.erase(found);
}

std::vector<StoreKey> Principals::keys(std::string_view principal, std::size_t at_most) {
  std::vector<StoreKey> keys;
  Part& part = part_of(principal);
  const std::lock_guard lock(part.mutex);
  const auto found = part.owners.find(principal);
  if (found == part.owners.end()) return keys;
  keys.reserve(std::min(found->second.count, at_most));
  for (const Node* node = found->second.oldest; node != nullptr && keys.size() < at_most;
       node = node->second.newer) {
    keys.emplace_back(std::string(node->first.first->key()));  // an entry here is still there
  }
  return keys;
}

std::optional<StoreKey> Principals::oldest_of_most(const StoreKey* keep) {
  const auto less = [](const Part& a, const Part& b) {
    return a.most.load(std::memory_order_relaxed) < b.most.load(std::memory_order_relaxed);
  };
  while (true) {
    Part& part = *std::max_element(parts_.begin(), parts_.end(), less);
    if (part.most.load(std::memory_order_relaxed) == 0) return std::nullopt;
    const std::lock_guard lock(part.mutex);
    if (part.ranks.empty()) continue;  // others were quicker
    // Of those here who have as many, the one who has had them for longest.
    const Owner& owner = *part.ranks.lower_bound(part.ranks.rbegin()->first)->second;
    const Node* node = owner.oldest;
    const std::string_view key = node->first.first->key();
    if (keep != nullptr && equal_in_constant_time(key, keep->secret())) node = node->second.newer;
    return StoreKey(std::string(node->first.first->key()));
  }
}

void Principals::link(Owner& owner, Node& node) noexcept {
  node.second.older = owner.newest;
  (owner.newest != nullptr ? owner.newest->second.newer : owner.oldest) = &node;
  owner.newest = &node;
  ++owner.count;
}

void Principals::unlink(Owner& owner, const Node& node) noexcept {
  const auto [older, newer] = node.second;
  (older != nullptr ? older->second.newer : owner.oldest) = newer;
  (newer != nullptr ? newer->second.older : owner.newest) = older;
  --owner.count;
}

// Its number has changed. Precondition: it has a rank if it has two entries or more, else none.
void Principals::rank(Part& part, Owner& owner) noexcept {
  if (owner.count >= 2) {
    auto moved = part.ranks.extract(owner.rank);  // so this needs no memory
    moved.key() = owner.count;
    owner.rank = part.ranks.insert(std::move(moved));
  }
  const std::size_t most = part.ranks.empty() ? 0 : part.ranks.rbegin()->first;
  part.most.store(most, std::memory_order_relaxed);
}

}  // namespace websession::memory
