// trantor's loop (1.5.8 and newer), which is Drogon's, as the loop of sessions.
//
//   std::vector<std::shared_ptr<Reactor>> loops;     // all of Drogon's, once it has made them
//   for (std::size_t i = 0; i < app().getThreadNum(); ++i) {
//     loops.push_back(trantor_reactor(*app().getIOLoop(i)).value());
//   }
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <trantor/net/Channel.h>
#include <trantor/net/EventLoop.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "websession/async/internal/loop_parts.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession {

namespace internal {

// A descriptor in a loop. Destroying it stops that at once; the loop may still hold it for this
// turn.
class TrantorChannel {
 public:
  TrantorChannel(trantor::EventLoop& loop, int fd, std::function<void(int events)> ready)
      : loop_(loop), channel_(std::make_shared<trantor::Channel>(&loop, fd)) {
    channel_->setEventCallback(
        [channel = channel_.get(), ready = std::move(ready)] { ready(channel->revents()); });
  }
  TrantorChannel(const TrantorChannel&) = delete;
  TrantorChannel& operator=(const TrantorChannel&) = delete;
  ~TrantorChannel() {
    want(0);
    if (is_known_) channel_->remove();
    loop_.queueInLoop([channel = channel_] {});
  }
  void want(int events) {
    if (events == channel_->events()) return;
    channel_->updateEvents(events);
    is_known_ = true;
  }

 private:
  trantor::EventLoop& loop_;
  const std::shared_ptr<trantor::Channel> channel_;
  bool is_known_ = false;
};

class TrantorLoop : public std::enable_shared_from_this<TrantorLoop> {
 public:
  explicit TrantorLoop(trantor::EventLoop& loop) noexcept : loop_(loop) {}
  TrantorLoop(const TrantorLoop&) = delete;
  TrantorLoop& operator=(const TrantorLoop&) = delete;
  ~TrantorLoop() {
    if (wake_ >= 0) ::close(wake_);
  }
  Result<void> open() {
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_ < 0) return make_error(Errc::unavailable, "no event: too many descriptors are open");
    loop_.runInLoop([self = shared_from_this()] { self->begin(); });
    return {};
  }

  // From any thread.

  void post(Callback<void()> function, std::shared_ptr<Reactor> reactor) {
    const std::uint64_t one = 1;
    if (posted_.add(std::move(function), std::move(reactor))) {
      static_cast<void>(::write(wake_, &one, sizeof one));
    }
  }
  // When the reactor goes, after all that was posted.
  void close() {
    post([self = shared_from_this()] { self->end(); }, nullptr);
  }
  [[nodiscard]] bool here() const { return parts.is_open() && loop_.isInLoopThread(); }

  [[nodiscard]] trantor::EventLoop& get() const noexcept { return loop_; }
  LoopParts parts{};

 private:
  void begin() {
    waking_ = std::make_unique<TrantorChannel>(loop_, wake_, [this](int) { woken(); });
    waking_->want(POLLIN);
    loop_.runOnQuit([loop = weak_from_this()] {
      if (const auto self = loop.lock()) self->end();
    });
  }
  void woken() {
    const auto self = shared_from_this();
    std::uint64_t count = 0;
    static_cast<void>(::read(wake_, &count, sizeof count));
    posted_.call();
  }
  void end() {
    const auto self = shared_from_this();
    parts.end();
    waking_.reset();
    posted_.close();
  }

  trantor::EventLoop& loop_;
  int wake_ = -1;
  Posted posted_{};
  std::unique_ptr<TrantorChannel> waking_{};
};

// What is watched.
class TrantorDescriptor final : public LoopPart,
                                public std::enable_shared_from_this<TrantorDescriptor> {
 public:
  TrantorDescriptor(std::shared_ptr<TrantorLoop> loop, int fd, Callback<void(unsigned)> ready)
      : loop_(std::move(loop)), ready_(std::move(ready)) {
    if (!loop_->parts.is_open()) return;
    channel_ = std::make_unique<TrantorChannel>(loop_->get(), fd, [this](int told) { tell(told); });
    loop_->parts.add(*this);
  }
  void want(unsigned interest) {
    wanted_ = interest;
    if (!channel_ || loop_->parts.is_inherited()) return;
    int events = 0;
    if ((interest & Reactor::readable) != 0) events |= POLLIN;
    if ((interest & Reactor::writable) != 0) events |= POLLOUT;
    channel_->want(events);
  }
  void close() {
    loop_->parts.remove(*this);
    end();
  }
  void end() override {
    const auto self = shared_from_this();  // what ends may have held the last other one
    if (loop_->parts.is_inherited()) static_cast<void>(channel_.release());  // for good
    channel_.reset();
    ready_.end();
  }

 private:
  void tell(int events) {
    const auto self = shared_from_this();
    constexpr int broken = POLLERR | POLLHUP;
    unsigned ready = Reactor::none;
    if ((events & (POLLIN | broken)) != 0) ready |= Reactor::readable;
    if ((events & (POLLOUT | broken)) != 0) ready |= Reactor::writable;
    ready &= wanted_;
    if (ready != Reactor::none) ready_.call(ready);
  }

  const std::shared_ptr<TrantorLoop> loop_;
  EndingCallback<unsigned> ready_;
  std::unique_ptr<TrantorChannel> channel_{};  // none: it is not watched any more
  unsigned wanted_ = Reactor::none;
};

