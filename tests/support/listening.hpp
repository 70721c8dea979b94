// A cpp-httplib server at work in a test.
#pragma once

#include <httplib.h>

#include <stdexcept>
#include <thread>

namespace websession::testing {

// Serves on a free port of 127.0.0.1, in a thread of its own, as long as the object lives.
class Listening {
 public:
  explicit Listening(::httplib::Server& server)
      : server_(server), port_(server.bind_to_any_port("127.0.0.1")) {
    if (port_ <= 0) throw std::runtime_error("no free port");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Listening() {
    server_.stop();
    thread_.join();
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  [[nodiscard]] int port() const noexcept { return port_; }

 private:
  ::httplib::Server& server_;
  int port_;
  std::thread thread_;
};

}  // namespace websession::testing
