// A TCP proxy in front of a server, whose faults a test switches while it runs.
//
// It forwards bytes and understands none of them, so TLS passes through as well. One thread, which
// ends with the proxy, does all the work. Each function below that sets a fault has it carried out
// by that thread, and returns when that is done. Safe to call from many threads at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace websession::testing {

class TcpProxy {
 public:
  enum class Way { requests, replies };    // to the server, to the client
  enum class End { stall, close, reset };  // what follows the last byte; reset: an RST, no FIN

  // In front of 127.0.0.1:server_port, on a free port of its own.
  explicit TcpProxy(int server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

  // Ends every fault: listens, and forwards what has waited. The delay stays.
  void forward();

  // New connections are refused. Those that are there go on.
  void refuse();
  // Connections are accepted, and nothing is forwarded, on old ones neither.
  void stay_silent();
  // Counts the bytes that go that way from now on, over all connections. The connection that has
  // carried the last of them ends; 0 bytes: the one whose turn is next. Happens once.
  void cut(Way way, std::size_t bytes, End end);
  // Replies go out one byte at a time, with this pause after each.
  void trickle(std::chrono::nanoseconds pause);
  // The next bytes that the server sends are replaced by these. Happens once.
  void replace_next_reply(std::string bytes);
  // Sends bytes of its own to all clients, after what is on its way already.
  void inject(std::string bytes);
  // As a stateful firewall does with idle connections: those that are there carry nothing more, and
  // nobody is told; new ones work.
  void forget_all();
  // New connections get a line that never ends, as fast as they take it, and nothing of the
  // server's replies. forward() closes them.
  void babble();
  // Ends all connections, and forgets what was on its way.
  void close_all();
  void reset_all();

  // What is read from now on is kept for this long before it goes on, each way. Exact to about
  // 50 µs on an idle machine.
  void delay(std::chrono::nanoseconds each_way);

  struct Counters {  // since the start
    std::uint64_t connections = 0;
    std::uint64_t request_bytes = 0;  // that went on, to the server
    std::uint64_t reply_bytes = 0;
  };
  Counters counters();

 private:
  struct Flow;
  struct Link;
  struct Cut {
    Way way;
    std::size_t bytes_left;
    End end;
  };
  using Time = std::chrono::steady_clock::time_point;

  void perform(const std::function<void()>& task);
  void run();
  void run_tasks();
  void wait();
  void accept_all();
  void listen();
  void serve(Link& link, bool client_ready, bool server_ready);
  void receive(Link& link, Flow& flow);
  void deliver(Link& link, Flow& flow);
  static void add_babble(Flow& replies);
  void end(Link& link, End end);
  void end_all(End how);

  // Shared with the callers.
  int port_ = 0;
  int wake_ = -1;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;

  // The thread's own.
  const int server_port_;
  int reservation_ = -1;  // keeps the port, also while nobody listens on it
  int listener_ = -1;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<char> buffer_;
  bool stopping_ = false;
  bool silent_ = false;
  bool babbling_ = false;
  std::optional<Cut> cut_;
  std::optional<std::chrono::nanoseconds> pause_;
  std::optional<std::string> replacement_;
  std::chrono::nanoseconds delay_{0};
  Counters counters_{};

  std::thread thread_;
};

}  // namespace websession::testing
