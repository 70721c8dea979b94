// What an asynchronous function gives: an operation that has yet to begin.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "websession/async/callback.hpp"
#include "websession/async/reactor.hpp"
#include "websession/async/stop.hpp"
#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

namespace internal {

struct OpTerms {
  std::optional<SteadyTime> by{};
  StopToken stop{};
  std::shared_ptr<Reactor> resume_on{};
};

template <class T>
class Operation {
 public:
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;
  // Once.
  virtual void start(OpTerms terms, Done<T> done) = 0;
  // Whether this thread is the one that would complete it.
  [[nodiscard]] virtual bool is_on_its_loop() const noexcept = 0;
};

// What a blocked thread waits for.
class Signal {
 public:
  Signal();
  void give() const noexcept;
  void wait() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace internal

// One operation, lazy: nothing happens until it is started, awaited or waited for, and that once.
//
//   manager.open(request).start([](Result<AsyncSession> session) { … });   // a callback
//   auto opened = manager.open(request);                                   // a coroutine
//   Result<AsyncSession> session = co_await std::move(opened);
//   const Result<bool> erased = manager.erase(id).wait();                  // a tool
//
// It runs on the loop that is Reactor::here(), of those that its store has; started elsewhere, on
// the first of them, from that loop's next turn on. There it completes, once, never inside of
// start(), and when nothing of the library is on the stack but the loop: a callback may start
// others, and destroy sessions, managers, stores and the loop. A loop that ends before that drops
// it uncalled, and a coroutine that waits for it is not resumed: whoever owns that destroys it.
//
// What is passed to the function that gives an Op is copied, unless that says otherwise.
template <class T>
class [[nodiscard]] Op {
 public:
  // For the library's own parts.
  explicit Op(std::shared_ptr<internal::Operation<T>> operation) noexcept
      : operation_(std::move(operation)) {}
  Op(Op&&) noexcept = default;
  Op& operator=(Op&&) noexcept = default;
  ~Op() = default;

  // By this time (of SessionOptions::clock), or after SessionOptions::operation_timeout, whichever
  // comes first. What a call of the store is given: one that takes longer all the same is waited
  // for, as it is with that option.
  Op by(SteadyTime time) && {
    terms_.by = time;
    return std::move(*this);
  }
  // A stop that is requested before the operation has begun to write ends it with `canceled`, and
  // nothing was done. One that has begun goes on to its end: half a sign-in is worse than one that
  // nobody waits for. The connection is left alone.
  Op stop_on(StopToken token) && {
    terms_.stop = std::move(token);
    return std::move(*this);
  }
  // Completes on another loop than it runs on.
  Op resume_on(std::shared_ptr<Reactor> reactor) && {
    terms_.resume_on = std::move(reactor);
    return std::move(*this);
  }

  // `done` must not throw.
  void start(Done<T> done) && {
    const auto operation = std::move(operation_);
    operation->start(std::move(terms_), std::move(done));
  }

  // Blocks until it is done, for tools and tests. Errors: invalid_argument, on the loop that it
  // would wait for; unavailable, that loop has ended. One that nobody runs, as in the child of a
  // fork, is waited for forever.
  Result<T> wait() && {
    const bool resumes_here = terms_.resume_on != nullptr && terms_.resume_on->here();
    if (operation_->is_on_its_loop() || resumes_here) {
      return make_error(Errc::invalid_argument, "wait() on the loop's own thread never ends");
    }
    struct Shared {
      ~Shared() { signal.give(); }  // also when it was dropped uncalled
      internal::Signal signal{};
      std::shared_ptr<std::optional<Result<T>>> result{};
    };
    auto shared = std::make_unique<Shared>();
    const internal::Signal signal = shared->signal;
    const auto result = std::make_shared<std::optional<Result<T>>>();
    shared->result = result;
    std::move(*this).start([shared = std::move(shared)](Result<T> given) {
      shared->result->emplace(std::move(given));
    });
    signal.wait();
    if (!*result) return make_error(Errc::unavailable, "the loop has ended");
    return **std::move(result);
  }

  // Destroying a coroutine that waits for it, on the thread that would resume it, detaches it: the
  // operation goes on, and its answer touches nothing any more. To end it as well: stop_on.
  //
  // g++ 12 does not compile a list in braces in the awaited expression (Fields{{"a", "1"}}), and
  // destroys an owning aggregate there twice: name such an argument first. Strings and RequestInfo
  // are neither.
  auto operator co_await() && noexcept { return Awaiter(std::move(*this)); }

 private:
  class Awaiter {
   public:
    explicit Awaiter(Op op) noexcept : op_(std::move(op)) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {
      if (answer_) answer_->waiting = nullptr;
    }
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      const auto answer = std::make_shared<Answer>();
      answer->waiting = waiting;
      answer_ = answer;
      Op op = std::move(op_);  // by another thread, this may be gone before start() has returned
      std::move(op).start([answer](Result<T> result) {
        if (!answer->waiting) return;
        answer->result.emplace(std::move(result));
        std::exchange(answer->waiting, nullptr).resume();
      });
    }
    Result<T> await_resume() { return *std::move(answer_->result); }

   private:
    struct Answer {
      std::coroutine_handle<> waiting{};
      std::optional<Result<T>> result{};
    };
    Op op_;
    std::shared_ptr<Answer> answer_{};
  };

  std::shared_ptr<internal::Operation<T>> operation_;
  internal::OpTerms terms_{};
};

}  // namespace websession
WEBSESSION_API_END
