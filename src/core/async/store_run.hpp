// One operation on an asynchronous store, from its first call to its answer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "async/async_driver.hpp"
#include "async/root_task.hpp"
#include "blocking_flow.hpp"
#include "store_flow.hpp"
#include "websession/async/callback.hpp"
#include "websession/async/reactor.hpp"
#include "websession/async/session_store.hpp"
#include "websession/result.hpp"

namespace websession::internal {

// `make` is kept. `make(flow)` gives the Task, and what that refers to is in `make`;
// `make.give(result)` makes a Result<T> of what the Task gives; `make.clock()` is what its
// deadline goes by, and `make.timed_out()` is told if that has come.
//
// On one loop. Whoever waits for an answer of the store holds it, so it goes when the last of them
// does.
template <class T, class Make>
class StoreRun : private TaskOwner<TaskResult<Make, StoreFlow>>,
                 public std::enable_shared_from_this<StoreRun<T, Make>> {
  using R = TaskResult<Make, StoreFlow>;

 public:
  StoreRun(std::weak_ptr<AsyncSessionStore> store, Make make)
      : make_(std::move(make)), driver_(*this, std::move(store)) {}
  StoreRun(const StoreRun&) = delete;
  StoreRun& operator=(const StoreRun&) = delete;
  virtual ~StoreRun() = default;

  // On the loop, which outlives it, and never answered inside of this.
  void begin(Reactor& reactor, std::size_t loop, std::chrono::milliseconds timeout, Done<T> done) {
    done_ = std::move(done);
    flow_.emplace(memory_.arena(), driver_, make_.clock(), timeout);
    driver_.begin(*flow_, reactor, loop);
    task_.begin(reactor, *flow_, make_);
  }
  void stop() { driver_.stop(); }

 private:
  void finished(R result) noexcept override {
    if (flow_->has_timed_out()) make_.timed_out();
    Done<T> done = std::move(done_);
    done(make_.give(std::move(result)));
  }
  std::shared_ptr<void> self() override { return this->shared_from_this(); }

  Make make_;
  Done<T> done_{};
  FrameMemory memory_;  // not filled with zeros
  AsyncDriver driver_;
  std::optional<StoreFlow> flow_{};
  RootTask<R> task_{*this};
};

}  // namespace websession::internal
