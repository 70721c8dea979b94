// Decisions without I/O: coroutines that suspend only where they ask for something, and go on when
// whoever drives them has the answer. A driver that answers at once blocks as any function does;
// one that answers later keeps no thread waiting; a test answers by value.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

// g++ takes a promise's operator new that has parameters and its operator delete for strangers,
// where it sees both, and says so at each coroutine: so this holds for whoever writes some.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace websession::internal {

// Memory for coroutine frames, which come and go like those of functions: what was taken last is
// given back first, and then serves again. What does not fit, or is given back in another order, is
// no error: it costs an allocation, or its place until the arena ends.
//
// One thread at a time. Must outlive what was taken.
class Arena {
 public:
  // Precondition: the memory is aligned for any object.
  Arena(std::byte* memory, std::size_t bytes) noexcept
      : begin_(memory), top_(memory), end_(memory + bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] void* take(std::size_t bytes) {
    bytes = rounded(bytes);
    if (static_cast<std::size_t>(end_ - top_) < bytes) return ::operator new(bytes);
    return std::exchange(top_, top_ + bytes);
  }
  // `bytes`: as they were asked for.
  void give_back(void* taken, std::size_t bytes) noexcept {
    auto* const place = static_cast<std::byte*>(taken);
    if (place < begin_ || place >= end_) return ::operator delete(taken);
    if (place + rounded(bytes) == top_) top_ = place;
  }
  [[nodiscard]] std::size_t bytes_used() const noexcept {
    return static_cast<std::size_t>(top_ - begin_);
  }

 private:
  static constexpr std::size_t rounded(std::size_t bytes) noexcept {
    constexpr std::size_t step = alignof(std::max_align_t);
    return (bytes + step - 1) / step * step;
  }

  std::byte* const begin_;
  std::byte* top_;
  std::byte* const end_;
};

// What an operation runs in. All its tasks take it as their first parameter (a member function's
// second), from which their frames get their memory.
class Flow {
 public:
  explicit Flow(Arena& arena) noexcept : arena_(arena) {}
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  [[nodiscard]] Arena& arena() noexcept { return arena_; }

 protected:
  ~Flow() = default;

 private:
  Arena& arena_;
};

// A coroutine's frame. Before it stands the arena that it goes back to.
inline constexpr std::size_t frame_head = alignof(std::max_align_t);
static_assert(frame_head >= sizeof(Arena*));
[[nodiscard]] inline void* take_frame(std::size_t bytes, Arena& arena) {
  auto* const block = static_cast<std::byte*>(arena.take(bytes + frame_head));
  ::new (static_cast<void*>(block)) Arena*(&arena);
  return block + frame_head;
}
inline void give_frame_back(void* frame, std::size_t bytes) noexcept {
  std::byte* const block = static_cast<std::byte*>(frame) - frame_head;
  Arena* const arena = *std::launder(reinterpret_cast<Arena**>(block));
  arena->give_back(block, bytes + frame_head);
}

// Where the answer to one question goes.
template <class T>
class Answer {
 public:
  // Before the driver's function returns true.
  void put(T value) { value_.emplace(std::move(value)); }
  // After it has returned false, and whoever began the outermost task has been told that it is not
  // done: so by another thread only once that is sure. The coroutine goes on, here and now, and
  // this is gone afterwards.
  void give(T value) {
    put(std::move(value));
    std::exchange(waiting_, nullptr).resume();
  }

 private:
  template <class Value, class Start>
  friend class Ask;
  std::optional<T> value_{};
  std::coroutine_handle<> waiting_{};
};

// One question, to be awaited once. `start(answer)`: true, the answer is there. Gives a reference
// to the answer, which lives as long as the Ask.
template <class T, class Start>
class [[nodiscard]] Ask {
 public:
  explicit Ask(Start start) noexcept : start_(std::move(start)) {}
  Ask(const Ask&) = delete;
  Ask& operator=(const Ask&) = delete;

  bool await_ready() { return start_(answer_); }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { answer_.waiting_ = waiting; }
  T& await_resume() noexcept { return *answer_.value_; }

 private:
  Start start_;
  Answer<T> answer_{};
};

// A coroutine that gives a T. Lazy: it begins when it is awaited. It runs inside of its parent, and
// suspends it only where it suspends itself; so a loop over any number of tasks that are answered
// at once takes no more stack than one. What it throws, its parent gets.
//
// Awaiting a named task is the safe form. Never pass an owning aggregate by value to one that is
// not named: g++ 12 destroys it twice.
template <class T>
class [[nodiscard]] Task {
 public:
  class promise_type {
   public:
    Task get_return_object() noexcept {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    struct GoOn {
      static bool await_ready() noexcept { return false; }
      // The parent may destroy this frame before resume() returns.
      static void await_suspend(std::coroutine_handle<promise_type> done) noexcept {
        if (const std::coroutine_handle<> waiting = done.promise().waiting_) waiting.resume();
      }
      static void await_resume() noexcept {}
    };
    static GoOn final_suspend() noexcept { return {}; }
    template <class Value>
    requires std::is_constructible_v<T, Value&&>
    void return_value(Value&& value) { value_.emplace(std::forward<Value>(value)); }
    void unhandled_exception() noexcept { thrown_ = std::current_exception(); }

    template <class... Rest>
    static void* operator new(std::size_t bytes, Flow& flow, const Rest&... /*rest*/) {
      return take_frame(bytes, flow.arena());
    }
    template <class Self, class... Rest>
    static void* operator new(std::size_t bytes, const Self& /*self*/, Flow& flow,
                              const Rest&... /*rest*/) {
      return take_frame(bytes, flow.arena());
    }
    static void operator delete(void* frame, std::size_t bytes) noexcept {
      give_frame_back(frame, bytes);
    }

   private:
    friend class Task;

    std::optional<T> value_{};
    std::exception_ptr thrown_{};
    std::coroutine_handle<> waiting_{};
  };

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // Begins it. True: it is done.
  bool await_ready() {
    frame_.resume();
    return frame_.done();
  }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    frame_.promise().waiting_ = waiting;
  }
  // Once, when it is done.
  T await_resume() {
    promise_type& promise = frame_.promise();
    if (promise.thrown_) std::rethrow_exception(promise.thrown_);
    return *std::move(promise.value_);
  }
  [[nodiscard]] bool done() const noexcept { return frame_.done(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

}  // namespace websession::internal
