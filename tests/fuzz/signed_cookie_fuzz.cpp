// Signed session cookies from outside. The input is a cookie's value; it is also taken for an id,
// and signed.

#include <algorithm>
#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "websession/cookie.hpp"
#include "websession/signed_cookie.hpp"

namespace {

using websession::CookieFormat;
using websession::CookieSigner;
using websession::KeyRing;
using websession::SessionId;
using websession::fuzz::require;

// The corpus holds values that were signed with these.
CookieSigner signer(CookieFormat format, bool newest_only) {
  std::vector<std::string> secrets{std::string(32, 'n')};
  if (!newest_only) secrets.emplace_back(32, 'o');
  return CookieSigner::make("sid", {KeyRing::make(std::move(secrets)).value(), format}).value();
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// What Express makes of a value; nullopt when a '%' is not followed by two digits.
std::optional<std::string> decoded(std::string_view value) {
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '%') {
      text += value[i];
      continue;
    }
    if (i + 2 >= value.size() || !is_hex(value[i + 1]) || !is_hex(value[i + 2])) {
      return std::nullopt;
    }
    text += static_cast<char>(std::stoi(std::string(value.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return text;
}

void check_accepted(CookieFormat format, std::string_view value, const SessionId& id) {
  const std::string newest = signer(format, true).sign(id);
  const KeyRing old_ring = KeyRing::make({std::string(32, 'o')}).value();
  const std::string older = CookieSigner::make("sid", {old_ring, format}).value().sign(id);
  if (format == CookieFormat::websession) {
    require(value == newest || value == older, "a signed id has one form only under each secret");
  } else {
    const auto text = decoded(value);
    require(text && (text == decoded(newest) || text == decoded(older)),
            "what is accepted says what Express would have signed");
  }
}

void check_signed(CookieFormat format, const SessionId& id, std::size_t place) {
  const CookieSigner both = signer(format, false);
  const std::string value = both.sign(id);
  require(both.verify(value) == id, "what was signed verifies");
  websession::SetCookie cookie;
  cookie.name = "sid";
  cookie.value = value;
  require(websession::serialize(cookie).has_value(), "a signed id fits into a cookie");
  require(!both.verify(value.substr(0, place % value.size())), "no shorter value verifies");
  std::string altered = value;
  char& c = altered[place % altered.size()];
  const char before = c;
  c = c == 'A' ? 'B' : 'A';
  // A hex digit of Express' may be in either case; 'A' for 'a' is the one that this could meet.
  const bool same_digit = format == CookieFormat::express && before == 'a';
  require(same_digit || !both.verify(altered), "no altered value verifies");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  for (const CookieFormat format : {CookieFormat::websession, CookieFormat::express}) {
    if (const auto id = signer(format, false).verify(value)) check_accepted(format, value, *id);
    if (const auto id = SessionId::parse(value.substr(0, 32))) {
      check_signed(format, *id, size + data[0]);
    }
  }
  return 0;
}
