// Set-Cookie: whatever goes in is refused, or reads back as it was by the rules of browsers.
//
// The input is "name|value|path|domain|Max-Age in seconds|Expires in Unix ms|flags". Flags are
// letters: H HttpOnly, S Secure, P Partitioned; s, l, n SameSite.

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "websession/cookie.hpp"

namespace {

using websession::SameSite;
using websession::SetCookie;
using websession::WallTime;
using websession::fuzz::Input;
using websession::fuzz::require;

SetCookie cookie_of(Input& input) {
  SetCookie cookie;
  cookie.name = input.piece();
  cookie.value = input.piece();
  cookie.path = input.piece();
  cookie.domain = input.piece();
  if (const auto seconds = input.number()) cookie.max_age = std::chrono::seconds(*seconds);
  if (const auto ms = input.number()) cookie.expires = WallTime(std::chrono::milliseconds(*ms));
  const std::string flags = input.piece();
  const auto has = [&flags](char flag) { return flags.find(flag) != std::string::npos; };
  cookie.http_only = has('H');
  cookie.secure = has('S');
  cookie.partitioned = has('P');
  if (has('s')) cookie.same_site = SameSite::strict;
  if (has('l')) cookie.same_site = SameSite::lax;
  if (has('n')) cookie.same_site = SameSite::none;
  return cookie;
}

// The parts of a Set-Cookie header, as RFC 6265bis §5.6 takes it apart. The cookie itself is under
// the empty name: "" -> "name=value".
std::map<std::string, std::string> taken_apart(std::string_view header) {
  const auto trimmed = [](std::string_view text) {
    const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
    return std::string(text.substr(first, text.find_last_not_of(" \t") + 1 - first));
  };
  std::map<std::string, std::string> parts;
  std::size_t end = header.find(';');
  parts[""] = header.substr(0, end);
  while (end != std::string_view::npos) {
    header.remove_prefix(end + 1);
    end = header.find(';');
    const std::string_view part = header.substr(0, end);
    const std::size_t equals = part.find('=');
    const std::string name = trimmed(part.substr(0, equals));
    const bool is_new =
        parts
            .emplace(name, equals == std::string_view::npos ? "" : trimmed(part.substr(equals + 1)))
            .second;
    require(is_new, "no attribute comes twice");
  }
  return parts;
}

// A date as cookies have it: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string date_text(WallTime time) {
  const std::int64_t latest = 253'402'214'400;  // 9999-12-31
  const std::int64_t ms = std::max<std::int64_t>(time.time_since_epoch().count(), 0);
  const std::int64_t seconds = std::min(ms / 1000, latest);
  std::int64_t day = seconds / 86'400;
  const char* const weekday = std::array{
      "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}[static_cast<std::size_t>(day % 7)];
  const auto is_leap = [](int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; };
  int year = 1970;
  for (; day >= (is_leap(year) ? 366 : 365); ++year) day -= is_leap(year) ? 366 : 365;
  std::array<int, 12> days{31, is_leap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::size_t month = 0;
  for (; day >= days[month]; ++month) day -= days[month];
  const char* const month_name = std::array{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}[month];
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT", weekday,
                static_cast<int>(day) + 1, month_name, year, static_cast<int>(seconds / 3600 % 24),
                static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  return text.data();
}

// What the parts of the header must be.
std::map<std::string, std::string> expected(const SetCookie& cookie) {
  std::map<std::string, std::string> parts{{"", cookie.name + "=" + cookie.value}};
  if (!cookie.path.empty()) parts["Path"] = cookie.path;
  if (!cookie.domain.empty()) parts["Domain"] = cookie.domain;
  if (cookie.max_age) parts["Max-Age"] = std::to_string(cookie.max_age->count());
  if (cookie.expires) parts["Expires"] = date_text(*cookie.expires);
  if (cookie.http_only) parts["HttpOnly"] = "";
  if (cookie.secure) parts["Secure"] = "";
  if (cookie.partitioned) parts["Partitioned"] = "";
  if (cookie.same_site == SameSite::strict) parts["SameSite"] = "Strict";
  if (cookie.same_site == SameSite::lax) parts["SameSite"] = "Lax";
  if (cookie.same_site == SameSite::none) parts["SameSite"] = "None";
  return parts;
}

void check_header(const std::string& header, const SetCookie& cookie) {
  require(std::all_of(header.begin(), header.end(), [](char c) { return c >= 0x20 && c < 0x7f; }),
          "a header is printable ASCII: no CR, LF or other control byte");
  require(taken_apart(header) == expected(cookie), "the header reads back to the same parts");

  const std::string sent = cookie.name + "=" + cookie.value;
  const auto cookies = websession::parse_cookies(sent);
  require(cookies.size() == 1 && cookies[0].name == cookie.name && cookies[0].value == cookie.value,
          "what a browser sends back reads as the same name and value");
}

// Nothing in it is a reason to refuse it.
bool is_plain(const SetCookie& cookie) {
  const auto plain = [](std::string_view text) {
    return text.size() <= 1000 && std::all_of(text.begin(), text.end(), [](char c) {
             return std::isalnum(static_cast<unsigned char>(c)) != 0;
           });
  };
  return !cookie.name.empty() && plain(cookie.name) && plain(cookie.value) &&
         plain(cookie.domain) &&
         (cookie.path.empty() || (cookie.path[0] == '/' && plain(cookie.path.substr(1))));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const SetCookie cookie = cookie_of(input);
  const auto header = websession::serialize(cookie);
  if (header) {
    check_header(*header, cookie);
  } else {
    const auto code = header.error().code;
    require(code == websession::Errc::invalid_argument || code == websession::Errc::too_large,
            "a refusal is invalid_argument or too_large");
    require(!is_plain(cookie), "letters and digits are not refused");
  }
  return 0;
}
