#include "options.hpp"

#include <charconv>
#include <map>
#include <string_view>

const char* const usage =
    "Usage: login_code [options]\n"
    "  --port N             listen on 127.0.0.1:N (default 8080; 0: a free port)\n"
    "  --name TEXT          what the pages call this server\n"
    "  --store URL          where sessions are: redis[s]://[user:password@]host[:port][/db],\n"
    "                       unix:///path/to/socket, sqlite:FILE, or memory (for one server);\n"
#ifdef WITH_POSTGRES
    "                       postgresql://[user:password@]host/database\n"
#endif
    "                       @FILE: what the file says, for a URL with a password\n"
    "                       (default redis://127.0.0.1:6379)\n"
    "  --redis-ca FILE      who may have signed the certificate of a rediss:// server\n"
    "  --smtp URL           the mail server, smtp://host:port\n"
    "                       (without: codes appear on /dev/mail, for development)\n"
    "  --mail-from ADDRESS  the sender of mails (default login_code@localhost)\n"
    "  --secret-file FILE   secrets of at least 32 characters, one a line, the newest first;\n"
    "                       the same for all servers\n"
    "  --behind-proxy       believe X-Forwarded-Proto, and name the cookie __Host-sid, Secure\n"
    "  --secure             the same cookie without a proxy\n";

namespace {

std::optional<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || last != text.data() + text.size()) return std::nullopt;
  if (port < 0 || port > 65535) return std::nullopt;
  return port;
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::map<std::string_view, bool*> switches = {
      {"--behind-proxy", &options.behind_proxy},
      {"--secure", &options.secure},
  };
  const std::map<std::string_view, std::string*> texts = {
      {"--name", &options.name},           {"--store", &options.store},
      {"--redis-ca", &options.redis_ca},   {"--smtp", &options.smtp},
      {"--mail-from", &options.mail_from}, {"--secret-file", &options.secret_file},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (const auto found = switches.find(option); found != switches.end()) {
      *found->second = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const std::string_view value = argv[++i];
    if (const auto found = texts.find(option); found != texts.end()) {
      *found->second = value;
    } else if (option == "--port") {
      const std::optional<int> port = parse_port(value);
      if (!port) return std::nullopt;
      options.port = *port;
    } else {
      return std::nullopt;
    }
  }
  return options;
}
