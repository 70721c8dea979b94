// A web page that counts a visitor's views, from one thread on an event loop: a handler is a
// coroutine, and while it waits for Redis, others are served.
#include <sys/signalfd.h>
#include <unistd.h>
#include <websession/adapters/with_session.hpp>
#include <websession/async/redis_store.hpp>
#include <websession/async/session_manager.hpp>
#include <websession/async/stores.hpp>
#include <websession/websession.hpp>

#include <charconv>
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "http_server.hpp"

namespace {

using websession::AsyncSession;
using websession::AsyncSessionManager;
using websession::Commit;
using websession::Result;

struct Arguments {
  std::string store = "memory";
  int port = 8080;  // 0: any free one
  std::string name = "epoll_counter";
};

constexpr const char* usage =
    "Usage: epoll_counter [options]\n"
    "  --store memory | redis[s]://[user:password@]host[:port][/db] | unix:///path/to/socket\n"
    "          @FILE: what the file says, for a URL with a password\n"
    "  --port N         listen on 127.0.0.1:N (default 8080; 0: a free port)\n"
    "  --name NAME      what the page calls this server\n";

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--store") {
      arguments.store = value;
    } else if (option == "--name") {
      arguments.name = value;
    } else if (option == "--port") {
      const char* end = value.data() + value.size();
      const auto [last, error] = std::from_chars(value.data(), end, arguments.port);
      if (error != std::errc() || last != end) return std::nullopt;
      if (arguments.port < 0 || arguments.port > 65535) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (argc % 2 == 0) return std::nullopt;
  return arguments;
}

// A coroutine that nobody waits for. Frameworks have one of their own.
struct Task {
  struct promise_type {
    static Task get_return_object() noexcept { return {}; }
    static std::suspend_never initial_suspend() noexcept { return {}; }
    static std::suspend_never final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    static void unhandled_exception() noexcept { std::terminate(); }
  };
};

struct Site {
  AsyncSessionManager manager;
  std::string name;
};

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

HttpResponse html(std::string body) { return {200, std::move(body), "text/html; charset=utf-8"}; }

HttpResponse see_other(const std::string& path) {
  HttpResponse response{303};
  response.headers.emplace_back("Location", path);
  return response;
}

HttpResponse count_page(const std::string& server, bool as_json, std::int64_t views,
                        std::int64_t seconds) {
  if (as_json) {
    const nlohmann::json answer = {
        {"views", views}, {"expires_in_seconds", seconds}, {"served_by", server}};
    return {200, answer.dump() + "\n", "application/json"};
  }
  return html(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Visit counter</title>\n"
      "<h1>Visit counter</h1>\n<p>Views in your session: <strong>" +
      std::to_string(views) + "</strong></p>\n<p>It expires in " + std::to_string(seconds / 60) +
      " min " + std::to_string(seconds % 60) +
      " s, unless you come back before.</p>\n<p>Answered by <em>" + escaped(server) +
      "</em>.</p>\n<p><a href=\"/count\">Once more</a></p>\n"
      "<form method=\"post\" action=\"/new\"><button>New session</button></form>\n"
      "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>\n");
}

HttpResponse sorry(const websession::Error& error) {
  return {websession::adapters::http_status(error),
          "Sorry, we cannot find your session right now. Please try again soon.\n"};
}

