#include "key_table.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "websession/session_id.hpp"

namespace websession::memory {
namespace {

constexpr std::size_t capacity_min = 8;

}  // namespace

KeyTable::~KeyTable() {
  for (std::size_t i = 0; i < capacity(); ++i) {
    if (slots_[i].entry != nullptr) Entry::Deleter()(slots_[i].entry);
  }
}

Entry* KeyTable::find(std::size_t hash, std::string_view key) const noexcept {
  if (!slots_) return nullptr;
  const auto wanted = static_cast<std::uint32_t>(hash);
  for (std::size_t i = hash & mask_; slots_[i].entry != nullptr; i = (i + 1) & mask_) {
    if (slots_[i].hash != wanted) continue;
    prefetch_fields(slots_[i]);
    if (equal_in_constant_time(slots_[i].entry->key(), key)) {
      return slots_[i].entry;
    }
  }
  return nullptr;
}

void KeyTable::reserve_one() {
  // At most three quarters full: beyond, the walks to a free slot grow long.
  if ((size_ + 1) * 4 <= capacity() * 3) return;
  const std::size_t larger = std::max(capacity() * 2, capacity_min);
  rebuild(std::make_unique<Slot[]>(larger), larger);
}

void KeyTable::insert(std::size_t hash, Entry::Pointer entry) noexcept {
  put({static_cast<std::uint32_t>(hash), hint_to(*entry), entry.get()});
  static_cast<void>(entry.release());
  ++size_;
}

// Of the address, without the bits that are zero (blocks are aligned to 16 bytes) and the highest.
std::uint32_t KeyTable::hint_to(const Entry& entry) noexcept {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(entry.fields.block()) >> 4U);
}

// The highest bits are taken from the entry's address: most often, both are within the same 64 GiB.
// A wrong address is asked for in vain, and does no harm.
void KeyTable::prefetch_fields(const Slot& slot) noexcept {
  constexpr std::size_t line = 64;
  constexpr std::size_t lines = 6;  // a session of usual size
  constexpr std::uint64_t known = (std::uint64_t{1} << 36U) - 1;
  const std::uint64_t entry = reinterpret_cast<std::uintptr_t>(slot.entry);
  const std::uint64_t block = (entry & ~known) | (std::uint64_t{slot.fields} << 4U);
  for (std::size_t i = 0; i < lines; ++i) {
    const auto address = static_cast<std::uintptr_t>(block + i * line);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is read through it.
    __builtin_prefetch(reinterpret_cast<const void*>(address));
  }
}

void KeyTable::note_fields(std::size_t hash, const Entry* entry) noexcept {
  std::size_t i = hash & mask_;
  while (slots_[i].entry != entry) i = (i + 1) & mask_;
  slots_[i].fields = hint_to(*entry);
}

Entry::Pointer KeyTable::extract(std::size_t hash, Entry* entry) noexcept {
  std::size_t gap = hash & mask_;
  while (slots_[gap].entry != entry) gap = (gap + 1) & mask_;
  // Whatever would not be found any more behind the gap moves into it.
  for (std::size_t i = (gap + 1) & mask_; slots_[i].entry != nullptr; i = (i + 1) & mask_) {
    const std::size_t from_home = (i - slots_[i].hash) & mask_;
    const std::size_t from_gap = (i - gap) & mask_;
    if (from_home < from_gap) continue;
    slots_[gap] = slots_[i];
    gap = i;
  }
  slots_[gap] = {};
  --size_;

  if (capacity() > capacity_min && size_ * 8 < capacity()) {
    const std::size_t smaller = capacity() / 2;
    std::unique_ptr<Slot[]> slots(new (std::nothrow) Slot[smaller]);
    if (slots) rebuild(std::move(slots), smaller);
  }
  return Entry::Pointer(entry);
}

void KeyTable::put(const Slot& slot) noexcept {
  std::size_t i = slot.hash & mask_;
  while (slots_[i].entry != nullptr) i = (i + 1) & mask_;
  slots_[i] = slot;
}

void KeyTable::rebuild(std::unique_ptr<Slot[]> slots, std::size_t capacity) noexcept {
  const std::size_t before = this->capacity();
  slots_.swap(slots);
  mask_ = capacity - 1;
  for (std::size_t i = 0; i < before; ++i) {
    if (slots[i].entry != nullptr) put(slots[i]);
  }
}

}  // namespace websession::memory
