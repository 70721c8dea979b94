#include "redis_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace websession::redis {
namespace {

Error invalid(std::string detail) {
  return make_error(Errc::invalid_argument, "Redis URL: " + std::move(detail));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nullopt for a '%' without two hex digits, and for a NUL.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

// What is shown to people must not break out of its line.
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<int> number(std::string_view text, int max) {
  if (text.starts_with('-')) return std::nullopt;  // "-0" would be read as 0
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value > max) return std::nullopt;
  return value;
}

// Nothing but a user name or a password holds an '@'. So one behind the first '/' means that the
// '/' is a part of them, and not the end of host and port.
constexpr std::string_view bare_slash =
    "the password (or the user name) holds a '/': write it as %2F";

// Takes "[user][:password]@" off the front.
Result<void> take_credentials(std::string_view& rest, RedisUrl& url) {
  const std::size_t authority_end = std::min(rest.find('/'), rest.size());
  const std::size_t at = rest.substr(0, authority_end).rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view credentials = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const std::size_t colon = credentials.find(':');
  const auto user = percent_decoded(credentials.substr(0, colon));
  if (!user) return invalid("the user name has a bad percent-encoding");
  url.user = *user;
  if (colon == std::string_view::npos) {
    if (!url.user.empty()) {
      return invalid(
          "there is a user name without a password; a password alone is written "
          "redis://:password@host");
    }
    return {};
  }
  url.password = percent_decoded(credentials.substr(colon + 1));
  if (!url.password) return invalid("the password has a bad percent-encoding");
  return {};
}

Result<void> take_database(std::string_view text, RedisUrl& url) {
  const std::optional<int> database = number(text, 1'000'000);
  if (!database) return invalid("the database must be a number, as in redis://host:6379/1");
  url.database = *database;
  return {};
}

Result<Place> parse_place(std::string_view host, std::string default_port) {
  Place place;
  place.port = std::move(default_port);
  const bool bracketed = host.starts_with('[');
  const std::size_t bracket = bracketed ? host.find(']') : std::string_view::npos;
  if (bracketed && bracket == std::string_view::npos) return invalid("a '[' without its ']'");
  const std::size_t colon = host.find(':', bracketed ? bracket : 0);
  if (colon != std::string_view::npos) {
    const std::optional<int> port = number(host.substr(colon + 1), 65535);
    if (!port || *port == 0) return invalid("the port must be 1 to 65535");
    place.port = std::to_string(*port);
    host = host.substr(0, colon);
  }
  if (bracketed) {
    if (bracket + 1 != host.size()) return invalid("only a port may follow the ']'");
    host = host.substr(1, bracket - 1);
  }
  const auto decoded = percent_decoded(host);
  if (!decoded || decoded->empty() || decoded->find_first_of(" ?#@,") != std::string::npos ||
      has_control(*decoded)) {
    return invalid("the host is missing or malformed, as in redis://127.0.0.1:6379");
  }
  place.host = *decoded;
  return place;
}

// Takes the credentials off the front, and the database off the end. What is left is where.
Result<RedisUrl> take_all_but_places(std::string_view& rest) {
  RedisUrl url;
  if (auto taken = take_credentials(rest, url); !taken) return std::move(taken).error();
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && rest.find('@', slash) != std::string_view::npos) {
    return invalid(std::string(bare_slash));
  }
  const std::string_view database =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  if (!database.empty()) {
    if (auto taken = take_database(database, url); !taken) return std::move(taken).error();
  }
  rest = rest.substr(0, slash);
  return url;
}

Result<RedisUrl> parse_tcp(std::string_view rest) {
  Result<RedisUrl> url = take_all_but_places(rest);
  if (!url) return url;
  if (rest.find(',') != std::string_view::npos) {
    return invalid(
        "several hosts are for redis-cluster://, or redis-sentinel:// with Redis' name behind a "
        "'#'");
  }
  Result<Place> place = parse_place(rest, "6379");
  if (!place) return std::move(place).error();
  url->places.push_back(*std::move(place));
  return url;
}

