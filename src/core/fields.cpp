#include "websession/fields.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace websession {
namespace {

// The block: one Entry a field, in the order of names, then the bytes that they point to.
struct Entry {
  std::uint32_t offset;  // of the name; the value follows it
  std::uint32_t name_size;
  std::uint32_t value_size;
  std::uint32_t has_deadline;
  std::int64_t deadline;
};

// Copied out rather than cast to: a block of bytes has no alignment to rely on.
Entry entry_at(const std::byte* block, std::size_t i) {
  Entry entry;
  std::memcpy(&entry, block + i * sizeof(Entry), sizeof(Entry));
  return entry;
}

std::string_view view(const std::byte* block, std::size_t offset, std::size_t size) {
  return {reinterpret_cast<const char*>(block) + offset, size};
}

std::string_view name_at(const std::byte* block, std::size_t i) {
  const Entry entry = entry_at(block, i);
  return view(block, entry.offset, entry.name_size);
}

std::vector<Field> sorted_unique(std::span<const Field> fields) {
  std::vector<Field> sorted(fields.begin(), fields.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Field& a, const Field& b) { return a.name < b.name; });
  // Of equal names keep the last: the first one of the reversed range.
  const auto first = std::unique(sorted.rbegin(), sorted.rend(),
                                 [](const Field& a, const Field& b) { return a.name == b.name; });
  sorted.erase(sorted.begin(), first.base());
  return sorted;
}

}  // namespace

Fields::Fields(std::span<const Field> fields) {
  if (fields.empty()) return;
  const std::vector<Field> sorted = sorted_unique(fields);
  std::size_t size = sorted.size() * sizeof(Entry);
  for (const Field& field : sorted) size += field.name.size() + field.value.size();
  if (size > UINT32_MAX) throw std::length_error("websession::Fields: over 4 GiB");

  auto block = std::make_shared_for_overwrite<std::byte[]>(size);
  std::size_t offset = sorted.size() * sizeof(Entry);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const Field& field = sorted[i];
    const Entry entry{static_cast<std::uint32_t>(offset),
                      static_cast<std::uint32_t>(field.name.size()),
                      static_cast<std::uint32_t>(field.value.size()), field.deadline ? 1U : 0U,
                      field.deadline ? field.deadline->time_since_epoch().count() : 0};
    std::memcpy(block.get() + i * sizeof(Entry), &entry, sizeof(Entry));
    std::copy_n(reinterpret_cast<const std::byte*>(field.name.data()), field.name.size(),
                block.get() + offset);
    offset += field.name.size();
    std::copy_n(reinterpret_cast<const std::byte*>(field.value.data()), field.value.size(),
                block.get() + offset);
    offset += field.value.size();
  }
  block_ = std::move(block);
  count_ = static_cast<std::uint32_t>(sorted.size());
}

Fields::Fields(std::initializer_list<Field> fields)
    : Fields(std::span<const Field>(fields.begin(), fields.size())) {}

std::size_t Fields::lower_bound(std::string_view name) const noexcept {
  std::size_t low = 0;
  std::size_t high = count_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (name_at(block_.get(), middle) < name) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::optional<Field> Fields::find_field(std::string_view name) const noexcept {
  const std::size_t i = lower_bound(name);
  if (i == count_) return std::nullopt;
  const Field field = (*this)[i];
  if (field.name != name) return std::nullopt;
  return field;
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
  const std::optional<Field> field = find_field(name);
  if (!field) return std::nullopt;
  return field->value;
}

bool Fields::contains(std::string_view name) const noexcept { return find_field(name).has_value(); }

Field Fields::operator[](std::size_t i) const noexcept {
  const Entry entry = entry_at(block_.get(), i);
  Field field{view(block_.get(), entry.offset, entry.name_size),
              view(block_.get(), entry.offset + entry.name_size, entry.value_size), std::nullopt};
  if (entry.has_deadline != 0) field.deadline = WallTime(std::chrono::milliseconds(entry.deadline));
  return field;
}

bool operator==(const Fields& a, const Fields& b) noexcept {
  if (a.block_ == b.block_ && a.count_ == b.count_) return true;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && x.value == y.value && x.deadline == y.deadline;
  });
}

}  // namespace websession
