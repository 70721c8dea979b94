// Event loops of all the libraries that there are reactors for, as far as they are installed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "websession/async/reactor.hpp"

namespace websession::testing {

// One loop. It ends with this.
class HostLoop {
 public:
  HostLoop() = default;
  HostLoop(const HostLoop&) = delete;
  HostLoop& operator=(const HostLoop&) = delete;
  virtual ~HostLoop() = default;
  [[nodiscard]] virtual std::shared_ptr<Reactor> reactor() const = 0;
  // From now on only those have the reactor who have taken it. (Not of the library's own, which is
  // the loop.)
  virtual void let_go() {}
  // Does what there is to do, or waits for it for a moment.
  virtual void turn() = 0;
  // Calls the function where the loop runs: on this thread, between two turns, or on its own.
  virtual void on_loop(const std::function<void()>& function) { function(); }
};

struct HostKind {
  const char* name;
  std::unique_ptr<HostLoop> (*make)();
  // What is in use of the loop may outlive it. (Else its reactor keeps it.)
  bool may_end_first = true;
};

// The first is the library's own.
const std::vector<HostKind>& host_kinds();

// Runs one, on a thread of its own, until it goes and a little longer: for what is told at the end.
// Nobody else has its reactor by then.
class HostThread {
 public:
  explicit HostThread(std::string_view name);
  ~HostThread();
  HostThread(const HostThread&) = delete;
  HostThread& operator=(const HostThread&) = delete;
  [[nodiscard]] const std::shared_ptr<Reactor>& reactor() const noexcept { return reactor_; }

 private:
  std::shared_ptr<Reactor> reactor_{};
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

}  // namespace websession::testing
