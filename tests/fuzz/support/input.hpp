// Takes the bytes of an input apart, in a form that a person can write, too.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websession::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  // The bytes up to the next '|'. "\|" is a '|' in them, and "\\" a '\': they can be any bytes.
  std::string piece() {
    std::string bytes;
    std::size_t i = 0;
    for (; i < rest_.size() && rest_[i] != '|'; ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      bytes += rest_[i];
    }
    rest_.remove_prefix(i < rest_.size() ? i + 1 : i);
    return bytes;
  }

  // The next piece, if it is a decimal number.
  std::optional<std::int64_t> number() {
    const std::string digits = piece();
    const char* const end = digits.data() + digits.size();
    std::int64_t value = 0;
    const auto [last, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || last != end) return std::nullopt;
    return value;
  }

  // All bytes that are left, as they are.
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace websession::fuzz
