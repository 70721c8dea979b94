#include "mark.hpp"

#include <chrono>
#include <cstdint>

#include "websession/session_store.hpp"

namespace websession::redis {
namespace {

// Takes a text up to a character, and that; none: it does not come.
std::optional<std::string_view> take_until(std::string_view& rest, char end) {
  const std::size_t size = rest.find(end);
  if (size == std::string_view::npos) return std::nullopt;
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size + 1);
  return taken;
}

std::optional<std::size_t> take_size(std::string_view& rest) {
  const std::optional<std::string_view> text = take_until(rest, ':');
  const std::optional<std::int64_t> size = text ? parse_integer(*text) : std::nullopt;
  if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > rest.size()) return std::nullopt;
  return static_cast<std::size_t>(*size);
}

std::string_view take(std::string_view& rest, std::size_t size) {
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return taken;
}

}  // namespace

std::optional<Mark> parse_mark(std::string_view text) {
  const auto word = take_until(text, ' ');
  const auto format = take_until(text, ' ');
  const auto end = take_until(text, ' ');
  const auto relation = take_until(text, ' ');
  const std::optional<std::size_t> size = relation ? take_size(text) : std::nullopt;
  if (!size || format != "1" || (word != "@frozen" && word != "@over")) return std::nullopt;
  const std::optional<std::int64_t> ends = parse_integer(*end);
  if (!ends) return std::nullopt;
  Mark mark{WallTime(std::chrono::milliseconds(*ends)), word == "@frozen", take(text, *size)};
  if (!text.starts_with('\n')) return std::nullopt;
  text.remove_prefix(1);
  while (!text.empty()) {
    const std::optional<std::size_t> name_size = take_size(text);
    const std::optional<std::size_t> value_size = name_size ? take_size(text) : std::nullopt;
    if (!value_size || *name_size > text.size() - *value_size) return std::nullopt;
    for (const std::size_t part : {*name_size, *value_size}) {
      mark.flat.push_back({Reply::Type::string, 0, take(text, part)});
    }
  }
  return mark;
}

}  // namespace websession::redis
