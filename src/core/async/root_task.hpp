// The outermost of an operation's coroutines, on an event loop.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "async/errors.hpp"
#include "task.hpp"
#include "websession/async/reactor.hpp"

namespace websession::internal {

// Whoever waits for a Root, and has it in memory that goes with it.
class RootOwner {
 public:
  // The coroutine has come to its end, and may be destroyed. Perhaps still inside of Root::begin.
  virtual void ended() noexcept = 0;

 protected:
  ~RootOwner() = default;
};

// A coroutine that nobody awaits. Destroying one that has not ended destroys all that it waits for:
// only when no answer can come any more.
class Root {
 public:
  struct promise_type {
    // The body's parameters.
    template <class... Rest>
    explicit promise_type(Flow& /*flow*/, RootOwner& its_owner, const Rest&... /*rest*/) noexcept
        : owner(its_owner) {}
    Root get_return_object() noexcept {
      return Root(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    struct End {
      static bool await_ready() noexcept { return false; }
      static void await_suspend(std::coroutine_handle<promise_type> done) noexcept {
        done.promise().owner.ended();  // the frame is gone, most likely
      }
      static void await_resume() noexcept {}
    };
    static End final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    // The body deals with what is thrown.
    static void unhandled_exception() noexcept { std::terminate(); }

    template <class... Rest>
    static void* operator new(std::size_t bytes, Flow& flow, const Rest&... /*rest*/) {
      return take_frame(bytes, flow.arena());
    }
    static void operator delete(void* frame, std::size_t bytes) noexcept {
      give_frame_back(frame, bytes);
    }

    RootOwner& owner;
  };

  Root() noexcept = default;
  Root(Root&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Root& operator=(Root&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Root() {
    if (frame_) frame_.destroy();
  }
  void begin() { frame_.resume(); }

 private:
  explicit Root(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_{};
};

// What is alive as long as somebody holds it.
class Kept {
 public:
  virtual std::shared_ptr<void> self() = 0;

 protected:
  ~Kept() = default;
};

// Whoever runs a RootTask, and has it as its last member.
template <class R>
class TaskOwner : public Kept {
 public:
  // On the loop, and never inside of RootTask::begin.
  virtual void finished(R result) noexcept = 0;

 protected:
  ~TaskOwner() = default;
};

// What the Task gives that `Make` makes of a flow.
template <class Make, class ItsFlow>
using TaskResult =
    std::remove_cvref_t<decltype(std::declval<Make&>()(std::declval<ItsFlow&>()).await_resume())>;

// Runs a Task that gives an R, which an Error can be. What it throws becomes one.
template <class R>
class RootTask final : private RootOwner {
 public:
  explicit RootTask(TaskOwner<R>& owner) noexcept : owner_(owner) {}
  RootTask(const RootTask&) = delete;
  RootTask& operator=(const RootTask&) = delete;
  ~RootTask() = default;

  // Once, on the loop. `make(flow)` gives the Task; both outlive this.
  template <class ItsFlow, class Make>
  void begin(Reactor& loop, ItsFlow& flow, Make& make) {
    is_beginning_ = true;
    try {
      root_ = body(flow, *this, *this, make(flow));
      root_.begin();
    } catch (const std::exception& exception) {  // out of memory for the frames
      result_.emplace(thrown(exception.what()));
    }
    is_beginning_ = false;
    if (!result_) return;
    loop.post([this, keep = owner_.self()] { owner_.finished(*std::move(result_)); });
  }

 private:
  // The first two are the promise's.
  static Root body(Flow& /*flow*/, RootOwner& /*owner*/, RootTask& run, Task<R> task) {
    try {
      run.result_.emplace(co_await task);
    } catch (const std::exception& exception) {
      run.result_.emplace(thrown(exception.what()));
    } catch (...) {
      run.result_.emplace(thrown("something that is no exception"));
    }
  }

  void ended() noexcept override {
    root_ = Root();
    if (!is_beginning_) owner_.finished(*std::move(result_));
  }

  TaskOwner<R>& owner_;
  std::optional<R> result_{};
  bool is_beginning_ = false;
  Root root_{};
};

}  // namespace websession::internal
