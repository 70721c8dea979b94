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
using websession::redis::Place;
using websession::redis::RedisUrl;

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool same(const RedisUrl& a, const RedisUrl& b) {
  return a.places == b.places && a.primary == b.primary && a.user == b.user &&
         a.password == b.password && a.database == b.database && a.tls == b.tls &&
         a.of_cluster == b.of_cluster;
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
  const Place& first = url.places.front();
  std::string text = first.host.empty() ? "unix" : url.tls ? "rediss" : "redis";
  text += url.by_sentinel() ? "-sentinel://" : url.of_cluster ? "-cluster://" : "://";
  if (url.password) text += encoded(url.user) + ":" + encoded(*url.password) + "@";
  if (first.host.empty()) {
    return text + encoded(first.socket_path) + "?db=" + std::to_string(url.database);
  }
  for (const Place& place : url.places) {
    if (&place != &first) text += ",";
    text += "[" + encoded(place.host) + "]:" + place.port;
  }
  text += "/" + std::to_string(url.database);
  return url.by_sentinel() ? text + "#" + encoded(url.primary) : text;
}

void check_place(const Place& place) {
  require(place.host.empty() != place.socket_path.empty(), "there is a host or a socket");
  require(place.socket_path.empty() || place.socket_path[0] == '/', "a socket's path is absolute");
  int port = 0;
  std::from_chars(place.port.data(), place.port.data() + place.port.size(), port);
  require(port >= 1 && port <= 65535 && std::to_string(port) == place.port, "a port is a port");
  const std::string all = place.host + place.socket_path;
  require(all.find('\0') == std::string::npos, "no part holds a NUL: it would end it in C");
  require(is_printable(place.display()), "what is shown to people holds no control byte");
}

void check_parts(const RedisUrl& url) {
  require(!url.places.empty(), "there is a place");
  require(url.places.size() == 1 || url.by_sentinel() || url.of_cluster,
          "only Sentinels and the nodes of a Cluster are several");
  require(!(url.by_sentinel() && url.of_cluster), "a Cluster has no Sentinels");
  require(!url.of_cluster || url.database == 0, "a Cluster has no databases");
  for (const Place& place : url.places) {
    check_place(place);
    const bool is_socket = !place.socket_path.empty();
    require(!is_socket || !(url.tls || url.by_sentinel() || url.of_cluster),
            "a socket has neither TLS, Sentinels nor a Cluster");
  }
  require(url.database >= 0 && url.database <= 1'000'000, "a database is in range");
  require(url.user.empty() || url.password, "a user has a password");
  const std::string all = url.user + url.password.value_or("");
  require(all.find('\0') == std::string::npos, "no part holds a NUL: it would end it in C");
  require(is_printable(url.primary), "a name holds no control byte");
}

// What follows the credentials must be the host, a port and a database, in that order, with nothing
// between them that is passed over.
void check_nothing_is_lost(std::string_view text, const RedisUrl& url) {
  if (url.places.front().host.empty() || url.places.size() > 1 || url.by_sentinel()) return;
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
  if (text.find('%') == std::string_view::npos)
    require(text == url.places.front().host, "the host is all of it");
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
  for (const Place& place : parsed->places) {
    const bool in_public = holds_secret(place.host) || holds_secret(place.socket_path);
    require(in_public || !holds_secret(place.display()), "the display tells no secret");
  }
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
