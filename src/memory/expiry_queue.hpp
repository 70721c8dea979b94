// Entries by the time at which they are due.
#pragma once

#include <cstddef>
#include <vector>

#include "entry.hpp"

namespace websession::memory {

// A heap in which an entry knows its place. The times stand in the heap itself, so ordering touches
// few entries; and it may hold an earlier time than the entry's own, so that a renewal costs
// nothing here. Owns nothing; not thread-safe.
class ExpiryQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  // When the first one is due; SteadyTime::max() when there is none.
  [[nodiscard]] SteadyTime first_due() const noexcept {
    return items_.empty() ? SteadyTime::max() : items_.front().due;
  }
  // Precondition: not empty.
  [[nodiscard]] Entry& first() const noexcept { return *items_.front().entry; }
  // The one that is due next after the first; null when there is none.
  [[nodiscard]] Entry* second() const noexcept;

  // When an entry is due here: when it expires, or earlier. Precondition: it is in the queue.
  [[nodiscard]] SteadyTime due(const Entry& entry) const noexcept {
    return items_[entry.place()].due;
  }

  // Makes sure that the next push needs no memory.
  void reserve_one();
  // Queues the entry for when it expires. Precondition: reserve_one was called.
  void push(Entry& entry) noexcept;
  // Precondition of both: the entry is in the queue.
  void erase(const Entry& entry) noexcept;
  void move_to_expiry(const Entry& entry) noexcept;

 private:
  struct Item {
    SteadyTime due;
    Entry* entry;
  };

  void put(std::size_t place, const Item& item) noexcept;
  void rise(std::size_t place, const Item& item) noexcept;
  void sink(std::size_t place, const Item& item) noexcept;
  void settle(std::size_t place, const Item& item) noexcept;

  std::vector<Item> items_;
};

}  // namespace websession::memory
