#include "expiry_queue.hpp"

#include <algorithm>

namespace websession::memory {
namespace {

// Four children fill a line of the cache, and make the heap half as high as two.
constexpr std::size_t children = 4;
constexpr std::size_t capacity_kept = 64;

}  // namespace

Entry* ExpiryQueue::second() const noexcept {
  if (items_.size() < 2) return nullptr;
  const auto end =
      items_.begin() + static_cast<std::ptrdiff_t>(std::min(items_.size(), children + 1));
  return std::min_element(items_.begin() + 1, end,
                          [](const Item& a, const Item& b) { return a.due < b.due; })
      ->entry;
}

void ExpiryQueue::reserve_one() {
  if (items_.size() == items_.capacity())
    items_.reserve(std::max<std::size_t>(4, items_.size() * 2));
}

void ExpiryQueue::push(Entry& entry) noexcept {
  const Item item{entry.expires_at, &entry};
  items_.push_back(item);
  rise(items_.size() - 1, item);
}

void ExpiryQueue::erase(const Entry& entry) noexcept {
  const std::size_t place = entry.place();
  const Item last = items_.back();
  items_.pop_back();
  if (place < items_.size()) settle(place, last);
  // A flood that has gone should not keep its memory. (For want of memory this does nothing.)
  if (items_.capacity() > capacity_kept && items_.size() * 8 < items_.capacity()) {
    items_.shrink_to_fit();
  }
}

void ExpiryQueue::move_to_expiry(const Entry& entry) noexcept {
  settle(entry.place(), {entry.expires_at, items_[entry.place()].entry});
}

void ExpiryQueue::put(std::size_t place, const Item& item) noexcept {
  items_[place] = item;
  item.entry->set_place(place);
}

void ExpiryQueue::rise(std::size_t place, const Item& item) noexcept {
  while (place > 0) {
    const std::size_t parent = (place - 1) / children;
    if (items_[parent].due <= item.due) break;
    put(place, items_[parent]);
    place = parent;
  }
  put(place, item);
}

void ExpiryQueue::sink(std::size_t place, const Item& item) noexcept {
  while (true) {
    const std::size_t begin = place * children + 1;
    if (begin >= items_.size()) break;
    const std::size_t end = std::min(begin + children, items_.size());
    std::size_t least = begin;
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (items_[i].due < items_[least].due) least = i;
    }
    if (item.due <= items_[least].due) break;
    put(place, items_[least]);
    place = least;
  }
  put(place, item);
}

void ExpiryQueue::settle(std::size_t place, const Item& item) noexcept {
  const bool rises = place > 0 && item.due < items_[(place - 1) / children].due;
  if (rises) {
    rise(place, item);
  } else {
    sink(place, item);
  }
}

}  // namespace websession::memory
