#include "http_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>

using websession::Reactor;

namespace {

constexpr std::size_t headers_max = std::size_t{32} * 1024;
constexpr std::size_t body_max = std::size_t{64} * 1024;
// A client that neither asks nor takes its answer for so long is let go.
constexpr std::chrono::seconds patience{30};

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string text_of(const HttpResponse& response, bool keeps_open, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + ' ' +
                     http_status_str(static_cast<http_status>(response.status)) +
                     "\r\nContent-Length: " + std::to_string(response.body.size()) +
                     "\r\nContent-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  if (!keeps_open) text += "Connection: close\r\n";
  text += "\r\n";
  return with_body ? text + response.body : text;
}

}  // namespace

std::string HttpRequest::header(std::string_view name, std::string_view separator) const {
  std::string joined;
  for (const auto& [its_name, value] : headers) {
    if (!same_name(its_name, name)) continue;
    if (!joined.empty()) joined += separator;
    joined += value;
  }
  return joined;
}

void HttpResponse::add(const std::vector<websession::Header>& wanted) {
  for (const websession::Header& header : wanted) {
    if (header.mode == websession::Header::Mode::append) {
      headers.emplace_back(header.name, header.value);
      continue;
    }
    std::string present;
    for (const auto& [name, value] : headers) {
      if (same_name(name, header.name)) present += (present.empty() ? "" : ", ") + value;
    }
    const auto line = header.over(present);
    if (!line) continue;
    std::erase_if(headers, [&](const auto& its) { return same_name(its.first, header.name); });
    headers.emplace_back(header.name, *line);
  }
}

