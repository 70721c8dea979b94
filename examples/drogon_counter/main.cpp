// A web page that counts a visitor's views: Drogon, its handlers coroutines. While one waits for
// Redis, its thread serves others.
#include <websession/adapters/drogon.hpp>

#include <arpa/inet.h>
#include <drogon/drogon.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "counter.hpp"

namespace {

using counter::Page;
using drogon::app;
using drogon::HttpRequestPtr;
using drogon::HttpResponsePtr;
using drogon::Task;
using websession::AsyncSession;
using websession::AsyncSessionManager;
using websession::Result;

using Respond = std::function<void(const HttpResponsePtr&)>;

HttpResponsePtr response_of(const Page& page) {
  HttpResponsePtr response = drogon::HttpResponse::newHttpResponse();
  response->setStatusCode(static_cast<drogon::HttpStatusCode>(page.status));
  if (!page.location.empty()) response->addHeader("Location", page.location);
  if (!page.content_type.empty()) response->setContentTypeString(page.content_type);
  response->setBody(page.body);
  return response;
}

// The pages with a session.
Task<HttpResponsePtr> visit(const counter::Arguments& arguments, HttpRequestPtr req,
                            AsyncSession session) {
  if (req->path() == "/new") co_return response_of(counter::start_anew(session));
  if (req->path() == "/logout") co_return response_of(counter::log_out(session));
  // `increment` acts in the store at once, so views on two servers are both counted.
  auto counting = session.increment("count");
  const Result<std::int64_t> views = co_await std::move(counting);
  co_return response_of(
      counter::count(arguments, req->getHeader("Accept"), views.value(), session));
}

// A port that nobody has: the one that was asked for, or any; or -1. Drogon itself would share it
// with another program, and take another free one for each of its threads.
int port_for(int asked) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(asked));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool is_free =
      ::bind(fd, any, size) == 0 && ::listen(fd, 1) == 0 && ::getsockname(fd, any, &size) == 0;
  ::close(fd);
  return is_free ? ntohs(address.sin_port) : -1;
}

int run(const counter::Arguments& arguments) {
  const int port = port_for(arguments.port);
  if (port < 0) return counter::cannot_listen(arguments);
  const websession::adapters::drogon::Sessions sessions([&](const auto& loops) {
    return AsyncSessionManager::make(counter::make_store(arguments, loops).value(),
                                     counter::session_options())
        .value();
  });
  websession::adapters::drogon::Options options;
  options.on_error = [](const auto& error, const auto&, HttpResponsePtr& res) {
    res = response_of(counter::sorry(error));
  };
  options.on_gone = [](const auto&, HttpResponsePtr& res) { res = response_of(counter::ended()); };
  const auto serve_page = websession::adapters::drogon::with_session(
      sessions,
      [&](HttpRequestPtr req, AsyncSession session) {
        return visit(arguments, std::move(req), std::move(session));
      },
      options);

  app().registerHandler("/count", serve_page, {drogon::Get});
  app().registerHandler("/new", serve_page, {drogon::Post});
  app().registerHandler("/logout", serve_page, {drogon::Post});
  for (const char* path : {"/", "/health"}) {
    app().registerHandler(path, [](const HttpRequestPtr& req, Respond&& respond) {
      respond(response_of(*counter::without_session("GET", req->path())));
    });
  }
  app().registerBeginningAdvice([port] { counter::listening_on(port); });
  app().setLogLevel(trantor::Logger::kWarn).setThreadNum(2);
  app().addListener("127.0.0.1", static_cast<std::uint16_t>(port));
  try {
    app().run();
  } catch (const std::exception& problem) {
    return counter::complain(arguments, problem.what());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = counter::parse("drogon_counter", argc, argv);
  return arguments ? run(*arguments) : 2;
}
