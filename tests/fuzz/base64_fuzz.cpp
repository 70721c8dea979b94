// Base64. The input is read as a text to decode, and as bytes to encode.

#include "base64.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"

namespace {

using websession::fuzz::Input;
using websession::fuzz::require;
using websession::internal::Base64;
using websession::internal::decode_base64;
using websession::internal::encode_base64;

bool is_digit_of(char c, Base64 alphabet) {
  const bool common = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  return common || (alphabet == Base64::url ? c == '-' || c == '_' : c == '+' || c == '/');
}

void check(std::string_view input, Base64 alphabet) {
  const auto is_digit = [alphabet](char c) { return is_digit_of(c, alphabet); };
  const std::optional<std::string> decoded = decode_base64(input, alphabet);
  if (decoded) {
    require(encode_base64(*decoded, alphabet) == input, "a text that decodes is the only form");
  } else {
    // Cut to whole groups, digits have no spare bits: nothing else is a reason to refuse them.
    const bool digits = std::all_of(input.begin(), input.end(), is_digit);
    require(!digits || input.size() % 4 != 0, "whole groups of digits decode");
  }

  const std::string text = encode_base64(input, alphabet);
  require(std::all_of(text.begin(), text.end(), is_digit), "a text has digits only, no padding");
  require(text.size() == (input.size() * 8 + 5) / 6, "a text is as short as can be");
  require(decode_base64(text, alphabet) == input, "what was encoded decodes to the same bytes");
  require(!decode_base64(text + "=", alphabet), "padding is refused");
  require(!decode_base64(text + "\n", alphabet), "a line's end is refused");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = Input(data, size).rest();
  check(input, Base64::url);
  check(input, Base64::standard);
  return 0;
}