// One client: its requests one after the other, each answered before the next is read.
class HttpServer::Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpServer& server, int socket) : server_(server), socket_(socket) {
    http_parser_init(&parser_, HTTP_REQUEST);
    parser_.data = this;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    watch_.reset();  // before what it watches
    ::close(socket_);
  }

  bool begin() {
    auto watch = server_.loop_.watch(socket_, [this](unsigned) {
      const auto keep = shared_from_this();
      go_on();
    });
    if (!watch) return false;
    watch_ = *std::move(watch);
    idle_ = server_.loop_.timer([this] {
      const auto keep = shared_from_this();
      end();
    });
    rest();
    set_interest();
    return true;
  }
  // Nobody is there any more.
  void end() {
    if (std::exchange(ended_, true)) return;
    watch_.reset();
    idle_.reset();
    gone_.request_stop();
    const auto keep = shared_from_this();
    server_.connections_.erase(socket_);
  }

  void answer(const HttpResponse& response) {
    if (ended_) return;
    out_ += text_of(response, keeps_open_, parser_.method != HTTP_HEAD);
    is_answering_ = false;
    has_answered_ = true;
    rest();
    go_on();
  }
  [[nodiscard]] websession::StopToken gone() const { return gone_.token(); }

 private:
  // Reads while nothing is asked, and writes while there is an answer. One that comes inside of it
  // is written in the next round, and not deeper on the stack.
  void go_on() {
    if (std::exchange(is_going_on_, true)) return;
    bool is_open = true;
    do {
      has_answered_ = false;
      is_open = write() && (keeps_open_ || is_answering_ || !out_.empty()) && read() && parse();
    } while (is_open && has_answered_);
    is_going_on_ = false;
    is_open ? set_interest() : end();
  }
  void set_interest() {
    if (ended_) return;
    // While a request is being answered, what else comes waits; but that the client has gone must
    // be seen, for which there may be a little to read.
    const bool reads = in_.size() < headers_max;
    watch_->want((reads ? Reactor::readable : 0U) | (out_.empty() ? 0U : Reactor::writable));
  }
  void rest() { idle_->arm(server_.loop_.now() + patience); }

  bool write() {
    while (!out_.empty()) {
      const ssize_t sent = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      out_.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool read() {
    std::array<char, 8192> buffer;
    while (in_.size() < headers_max) {
      const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return false;
      if (size == 0) return false;  // who closes has gone
      if (size < 0) break;
      if (keeps_open_) in_.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return true;
  }
  // One request at a time: the next one waits until the client has taken the answer.
  bool parse() {
    if (is_answering_ || !out_.empty() || !keeps_open_ || in_.empty()) return true;
    const std::size_t parsed = http_parser_execute(&parser_, &settings(), in_.data(), in_.size());
    in_.erase(0, parsed);
    if (HTTP_PARSER_ERRNO(&parser_) == HPE_PAUSED) http_parser_pause(&parser_, 0);
    if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
      keeps_open_ = false;  // and reads no more of it
      in_.clear();
      answer({400, "That was no HTTP request.\n"});
      return true;
    }
    if (!is_complete_) return true;
    is_complete_ = false;
    begin_answer();
    return true;
  }
  void begin_answer();

  // http_parser's callbacks. Not 0: it stops.
  static Connection& of(http_parser* parser) { return *static_cast<Connection*>(parser->data); }
  static const http_parser_settings& settings() {
    static const http_parser_settings all = [] {
      http_parser_settings those{};
      those.on_message_begin = [](http_parser* parser) {
        of(parser).request_ = {};
        of(parser).size_ = 0;
        return 0;
      };
      those.on_url = [](http_parser* parser, const char* at, std::size_t size) {
        return of(parser).add(of(parser).request_.path, at, size, headers_max);
      };
      those.on_header_field = [](http_parser* parser, const char* at, std::size_t size) {
        Connection& self = of(parser);
        if (!std::exchange(self.in_name_, true)) self.request_.headers.emplace_back();
        return self.add(self.request_.headers.back().first, at, size, headers_max);
      };
      those.on_header_value = [](http_parser* parser, const char* at, std::size_t size) {
        Connection& self = of(parser);
        self.in_name_ = false;
        return self.add(self.request_.headers.back().second, at, size, headers_max);
      };
      those.on_headers_complete = [](http_parser* parser) {
        of(parser).in_name_ = false;
        return 0;
      };
      // No page takes one.
      those.on_body = [](http_parser* parser, const char*, std::size_t size) {
        of(parser).size_ += size;
        return of(parser).size_ > body_max ? 1 : 0;
      };
      those.on_message_complete = [](http_parser* parser) {
        Connection& self = of(parser);
        self.request_.method = http_method_str(static_cast<http_method>(parser->method));
        self.keeps_open_ = http_should_keep_alive(parser) != 0;
        self.is_complete_ = true;
        http_parser_pause(parser, 1);  // the next request waits for the answer to this one
        return 0;
      };
      return those;
    }();
    return all;
  }
  int add(std::string& text, const char* at, std::size_t size, std::size_t most) {
    size_ += size;
    if (size_ > most) return 1;
    text.append(at, size);
    return 0;
  }

  HttpServer& server_;
  const int socket_;
  std::unique_ptr<websession::Watch> watch_{};
  std::unique_ptr<websession::Timer> idle_{};
  websession::StopSource gone_{};
  http_parser parser_{};
  HttpRequest request_{};
  std::size_t size_ = 0;  // of the request so far
  std::string in_{};
  std::string out_{};
  bool in_name_ = false;
  bool is_complete_ = false;
  bool is_answering_ = false;
  bool has_answered_ = false;
  bool is_going_on_ = false;
  bool keeps_open_ = true;
  bool ended_ = false;
};

struct Responder::Slot {
  explicit Slot(const std::shared_ptr<HttpServer::Connection>& its) : connection(its) {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { give({500, "Sorry, something went wrong.\n"}); }
  void give(const HttpResponse& response) {
    if (std::exchange(given, true)) return;
    if (const auto there = connection.lock()) there->answer(response);
  }
  std::weak_ptr<HttpServer::Connection> connection;
  bool given = false;
};

void Responder::respond(const HttpResponse& response) const { slot_->give(response); }

websession::StopToken Responder::gone() const {
  const auto there = slot_->connection.lock();
  return there ? there->gone() : websession::StopToken();
}

void HttpServer::Connection::begin_answer() {
  is_answering_ = true;
  rest();
  const auto query = request_.path.find('?');
  if (query != std::string::npos) request_.path.resize(query);
  server_.handle_(server_.site_, std::move(request_),
                  Responder(std::make_shared<Responder::Slot>(shared_from_this())));
}

HttpServer::~HttpServer() {
  rest_.reset();
  watch_.reset();
  const auto all = std::exchange(connections_, {});
  for (const auto& [socket, connection] : all) connection->end();
  if (listener_ >= 0) ::close(listener_);
}

int HttpServer::listen(int port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0) return -1;
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 512) != 0) return -1;
  ::getsockname(listener_, generic, &size);
  auto watch = loop_.watch(listener_, [this](unsigned) { accept(); });
  if (!watch) return -1;
  watch_ = *std::move(watch);
  watch_->want(Reactor::readable);
  return ntohs(address.sin_port);
}

// No descriptor is free: those who wait are taken in when others have gone.
void HttpServer::rest() {
  watch_->want(Reactor::none);
  rest_ = loop_.timer([this] { watch_->want(Reactor::readable); });
  rest_->arm(loop_.now() + std::chrono::milliseconds(50));
}

void HttpServer::accept() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0 && errno == EINTR) continue;
    if (socket < 0 && (errno == EMFILE || errno == ENFILE)) return rest();
    if (socket < 0) return;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto connection = std::make_shared<Connection>(*this, socket);
    if (connection->begin()) connections_.emplace(socket, connection);
  }
}
