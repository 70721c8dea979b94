#include "visitor.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace {

constexpr std::string_view blanks = " \t";
constexpr std::string_view letters_and_digits = "abcdefghijklmnopqrstuvwxyz0123456789";

std::string trimmed_lower(const std::string& text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string::npos) return {};
  std::string result = text.substr(first, text.find_last_not_of(blanks) + 1 - first);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool consists_of(std::string_view text, std::string_view more) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool known = letters_and_digits.find(c) != std::string_view::npos ||
                       more.find(c) != std::string_view::npos;
    if (!known) return false;
  }
  return true;
}

using Names = std::pair<std::string_view, std::string_view>;  // in User-Agent, and for people

// The first that is found counts: Edge calls itself Chrome as well, and Chrome Safari.
constexpr std::array browsers = {
    Names{"Edg", "Edge"},         Names{"OPR/", "Opera"},    Names{"FxiOS/", "Firefox"},
    Names{"Firefox/", "Firefox"}, Names{"CriOS/", "Chrome"}, Names{"Chrome/", "Chrome"},
    Names{"Safari/", "Safari"},   Names{"curl/", "curl"},
};
constexpr std::array systems = {
    Names{"Android", "Android"}, Names{"iPhone", "iPhone"}, Names{"iPad", "iPad"},
    Names{"Windows", "Windows"}, Names{"CrOS", "ChromeOS"}, Names{"Mac OS X", "macOS"},
    Names{"Linux", "Linux"},
};

template <std::size_t N>
std::string_view name_in(const std::string& user_agent, const std::array<Names, N>& all) {
  for (const auto& [sign, name] : all) {
    if (user_agent.find(sign) != std::string::npos) return name;
  }
  return {};
}

}  // namespace

std::optional<std::string> parse_address(const std::string& typed) {
  // Less than RFC 5322 allows ("ada lovelace"@example.org), and what people have.
  const std::string address = trimmed_lower(typed);
  const std::size_t at = address.find('@');
  if (address.size() > 254 || at == std::string::npos) return std::nullopt;
  const std::string_view all = address;
  if (!consists_of(all.substr(0, at), "!#$%&'*+/=?^_`{|}~.-")) return std::nullopt;
  if (!consists_of(all.substr(at + 1), ".-")) return std::nullopt;
  return address;
}

std::string device_label(const std::string& user_agent) {
  std::string browser(name_in(user_agent, browsers));
  const std::string system(name_in(user_agent, systems));
  if (browser.empty() && system.empty()) return "Unknown device";
  if (system.empty()) return browser;
  return (browser.empty() ? "Browser" : browser) + " on " + system;
}

bool sent_from_this_site(const httplib::Request& req) {
  // Every browser of today says so over https. "none": the visitor did it, by a bookmark.
  const std::string site = req.get_header_value("Sec-Fetch-Site");
  if (!site.empty()) return site == "same-origin" || site == "none";
  // Over plain http there is Origin: "http://" and what should be the Host that was asked.
  const std::string origin = req.get_header_value("Origin");
  if (origin.empty()) return true;  // not a browser, so nobody's cookies are abused
  const std::size_t scheme_end = origin.find("://");
  if (scheme_end == std::string::npos) return false;  // "null": from who knows where
  return origin.substr(scheme_end + 3) == req.get_header_value("Host");
}
