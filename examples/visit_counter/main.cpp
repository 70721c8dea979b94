// A web page that counts a visitor's views: sessions in a real server, in memory, in a file or in
// Redis.
#include <httplib.h>
#include <websession/adapters/httplib.hpp>
#include <websession/redis_store.hpp>
#include <websession/sqlite_store.hpp>
#ifdef WITH_POSTGRES
#include <websession/postgres_store.hpp>
#endif
#include <websession/websession.hpp>

#include <charconv>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using httplib::Request;
using httplib::Response;
using websession::Session;
using websession::adapters::httplib::with_session;

struct Arguments {
  std::string store = "memory";
  int port = 8080;  // 0: any free one
  std::string name = "visit_counter";
  bool behind_proxy = false;
  bool metrics = false;
  std::string redis_ca{};
};

constexpr const char* usage =
    "Usage: visit_counter [options]\n"
    "  --store memory | sqlite:FILE\n"
#ifdef WITH_POSTGRES
    "          | postgresql://[user:password@]host/database\n"
#endif
    "          | redis[s]://[user:password@]host[:port][/db] | unix:///path/to/socket\n"
    "          @FILE: what the file says, for a URL with a password\n"
    "  --port N         listen on 127.0.0.1:N (default 8080; 0: a free port)\n"
    "  --name NAME      what the page calls this server\n"
    "  --redis-ca FILE  who signed the certificate of a rediss:// server\n"
    "  --behind-proxy   believe X-Forwarded-Proto (only if a proxy sets it, and speaks https "
    "only)\n"
    "  --metrics        show counts to Prometheus, at /metrics (which a proxy must not pass on)\n";

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--behind-proxy") {
      arguments.behind_proxy = true;
      continue;
    }
    if (option == "--metrics") {
      arguments.metrics = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const std::string value = argv[++i];
    if (option == "--store") {
      arguments.store = value;
    } else if (option == "--name") {
      arguments.name = value;
    } else if (option == "--redis-ca") {
      arguments.redis_ca = value;
    } else if (option == "--port") {
      const char* end = value.data() + value.size();
      const auto [last, error] = std::from_chars(value.data(), end, arguments.port);
      if (error != std::errc() || last != end) return std::nullopt;
      if (arguments.port < 0 || arguments.port > 65535) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

// Command lines can be read by everybody on the machine, so a URL with a password may stand in a
// file.
websession::Result<std::string> store_url(const std::string& store) {
  if (!store.starts_with('@')) return store;
  std::ifstream file(store.substr(1));
  std::string url;
  if (!std::getline(file, url)) {
    return websession::make_error(websession::Errc::invalid_argument,
                                  "cannot read the store's URL from the file " + store.substr(1));
  }
  return url;
}

// A store by its name on the command line. The rest of the program does not care which it is.
websession::Result<std::shared_ptr<websession::SessionStore>> make_store(
    const Arguments& arguments, std::shared_ptr<websession::Observer> observer) {
  using Store = std::shared_ptr<websession::SessionStore>;
  const auto url = store_url(arguments.store);
  if (!url) return url.error();
  if (*url == "memory") {
    websession::MemoryOptions options;
    options.observer = std::move(observer);  // it alone knows when a session's time is over
    return Store(std::make_shared<websession::MemoryStore>(options));
  }
  if (constexpr std::string_view scheme = "sqlite:"; url->starts_with(scheme)) {
    auto sqlite = websession::SqliteStore::open(url->substr(scheme.size()));
    if (!sqlite) return std::move(sqlite).error();
    return Store(*std::move(sqlite));
  }
#ifdef WITH_POSTGRES
  if (url->starts_with("postgresql://")) {
    auto postgres = websession::PostgresStore::connect(*url);
    if (!postgres) return std::move(postgres).error();
    return Store(*std::move(postgres));
  }
#endif
  websession::RedisOptions options;
  options.tls.ca_file = arguments.redis_ca;
  auto redis = websession::RedisStore::connect(*url, options);
  if (!redis) return std::move(redis).error();
  return Store(*std::move(redis));
}

std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    if (c == '&')
      html += "&amp;";
    else if (c == '<')
      html += "&lt;";
    else if (c == '>')
      html += "&gt;";
    else
      html += c;
  }
  return html;
}

