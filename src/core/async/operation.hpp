// What an Op of the library stands for.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "async/errors.hpp"
#include "async/store_run.hpp"
#include "session_context.hpp"
#include "websession/async/op.hpp"
#include "websession/async/session_store.hpp"

namespace websession::internal {

// Where the operations of a manager and its sessions run. They keep neither the store nor its loops
// alive: what a loop holds may hold them.
struct AsyncHome {
  explicit AsyncHome(const std::shared_ptr<AsyncSessionStore>& its_store);

  struct Loop {
    std::shared_ptr<Reactor> reactor{};  // null: there is none any more
    std::size_t index = 0;
    bool is_here = false;
  };
  // The one that this thread runs, else the first one.
  [[nodiscard]] Loop loop() const noexcept;

  std::weak_ptr<AsyncSessionStore> store;
  std::vector<std::weak_ptr<Reactor>> loops;
};

template <class T, class Make>
class StoreOperation final : public Operation<T>, public StoreRun<T, Make> {
  using Run = StoreRun<T, Make>;

 public:
  StoreOperation(ContextPtr context, std::shared_ptr<const AsyncHome> home, Make make)
      : Run(home->store, std::move(make)), context_(std::move(context)), home_(std::move(home)) {}

  void start(OpTerms terms, Done<T> done) override {
    const AsyncHome::Loop loop = home_->loop();
    if (loop.reactor == nullptr) return;  // nobody is there to be told
    done_ = std::move(done);
    by_ = terms.by;
    stop_ = std::move(terms.stop);
    if (terms.resume_on != nullptr) resume_on_ = terms.resume_on;
    if (loop.is_here) return begin_on(loop.reactor, loop.index);
    loop.reactor->post([this, keep = this->shared_from_this()] {
      const AsyncHome::Loop here = home_->loop();
      // The store went meanwhile, and its loops with it, but whoever runs this is one.
      if (here.reactor == nullptr) return finish(store_gone());
      begin_on(here.reactor, here.index);
    });
  }
  [[nodiscard]] bool is_on_its_loop() const noexcept override { return home_->loop().is_here; }

 private:
  // Why it does not begin.
  [[nodiscard]] std::optional<Error> refused() const {
    if (stop_.stop_requested()) return canceled();
    if (by_ && *by_ <= context_->clock->steady()) return StoreFlow::timed_out();
    return std::nullopt;
  }

  void begin_on(const std::shared_ptr<Reactor>& reactor, std::size_t loop) {
    if (resume_on_ && resume_on_->lock() == reactor) resume_on_.reset();
    if (std::optional<Error> error = refused()) {
      refused_ = std::move(error);
      reactor->post([this, keep = this->shared_from_this()] { finish(*std::move(refused_)); });
      return;
    }
    std::chrono::milliseconds timeout = context_->options.operation_timeout;
    if (by_) {
      const auto left = *by_ - context_->clock->steady();
      timeout = std::min(timeout, std::chrono::ceil<std::chrono::milliseconds>(left));
    }
    if (stop_.stop_possible()) watch_for_stop(reactor);
    Run::begin(*reactor, loop, timeout, [this](Result<T> result) { finish(std::move(result)); });
  }

  void watch_for_stop(const std::weak_ptr<Reactor>& reactor) {
    const std::weak_ptr<Run> weak = this->weak_from_this();
    // On any thread.
    on_stop_.emplace(stop_, [weak, reactor] {
      const std::shared_ptr<Reactor> loop = reactor.lock();
      if (loop == nullptr) return;
      loop->post([weak] {
        if (const std::shared_ptr<Run> run = weak.lock()) run->stop();
      });
    });
  }

  void finish(Result<T> result) {
    on_stop_.reset();
    Done<T> done = std::move(done_);
    if (!resume_on_) return done(std::move(result));
    const std::shared_ptr<Reactor> there = resume_on_->lock();
    if (there == nullptr) return;  // it has ended
    there->post([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }

  const ContextPtr context_;
  const std::shared_ptr<const AsyncHome> home_;
  std::optional<SteadyTime> by_{};
  StopToken stop_{};
  // Not kept: it may hold what holds this.
  std::optional<std::weak_ptr<Reactor>> resume_on_{};
  Done<T> done_{};
  std::optional<Error> refused_{};
  std::optional<StopCallback> on_stop_{};
};

}  // namespace websession::internal
