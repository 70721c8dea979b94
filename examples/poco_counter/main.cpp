// A web page that counts a visitor's views: Poco's HTTPServer, whose threads may wait for Redis.
#include <websession/adapters/poco.hpp>

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "counter.hpp"

namespace {

using counter::Page;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;
using websession::Session;
using websession::adapters::poco::Response;

void show(const Page& page, Response& res) {
  res.head.setStatusAndReason(static_cast<HTTPServerResponse::HTTPStatus>(page.status));
  if (!page.location.empty()) res.head.set("Location", page.location);
  if (!page.content_type.empty()) res.head.setContentType(page.content_type);
  res.body << page.body;
}

// The pages with a session.
Page visit(const counter::Arguments& arguments, const HTTPServerRequest& req, Session& session) {
  if (req.getURI() == "/new") return counter::start_anew(session);
  if (req.getURI() == "/logout") return counter::log_out(session);
  // `increment` acts in the store at once, so views on two servers are both counted.
  return counter::count(arguments, req.get("Accept", ""), session.increment("count").value(),
                        session);
}

using ServePage = std::function<void(HTTPServerRequest&, HTTPServerResponse&)>;

class Handler final : public Poco::Net::HTTPRequestHandler {
 public:
  explicit Handler(const ServePage& serve_page) : serve_page_(serve_page) {}
  void handleRequest(HTTPServerRequest& req, HTTPServerResponse& res) override {
    const auto page = counter::without_session(req.getMethod(), req.getURI());
    if (!page) return serve_page_(req, res);
    Response response{res};
    show(*page, response);
    res.sendBuffer(page->body.data(), page->body.size());
  }

 private:
  const ServePage& serve_page_;
};

class Factory final : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  explicit Factory(ServePage serve_page) : serve_page_(std::move(serve_page)) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
    return new Handler(serve_page_);
  }

 private:
  const ServePage serve_page_;
};

int run(const counter::Arguments& arguments) {
  auto store = counter::make_store(arguments);
  if (!store) return counter::complain(arguments, store.error().message());
  const auto manager = websession::SessionManager::make(*store, counter::session_options()).value();

  websession::adapters::poco::Options options;
  options.on_error = [](const websession::Error& error, const HTTPServerRequest&, Response& res) {
    show(counter::sorry(error), res);
  };
  options.on_gone = [](const HTTPServerRequest&, Response& res) { show(counter::ended(), res); };
  const auto serve_page = websession::adapters::poco::with_session(
      manager,
      [arguments](HTTPServerRequest& req, Response& res, Session& session) {
        show(visit(arguments, req, session), res);
      },
      options);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // of all threads, those of the server as well
  try {
    const Poco::Net::SocketAddress address("127.0.0.1", static_cast<std::uint16_t>(arguments.port));
    Poco::Net::ServerSocket socket;
    socket.bind(address, true, false);  // by default several programs share a port unnoticed
    socket.listen();
    Poco::Net::HTTPServer server(new Factory(serve_page), socket, new Poco::Net::HTTPServerParams);
    server.start();
    counter::listening_on(socket.address().port());
    int signal = 0;
    ::sigwait(&ends, &signal);
    server.stopAll(true);
  } catch (const Poco::Net::NetException&) {
    return counter::cannot_listen(arguments);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = counter::parse("poco_counter", argc, argv);
  return arguments ? run(*arguments) : 2;
}
