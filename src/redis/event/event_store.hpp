// An asynchronous store of any layout: its verbs, on each loop.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "event/event_servers.hpp"
#include "event/verb_run.hpp"
#include "websession/async/session_store.hpp"

namespace websession::redis {

// What the loops of a store talk to, which ends with it.
class EventLines {
 public:
  explicit EventLines(const AsyncSessionStore::Reactors& loops) : loops_(loops) {}
  EventLines(const EventLines&) = delete;
  EventLines& operator=(const EventLines&) = delete;
  ~EventLines();
  void add(std::shared_ptr<EventServers> servers) { all_->push_back(std::move(servers)); }
  [[nodiscard]] const std::shared_ptr<EventServers>& at(std::size_t loop) const noexcept {
    return (*all_)[loop];
  }
  // What belongs to a parent is of no use to the child of a fork.
  [[nodiscard]] bool are_inherited() const noexcept { return owner_ != ::getpid(); }

 private:
  const AsyncSessionStore::Reactors loops_;
  using All = std::vector<std::shared_ptr<EventServers>>;
  std::unique_ptr<All> all_ = std::make_unique<All>();
  const pid_t owner_ = ::getpid();
};

// The verbs of a layout, each on its loop.
template <class Verbs>
class EventVerbs {
 public:
  EventVerbs(const AsyncSessionStore::Reactors& loops, std::shared_ptr<const Verbs> verbs)
      : lines_(loops), verbs_(std::move(verbs)) {}
  [[nodiscard]] EventLines& lines() noexcept { return lines_; }

  // `ask(verbs, flow)` gives the Task.
  template <class T, class Ask>
  void run(AsyncCall& call, Done<T> done, const Ask& ask) {
    const std::shared_ptr<EventServers>& servers = lines_.at(call.loop());
    if (lines_.are_inherited()) {
      servers->loop().post([done = std::move(done)]() mutable { done(internal::inherited()); });
      return;
    }
    const auto make = [verbs = verbs_, ask](CallFlow& flow) { return ask(*verbs, flow); };
    const std::chrono::nanoseconds timeout = servers->options().operation_timeout;
    const SteadyTime until =
        servers->loop().now() + std::min(timeout, call.timeout().value_or(timeout));
    const auto run =
        std::make_shared<VerbRun<T, decltype(make)>>(servers, make, until, std::move(done));
    call.when_stopped([weak = std::weak_ptr(run)] {
      if (const auto running = weak.lock()) running->stop();
    });
    run->begin();
  }

 private:
  EventLines lines_;
  const std::shared_ptr<const Verbs> verbs_;
};

}  // namespace websession::redis
