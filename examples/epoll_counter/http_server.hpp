// A small HTTP/1.1 server of one thread on an EpollReactor.
#pragma once

#include <http_parser.h>
#include <websession/async/epoll_reactor.hpp>
#include <websession/async/stop.hpp>
#include <websession/http.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

struct HttpRequest {
  std::string method{};
  std::string path{};
  std::vector<std::pair<std::string, std::string>> headers{};

  // All lines of that name, joined with what separates them. Upper and lower case don't matter.
  [[nodiscard]] std::string header(std::string_view name, std::string_view separator = ", ") const;
};

struct HttpResponse {
  int status = 200;
  std::string body{};
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers{};

  // Puts what a session wants on the response.
  void add(const std::vector<websession::Header>& wanted);
};

// Who has a request answers it, once, now or later. Copies are the same one; when the last of them
// goes without an answer, that is 500.
class Responder {
 public:
  struct Slot;
  explicit Responder(std::shared_ptr<Slot> slot) noexcept : slot_(std::move(slot)) {}
  void respond(const HttpResponse& response) const;
  // Requested when the client has gone.
  [[nodiscard]] websession::StopToken gone() const;

 private:
  std::shared_ptr<Slot> slot_;
};

class HttpServer {
 public:
  class Connection;
  using Handler = void (*)(void* site, HttpRequest request, Responder responder);

  // `handle` is called for each request with `site`, on the loop. Both outlive the server.
  HttpServer(websession::EpollReactor& loop, void* site, Handler handle) noexcept
      : loop_(loop), site_(site), handle_(handle) {}
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Listens on 127.0.0.1; 0: a free port. Gives the port, or -1: it is not to be had.
  int listen(int port);

 private:
  void accept();
  void rest();

  websession::EpollReactor& loop_;
  void* const site_;
  const Handler handle_;
  int listener_ = -1;
  std::unique_ptr<websession::Watch> watch_{};
  std::unique_ptr<websession::Timer> rest_{};
  std::unordered_map<int, std::shared_ptr<Connection>> connections_{};
};
