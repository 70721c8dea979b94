// URLs of a Redis. The input is "position|" and the URL; the position is where a secret is put in.

#include "redis_url.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "fuzz_target.hpp"
#include "input.hpp"

namespace {

using websession::fuzz::Input;
using websession::fuzz::require;
using websession::redis::parse_redis_url;
using websession::redis::RedisUrl;

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool same(const RedisUrl& a, const RedisUrl& b) {
  return a.host == b.host && a.port == b.port && a.socket_path == b.socket_path &&
         a.user == b.user && a.password == b.password && a.database == b.database && a.tls == b.tls;
}

std::string encoded(std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string all;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    all += {'%', hex[byte >> 4U], hex[byte & 15U]};
  }
  return all;
}

// A URL of these parts in which nothing is left to interpretation.
std::string written(const RedisUrl& url) {
  std::string text = url.host.empty() ? "unix://" : url.tls ? "rediss://" : "redis://";
  if (url.password) text += encoded(url.user) + ":" + encoded(*url.password) + "@";
  if (url.host.empty()) {
    return text + encoded(url.socket_path) + "?db=" + std::to_string(url.database);
  }
  return text + "[" + encoded(url.host) + "]:" + url.port + "/" + std::to_string(url.database);
}

void check_parts(const RedisUrl& url) {
  require(url.host.empty() != url.socket_path.empty(), "there is a host or a socket");
  require(url.socket_path.empty() || url.socket_path[0] == '/', "a socket's path is absolute");
  require(!url.tls || url.socket_path.empty(), "a socket has no TLS");
  int port = 0;
  std::from_chars(url.port.data(), url.port.data() + url.port.size(), port);
  require(port >= 1 && port <= 65535 && std::to_string(port) == url.port, "a port is a port");
  require(url.database >= 0 && url.database <= 1'000'000, "a database is in range");
  require(url.user.empty() || url.password, "a user has a password");
  const std::string all = url.host + url.socket_path + url.user + url.password.value_or("");
  require(all.find('\0') == std::string::npos, "no part holds a NUL: it would end it in C");
  require(is_printable(url.display()), "what is shown to people holds no control byte");
}

// What follows the credentials must be the host, a port and a database, in that order, with nothing
// between them that is passed over.
void check_nothing_is_lost(std::string_view text, const RedisUrl& url) {
  if (url.host.empty()) return;
  text.remove_prefix(text.find("://") + 3);
  if (url.password) text.remove_prefix(text.substr(0, text.find('/')).rfind('@') + 1);
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view database = text.substr(slash + 1);
    require(database.find_first_not_of("0123456789") == std::string_view::npos,
            "behind the '/' is a number");
    text = text.substr(0, slash);
  }
  const std::size_t digits_at = text.find_last_not_of("0123456789") + 1;
  if (digits_at > 0 && digits_at < text.size() && text[digits_at - 1] == ':') {
    text = text.substr(0, digits_at - 1);
  }
  if (text.starts_with('@')) text.remove_prefix(1);  // empty credentials
  if (text.starts_with('[')) {
    require(text.ends_with(']'), "nothing stands between ']' and the port");
    text = text.substr(1, text.size() - 2);
  }
  if (text.find('%') == std::string_view::npos) require(text == url.host, "the host is all of it");
}

// Wherever in the URL a secret stands, an error does not repeat it.
void check_secrecy(const std::string& text, std::size_t at) {
  const std::string secret = "5ecret7";
  const auto holds_secret = [&secret](std::string_view shown) {
    return shown.find(secret) != std::string_view::npos;
  };
  std::string url = text;
  url.insert(std::min(at, url.size()), secret);
  const auto parsed = parse_redis_url(url);
  if (!parsed) {
    require(!holds_secret(parsed.error().message()), "an error tells no secret");
    return;
  }
  // The host is shown; so a word that stands there is none.
  const bool in_public = holds_secret(parsed->host) || holds_secret(parsed->socket_path);
  require(in_public || !holds_secret(parsed->display()), "the display tells no secret");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto position = input.number();
  const std::string text(input.rest());
  const auto url = parse_redis_url(text);
  if (url) {
    check_parts(*url);
    check_nothing_is_lost(text, *url);
    const auto again = parse_redis_url(written(*url));
    require(again && same(*again, *url), "the parts, written as a URL, are the same parts");
  } else {
    require(url.error().code == websession::Errc::invalid_argument, "a bad URL is the caller's");
    require(is_printable(url.error().detail), "an error can stand in a log");
  }
  check_secrecy(text, static_cast<std::size_t>(position.value_or(0)));
  return 0;
}
