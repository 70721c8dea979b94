#include "response_headers.hpp"

#include <algorithm>

#include "websession/cookie.hpp"

namespace websession {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equal_words(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 9110 §5.6.1: blanks around a member and empty members do not count.
bool has_member(std::string_view list, std::string_view member) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view word = list.substr(0, end);
    word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
    word = word.substr(0, word.find_last_not_of(" \t") + 1);
    if (equal_words(word, member)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

std::optional<std::string> Header::over(std::string_view present) const {
  switch (mode) {
    case Mode::append:
    case Mode::replace:
      return value;
    case Mode::merge:
      if (has_member(present, value) || has_member(present, "*")) return std::nullopt;
      return present.empty() ? value : std::string(present) + ", " + value;
    case Mode::unless_set:
      return present.empty() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

void internal::add_cache_headers(std::vector<Header>& headers, bool brought_cookie) {
  constexpr const char* cache_control = "Cache-Control";
  const bool decided = std::any_of(headers.begin(), headers.end(), [](const Header& header) {
    return header.name == cache_control;
  });
  if (brought_cookie && !decided) {
    headers.push_back({cache_control, "private", Header::Mode::unless_set});
  }
  headers.push_back({"Vary", "Cookie", Header::Mode::merge});
}

std::vector<Header> internal::cache_headers(const SessionOptions& options,
                                            const RequestInfo& request) {
  std::vector<Header> headers;
  if (options.cache_headers) {
    const bool brought = !find_cookies(request.cookie_header, options.cookie.name).empty();
    add_cache_headers(headers, brought);
  }
  return headers;
}

}  // namespace websession
