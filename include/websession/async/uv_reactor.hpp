// libuv's loop (1.41 and newer) as the loop of sessions.
//
//   const auto loop = websession::uv_reactor(*uv_default_loop()).value();
//   const auto store = AsyncRedisStore::connect_later("redis://127.0.0.1", {loop}).value();
#pragma once

#include <uv.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "websession/async/internal/loop_parts.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession {

namespace internal {

// Closes a handle made by `new`. libuv needs it for a while, but calls nothing more of it.
template <class Handle>
void close_uv(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

inline Error uv_problem(int error) {
  return make_error(Errc::unavailable, std::string("no event: ") + uv_strerror(error));
}

class UvLoop {
 public:
  explicit UvLoop(uv_loop_t& loop) noexcept : loop_(&loop) {}
  // The handle that wakes the loop shares it.
  Result<void> open(const std::shared_ptr<UvLoop>& self) {
    auto wake = std::make_unique<uv_async_t>();
    if (const int error = uv_async_init(loop_, wake.get(), woken); error != 0) {
      return uv_problem(error);
    }
    wake_ = wake.release();
    wake_->data = new std::shared_ptr<UvLoop>(self);
    return {};
  }

  // From any thread.

  void post(Callback<void()> function, std::shared_ptr<Reactor> reactor) {
    if (posted_.add(std::move(function), std::move(reactor)) && !is_inherited()) {
      uv_async_send(wake_);
    }
  }
  // When the reactor goes, after all that was posted.
  void close() {
    const auto end = [this] {
      const std::unique_ptr<std::shared_ptr<UvLoop>> self(
          static_cast<std::shared_ptr<UvLoop>*>(std::exchange(wake_->data, nullptr)));
      close_uv(wake_);
      posted_.close();
    };
    post(end, nullptr);
  }
  [[nodiscard]] bool here() const noexcept { return std::this_thread::get_id() == thread_; }

  // In the child of a fork, which leaves alone what it has of its parent's loop.
  [[nodiscard]] bool is_inherited() const noexcept { return owner_ != ::getpid(); }
  [[nodiscard]] uv_loop_t* get() const noexcept { return loop_; }

 private:
  static void woken(uv_async_t* wake) {
    // A copy, as the last function may be close()'s.
    if (wake->data == nullptr) return;
    const auto self = *static_cast<std::shared_ptr<UvLoop>*>(wake->data);
    self->posted_.call();
  }

  uv_loop_t* const loop_;
  const std::thread::id thread_ = std::this_thread::get_id();
  const pid_t owner_ = ::getpid();
  Posted posted_{};
  uv_async_t* wake_ = nullptr;
};

// What is watched.
class UvDescriptor : public std::enable_shared_from_this<UvDescriptor> {
 public:
  UvDescriptor(std::shared_ptr<UvLoop> loop, Callback<void(unsigned)> ready)
      : loop_(std::move(loop)), ready_(std::move(ready)) {}
  Result<void> open(int fd) {
    auto poll = std::make_unique<uv_poll_t>();
    if (const int error = uv_poll_init(loop_->get(), poll.get(), fd); error != 0) {
      return uv_problem(error);
    }
    poll_ = poll.release();
    poll_->data = this;
    return {};
  }
  void want(unsigned interest) {
    wanted_ = interest;
    if (loop_->is_inherited()) return;
    int events = 0;
    if ((interest & Reactor::readable) != 0) events |= UV_READABLE;
    if ((interest & Reactor::writable) != 0) events |= UV_WRITABLE;
    if (events == 0) {
      uv_poll_stop(poll_);
    } else {
      uv_poll_start(poll_, events, told);
    }
  }
  void close() {
    ready_.end();
    if (poll_ != nullptr && !loop_->is_inherited()) close_uv(poll_);
  }

 private:
  static void told(uv_poll_t* poll, int status, int events) {
    const auto self = static_cast<UvDescriptor*>(poll->data)->shared_from_this();
    unsigned ready = Reactor::none;
    if (status != 0 || (events & UV_READABLE) != 0) ready |= Reactor::readable;
    if (status != 0 || (events & UV_WRITABLE) != 0) ready |= Reactor::writable;
    ready &= self->wanted_;
    if (ready == Reactor::none) return;
    // After an error libuv has stopped it.
    if (self->ready_.call(ready) && status != 0) self->want(self->wanted_);
  }

  const std::shared_ptr<UvLoop> loop_;
  EndingCallback<unsigned> ready_;
  uv_poll_t* poll_ = nullptr;
  unsigned wanted_ = Reactor::none;
};

class UvWatch final : public Watch {
 public:
  explicit UvWatch(std::shared_ptr<UvDescriptor> descriptor) : descriptor_(std::move(descriptor)) {}
  ~UvWatch() override { descriptor_->close(); }
  void want(unsigned interest) override { descriptor_->want(interest); }

 private:
  const std::shared_ptr<UvDescriptor> descriptor_;
};

// What a Timer has in the loop.
class UvAlarm : public std::enable_shared_from_this<UvAlarm> {
 public:
  UvAlarm(std::shared_ptr<UvLoop> loop, Callback<void()> fired)
      : loop_(std::move(loop)), fired_(std::move(fired)), timer_(new uv_timer_t) {
    uv_timer_init(loop_->get(), timer_);
    timer_->data = this;
  }
  void close() {
    fired_.end();
    if (!loop_->is_inherited()) close_uv(timer_);
  }
  void arm(SteadyTime at) {
    at_ = at;
    start();
  }
  void disarm() { uv_timer_stop(timer_); }

 private:
  void start() {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(at_ - std::chrono::steady_clock::now());
    uv_update_time(loop_->get());
    uv_timer_start(timer_, due, static_cast<std::uint64_t>(std::max(left, milliseconds(0)).count()),
                   0);
  }
  static void due(uv_timer_t* timer) {
    const auto self = static_cast<UvAlarm*>(timer->data)->shared_from_this();
    // The loop's time is in milliseconds, and may be up to one ahead of what was asked for.
    if (std::chrono::steady_clock::now() < self->at_) return self->start();
    self->fired_.call();
  }

  const std::shared_ptr<UvLoop> loop_;
  EndingCallback<> fired_;
  uv_timer_t* const timer_;
  SteadyTime at_{};
};

class UvTimer final : public Timer {
 public:
  explicit UvTimer(std::shared_ptr<UvAlarm> alarm) : alarm_(std::move(alarm)) {}
  ~UvTimer() override { alarm_->close(); }
  void arm(SteadyTime at) override { alarm_->arm(at); }
  void disarm() override { alarm_->disarm(); }

 private:
  const std::shared_ptr<UvAlarm> alarm_;
};

class UvReactor final : public Reactor, public std::enable_shared_from_this<UvReactor> {
 public:
  explicit UvReactor(std::shared_ptr<UvLoop> loop) : loop_(std::move(loop)) {}
  ~UvReactor() override { loop_->close(); }
  Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) override {
    auto descriptor = std::make_shared<UvDescriptor>(loop_, std::move(ready));
    if (auto opened = descriptor->open(fd); !opened) return std::move(opened).error();
    return std::unique_ptr<Watch>(std::make_unique<UvWatch>(std::move(descriptor)));
  }
  std::unique_ptr<Timer> timer(Callback<void()> fired) override {
    return std::make_unique<UvTimer>(std::make_shared<UvAlarm>(loop_, std::move(fired)));
  }
  // As Asio's: what is posted keeps it.
  void post(Callback<void()> function) override {
    loop_->post(std::move(function), shared_from_this());
  }
  [[nodiscard]] bool here() const noexcept override { return loop_->here(); }

 private:
  const std::shared_ptr<UvLoop> loop_;
};

}  // namespace internal

// A reactor on a loop. Make it on the thread that runs the loop.
//
// It keeps the loop running for as long as it, or a store that has it, is there: uv_run() returns
// when both are gone, or after uv_stop(). Before uv_loop_close(), run the loop until
// uv_loop_alive() says no, as always when handles were closed; they are the reactor's, and nobody
// else closes them (uv_walk). No other thread begins anything while the loop ends. After a
// fork, the child leaves alone what is the parent's.
//
// Error: unavailable, the process has too many descriptors.
inline Result<std::shared_ptr<Reactor>> uv_reactor(uv_loop_t& loop) {
  const auto shared = std::make_shared<internal::UvLoop>(loop);
  if (auto opened = shared->open(shared); !opened) return std::move(opened).error();
  return std::shared_ptr<Reactor>(std::make_shared<internal::UvReactor>(shared));
}

}  // namespace websession
