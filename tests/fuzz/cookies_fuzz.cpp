// The Cookie header. The input is the header.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "websession/cookie.hpp"

namespace {

using websession::Cookie;
using websession::find_cookies;
using websession::parse_cookies;
using websession::fuzz::Input;
using websession::fuzz::require;
using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const std::vector<Cookie>& cookies) {
  Pairs pairs;
  for (const Cookie& cookie : cookies) pairs.emplace_back(cookie.name, cookie.value);
  return pairs;
}

void strip(std::string& text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  while (!text.empty() && is_blank(text.front())) text.erase(0, 1);
}

// The rules of the header, as simply as they can be written.
Pairs plainly_read(std::string_view header) {
  Pairs pairs;
  std::string name;
  std::string value;
  bool in_value = false;
  for (const char c : std::string(header) + ';') {
    if (c == ';') {
      strip(name);
      strip(value);
      if (in_value && !name.empty()) pairs.emplace_back(name, value);
      name.clear();
      value.clear();
      in_value = false;
    } else if (c == '=' && !in_value) {
      in_value = true;
    } else {
      (in_value ? value : name) += c;
    }
  }
  return pairs;
}

void check_views(std::string_view header, const std::vector<Cookie>& cookies) {
  const char* at = header.data();
  for (const Cookie& cookie : cookies) {
    require(cookie.name.data() >= at, "the views follow each other in the header");
    at = cookie.name.data() + cookie.name.size();
    require(cookie.value.data() > at, "a value stands behind its name");
    at = cookie.value.data() + cookie.value.size();
  }
  require(at <= header.data() + header.size(), "the views end where the header does");
}

void check_find(std::string_view header, const Pairs& pairs, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& pair : pairs) {
    if (pair.first == name) values.push_back(pair.second);
  }
  const std::vector<std::string_view> found = find_cookies(header, name);
  require(std::equal(found.begin(), found.end(), values.begin(), values.end()),
          "find_cookies gives the values of that name, in order");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view header = Input(data, size).rest();
  const std::vector<Cookie> cookies = parse_cookies(header);
  const Pairs pairs = pairs_of(cookies);
  require(pairs == plainly_read(header), "the cookies are those of a plain reading");
  check_views(header, cookies);

  check_find(header, pairs, "sid");
  check_find(header, pairs, "");
  // More of them would only take time.
  for (std::size_t i = 0; i < std::min<std::size_t>(pairs.size(), 8); ++i) {
    check_find(header, pairs, pairs[i].first);
  }

  std::string again;
  for (const auto& pair : pairs) again += pair.first + "=" + pair.second + "; ";
  require(pairs_of(parse_cookies(again)) == pairs, "the cookies, written again, read the same");

  const std::size_t cut = header.find(';');
  if (cut != std::string_view::npos) {
    Pairs halves = pairs_of(parse_cookies(header.substr(0, cut)));
    const Pairs others = pairs_of(parse_cookies(header.substr(cut + 1)));
    halves.insert(halves.end(), others.begin(), others.end());
    require(halves == pairs, "no piece changes how another one reads");
  }
  return 0;
}
