#include "entry.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "websession/session_store.hpp"

namespace websession::memory {

Kind kind_of(const Fields& fields) noexcept {
  return fields.contains(user_field) ? Kind::signed_in : Kind::anonymous;
}

Entry::Entry(std::size_t key_size, Fields all, SteadyTime end) noexcept
    : fields(std::move(all)),
      expires_at(end),
      key_size_(static_cast<std::uint32_t>(key_size)),
      kind_(static_cast<std::uint32_t>(kind_of(fields)) & 1U) {}

bool Entry::fits_cell(std::size_t key_size) noexcept {
  static_assert(alignof(Entry) <= EntryPool::cell_bytes);
  static_assert(sizeof(Entry) + 32 == EntryPool::cell_bytes, "a cell is for an entry and our ids");
  return sizeof(Entry) + key_size <= EntryPool::cell_bytes;
}

Entry::Pointer Entry::make(EntryPool& pool, const StoreKey& key, Fields fields,
                           SteadyTime expires_at) {
  const std::string& text = key.secret();
  if (text.size() > key_size_max) throw std::length_error("websession::MemoryStore: key too long");
  void* memory = fits_cell(text.size()) ? pool.take() : ::operator new(sizeof(Entry) + text.size());
  Pointer entry(new (memory) Entry(text.size(), std::move(fields), expires_at));
  std::copy_n(text.data(), text.size(), reinterpret_cast<char*>(entry.get() + 1));
  return entry;
}

void Entry::Deleter::operator()(Entry* entry) const noexcept {
  const bool cell = fits_cell(entry->key_size_);
  entry->~Entry();
  if (cell) {
    EntryPool::give(entry);
  } else {
    ::operator delete(entry);
  }
}

std::size_t Entry::bytes(std::size_t key_size, const Fields& fields) noexcept {
  constexpr std::size_t slots = 48;  // two in the table, which is half full, and one in the queue
  const std::size_t own = sizeof(Entry) + key_size + fields.block_bytes() + slots;
  // A node in the index; and one for the principal with its name, though sessions of one principal
  // share it. (So its rank, which it has from the second session on, is paid for.)
  constexpr std::size_t nodes = 64 + 112;
  const std::optional<std::string_view> principal = fields.find(user_field);
  return principal ? own + nodes + principal->size() : own;
}

std::size_t Entry::successor_bytes(const StoreKey& successor) noexcept {
  return sizeof(StoreKey) + successor.secret().size();
}

std::size_t Entry::bytes() const noexcept {
  return bytes(key_size_, fields) + (successor ? successor_bytes(*successor) : 0);
}

}  // namespace websession::memory
