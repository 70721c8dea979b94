// Which entries are whose.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

  // The keys of a principal's entries, oldest first and at most so many.
  [[nodiscard]] std::vector<StoreKey> keys(std::string_view principal, std::size_t at_most);

  // The oldest entry, but for `keep`, of a principal with more than any other. None: nobody has
  // two. What others do meanwhile may be seen or not.
  [[nodiscard]] std::optional<StoreKey> oldest_of_most(const StoreKey* keep);

 private:
  struct Owner;
  // An entry, as one of the owner's. (For a moment an entry can be two owners'.)
  using Place = std::pair<const Entry*, const Owner*>;
  struct Links;
  using Node = std::pair<const Place, Links>;
  struct Links {
    Node* older = nullptr;
    Node* newer = nullptr;
  };
  // Owners of two entries and more, by their number.
  using Ranks = std::pmr::multimap<std::size_t, const Owner*>;
  struct Owner {
    std::size_t count = 0;
    Node* oldest = nullptr;
    Node* newest = nullptr;
    Ranks::iterator rank{};  // if it has two or more
  };
  // Trees, as nothing in them is ever moved all at once: a principal may have a million sessions.
  struct alignas(64) Part {
    std::mutex mutex;
    // Small pieces that are freed go back to a pool of ours, as the entries do (entry_pool.hpp).
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::map<std::pmr::string, Owner, std::less<>> owners{&pool};
    std::pmr::map<Place, Links> nodes{&pool};
    Ranks ranks{&pool};
    std::atomic<std::size_t> most = 0;  // of one owner, if it is two or more: read without the lock
  };
  static constexpr std::size_t part_count = 64;
  Part& part_of(std::string_view principal) noexcept {
    return parts_[std::hash<std::string_view>{}(principal) % part_count];
  }
  static void link(Owner& owner, Node& node) noexcept;
  static void unlink(Owner& owner, const Node& node) noexcept;
  static void rank(Part& part, Owner& owner) noexcept;

  std::array<Part, part_count> parts_;
};

}  // namespace websession::memory
