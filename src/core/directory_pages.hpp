// What all directories have in common. Inline, since the stores need it, and a shared library shows
// only what public headers declare.
#pragma once

#include <charconv>
#include <cstddef>
#include <string_view>

#include "invalid.hpp"
#include "websession/result.hpp"
#include "websession/session_directory.hpp"

namespace websession::internal {

inline Result<void> validate_page(std::size_t about) {
  if (about >= 1 && about <= SessionDirectory::page_max) return {};
  return invalid("SessionDirectory::page: about must be 1 to 10,000");
}

inline Error foreign_cursor() {
  return invalid("SessionDirectory::page: this store has not made the cursor: begin anew");
}

// A number below `end`.
template <class Number>
Result<Number> number_in(std::string_view text, Number end) {
  Number number{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size() || number >= end) {
    return foreign_cursor();
  }
  return number;
}

// The place that the cursor stands for, of so many.
inline Result<std::size_t> place_in(const DirectoryCursor& cursor, std::size_t end) {
  if (cursor.is_beginning()) return std::size_t{0};
  return number_in<std::size_t>(cursor.secret(), end);
}

}  // namespace websession::internal