// A page with a session: opens it, makes the page, commits, answers.
Task serve_with_session(const Site& site, HttpRequest request, Responder responder) {
  const AsyncSessionManager& manager = site.manager;
  const std::string cookies = request.header("Cookie", "; ");
  auto opened = manager.open({cookies, false}).stop_on(responder.gone());
  Result<AsyncSession> session = co_await std::move(opened);
  if (!session) {
    HttpResponse response = sorry(session.error());
    response.add(manager.cache_headers({cookies, false}));
    co_return responder.respond(response);
  }

  HttpResponse response;
  std::optional<websession::Error> failed;
  if (request.path == "/count") {
    // `increment` acts in the store at once, so views on two servers are both counted.
    auto counted = session->increment("count");
    const Result<std::int64_t> views = co_await std::move(counted);
    if (views) {
      const bool as_json = request.header("Accept").find("application/json") != std::string::npos;
      response = count_page(site.name, as_json, *views, session->expires_in().count() / 1000);
    } else {
      failed = views.error();
    }
  } else if (request.path == "/new") {
    // Ends this session's data and its id; the visitor goes on with a new one.
    session->clear();
    session->regenerate();
    response = see_other("/count");
  } else {
    session->invalidate();
    response = html(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Logged out</title>\n"
        "<p>You are logged out. <a href=\"/count\">Start again</a></p>\n");
  }

  auto committing = failed ? manager.abandon(*session) : manager.commit(*session);
  const Result<Commit> commit = co_await std::move(committing);
  if (!failed && !commit) failed = commit.error();
  if (!failed && commit->status == Commit::Status::gone) {
    response = {409, "This session has ended meanwhile. Please load the page again.\n"};
  }
  if (failed) response = sorry(*failed);
  if (commit) {
    response.add(commit->headers);
  } else {
    response.add(manager.cache_headers({cookies, false}));
  }
  responder.respond(response);
}

void handle(void* given_site, HttpRequest request, Responder responder) {
  const Site& site = *static_cast<const Site*>(given_site);
  const bool is_get = request.method == "GET";
  if (is_get && request.path == "/") return responder.respond(see_other("/count"));
  if (is_get && request.path == "/health") return responder.respond({200, "ok\n"});
  const bool is_page =
      (is_get && request.path == "/count") ||
      (request.method == "POST" && (request.path == "/new" || request.path == "/logout"));
  if (!is_page) return responder.respond({404, "There is no such page.\n"});
  serve_with_session(site, std::move(request), std::move(responder));
}

using Store = std::shared_ptr<websession::AsyncSessionStore>;

// Command lines can be read by everybody on the machine, so a URL with a password may stand in a
// file.
Result<std::string> store_url(const std::string& store) {
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
Result<Store> make_store(const std::string& given,
                         const std::shared_ptr<websession::EpollReactor>& loop) {
  const Result<std::string> name = store_url(given);
  if (!name) return name.error();
  if (*name == "memory") {
    return websession::immediate(std::make_shared<websession::MemoryStore>(), {loop});
  }
  return websession::AsyncRedisStore::connect_later(*name, {loop});
}

// Asks the store once, so that a wrong one is told now and not to the first visitor.
std::optional<websession::Error> problem_of(const AsyncSessionManager& manager,
                                            websession::EpollReactor& loop) {
  std::optional<websession::Error> problem;
  bool asked = false;
  manager.find(websession::SessionId::generate().value()).start([&](auto found) {
    if (!found.has_value()) problem = found.error();
    asked = true;
  });
  while (!asked) loop.run_once();
  return problem;
}

int run(const Arguments& arguments) {
  const auto complain = [](const std::string& text) {
    std::cerr << "epoll_counter: " << text << "\n";
    return 1;
  };
  const auto loop = websession::EpollReactor::make().value();
  auto store = make_store(arguments.store, loop);
  if (!store) return complain(store.error().message());
  websession::SessionOptions options;
  options.observer =
      std::make_shared<websession::LogObserver>();  // to stderr, when something fails
  Site site{AsyncSessionManager::make(*store, options).value(), arguments.name};
  if (const auto problem = problem_of(site.manager, *loop)) return complain(problem->message());

  HttpServer server(*loop, &site, handle);
  const int port = server.listen(arguments.port);
  if (port < 0) {
    return complain("cannot listen on port " + std::to_string(arguments.port) +
                    "; is it in use? --port 0 takes a free one");
  }

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
  const auto watch = loop->watch(signals, [&loop](unsigned) { loop->stop(); }).value();
  watch->want(websession::Reactor::readable);

  std::cout << "Listening on http://127.0.0.1:" << port << "/count" << std::endl;
  loop->run();
  return 0;
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
