// A web page that counts a visitor's views, from one thread on an event loop: a handler is a
// coroutine, and while it waits for Redis, others are served.
#include <sys/signalfd.h>
#include <unistd.h>
#include <websession/async/epoll_reactor.hpp>
#include <websession/async/session_manager.hpp>

#include <csignal>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "counter.hpp"
#include "http_server.hpp"

namespace {

using counter::Page;
using websession::AsyncSession;
using websession::AsyncSessionManager;
using websession::Commit;
using websession::Finished;
using websession::Result;

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
  counter::Arguments arguments;
};

HttpResponse response_of(const Page& page) {
  HttpResponse response{page.status, page.body, page.content_type};
  if (!page.location.empty()) response.headers.emplace_back("Location", page.location);
  return response;
}

// A page with a session: opens it, makes the page, commits, answers.
Task serve_with_session(const Site& site, HttpRequest request, Responder responder) {
  const AsyncSessionManager& manager = site.manager;
  const std::string cookies = request.header("Cookie", "; ");
  auto opening = manager.open({cookies, false}).stop_on(responder.gone());
  Result<AsyncSession> session = co_await std::move(opening);
  if (!session) {
    HttpResponse response = response_of(counter::sorry(session.error()));
    response.add(manager.cache_headers({cookies, false}));
    co_return responder.respond(response);
  }

  Page page;
  std::optional<websession::Error> failed;
  if (request.path == "/count") {
    // `increment` acts in the store at once, so views on two servers are both counted.
    auto counting = session->increment("count");
    const Result<std::int64_t> views = co_await std::move(counting);
    if (views) {
      page = counter::count(site.arguments, request.header("Accept"), *views, *session);
    } else {
      failed = views.error();
    }
  } else {
    page = request.path == "/new" ? counter::start_anew(*session) : counter::log_out(*session);
  }

  auto finishing = manager.finish(*session, failed);
  const Result<Finished> finished = co_await std::move(finishing);
  if (finished->error) {
    page = counter::sorry(*finished->error);
  } else if (finished->commit.status == Commit::Status::gone) {
    page = counter::ended();
  }
  HttpResponse response = response_of(page);
  response.add(finished->commit.headers);
  responder.respond(response);
}

void handle(void* given_site, HttpRequest request, Responder responder) {
  const Site& site = *static_cast<const Site*>(given_site);
  const auto page = counter::without_session(request.method, request.path);
  if (page) return responder.respond(response_of(*page));
  serve_with_session(site, std::move(request), std::move(responder));
}

int run(const counter::Arguments& arguments) {
  const auto loop = websession::EpollReactor::make().value();
  auto store = counter::make_store(arguments, {loop});
  if (!store) return counter::complain(arguments, store.error().message());
  Site site{AsyncSessionManager::make(*store, counter::session_options()).value(), arguments};
  if (const auto problem = counter::problem_of(site.manager, [&] { loop->run_once(); })) {
    return counter::complain(arguments, problem->message());
  }

  HttpServer server(*loop, &site, handle);
  const int port = server.listen(arguments.port);
  if (port < 0) return counter::cannot_listen(arguments);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
  const auto watch = loop->watch(signals, [&loop](unsigned) { loop->stop(); }).value();
  watch->want(websession::Reactor::readable);

  counter::listening_on(port);
  loop->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = counter::parse("epoll_counter", argc, argv);
  return arguments ? run(*arguments) : 2;
}
