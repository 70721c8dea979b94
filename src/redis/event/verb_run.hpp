// One verb of a store on an event loop, from its first command to its answer.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "async/root_task.hpp"
#include "blocking_flow.hpp"
#include "call_errors.hpp"
#include "call_flow.hpp"
#include "event/event_line.hpp"
#include "event/event_servers.hpp"
#include "websession/async/callback.hpp"
#include "websession/async/reactor.hpp"
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
  VerbRun(std::shared_ptr<EventServers> servers, Make make, SteadyTime until, Done<T> done)
      : servers_(std::move(servers)),
        make_(std::move(make)),
        done_(std::move(done)),
        flow_(memory_.arena(), *this, until, servers_->options().waits_for) {}

  ~VerbRun() { end_pause(); }
  VerbRun(const VerbRun&) = delete;
  VerbRun& operator=(const VerbRun&) = delete;

  // On the loop, and never answered inside of this.
  void begin() { task_.begin(servers_->loop(), flow_, make_); }
  // Nobody waits for it any more.
  void stop() {
    is_stopped_ = true;
    if (request_) request_->line.cancel(*request_, internal::canceled());
    if (pause_) pause_->arm(servers_->loop().now());
  }

 private:
  bool send(const Commands& commands, NodeId node, SteadyTime until,
            internal::Answer<Result<Replies>>& answer) override {
    if (is_stopped_) {
      answer.put(internal::canceled());
      return true;
    }
    EventLine* const line = servers_->line_to(node);
    if (line == nullptr) {
      answer.put(store_destroyed());
      return true;
    }
    request_.emplace(*line, commands, until, answer, this->shared_from_this());
    std::optional<Error> refused;
    try {
      refused = line->send(*request_);
    } catch (...) {  // out of memory: nobody waits for an answer
      line->forget(*request_);
      request_->owner.reset();
      throw;
    }
    if (!refused) return false;
    request_->owner.reset();
    answer.put(*std::move(refused));
    return true;
  }
  [[nodiscard]] ClusterMap* cluster() noexcept override { return servers_->map(); }
  [[nodiscard]] SteadyTime now() const noexcept override { return servers_->loop().now(); }
  bool pause(SteadyTime until, internal::Answer<Result<void>>& answer) override {
    pause_ = servers_->loop().timer([this, &answer, self = this->shared_from_this()] {
      // Beyond the timer that this is called by.
      const auto keep = self;  // NOLINT(performance-unnecessary-copy-initialization)
      end_pause();
      answer.give(is_stopped_ ? Result<void>(internal::canceled()) : Result<void>());
    });
    servers_->add_pause(*pause_);
    pause_->arm(is_stopped_ ? now() : until);
    return false;
  }
  void end_pause() noexcept {
    if (pause_) servers_->remove_pause(*pause_);
    pause_.reset();
  }
  [[nodiscard]] std::size_t pending_max() const noexcept override {
    return servers_->options().pending_max;
  }
  void map_changed(std::span<const NodeId> fresh) override {
    servers_->renew(fresh);
    servers_->rest();
  }
  void finished(Result<T> result) noexcept override {
    Done<T> done = std::move(done_);
    done(std::move(result));
  }
  std::shared_ptr<void> self() override { return this->shared_from_this(); }

  const std::shared_ptr<EventServers> servers_;
  Make make_;
  Done<T> done_;
  bool is_stopped_ = false;
  std::optional<EventRequest> request_{};
  std::unique_ptr<Timer> pause_{};
  internal::FrameMemory memory_;  // not filled with zeros
  CallFlow flow_;
  internal::RootTask<Result<T>> task_{*this};
};

}  // namespace websession::redis
