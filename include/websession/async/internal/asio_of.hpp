// What Boost.Asio and the Asio without Boost have in common here. Include boost_asio.hpp or
// asio.hpp, which make reactors of their executors with it, and know their completion tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "websession/async/internal/loop_parts.hpp"
#include "websession/async/op.hpp"
#include "websession/async/reactor.hpp"
#include "websession/async/stop.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

// `Library` is in all of these what names the functions and types of one of the two.
namespace websession::internal {

// The context's service that hears of its end while everything of it is still there.
template <class Library>
class AsioEnd final : public Library::execution_context::service {
 public:
  static inline typename Library::execution_context::id id;

  explicit AsioEnd(typename Library::execution_context& context)
      : Library::execution_context::service(context) {}
  void tell(std::weak_ptr<LoopPart> loop) {
    const std::lock_guard lock(mutex_);
    std::erase_if(loops_, [](const auto& known) { return known.expired(); });
    loops_.push_back(std::move(loop));
  }

 private:
  void shutdown() override {
    for (const auto& known : std::exchange(loops_, {})) {
      if (const auto loop = known.lock()) loop->end();
    }
  }
  std::mutex mutex_;
  std::vector<std::weak_ptr<LoopPart>> loops_;
};

// `Executor` runs one function at a time, and knows whether it runs this very one.
template <class Library, class Executor>
class AsioLoop final : public LoopPart {
 public:
  explicit AsioLoop(Executor executor) : executor_(std::move(executor)) {}

  // From any thread.

  // `reactor` lives until the function has been called.
  void post(Callback<void()> function, std::shared_ptr<Reactor> reactor) {
    const std::lock_guard lock(mutex_);
    if (!executor_) return;
    Library::post(*executor_,
                  [reactor = std::move(reactor), function = std::move(function)]() mutable {
                    auto once = std::move(function);  // what it holds goes with it
                    once();
                  });
  }
  [[nodiscard]] bool here() const noexcept {
    return parts.is_open() && executor_->running_in_this_thread();
  }

  [[nodiscard]] const Executor& executor() const noexcept { return *executor_; }
  void end() override {
    parts.end();
    const std::lock_guard lock(mutex_);
    executor_.reset();
  }

  LoopParts parts{};

 private:
  std::mutex mutex_;  // between a post and the end
  std::optional<Executor> executor_;
};

// What is watched. What waits for it in the context shares it.
template <class Library, class Executor>
class AsioDescriptor final
    : public LoopPart,
      public std::enable_shared_from_this<AsioDescriptor<Library, Executor>> {
 public:
  using Loop = AsioLoop<Library, Executor>;

  AsioDescriptor(std::shared_ptr<Loop> loop, Callback<void(unsigned)> ready)
      : loop_(std::move(loop)), ready_(std::move(ready)) {}

  Result<void> open(int fd) {
    if (!loop_->parts.is_open()) return make_error(Errc::unavailable, "the loop has ended");
    auto descriptor = std::make_unique<Descriptor>(loop_->executor());
    typename Library::error_code error;
    descriptor->assign(fd, error);
    if (error) return make_error(Errc::unavailable, "no event: " + error.message());
    descriptor_ = std::move(descriptor);
    loop_->parts.add(*this);
    return {};
  }
  void close() {
    loop_->parts.remove(*this);
    end();
  }
  void end() override {
    const auto self = this->shared_from_this();  // what ends may have held the last other one
    if (descriptor_) {
      if (loop_->parts.is_inherited()) {
        static_cast<void>(descriptor_.release());  // for good
      } else {
        static_cast<void>(descriptor_->release());  // it stays open
      }
      descriptor_.reset();
    }
    ready_.end();
  }
  void want(unsigned interest) {
    wanted_ = interest;
    wait();
  }

 private:
  using Descriptor = typename Library::template descriptor<Executor>;

  // Asio tells once for each time that it is asked, and of what is there by then.
  void wait() {
    wait(Reactor::readable, Descriptor::wait_read);
    wait(Reactor::writable, Descriptor::wait_write);
  }
  void wait(unsigned event, typename Descriptor::wait_type type) {
    if (!descriptor_ || (wanted_ & event) == 0 || (waiting_ & event) != 0) return;
    waiting_ |= event;
    descriptor_->async_wait(type, [self = this->shared_from_this(), event](const auto&) {
      self->waiting_ &= ~event;
      if ((self->wanted_ & event) != 0 && self->ready_.call(event)) self->wait();
    });
  }

  const std::shared_ptr<Loop> loop_;
  std::unique_ptr<Descriptor> descriptor_{};  // none: it is not watched any more
  EndingCallback<unsigned> ready_;
  unsigned wanted_ = Reactor::none;
  unsigned waiting_ = Reactor::none;
};

template <class Library, class Executor>
class AsioWatch final : public Watch {
 public:
  using Descriptor = AsioDescriptor<Library, Executor>;
  explicit AsioWatch(std::shared_ptr<Descriptor> descriptor) : descriptor_(std::move(descriptor)) {}
  ~AsioWatch() override { descriptor_->close(); }
  void want(unsigned interest) override { descriptor_->want(interest); }

