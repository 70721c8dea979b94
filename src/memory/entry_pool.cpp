#include "entry_pool.hpp"

#include <new>

namespace websession::memory {

// Aligned to its size, so the address of a cell tells its chunk.
struct alignas(1024) EntryPool::Chunk {
  static constexpr std::size_t cells_max = 1024 / cell_bytes - 1;

  explicit Chunk(EntryPool& owner) noexcept : pool(&owner) {
    for (auto& cell : cells) free = new (cell.data()) FreeCell{free};
  }
  [[nodiscard]] static Chunk* of(void* cell) noexcept {
    const std::uintptr_t within = reinterpret_cast<std::uintptr_t>(cell) % sizeof(Chunk);
    return reinterpret_cast<Chunk*>(static_cast<std::byte*>(cell) - within);
  }

  EntryPool* pool;
  Chunk* previous = nullptr;
  Chunk* next = nullptr;
  FreeCell* free = nullptr;
  std::size_t used = 0;
  alignas(cell_bytes) std::array<std::array<std::byte, cell_bytes>, cells_max> cells;
};

EntryPool::~EntryPool() {
  while (available_ != nullptr) {
    Chunk* const chunk = available_;
    available_ = chunk->next;
    delete chunk;
  }
}

void* EntryPool::take() {
  static_assert(sizeof(Chunk) == 1024);
  if (available_ == nullptr) link(new Chunk(*this));
  Chunk* const chunk = available_;
  FreeCell* const cell = chunk->free;
  chunk->free = cell->next;
  ++chunk->used;
  if (chunk->free == nullptr) unlink(chunk);
  return cell;
}

void EntryPool::give(void* cell) noexcept {
  Chunk* const chunk = Chunk::of(cell);
  EntryPool& pool = *chunk->pool;
  if (chunk->free == nullptr) pool.link(chunk);
  chunk->free = new (cell) FreeCell{chunk->free};
  --chunk->used;
  // One chunk stays for the next session.
  const bool last = pool.available_ == chunk && chunk->next == nullptr;
  if (chunk->used == 0 && !last) {
    pool.unlink(chunk);
    delete chunk;
  }
}

void EntryPool::link(Chunk* chunk) noexcept {
  chunk->previous = nullptr;
  chunk->next = available_;
  if (available_ != nullptr) available_->previous = chunk;
  available_ = chunk;
}

void EntryPool::unlink(Chunk* chunk) noexcept {
  if (chunk->next != nullptr) chunk->next->previous = chunk->previous;
  (chunk->previous != nullptr ? chunk->previous->next : available_) = chunk->next;
}

}  // namespace websession::memory