class TrantorWatch final : public Watch {
 public:
  explicit TrantorWatch(std::shared_ptr<TrantorDescriptor> descriptor)
      : descriptor_(std::move(descriptor)) {}
  ~TrantorWatch() override { descriptor_->close(); }
  void want(unsigned interest) override { descriptor_->want(interest); }

 private:
  const std::shared_ptr<TrantorDescriptor> descriptor_;
};

// What a Timer has in the loop.
class TrantorAlarm final : public LoopPart, public std::enable_shared_from_this<TrantorAlarm> {
 public:
  TrantorAlarm(std::shared_ptr<TrantorLoop> loop, Callback<void()> fired)
      : loop_(std::move(loop)), fired_(std::move(fired)) {
    loop_->parts.add(*this);
  }
  void arm(SteadyTime at) {
    disarm();
    if (!loop_->parts.is_open()) return;
    using std::chrono::microseconds;
    const auto left = std::chrono::ceil<microseconds>(at - std::chrono::steady_clock::now());
    const std::chrono::duration<double> delay = std::max(left, microseconds(1));
    id_ = loop_->get().runAfter(delay, [alarm = weak_from_this(), turn = turn_, at] {
      const auto self = alarm.lock();
      if (!self || self->turn_ != turn) return;
      // The delay was counted by a clock that may have been set meanwhile.
      if (std::chrono::steady_clock::now() < at) return self->arm(at);
      self->fired_.call();
    });
  }
  void disarm() {
    ++turn_;
    if (loop_->parts.is_open() && id_ != trantor::InvalidTimerId) loop_->get().invalidateTimer(id_);
    id_ = trantor::InvalidTimerId;
  }
  void close() {
    loop_->parts.remove(*this);
    disarm();
    end();
  }
  void end() override {
    const auto self = shared_from_this();  // as above
    ++turn_;
    fired_.end();
  }

 private:
  const std::shared_ptr<TrantorLoop> loop_;
  EndingCallback<> fired_;
  trantor::TimerId id_ = trantor::InvalidTimerId;
  std::uint64_t turn_ = 0;
};

class TrantorTimer final : public Timer {
 public:
  explicit TrantorTimer(std::shared_ptr<TrantorAlarm> alarm) : alarm_(std::move(alarm)) {}
  ~TrantorTimer() override { alarm_->close(); }
  void arm(SteadyTime at) override { alarm_->arm(at); }
  void disarm() override { alarm_->disarm(); }

 private:
  const std::shared_ptr<TrantorAlarm> alarm_;
};

class TrantorReactor final : public Reactor, public std::enable_shared_from_this<TrantorReactor> {
 public:
  explicit TrantorReactor(std::shared_ptr<TrantorLoop> loop) : loop_(std::move(loop)) {}
  ~TrantorReactor() override { loop_->close(); }
  Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) override {
    return std::unique_ptr<Watch>(std::make_unique<TrantorWatch>(
        std::make_shared<TrantorDescriptor>(loop_, fd, std::move(ready))));
  }
  std::unique_ptr<Timer> timer(Callback<void()> fired) override {
    return std::make_unique<TrantorTimer>(std::make_shared<TrantorAlarm>(loop_, std::move(fired)));
  }
  // As Asio's: what is posted keeps it.
  void post(Callback<void()> function) override {
    loop_->post(std::move(function), shared_from_this());
  }
  [[nodiscard]] bool here() const noexcept override { return loop_->here(); }

 private:
  const std::shared_ptr<TrantorLoop> loop_;
};

}  // namespace internal

// A reactor on a loop, made on any thread while nobody destroys the loop. When the loop quits, it
// drops what waits for it; stores may outlive it, and answer nobody any more. After a fork, the
// child leaves alone what is the parent's.
//
// Error: unavailable, the process has too many descriptors. (That epoll has no room for one more is
// not told by trantor: then calls run into their deadlines.)
inline Result<std::shared_ptr<Reactor>> trantor_reactor(trantor::EventLoop& loop) {
  const auto shared = std::make_shared<internal::TrantorLoop>(loop);
  if (auto opened = shared->open(); !opened) return std::move(opened).error();
  return std::shared_ptr<Reactor>(std::make_shared<internal::TrantorReactor>(shared));
}

}  // namespace websession
