// What all directories have in common. Inline, since the stores need it, and a shared library shows
// only what public headers declare.
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
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

// A cursor says which kind of store has made it: that of another kind would lead anywhere.
inline DirectoryCursor cursor_of(char kind, std::string_view text) {
  return DirectoryCursor(kind + std::string(text));
}
// Precondition: it is not the beginning.
inline Result<std::string_view> text_of(const DirectoryCursor& cursor, char kind) {
  const std::string_view text = cursor.secret();
  if (!text.starts_with(kind)) return foreign_cursor();
  return text.substr(1);
}

// The number that the cursor stands for, below `end`; 0: the beginning.
template <class Number>
Result<Number> place_in(const DirectoryCursor& cursor, char kind, Number end) {
  if (cursor.is_beginning()) return Number{0};
  const Result<std::string_view> text = text_of(cursor, kind);
  if (!text) return text.error();
  return number_in<Number>(*text, end);
}

}  // namespace websession::internal