 private:
  const std::shared_ptr<Descriptor> descriptor_;
};

// What a Timer has in the context.
template <class Library, class Executor>
class AsioAlarm final : public LoopPart,
                        public std::enable_shared_from_this<AsioAlarm<Library, Executor>> {
 public:
  using Loop = AsioLoop<Library, Executor>;

  AsioAlarm(std::shared_ptr<Loop> loop, Callback<void()> fired)
      : loop_(std::move(loop)), fired_(std::move(fired)) {
    if (!loop_->parts.is_open()) return;
    timer_ = std::make_unique<SteadyTimer>(loop_->executor());
    loop_->parts.add(*this);
  }
  void close() {
    loop_->parts.remove(*this);
    end();
  }
  void end() override {
    const auto self = this->shared_from_this();  // as above
    timer_.reset();
    fired_.end();
  }
  void arm(SteadyTime at) {
    if (!timer_) return;
    timer_->expires_at(at);  // what waits for another time hears that it need not
    timer_->async_wait([self = this->shared_from_this(), turn = ++turn_](const auto&) {
      if (self->turn_ == turn) self->fired_.call();
    });
  }
  void disarm() {
    ++turn_;
    if (timer_) timer_->cancel();
  }

 private:
  using SteadyTimer = typename Library::template steady_timer<Executor>;

  const std::shared_ptr<Loop> loop_;
  std::unique_ptr<SteadyTimer> timer_{};  // none: it has ended
  EndingCallback<> fired_;
  std::uint64_t turn_ = 0;
};

template <class Library, class Executor>
class AsioTimer final : public Timer {
 public:
  using Alarm = AsioAlarm<Library, Executor>;
  explicit AsioTimer(std::shared_ptr<Alarm> alarm) : alarm_(std::move(alarm)) {}
  ~AsioTimer() override { alarm_->close(); }
  void arm(SteadyTime at) override { alarm_->arm(at); }
  void disarm() override { alarm_->disarm(); }

 private:
  const std::shared_ptr<Alarm> alarm_;
};

template <class Library, class Executor>
class AsioReactor final : public Reactor,
                          public std::enable_shared_from_this<AsioReactor<Library, Executor>> {
 public:
  explicit AsioReactor(const Executor& executor)
      : loop_(std::make_shared<AsioLoop<Library, Executor>>(executor)) {
    // Services end in the opposite order of their beginnings: what a loop uses is there before.
    const typename Library::template descriptor<Executor> descriptor(executor);
    const typename Library::template steady_timer<Executor> timer(executor);
    auto& context = Library::context_of(executor);
    use_service<AsioEnd<Library>>(context).tell(loop_);
  }

  Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) override {
    auto descriptor = std::make_shared<AsioDescriptor<Library, Executor>>(loop_, std::move(ready));
    if (auto opened = descriptor->open(fd); !opened) return std::move(opened).error();
    return std::unique_ptr<Watch>(
        std::make_unique<AsioWatch<Library, Executor>>(std::move(descriptor)));
  }
  std::unique_ptr<Timer> timer(Callback<void()> fired) override {
    return std::make_unique<AsioTimer<Library, Executor>>(
        std::make_shared<AsioAlarm<Library, Executor>>(loop_, std::move(fired)));
  }
  // What is posted may be the end of a store that was the last to have this reactor: the loop goes
  // on, and with it the reactor until then.
  void post(Callback<void()> function) override {
    loop_->post(std::move(function), this->shared_from_this());
  }
  [[nodiscard]] bool here() const noexcept override { return loop_->here(); }

 private:
  const std::shared_ptr<AsioLoop<Library, Executor>> loop_;
};

template <class Library, class Executor>
std::shared_ptr<Reactor> asio_reactor_on(const Executor& executor) {
  return std::make_shared<AsioReactor<Library, Executor>>(executor);
}

// What makes an Op run when a completion token of Asio's asks for it.
template <class Library>
struct AsioRun {
  template <class Handler, class T>
  void operator()(Handler handler, Op<T> op) const {
    // Its executor has work for as long as the operation runs.
    auto work = Library::work_of(handler);
    if constexpr (Library::has_cancellation) {
      auto slot = Library::cancellation_slot_of(handler);
      if (slot.is_connected()) {
        const StopSource stop;
        // All kinds: what has begun to write goes on, and what has not has no effect.
        slot.assign([stop](auto) { stop.request_stop(); });
        op = std::move(op).stop_on(stop.token());
      }
    }
    std::move(op).start(
        [handler = std::move(handler), work = std::move(work)](Result<T> result) mutable {
          auto executor = work.get_executor();
          Library::dispatch(executor, [handler = std::move(handler), work = std::move(work),
                                       result = std::move(result)]() mutable {
            if constexpr (Library::has_cancellation) Library::cancellation_slot_of(handler).clear();
            Handler last = std::move(handler);
            Result<T> given = std::move(result);
            work.reset();
            std::move(last)(std::move(given));
          });
        });
  }
};

}  // namespace websession::internal
