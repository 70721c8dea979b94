// A longer way to the server: what goes through is held back for a while.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace websession::bench {

// A process of its own, so that its CPU time is not taken for a client's. Make it before any
// thread.
class DelayProxy {
 public:
  // In front of 127.0.0.1:server_port; each way takes `each_way` longer. Throws std::runtime_error.
  DelayProxy(int server_port, std::chrono::nanoseconds each_way);
  ~DelayProxy();
  DelayProxy(const DelayProxy&) = delete;
  DelayProxy& operator=(const DelayProxy&) = delete;

  [[nodiscard]] int port() const { return port_; }
  // The CPU time that it has used. A proxy that is busy all the time is what limits a run.
  [[nodiscard]] double cpu_seconds() const;

 private:
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace websession::bench
