// The fields of a stored session: attribute names with their stored texts.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "websession/clock.hpp"
#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// One field. The views point into what they were made from.
struct Field {
  std::string_view name;
  std::string_view value;
  std::optional<WallTime> deadline{};  // after which the attribute is absent
};

// Same names, texts and deadlines. (Declared here, since a shared library would hide a friend that
// is declared in its class only.)
class Fields;
bool operator==(const Fields& a, const Fields& b) noexcept;

// An immutable set of fields, ordered by name, in one block of memory. Cheap to copy (copies share
// the block), so a snapshot can be handed to many threads.
//
// Names that start with '@' are the library's own: `@created` (Unix ms) is in every session. What a
// store keeps for itself (deadlines, frozen marks) never shows among the names.
//
// All parts together may not exceed 4 GiB. Of fields with the same name the last one counts.
class Fields {
 public:
  class Iterator;

  Fields() noexcept = default;
  explicit Fields(std::span<const Field> fields);
  Fields(std::initializer_list<Field> fields);
  Fields(const Fields& other) noexcept;
  Fields(Fields&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Fields& operator=(Fields other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Fields();

  // The same without a check, for those who have them in order. Precondition: each name is greater
  // than the one before it.
  static Fields of_sorted(std::span<const Field> fields);

  // The stored text of a field; nullopt when there is none. Valid while this or a copy lives.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  // The same with its name and deadline.
  [[nodiscard]] std::optional<Field> find_field(std::string_view name) const noexcept;
  [[nodiscard]] bool contains(std::string_view name) const noexcept;

  // The i-th field in the order of names. Precondition: i < size().
  [[nodiscard]] Field operator[](std::size_t i) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return block_ == nullptr; }
  [[nodiscard]] Iterator begin() const noexcept;
  [[nodiscard]] Iterator end() const noexcept;

  // Whether any field has a deadline, passed or not.
  [[nodiscard]] bool has_deadlines() const noexcept;
  // The size of the block, which copies share.
  [[nodiscard]] std::size_t block_bytes() const noexcept;
  // Where the block is, so that the processor can be told ahead; null: there is none.
  [[nodiscard]] const void* block() const noexcept { return block_; }

  friend bool operator==(const Fields& a, const Fields& b) noexcept;

 private:
  struct Block;
  Block* block_ = nullptr;  // none: empty
};

// Goes through the fields in the order of their names. Valid while the Fields object lives.
class Fields::Iterator {
 public:
  using value_type = Field;
  using difference_type = std::ptrdiff_t;

  Iterator() noexcept = default;
  Iterator(const Fields& fields, std::size_t i) noexcept : fields_(&fields), i_(i) {}
  Field operator*() const noexcept { return (*fields_)[i_]; }
  Iterator& operator++() noexcept {
    ++i_;
    return *this;
  }
  Iterator operator++(int) noexcept {
    Iterator old = *this;
    ++i_;
    return old;
  }
  friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.i_ == b.i_; }

 private:
  const Fields* fields_ = nullptr;
  std::size_t i_ = 0;
};

inline Fields::Iterator Fields::begin() const noexcept { return {*this, 0}; }
inline Fields::Iterator Fields::end() const noexcept { return {*this, size()}; }

}  // namespace websession
WEBSESSION_API_END
