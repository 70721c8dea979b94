// An event loop for hosts that have none, on Linux' epoll and elsewhere on poll, and a thread that
// runs one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "websession/async/reactor.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A loop of its own, or within another one: its descriptor is readable when run_once() has
// something to do (but on systems without epoll, where there is no such descriptor: -1).
//
//   auto loop = EpollReactor::make().value();
//   …                // watch the listening socket, make the store and the manager
//   loop->run();     // until something calls loop->stop()
//
// After a fork it belongs to the parent, and the child does nothing with it but destroy it.
class EpollReactor final : public Reactor {
 public:
  // Error: unavailable, the process has too many descriptors.
  static Result<std::shared_ptr<EpollReactor>> make();
  // What it was given and has not called goes with it; destroyed by what it calls, when that has
  // returned.
  ~EpollReactor() override;

  // Runs the loop until stop() is called. One thread at a time.
  void run();
  // Waits for something to do, but not longer than this (none: as long as it takes), and does it.
  // Within a callback it is another turn of the same loop.
  void run_once(std::optional<std::chrono::milliseconds> at_most = std::nullopt);
  // Ends run(), or the next one, when what it is doing is done. From any thread.
  void stop();
  [[nodiscard]] int descriptor() const noexcept;

  Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) override;
  std::unique_ptr<Timer> timer(Callback<void()> fired) override;
  void post(Callback<void()> function) override;
  [[nodiscard]] bool here() const noexcept override;

 private:
  class Impl;
  friend class IoThread;
  void end();
  explicit EpollReactor(std::shared_ptr<Impl> impl) noexcept;
  const std::shared_ptr<Impl> impl_;
};

// One thread with an EpollReactor, for hosts whose own loop can do nothing but be posted to: a
// store on it, and Op::resume_on or Op::wait.
class IoThread {
 public:
  // Error: unavailable, no descriptors or no thread.
  static Result<IoThread> start();
  IoThread(IoThread&&) noexcept = default;
  IoThread& operator=(IoThread&&) = delete;
  // Ends the loop and waits for it (but not on its own thread). What is in flight is dropped
  // uncalled: destroy the managers and stores first, and it is told. From then on nobody runs the
  // reactor, and what it is given is dropped at once.
  ~IoThread();

  [[nodiscard]] const std::shared_ptr<EpollReactor>& reactor() const noexcept { return reactor_; }

 private:
  IoThread(std::shared_ptr<EpollReactor> reactor, std::thread thread) noexcept;
  std::shared_ptr<EpollReactor> reactor_;
  std::thread thread_;
  pid_t owner_;
};

}  // namespace websession
WEBSESSION_API_END
