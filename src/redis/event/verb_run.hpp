// One verb of a store on an event loop, from its first command to its answer.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "async/root_task.hpp"
#include "blocking_flow.hpp"
#include "call_flow.hpp"
#include "event/event_line.hpp"
#include "websession/async/callback.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// `make(flow)` gives the Task, which gives a Result<T>; what that refers to is in `make`, or stays
// until `done` has been called. Whoever waits for a reply holds it.
template <class T, class Make>
class VerbRun final : private internal::TaskOwner<Result<T>>,
                      private CallDriver,
                      public std::enable_shared_from_this<VerbRun<T, Make>> {
 public:
  VerbRun(std::shared_ptr<EventLine> line, Make make, SteadyTime until, Done<T> done)
      : line_(std::move(line)),
        make_(std::move(make)),
        done_(std::move(done)),
        flow_(memory_.arena(), *this, until, line_->options().waits_for) {}

  // On the loop, and never answered inside of this.
  void begin() { task_.begin(line_->loop(), flow_, make_); }
  // Nobody waits for it any more.
  void stop() {
    is_stopped_ = true;
    if (request_) line_->cancel(*request_, internal::canceled());
  }

 private:
  bool send(const Commands& commands, SteadyTime until,
            internal::Answer<Result<Replies>>& answer) override {
    if (is_stopped_) {
      answer.put(internal::canceled());
      return true;
    }
    request_.emplace(*line_, commands, until, answer, this->shared_from_this());
    std::optional<Error> refused;
    try {
      refused = line_->send(*request_);
    } catch (...) {  // out of memory: nobody waits for an answer
      line_->forget(*request_);
      request_->owner.reset();
      throw;
    }
    if (!refused) return false;
    request_->owner.reset();
    answer.put(*std::move(refused));
    return true;
  }
  void finished(Result<T> result) noexcept override {
    Done<T> done = std::move(done_);
    done(std::move(result));
  }
  std::shared_ptr<void> self() override { return this->shared_from_this(); }

  const std::shared_ptr<EventLine> line_;
  Make make_;
  Done<T> done_;
  bool is_stopped_ = false;
  std::optional<EventRequest> request_{};
  internal::FrameMemory memory_;  // not filled with zeros
  CallFlow flow_;
  internal::RootTask<Result<T>> task_{*this};
};

}  // namespace websession::redis
