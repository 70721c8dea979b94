// Memory for entries.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace websession::memory {

// Cells of one size, in small chunks that go back to the allocator when they are empty. Entries are
// so small that glibc keeps them aside when they are freed, to merge them all at once later: with
// half a million expired sessions that stalled one call for 26 ms. Besides, each entry has a cache
// line for itself here, and no header of the allocator. Not thread-safe.
class EntryPool {
 public:
  static constexpr std::size_t cell_bytes = 64;

  EntryPool() = default;
  EntryPool(const EntryPool&) = delete;
  EntryPool& operator=(const EntryPool&) = delete;
  ~EntryPool();  // Precondition: all cells were given back.

  [[nodiscard]] void* take();
  // To the pool that the cell is from.
  static void give(void* cell) noexcept;

 private:
  struct Chunk;
  struct FreeCell {
    FreeCell* next;
  };

  void link(Chunk* chunk) noexcept;
  void unlink(Chunk* chunk) noexcept;

  Chunk* available_ = nullptr;  // chunks with a free cell, linked both ways
};

}  // namespace websession::memory