// One view more. `increment` acts in the store at once, so views on two servers are both counted.
void show_count(const std::string& server, const Request& req, Response& res, Session& session) {
  const auto views = session.increment("count").value();
  const auto seconds = session.expires_in().count() / 1000;
  if (req.get_header_value("Accept").find("application/json") != std::string::npos) {
    const nlohmann::json answer = {
        {"views", views}, {"expires_in_seconds", seconds}, {"served_by", server}};
    res.set_content(answer.dump() + "\n", "application/json");
    return;
  }
  res.set_content(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Visit counter</title>\n"
      "<style>body { font: 1.2em sans-serif; max-width: 30em; margin: 3em auto; padding: 0 1em }"
      " form { display: inline }</style>\n"
      "<h1>Visit counter</h1>\n<p>Views in your session: <strong>" +
          std::to_string(views) + "</strong></p>\n<p>It expires in " +
          std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) +
          " s, unless you come back before.</p>\n"
          "<p>Answered by <em>" +
          escaped(server) +
          "</em>.</p>\n"
          "<p><a href=\"/count\">Once more</a></p>\n"
          "<form method=\"post\" action=\"/new\"><button>New session</button></form>\n"
          "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>\n",
      "text/html");
}

// Ends this session's data and its id; the visitor goes on with a new one.
void start_anew(const Request&, Response& res, Session& session) {
  session.clear();
  session.regenerate();
  res.set_redirect("/count", 303);
}

void log_out(const Request&, Response& res, Session& session) {
  session.invalidate();
  res.set_content(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Logged out</title>\n"
      "<p>You are logged out. <a href=\"/count\">Start again</a></p>\n",
      "text/html");
}

int run(const Arguments& arguments) {
  const auto counters = std::make_shared<websession::Counters>();
  auto store = make_store(arguments, counters);
  if (!store) {
    std::cerr << "visit_counter: " << store.error().message() << "\n";
    return 1;
  }
  websession::SessionOptions options;
  if (arguments.behind_proxy) {
    // Everybody comes over https, so no cookie may travel over anything else, or come from another
    // host of the same domain.
    options.cookie.name = "__Host-sid";
    options.cookie.secure = websession::Secure::always;
  }
  // To stderr, when something fails; and numbers.
  using Observers = std::vector<std::shared_ptr<websession::Observer>>;
  options.observer = std::make_shared<websession::ObserverList>(
      Observers{std::make_shared<websession::LogObserver>(), counters});
  const auto manager = websession::SessionManager::make(*store, options).value();

  websession::adapters::httplib::Options adapter;
  adapter.trust_forwarded_proto = arguments.behind_proxy;
  adapter.on_error = [](const websession::Error& error, const Request&, Response& res) {
    if (websession::adapters::http_status(error) != 503) {  // of those the observer tells
      std::cerr << "session: " << error.message() << "\n";  // holds no secrets
    }
    res.status = 503;
    res.set_content("Sorry, we cannot find your session right now. Please try again soon.\n",
                    "text/plain");
  };

  httplib::Server server;
  // By default httplib lets several programs share a port; then a second start would go unnoticed,
  // and visitors would meet both.
  server.set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  const auto count = [name = arguments.name](const Request& req, Response& res, Session& session) {
    show_count(name, req, res, session);
  };
  server.Get("/", [](const Request&, Response& res) { res.set_redirect("/count"); });
  server.Get("/count", with_session(manager, count, adapter));
  server.Post("/new", with_session(manager, start_anew, adapter));
  server.Post("/logout", with_session(manager, log_out, adapter));

  if (arguments.metrics) {
    server.Get("/metrics", [counters](const Request&, Response& res) {
      res.set_content(counters->prometheus_text(), "text/plain; version=0.0.4");
    });
  }

  const int port = arguments.port == 0 ? server.bind_to_any_port("127.0.0.1")
                   : server.bind_to_port("127.0.0.1", arguments.port) ? arguments.port
                                                                      : -1;
  if (port < 0) {
    std::cerr << "visit_counter: cannot listen on port " << arguments.port
              << "; is it in use? --port 0 takes a free one\n";
    return 1;
  }
  std::cout << "Listening on http://127.0.0.1:" << port << "/count" << std::endl;
  return server.listen_after_bind() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Arguments> arguments = parse(argc, argv);
  if (!arguments) {
    std::cerr << usage;
    return 2;
  }
  return run(*arguments);
}
