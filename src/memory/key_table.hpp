// Owns the entries and finds them by key.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "entry.hpp"

namespace websession::memory {

// A hash table with open addressing. The whole hash stands beside the pointer, so neither growing
// nor closing the gap after a removal touches the entries themselves: both are quick walks over
// one array. Not thread-safe.
class KeyTable {
 public:
  KeyTable() = default;
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;
  ~KeyTable();

  // The entry of this key; null when there is none.
  [[nodiscard]] Entry* find(std::size_t hash, std::string_view key) const noexcept;

  // Makes sure that the next insert needs no memory.
  void reserve_one();
  // Preconditions: reserve_one was called; there is no entry of the same key.
  void insert(std::size_t hash, Entry::Pointer entry) noexcept;
  // Precondition: the entry is in the table.
  Entry::Pointer extract(std::size_t hash, Entry* entry) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Slot {
    std::size_t hash = 0;
    Entry* entry = nullptr;  // null: free
  };

  [[nodiscard]] std::size_t capacity() const noexcept { return slots_ ? mask_ + 1 : 0; }
  void put(const Slot& slot) noexcept;
  void rebuild(std::unique_ptr<Slot[]> slots, std::size_t capacity) noexcept;

  std::unique_ptr<Slot[]> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace websession::memory
