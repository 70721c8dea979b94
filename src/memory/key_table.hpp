// Owns the entries and finds them by key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "entry.hpp"

namespace websession::memory {

// A hash table with open addressing. As much of the hash as it needs stands beside the pointer, so
// neither growing nor closing the gap after a removal touches the entries themselves: both are
// quick walks over one array. Not thread-safe.
//
// Beside them stands where the entry's fields are, so that the processor can fetch both at once:
// otherwise a load waits for its slot, its entry and its fields in turn. It is only a hint.
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
  // The entry has other fields by now. Precondition: the entry is in the table.
  void note_fields(std::size_t hash, const Entry* entry) noexcept;
  // Preconditions: reserve_one was called; there is no entry of the same key.
  void insert(std::size_t hash, Entry::Pointer entry) noexcept;
  // Precondition: the entry is in the table.
  Entry::Pointer extract(std::size_t hash, Entry* entry) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // `each(entry)`, in any order.
  template <class Each>
  void for_each(const Each& each) const {
    for (std::size_t i = 0; i < capacity(); ++i) {
      if (slots_[i].entry != nullptr) each(*slots_[i].entry);
    }
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t fields = 0;  // hint_to
    Entry* entry = nullptr;    // null: free
  };
  static std::uint32_t hint_to(const Entry& entry) noexcept;
  static void prefetch_fields(const Slot& slot) noexcept;

  [[nodiscard]] std::size_t capacity() const noexcept { return slots_ ? mask_ + 1 : 0; }
  void put(const Slot& slot) noexcept;
  void rebuild(std::unique_ptr<Slot[]> slots, std::size_t capacity) noexcept;

  std::unique_ptr<Slot[]> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace websession::memory
