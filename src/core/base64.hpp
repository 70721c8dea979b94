// Base64 in both alphabets, without padding (RFC 4648, sections 4 and 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession::internal {

enum class Base64 {
  url,       // - and _ : fit for cookies, URLs and forms as they are
  standard,  // + and /
};

[[nodiscard]] std::string encode_base64(std::string_view bytes, Base64 alphabet = Base64::url);

// nullopt for anything that encode_base64 would not have made of some bytes: each text has one
// form only, so nobody can vary a token without changing what it says.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text,
                                                       Base64 alphabet = Base64::url);

}  // namespace websession::internal
WEBSESSION_API_END
