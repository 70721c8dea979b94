// A cpp-httplib server of a page's example, and its only client.
#pragma once

#include <httplib.h>

#include <string>
#include <thread>

// Serves while it lives, and asks for pages.
class Served {
 public:
  explicit Served(httplib::Server& server)
      : server_(server), port_(server.bind_to_any_port("127.0.0.1")) {
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  Served(const Served&) = delete;
  ~Served() {
    server_.stop();
    thread_.join();
  }
  httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) {
    return httplib::Client("127.0.0.1", port_).Get(path, headers);
  }
  httplib::Result post(const std::string& path, const httplib::Headers& headers = {},
                       const std::string& body = {}) {
    return httplib::Client("127.0.0.1", port_).Post(path, headers, body, "text/plain");
  }

 private:
  httplib::Server& server_;
  int port_;
  std::thread thread_;
};

inline std::string cookie_of(const httplib::Result& result) {
  const std::string header = result->get_header_value("Set-Cookie");
  return header.substr(0, header.find(';'));
}
