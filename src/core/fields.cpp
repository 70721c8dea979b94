#include "websession/fields.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <vector>

namespace websession {
namespace {

// Stands for "no deadline" where others have one.
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();

bool in_order(const Field& a, const Field& b) { return a.name < b.name; }

std::vector<Field> sorted_unique(std::span<const Field> fields) {
  std::vector<Field> sorted(fields.begin(), fields.end());
  std::stable_sort(sorted.begin(), sorted.end(), in_order);
  // Of equal names keep the last: the first one of the reversed range.
  const auto first = std::unique(sorted.rbegin(), sorted.rend(),
                                 [](const Field& a, const Field& b) { return a.name == b.name; });
  sorted.erase(sorted.begin(), first.base());
  return sorted;
}

}  // namespace

// What this header is followed by, without gaps:
//   ends       two numbers a field, where its name and where its value end in the texts
//   deadlines  one number a field, if any field has one
//   texts      name, value, name, value…, in the order of names
struct Fields::Block {
  std::atomic<std::uint32_t> references;
  std::uint32_t count;
  std::uint32_t texts_at;  // from the start of the block

  // Precondition: strictly in order, not empty.
  static Block* make(std::span<const Field> fields);

  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this); }
  [[nodiscard]] const char* bytes() const noexcept { return reinterpret_cast<const char*>(this); }
  // Of the names and values, one after the other. Precondition: i <= 2 * count.
  [[nodiscard]] std::uint32_t end_before(std::size_t i) const noexcept {
    if (i == 0) return 0;
    std::uint32_t end = 0;
    std::memcpy(&end, bytes() + sizeof(Block) + (i - 1) * sizeof end, sizeof end);
    return end;
  }
  [[nodiscard]] std::string_view text(std::size_t i) const noexcept {
    const std::uint32_t begin = end_before(i);
    return {bytes() + texts_at + begin, end_before(i + 1) - begin};
  }
  [[nodiscard]] std::string_view name(std::size_t i) const noexcept { return text(2 * i); }
  [[nodiscard]] std::size_t deadlines_at() const noexcept {
    return sizeof(Block) + std::size_t{2} * count * sizeof(std::uint32_t);
  }
  [[nodiscard]] bool has_deadlines() const noexcept { return texts_at != deadlines_at(); }
  [[nodiscard]] std::optional<WallTime> deadline(std::size_t i) const noexcept {
    if (!has_deadlines()) return std::nullopt;
    std::int64_t ms = 0;
    std::memcpy(&ms, bytes() + deadlines_at() + i * sizeof ms, sizeof ms);
    if (ms == never) return std::nullopt;
    return WallTime(std::chrono::milliseconds(ms));
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return texts_at + end_before(std::size_t{2} * count);
  }
};

Fields::Block* Fields::Block::make(std::span<const Field> fields) {
  const bool deadlines = std::any_of(fields.begin(), fields.end(),
                                     [](const Field& field) { return field.deadline.has_value(); });
  std::size_t texts_at = sizeof(Block) + fields.size() * 2 * sizeof(std::uint32_t);
  if (deadlines) texts_at += fields.size() * sizeof(std::int64_t);
  std::size_t size = texts_at;
  for (const Field& field : fields) size += field.name.size() + field.value.size();
  if (size > UINT32_MAX) throw std::length_error("websession::Fields: over 4 GiB");

  auto* block = new (::operator new(size))
      Block{{1}, static_cast<std::uint32_t>(fields.size()), static_cast<std::uint32_t>(texts_at)};
  char* ends = block->bytes() + sizeof(Block);
  char* until = block->bytes() + block->deadlines_at();
  char* const texts = block->bytes() + texts_at;
  std::uint32_t end = 0;
  const auto append = [&](std::string_view text) {
    std::copy_n(text.data(), text.size(), texts + end);
    end += static_cast<std::uint32_t>(text.size());
    std::memcpy(ends, &end, sizeof end);
    ends += sizeof end;
  };
  for (const Field& field : fields) {
    append(field.name);
    append(field.value);
    if (!deadlines) continue;
    // A deadline at the very beginning of time moves by a millisecond: it has passed all the same.
    const std::int64_t ms =
        field.deadline
            ? std::max<std::int64_t>(field.deadline->time_since_epoch().count(), never + 1)
            : never;
    std::memcpy(until, &ms, sizeof ms);
    until += sizeof ms;
  }
  return block;
}

Fields::Fields(std::span<const Field> fields) {
  if (fields.empty()) return;
  const bool sorted =
      std::adjacent_find(fields.begin(), fields.end(), [](const Field& a, const Field& b) {
        return !in_order(a, b);
      }) == fields.end();
  block_ = Block::make(sorted ? fields : sorted_unique(fields));
}

Fields Fields::of_sorted(std::span<const Field> fields) {
  Fields made;
  if (!fields.empty()) made.block_ = Block::make(fields);
  return made;
}

Fields::Fields(std::initializer_list<Field> fields)
    : Fields(std::span<const Field>(fields.begin(), fields.size())) {}

Fields::Fields(const Fields& other) noexcept : block_(other.block_) {
  if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
}

Fields::~Fields() {
  // The last one has to see what the others did with the block before they let go of it.
  if (block_ == nullptr || block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  block_->~Block();
  ::operator delete(block_);
}

std::size_t Fields::size() const noexcept { return block_ == nullptr ? 0 : block_->count; }

std::optional<Field> Fields::find_field(std::string_view name) const noexcept {
  std::size_t low = 0;
  std::size_t high = size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const int order = block_->name(middle).compare(name);
    if (order == 0) return (*this)[middle];
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
  const std::optional<Field> field = find_field(name);
  if (!field) return std::nullopt;
  return field->value;
}

bool Fields::contains(std::string_view name) const noexcept { return find_field(name).has_value(); }

Field Fields::operator[](std::size_t i) const noexcept {
  return {block_->name(i), block_->text(2 * i + 1), block_->deadline(i)};
}

bool Fields::has_deadlines() const noexcept { return block_ != nullptr && block_->has_deadlines(); }

std::size_t Fields::block_bytes() const noexcept { return block_ == nullptr ? 0 : block_->size(); }

bool operator==(const Fields& a, const Fields& b) noexcept {
  if (a.block_ == b.block_) return true;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && x.value == y.value && x.deadline == y.deadline;
  });
}

}  // namespace websession
