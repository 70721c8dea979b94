// Ids from outside. The input is "length_min|length_max|other characters|" and the id.

#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "websession/cookie.hpp"
#include "websession/session_id.hpp"

namespace {

using websession::IdFormat;
using websession::SessionId;
using websession::fuzz::Input;
using websession::fuzz::require;

constexpr std::string_view own_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string characters_of(const IdFormat& format) {
  return std::string(own_characters) + format.other_characters;
}

// Whatever the format, even one that validate refuses.
void check_harmless(const SessionId& id, const IdFormat& format) {
  const std::string& text = id.secret();
  require(text.size() <= 256, "no id is longer than 256 bytes");
  require(text.size() >= format.length_min && text.size() <= format.length_max,
          "an id has a length that the format allows");
  require(text.find(':') == std::string::npos, "no id holds a ':'");
  require(text.find_first_not_of(characters_of(format)) == std::string::npos,
          "an id holds only the format's characters");

  websession::SetCookie cookie;
  cookie.name = "sid";
  cookie.value = text;
  const auto header = websession::serialize(cookie);
  require(header.has_value(), "every id fits into a cookie");
  require(websession::find_cookies(*header, "sid") == std::vector<std::string_view>{text},
          "an id comes back from a cookie as it was");
}

void check_comparison(const SessionId& id, const IdFormat& format) {
  require(id == *SessionId::parse(id.secret(), format), "an id equals itself, read again");
  for (std::size_t i = 0; i < id.secret().size(); ++i) {
    std::string other = id.secret();
    other[i] = other[i] == 'A' ? 'B' : 'A';
    require(!(id == *SessionId::parse(other, format)), "an id with another character is another");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  IdFormat format;
  if (const auto length = input.number()) format.length_min = static_cast<std::size_t>(*length);
  if (const auto length = input.number()) format.length_max = static_cast<std::size_t>(*length);
  format.other_characters = input.piece();
  const std::string_view text = input.rest();

  const std::optional<SessionId> id = SessionId::parse(text, format);
  if (id) {
    require(id->secret() == text, "an id is the text, unchanged");
    check_harmless(*id, format);
    check_comparison(*id, format);
  }
  if (websession::validate(format)) {
    require(format.length_min <= 32 && format.length_max >= 32, "a valid format has room for ours");
    for (std::size_t i = 0; i < own_characters.size(); i += 32) {
      require(SessionId::parse(own_characters.substr(i, 32), format).has_value(),
              "a valid format allows our own ids");
    }
    const bool fits = text.size() >= format.length_min && text.size() <= format.length_max &&
                      text.find_first_not_of(characters_of(format)) == std::string_view::npos;
    require(id.has_value() == fits, "a valid format says exactly what is an id");
  }
  return 0;
}
