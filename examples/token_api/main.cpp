// An API for clients without cookies, such as a mobile app: its sessions are named by
// `Authorization: Bearer`.
#include <httplib.h>
#include <websession/adapters/httplib.hpp>
#include <websession/redis_store.hpp>
#include <websession/websession.hpp>

#include <charconv>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace {

using httplib::Request;
using httplib::Response;
using nlohmann::json;
using websession::Session;
using websession::SessionManager;
using websession::adapters::httplib::Options;
using websession::adapters::httplib::with_session;

void answer(Response& response, int status, const json& body) {
  response.status = status;
  response.set_content(body.dump(2, ' ', false, json::error_handler_t::replace) + "\n",
                       "application/json");
}

void refuse(Response& response) {
  response.set_header("WWW-Authenticate", "Bearer");
  answer(response, 401, {{"error", "sign in first"}});
}

// Yours asks a table of users, with a password hash such as Argon2 (OWASP ASVS 5.0 11.4.2).
bool is_right(const std::string& user, const std::string& password) {
  return (user == "ada" || user == "bob") && password == "open sesame";
}

void sign_in(const Request& request, Response& response, Session& session) {
  const json form = json::parse(request.body, nullptr, false);
  const auto text = [&form](const char* name) {
    const bool is_there = form.is_object() && form.contains(name) && form[name].is_string();
    return is_there ? form[name].get<std::string>() : std::string();
  };
  if (!is_right(text("user"), text("password"))) {
    return answer(response, 401, {{"error", "no such user, or a wrong password"}});
  }
  session.sign_in(text("user"), text("device"));
  session.set_timeouts(std::chrono::hours(24 * 30), std::chrono::hours(24 * 90));
  response.status = 204;  // the token is in X-Session-Token
}

void show(const Request&, Response& response, Session& session) {
  if (!session.principal()) return refuse(response);
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(session.expires_in());
  answer(response, 200, {{"user", *session.principal()}, {"expires_in", left.count()}});
}

// Another token for the same session, as a client asks for now and then.
void refresh(const Request&, Response& response, Session& session) {
  if (!session.principal()) return refuse(response);
  session.regenerate();
  response.status = 204;
}

void list_devices(const SessionManager& manager, Response& response, Session& session) {
  if (!session.principal()) return refuse(response);
  json devices = json::array();
  for (const auto& info : manager.sessions_of(*session.principal(), &session).value()) {
    devices.push_back(
        {{"device", info.label}, {"this_one", info.is_current}, {"handle", info.handle}});
  }
  answer(response, 200, devices);
}

void end_device(const SessionManager& manager, const Request& request, Response& response,
                Session& session) {
  if (!session.principal()) return refuse(response);
  const bool ended = manager.erase_one(*session.principal(), request.matches[1].str()).value();
  response.status = ended ? 204 : 404;
}

void sign_out(const Request&, Response& response, Session& session) {
  session.sign_out();
  response.status = 204;
}

// The session ended, or got another token, while the request was under way: a client that asks
// twice for a new token, since the first answer was lost, signs in again.
void too_late(const Request&, Response& response) {
  answer(response, 409, {{"error", "this token has been replaced or has ended: sign in again"}});
}

void add_pages(httplib::Server& server, const SessionManager& manager) {
  Options options;
  options.on_gone = too_late;
  server.Post("/sign-in", with_session(manager, sign_in, options));
  server.Get("/me", with_session(manager, show, options));
  server.Post("/refresh", with_session(manager, refresh, options));
  server.Get("/devices", with_session(
                             manager,
                             [manager](const auto&, auto& res, Session& session) {
                               list_devices(manager, res, session);
                             },
                             options));
  server.Delete(R"(/devices/([\w-]+))",
                with_session(
                    manager,
                    [manager](const auto& req, auto& res, Session& session) {
                      end_device(manager, req, res, session);
                    },
                    options));
  server.Post("/sign-out", with_session(manager, sign_out, options));
}

struct Arguments {
  std::string store = "memory";
  int port = 8080;  // 0: any free one
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view value = argv[i + 1];
    if (argv[i] == std::string_view("--store")) {
      arguments.store = value;
    } else if (argv[i] == std::string_view("--port")) {
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

websession::Result<std::shared_ptr<websession::SessionStore>> make_store(const std::string& name) {
  using Store = std::shared_ptr<websession::SessionStore>;
  if (name == "memory") return Store(std::make_shared<websession::MemoryStore>());
  auto redis = websession::RedisStore::connect(name);
  if (!redis) return std::move(redis).error();
  return Store(*std::move(redis));
}

int run(const Arguments& arguments) {
  const auto store = make_store(arguments.store);
  if (!store) {
    std::cerr << "token_api: " << store.error().message() << '\n';
    return 1;
  }
  websession::SessionOptions options;
  options.transport.cookie = false;  // nothing but tokens: no page of a browser is served here
  options.transport.bearer = true;
  options.idle_timeout_max = std::chrono::hours(24 * 30);
  options.absolute_timeout_max = std::chrono::hours(24 * 90);
  options.observer = std::make_shared<websession::LogObserver>();
  const auto manager = SessionManager::make(*store, options);
  if (!manager) {
    std::cerr << "token_api: " << manager.error().message() << '\n';
    return 1;
  }
  httplib::Server server;
  // cpp-httplib's own options let two servers listen on one port, each with some of the requests.
  server.set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  add_pages(server, *manager);
  const int port = arguments.port == 0 ? server.bind_to_any_port("127.0.0.1") : arguments.port;
  if (arguments.port != 0 && !server.bind_to_port("127.0.0.1", port)) {
    std::cerr << "token_api: port " << port << " is in use\n";
    return 1;
  }
  std::cout << "Listening on http://127.0.0.1:" << port << "/\n" << std::flush;
  return server.listen_after_bind() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::cerr << "Usage: token_api [--store memory | redis://host:port] [--port N]\n";
    return 2;
  }
  return run(*arguments);
}
