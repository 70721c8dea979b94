// A web page that counts a visitor's views: Crow, whose threads may wait for Redis.
#include <websession/adapters/crow.hpp>

#include <crow.h>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

#include "counter.hpp"

namespace {

using counter::Page;
using websession::Session;
using websession::adapters::crow::Request;
using websession::adapters::crow::Response;

void show(const Page& page, Response& res) {
  res.code = page.status;
  if (!page.location.empty()) res.set_header("Location", page.location);
  if (!page.content_type.empty()) res.set_header("Content-Type", page.content_type);
  res.body = page.body;
}

// The pages with a session.
void visit(const counter::Arguments& arguments, const Request& req, Response& res,
           Session& session) {
  if (req.url == "/new") return show(counter::start_anew(session), res);
  if (req.url == "/logout") return show(counter::log_out(session), res);
  // `increment` acts in the store at once, so views on two servers are both counted.
  const std::int64_t views = session.increment("count").value();
  show(counter::count(arguments, req.get_header_value("Accept"), views, session), res);
}

int run(const counter::Arguments& arguments) {
  auto store = counter::make_store(arguments);
  if (!store) return counter::complain(arguments, store.error().message());
  const auto manager = websession::SessionManager::make(*store, counter::session_options()).value();

  websession::adapters::crow::Options options;
  options.on_error = [](const websession::Error& error, const Request&, Response& res) {
    show(counter::sorry(error), res);
  };
  options.on_gone = [](const Request&, Response& res) { show(counter::ended(), res); };
  const auto serve_page = websession::adapters::crow::with_session(
      manager,
      [arguments](const Request& req, Response& res, Session& session) {
        visit(arguments, req, res, session);
      },
      options);

  crow::SimpleApp app;
  for (const char* path : {"/count", "/new", "/logout"}) {
    const auto method =
        std::string_view(path) == "/count" ? crow::HTTPMethod::Get : crow::HTTPMethod::Post;
    app.route_dynamic(path).methods(method)(serve_page);
  }
  for (const char* path : {"/", "/health"}) {
    app.route_dynamic(path)([](const Request& req, Response& res) {
      show(*counter::without_session("GET", req.url), res);
      res.end();
    });
  }
  app.loglevel(crow::LogLevel::Warning);
  app.bindaddr("127.0.0.1").port(static_cast<std::uint16_t>(arguments.port)).multithreaded();
  try {
    auto running = app.run_async();
    app.wait_for_server_start();
    counter::listening_on(app.port());
    running.get();
  } catch (const std::exception&) {
    return counter::cannot_listen(arguments);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = counter::parse("crow_counter", argc, argv);
  return arguments ? run(*arguments) : 2;
}