// "host1:port,host2:port"
Result<RedisUrl> take_places(std::string_view rest, const std::string& default_port, RedisUrl url) {
  while (true) {
    const std::size_t comma = rest.find(',');
    Result<Place> place = parse_place(rest.substr(0, comma), default_port);
    if (!place) return std::move(place).error();
    url.places.push_back(*std::move(place));
    if (comma == std::string_view::npos) return url;
    rest.remove_prefix(comma + 1);
  }
}

Result<RedisUrl> parse_sentinel(std::string_view rest) {
  // A '#' of the credentials is a %23, as elsewhere.
  const std::size_t hash = rest.rfind('#');
  const auto name =
      hash == std::string_view::npos ? std::string() : percent_decoded(rest.substr(hash + 1));
  if (!name || name->empty() || has_control(*name)) {
    return invalid(
        "the name that the Sentinels have for Redis is missing or malformed, as in "
        "redis-sentinel://host1:26379,host2:26379#mymaster");
  }
  rest = rest.substr(0, hash);
  Result<RedisUrl> url = take_all_but_places(rest);
  if (!url) return url;
  url->primary = *name;
  return take_places(rest, "26379", *std::move(url));
}

Result<RedisUrl> parse_cluster(std::string_view rest) {
  if (rest.find('#') != std::string_view::npos) {
    return invalid("a name behind a '#' is for redis-sentinel://");
  }
  Result<RedisUrl> url = take_all_but_places(rest);
  if (!url) return url;
  if (url->database != 0) return invalid("a Redis Cluster has no database but 0");
  url->of_cluster = true;
  return take_places(rest, "6379", *std::move(url));
}

Result<RedisUrl> parse_unix(std::string_view rest) {
  RedisUrl url;
  if (auto taken = take_credentials(rest, url); !taken) return std::move(taken).error();
  if (!rest.starts_with('/') && rest.find('@') != std::string_view::npos) {
    return invalid(std::string(bare_slash));
  }
  const std::size_t query = rest.find('?');
  const auto path = percent_decoded(rest.substr(0, query));
  if (!path || !path->starts_with('/') || has_control(*path)) {
    return invalid(
        "the socket must be an absolute path without control bytes, as in "
        "unix:///run/redis/redis.sock");
  }
  url.places.emplace_back().socket_path = *path;
  if (query != std::string_view::npos) {
    std::string_view parameters = rest.substr(query + 1);
    if (!parameters.starts_with("db=")) return invalid("the only parameter is ?db=<number>");
    parameters.remove_prefix(3);
    if (auto taken = take_database(parameters, url); !taken) return std::move(taken).error();
  }
  return url;
}

}  // namespace

Result<RedisUrl> parse_redis_url(std::string_view url) {
  struct Scheme {
    std::string_view prefix;
    Result<RedisUrl> (*parse)(std::string_view rest);
    bool tls = false;
  };
  constexpr std::array schemes = {
      Scheme{"redis://", parse_tcp},
      Scheme{"rediss://", parse_tcp, true},
      Scheme{"unix://", parse_unix},
      Scheme{"redis-sentinel://", parse_sentinel},
      Scheme{"rediss-sentinel://", parse_sentinel, true},
      Scheme{"redis-cluster://", parse_cluster},
      Scheme{"rediss-cluster://", parse_cluster, true},
  };
  for (const Scheme& scheme : schemes) {
    if (!url.starts_with(scheme.prefix)) continue;
    Result<RedisUrl> parsed = scheme.parse(url.substr(scheme.prefix.size()));
    if (parsed) parsed->tls = scheme.tls;
    return parsed;
  }
  return invalid(
      "must start with redis://, unix://, redis-sentinel:// or redis-cluster:// (or with TLS, "
      "rediss://, rediss-sentinel:// or rediss-cluster://), as in redis://127.0.0.1:6379");
}

}  // namespace websession::redis
