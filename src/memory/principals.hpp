// Which entries are whose.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory_resource>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "entry.hpp"
#include "websession/session_id.hpp"

namespace websession::memory {

// The signed-in entries of the table by their principal: each from before it is in the table until
// it leaves it. So it needs no room of its own in the caps, nothing to trim, and no look at the
// table. Thread-safe; its locks are taken last, under those of shards, and nothing is called with
// them.
class Principals {
 public:
  // Precondition: the entry has been added for no principal. Gives up without a trace when memory
  // is short (std::bad_alloc).
  void add(std::string_view principal, const Entry& entry);
  // Precondition: the entry was added for this principal.
  void remove(std::string_view principal, const Entry& entry) noexcept;

  // The keys of a principal's entries, oldest first; if there are more than `at_most`, any of them.
  [[nodiscard]] std::vector<StoreKey> keys(std::string_view principal, std::size_t at_most);

 private:
  // Trees, as nothing in them is ever moved all at once: a principal may have a million sessions.
  // The numbers tell the order in which entries came.
  using Entries = std::pmr::map<const Entry*, std::uint64_t>;
  struct alignas(64) Part {
    std::mutex mutex;
    // Small pieces that are freed go back to a pool of ours, as the entries do (entry_pool.hpp).
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::map<std::pmr::string, Entries, std::less<>> principals{&pool};
    std::uint64_t count = 0;
  };
  static constexpr std::size_t part_count = 64;
  Part& part_of(std::string_view principal) noexcept {
    return parts_[std::hash<std::string_view>{}(principal) % part_count];
  }

  std::array<Part, part_count> parts_;
};

}  // namespace websession::memory
