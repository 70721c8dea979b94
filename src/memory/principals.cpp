#include "principals.hpp"

#include <algorithm>
#include <utility>

namespace websession::memory {

void Principals::add(std::string_view principal, const Entry& entry) {
  Part& part = part_of(principal);
  const std::lock_guard lock(part.mutex);
  auto found = part.principals.find(principal);
  if (found == part.principals.end()) {
    found = part.principals.try_emplace(std::pmr::string(principal, &part.pool)).first;
  }
  try {
    found->second.emplace(&entry, part.count++);
  } catch (...) {
    if (found->second.empty()) part.principals.erase(found);
    throw;
  }
}

void Principals::remove(std::string_view principal, const Entry& entry) noexcept {
  Part& part = part_of(principal);
  const std::lock_guard lock(part.mutex);
  const auto found = part.principals.find(principal);
  if (found == part.principals.end()) return;
  found->second.erase(&entry);
  if (found->second.empty()) part.principals.erase(found);
}

std::vector<StoreKey> Principals::keys(std::string_view principal, std::size_t at_most) {
  std::vector<std::pair<std::uint64_t, std::string>> numbered;
  {
    Part& part = part_of(principal);
    const std::lock_guard lock(part.mutex);
    const auto found = part.principals.find(principal);
    if (found == part.principals.end()) return {};
    numbered.reserve(std::min(found->second.size(), at_most));
    for (const auto& [entry, number] : found->second) {
      if (numbered.size() == at_most) break;
      numbered.emplace_back(number,
                            entry->key());  // an entry here is still there, and its key stays
    }
  }
  std::sort(numbered.begin(), numbered.end());
  std::vector<StoreKey> keys;
  keys.reserve(numbered.size());
  for (auto& [number, key] : numbered) keys.emplace_back(std::move(key));
  return keys;
}

}  // namespace websession::memory
