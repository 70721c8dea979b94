#include "websession/cookie.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "characters.hpp"
#include "http_words.hpp"
#include "invalid.hpp"

namespace websession {
namespace {

using internal::is_control;
using internal::is_token;
using internal::trim;

constexpr std::size_t name_and_value_max = 4096;
constexpr std::size_t attribute_max = 1024;
constexpr std::size_t id_bytes_max = 256;  // IdFormat

// cookie-octet of RFC 6265bis §4.1.1: printable ASCII without blank, quote, comma, ';', backslash.
bool is_cookie_octet(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool is_attribute_character(char c) {
  return !is_control(c) && c != ';' && static_cast<unsigned char>(c) < 0x80;
}

// A label of a host name. Underscores are no part of RFC 1123's, and common in the field: resolvers
// and browsers take them, so they are taken here.
bool is_label(std::string_view label) {
  const auto is_host_character = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_';
  };
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), is_host_character);
}

// Browsers compare the prefixes without regard to case (RFC 6265bis §5.4).
bool has_prefix(std::string_view name, std::string_view prefix) noexcept {
  return internal::equal_words(name.substr(0, prefix.size()), prefix);
}

using internal::invalid;

Result<void> check_name(std::string_view name) {
  if (is_token(name)) return {};
  return invalid("cookie.name: must be a token of RFC 9110, like \"sid\" or \"__Host-sid\"");
}

Result<void> check_path(std::string_view path) {
  // Browsers strip blanks at the end, other clients end a path at any, and some unquote it.
  const auto is_path_character = [](char c) {
    return is_attribute_character(c) && c != ' ' && c != '"';
  };
  if (path.empty() || path[0] != '/' || !std::all_of(path.begin(), path.end(), is_path_character)) {
    return invalid(
        "cookie.path: must start with '/', and hold no blank (write %20), quote, ';', control byte "
        "or byte that is not ASCII");
  }
  if (path.size() > attribute_max) {
    return make_error(Errc::too_large, "cookie.path: browsers ignore more than 1,024 bytes");
  }
  return {};
}

Result<void> check_domain(std::string_view domain) {
  // Browsers pass over a dot at the beginning (RFC 6265bis §5.6.3), and drop a cookie whose domain
  // is no host name otherwise.
  std::string_view rest = domain;
  if (rest.starts_with('.')) rest.remove_prefix(1);
  bool valid = domain.empty() || !rest.empty();
  while (valid && !rest.empty()) {
    const std::size_t dot = rest.find('.');
    valid = is_label(rest.substr(0, dot)) && dot + 1 != rest.size();
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
  }
  if (!valid) {
    return invalid(
        "cookie.domain: must be a host name without a dot at its end, like \"example.com\"");
  }
  if (domain.size() > attribute_max) {
    return make_error(Errc::too_large, "cookie.domain: browsers ignore more than 1,024 bytes");
  }
  return {};
}

// IMF-fixdate of RFC 9110 §5.6.7, within the years that have four digits.
std::string http_date(WallTime time) {
  using namespace std::chrono;
  static constexpr std::array weekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const WallTime latest = sys_days(year(9999) / December / 31);
  const WallTime clamped = std::clamp(time, WallTime(), latest);
  const sys_days day = floor<days>(clamped);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(clamped - day));
  std::array<char, 64> text{};
  const int size = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
      weekdays[weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
      months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string_view to_text(SameSite same_site) {
  switch (same_site) {
    case SameSite::strict:
      return "Strict";
    case SameSite::lax:
      return "Lax";
    case SameSite::none:
      return "None";
  }
  return "Lax";
}

template <class Visit>
void for_each_cookie(std::string_view header, Visit visit) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    const std::string_view piece = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = trim(piece.substr(0, equals));
    if (!name.empty()) visit(Cookie{name, trim(piece.substr(equals + 1))});
  }
}

}  // namespace

bool has_host_prefix(std::string_view name) noexcept { return has_prefix(name, "__Host-"); }

Result<void> validate(const CookieOptions& options) {
  if (auto valid = check_name(options.name); !valid) return valid;
  if (auto valid = check_path(options.path); !valid) return valid;
  if (auto valid = check_domain(options.domain); !valid) return valid;

  if (options.name.size() + id_bytes_max > name_and_value_max) {
    return invalid("cookie.name: leaves no room for an id within the 4,096 bytes of a cookie");
  }
  const bool host = has_host_prefix(options.name);
  const bool http = has_prefix(options.name, "__Http-") || has_prefix(options.name, "__Host-Http-");
  const bool needs_secure = host || http || has_prefix(options.name, "__Secure-") ||
                            options.same_site == SameSite::none || options.partitioned;
  if (needs_secure && options.secure != Secure::always) {
    return invalid(
        "cookie.secure: a __Host-, __Http- or __Secure- name, SameSite::none and partitioned need "
        "Secure::always, or browsers drop the cookie");
  }
  if (http && !options.http_only) {
    return invalid("cookie.http_only: a __Http- or __Host-Http- name needs it");
  }
  if (host && options.path != "/") {
    return invalid("cookie.path: a __Host- name needs the path \"/\"");
  }
  if (host && !options.domain.empty()) {
    return invalid("cookie.domain: a __Host- name allows no domain");
  }
  return {};
}

std::vector<Cookie> parse_cookies(std::string_view header) {
  std::vector<Cookie> cookies;
  for_each_cookie(header, [&](const Cookie& cookie) { cookies.push_back(cookie); });
  return cookies;
}

std::vector<std::string_view> find_cookies(std::string_view header, std::string_view name) {
  std::vector<std::string_view> values;
  for_each_cookie(header, [&](const Cookie& cookie) {
    if (cookie.name == name) values.push_back(cookie.value);
  });
  return values;
}

Result<std::string> serialize(const SetCookie& cookie) {
  if (auto valid = check_name(cookie.name); !valid) return std::move(valid).error();
  if (!std::all_of(cookie.value.begin(), cookie.value.end(), is_cookie_octet)) {
    return invalid(
        "cookie value: holds a character that a cookie cannot carry (blank, quote, comma, "
        "semicolon, backslash, control byte, or not ASCII); encode it first");
  }
  if (cookie.name.size() + cookie.value.size() > name_and_value_max) {
    return make_error(Errc::too_large, "cookie: browsers drop names and values over 4,096 bytes");
  }
  std::string text = cookie.name + "=" + cookie.value;
  if (!cookie.path.empty()) {
    if (auto valid = check_path(cookie.path); !valid) return std::move(valid).error();
    text += "; Path=" + cookie.path;
  }
  if (!cookie.domain.empty()) {
    if (auto valid = check_domain(cookie.domain); !valid) return std::move(valid).error();
    text += "; Domain=" + cookie.domain;
  }
  if (cookie.max_age) text += "; Max-Age=" + std::to_string(cookie.max_age->count());
  if (cookie.expires) text += "; Expires=" + http_date(*cookie.expires);
  if (cookie.http_only) text += "; HttpOnly";
  if (cookie.secure) text += "; Secure";
  if (cookie.same_site) text += "; SameSite=" + std::string(to_text(*cookie.same_site));
  if (cookie.partitioned) text += "; Partitioned";
  return text;
}

}  // namespace websession
