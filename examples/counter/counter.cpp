#include "counter.hpp"

#include <websession/adapters/exchange.hpp>
#include <websession/async/redis_store.hpp>
#include <websession/async/stores.hpp>
#include <websession/redis_store.hpp>
#include <websession/websession.hpp>

#include <charconv>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

namespace counter {
namespace {

using websession::Errc;
using websession::Error;
using websession::Result;
using websession::SessionBase;

constexpr const char* html = "text/html; charset=utf-8";

std::nullopt_t print_usage(std::string_view program) {
  std::cerr
      << "Usage: " << program
      << " [options]\n"
         "  --store memory | redis[s]://[user:password@]host[:port][/db] | unix:///path/to/socket\n"
         "          @FILE: what the file says, for a URL with a password\n"
         "  --port N         listen on 127.0.0.1:N (default 8080; 0: a free port)\n"
         "  --name NAME      what the page calls this server\n";
  return std::nullopt;
}

bool parse_port(const std::string& text, int& port) {
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && last == end && port >= 0 && port <= 65535;
}

Result<std::string> store_url(const Arguments& arguments) {
  if (!arguments.store.starts_with('@')) return arguments.store;
  std::ifstream file(arguments.store.substr(1));
  std::string url;
  if (!std::getline(file, url)) {
    return make_error(Errc::invalid_argument,
                      "cannot read the store's URL from the file " + arguments.store.substr(1));
  }
  return url;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else
      result += c;
  }
  return result;
}

}  // namespace

std::optional<Arguments> parse(std::string_view program, int argc, char** argv) {
  Arguments arguments;
  arguments.program = program;
  arguments.name = program;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return print_usage(program);
    const std::string option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--store") {
      arguments.store = value;
    } else if (option == "--name") {
      arguments.name = value;
    } else if (option != "--port" || !parse_port(value, arguments.port)) {
      return print_usage(program);
    }
  }
  return arguments;
}

Result<std::shared_ptr<websession::SessionStore>> make_store(const Arguments& arguments) {
  using Store = std::shared_ptr<websession::SessionStore>;
  const Result<std::string> url = store_url(arguments);
  if (!url) return url.error();
  if (*url == "memory") return Store(std::make_shared<websession::MemoryStore>());
  auto redis = websession::RedisStore::connect(*url);
  if (!redis) return std::move(redis).error();
  return Store(*std::move(redis));
}

Result<std::shared_ptr<websession::AsyncSessionStore>> make_store(
    const Arguments& arguments, const std::vector<std::shared_ptr<websession::Reactor>>& loops) {
  const Result<std::string> url = store_url(arguments);
  if (!url) return url.error();
  if (*url == "memory") {
    return websession::immediate(std::make_shared<websession::MemoryStore>(), loops);
  }
  return websession::AsyncRedisStore::connect_later(*url, loops);
}

std::optional<Error> problem_of(const websession::AsyncSessionManager& manager,
                                const std::function<void()>& turn) {
  std::optional<Error> problem;
  bool asked = false;
  manager.find(websession::SessionId::generate().value()).start([&](auto found) {
    if (!found.has_value()) problem = found.error();
    asked = true;
  });
  while (!asked) turn();
  return problem;
}

websession::SessionOptions session_options() {
  websession::SessionOptions options;
  options.observer = std::make_shared<websession::LogObserver>();
  return options;
}

int complain(const Arguments& arguments, const std::string& problem) {
  std::cerr << arguments.program << ": " << problem << "\n";
  return 1;
}

int cannot_listen(const Arguments& arguments) {
  return complain(arguments, "cannot listen on port " + std::to_string(arguments.port) +
                                 "; is it in use? --port 0 takes a free one");
}

void listening_on(int port) {
  std::cout << "Listening on http://127.0.0.1:" << port << "/count" << std::endl;
}

std::optional<Page> without_session(std::string_view method, std::string_view path) {
  if (method == "GET" && path == "/") return Page{303, {}, {}, "/count"};
  if (method == "GET" && path == "/health") return Page{.body = "ok\n"};
  const bool counts = method == "GET" && path == "/count";
  const bool changes = method == "POST" && (path == "/new" || path == "/logout");
  if (counts || changes) return std::nullopt;
  return Page{.status = 404, .body = "There is no such page.\n"};
}

Page count(const Arguments& arguments, std::string_view accept, std::int64_t views,
           const SessionBase& session) {
  const auto seconds = session.expires_in().count() / 1000;
  if (accept.find("application/json") != std::string_view::npos) {
    const nlohmann::json answer = {
        {"views", views}, {"expires_in_seconds", seconds}, {"served_by", arguments.name}};
    return {.content_type = "application/json", .body = answer.dump() + "\n"};
  }
  return {.content_type = html,
          .body =
              "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n"
              "<title>Visit counter</title>\n<h1>Visit counter</h1>\n"
              "<p>Views in your session: <strong>" +
              std::to_string(views) + "</strong></p>\n<p>It expires in " +
              std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) +
              " s, unless you come back before.</p>\n<p>Answered by <em>" +
              escaped(arguments.name) +
              "</em>.</p>\n<p><a href=\"/count\">Once more</a></p>\n"
              "<form method=\"post\" action=\"/new\"><button>New session</button></form>\n"
              "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>\n"};
}

Page start_anew(SessionBase& session) {
  session.clear();
  session.regenerate();
  return {.status = 303, .location = "/count"};
}

Page log_out(SessionBase& session) {
  session.invalidate();
  return {.content_type = html,
          .body =
              "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
              "<title>Logged out</title>\n"
              "<p>You are logged out. <a href=\"/count\">Start again</a></p>\n"};
}

Page sorry(const Error& error) {
  return {.status = websession::adapters::http_status(error),
          .body = "Sorry, we cannot find your session right now. Please try again soon.\n"};
}

Page ended() {
  return {.status = 409, .body = "This session has ended meanwhile. Please load the page again.\n"};
}

}  // namespace counter
