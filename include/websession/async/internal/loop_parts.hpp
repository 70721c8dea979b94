// What reactors on other libraries' loops are made of. For those, and not for programs.
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "websession/async/callback.hpp"

namespace websession::internal {

// Functions that wait for a loop to call them.
//
// Safe to use from many threads at once.
class Posted {
 public:
  // True: the loop has to be woken. Once it was, it is not again until it has taken them. `keep`
  // lives until the function has been called.
  bool add(Callback<void()> function, std::shared_ptr<void> keep = nullptr) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return false;
    functions_.push_back({std::move(keep), std::move(function)});
    return !std::exchange(is_woken_, true);
  }
  [[nodiscard]] bool is_empty() {
    const std::lock_guard lock(mutex_);
    return functions_.empty();
  }
  // Calls what is there by now, on the loop, as long as `goes_on()`; and drops the rest. What is
  // added meanwhile waits for the next time, so that a function which posts itself leaves the loop
  // time for others.
  template <class Predicate>
  void call(const Predicate& goes_on) {
    std::vector<Kept> functions = take();
    for (Kept& function : functions) {
      Kept once = std::exchange(function, {});  // what it holds goes with it
      if (goes_on()) once.call();
    }
  }
  void call() {
    call([] { return true; });
  }
  // Drops them, and from now on whatever comes.
  void close() {
    std::vector<Kept> functions;
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    functions.swap(functions_);
  }

 private:
  struct Kept {
    std::shared_ptr<void> keep{};
    Callback<void()> call{};
  };
  std::vector<Kept> take() {
    const std::lock_guard lock(mutex_);
    is_woken_ = false;
    return std::exchange(functions_, {});
  }

  std::mutex mutex_;
  std::vector<Kept> functions_;
  bool is_woken_ = false;
  bool is_closed_ = false;
};

// What is in use of a loop's objects. They must not outlive it, but who uses them may: when the
// loop ends, they are given up.
class LoopPart {
 public:
  LoopPart() = default;
  LoopPart(const LoopPart&) = delete;
  LoopPart& operator=(const LoopPart&) = delete;
  virtual ~LoopPart() = default;
  virtual void end() = 0;
};

// All of them, on the loop's thread; from its end on, wherever they go.
class LoopParts {
 public:
  // From any thread.
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }
  // In the child of a fork. Its epoll is still the parent's, and nothing is taken out of that.
  [[nodiscard]] bool is_inherited() const noexcept { return owner_ != ::getpid(); }

  void add(LoopPart& part) { parts_.insert(&part); }
  void remove(LoopPart& part) { parts_.erase(&part); }
  void end() {
    is_open_ = false;
    while (!parts_.empty()) parts_.extract(parts_.begin()).value()->end();
  }

 private:
  const pid_t owner_ = ::getpid();
  std::atomic<bool> is_open_ = true;
  std::unordered_set<LoopPart*> parts_;
};

// A callback that may end, with what it holds, while it is being called.
template <class... Args>
class EndingCallback {
 public:
  explicit EndingCallback(Callback<void(Args...)> function) : function_(std::move(function)) {}
  // False: it has ended.
  bool call(Args... args) {
    if (has_ended_) return false;
    is_called_ = true;
    function_(args...);
    is_called_ = false;
    if (has_ended_) function_ = {};
    return !has_ended_;
  }
  void end() {
    has_ended_ = true;
    if (!is_called_) function_ = {};
  }

 private:
  Callback<void(Args...)> function_;
  bool is_called_ = false;
  bool has_ended_ = false;
};

}  // namespace websession::internal
