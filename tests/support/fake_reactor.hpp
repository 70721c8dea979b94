// An event loop that a test drives by hand: its time is the test's, and nothing happens by itself.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "websession/async/reactor.hpp"

namespace websession::testing {

// On one thread, which it is always on.
class FakeReactor final : public Reactor {
 public:
  ~FakeReactor() override {
    // As a loop does that ends: what it was given goes, uncalled.
    std::deque<Callback<void()>> posted = std::exchange(posted_, {});
    std::vector<Callback<void()>> fired;
    std::vector<Callback<void(unsigned)>> ready;
    for (FakeTimer* timer : timers_) fired.push_back(std::exchange(timer->fired_, {}));
    for (auto& [fd, watch] : watches_) ready.push_back(std::exchange(watch->ready_, {}));
    is_over_ = true;
  }

  Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) override {
    if (refuses_watches) return make_error(Errc::unavailable, "no room");
    return std::unique_ptr<Watch>(new FakeWatch(*this, fd, std::move(ready)));
  }
  std::unique_ptr<Timer> timer(Callback<void()> fired) override {
    return std::unique_ptr<Timer>(new FakeTimer(*this, std::move(fired)));
  }
  void post(Callback<void()> function) override { posted_.push_back(std::move(function)); }
  [[nodiscard]] bool here() const noexcept override { return is_here; }
  [[nodiscard]] SteadyTime now() const noexcept override { return now_; }

  // The test's side.
  bool is_here = true;
  bool refuses_watches = false;

  // Calls what has been posted so far. False: nothing.
  bool call_posted() {
    std::deque<Callback<void()>> functions = std::exchange(posted_, {});
    for (Callback<void()>& function : functions) std::exchange(function, {})();
    return !functions.empty();
  }
  // Tells all watches of what they want.
  void tell_ready() {
    std::vector<int> fds;
    for (const auto& [fd, watch] : watches_) fds.push_back(fd);
    for (const int fd : fds) {
      const auto found = watches_.find(fd);
      if (found == watches_.end() || found->second->interest_ == none) continue;
      // It may be destroyed by what it calls.
      Callback<void(unsigned)> ready = std::move(found->second->ready_);
      ready(found->second->interest_);
      const auto still = watches_.find(fd);
      if (still != watches_.end() && !still->second->ready_)
        still->second->ready_ = std::move(ready);
    }
  }
  // One turn of the loop.
  void turn() {
    tell_ready();
    call_posted();
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) turn();
  }
  // Lets time pass, and fires the timers that are due, each at its own time.
  void advance(std::chrono::milliseconds time) {
    const SteadyTime until = now_ + time;
    while (true) {
      FakeTimer* first = nullptr;
      for (FakeTimer* timer : timers_) {
        if (timer->armed_ && (first == nullptr || timer->at_ < first->at_)) first = timer;
      }
      if (first == nullptr || first->at_ > until) break;
      now_ = std::max(now_, first->at_);
      first->armed_ = false;
      Callback<void()> fired = std::move(first->fired_);
      fired();
      if (timers_.contains(first) && !first->fired_) first->fired_ = std::move(fired);
      call_posted();
    }
    now_ = until;
  }
  [[nodiscard]] std::size_t watches() const { return watches_.size(); }
  [[nodiscard]] std::size_t timers() const { return timers_.size(); }

 private:
  class FakeWatch final : public Watch {
   public:
    FakeWatch(FakeReactor& reactor, int fd, Callback<void(unsigned)> ready)
        : reactor_(reactor), fd_(fd), ready_(std::move(ready)) {
      const bool is_only_one = reactor_.watches_.emplace(fd, this).second;
      if (!is_only_one) std::terminate();  // as Asio would throw
    }
    ~FakeWatch() override {
      if (!reactor_.is_over_) reactor_.watches_.erase(fd_);
    }
    void want(unsigned interest) override { interest_ = interest; }

   private:
    friend class FakeReactor;
    FakeReactor& reactor_;
    const int fd_;
    Callback<void(unsigned)> ready_;
    unsigned interest_ = none;
  };
  class FakeTimer final : public Timer {
   public:
    FakeTimer(FakeReactor& reactor, Callback<void()> fired)
        : reactor_(reactor), fired_(std::move(fired)) {
      reactor_.timers_.insert(this);
    }
    ~FakeTimer() override {
      if (!reactor_.is_over_) reactor_.timers_.erase(this);
    }
    void arm(SteadyTime at) override {
      at_ = at;
      armed_ = true;
    }
    void disarm() override { armed_ = false; }

   private:
    friend class FakeReactor;
    FakeReactor& reactor_;
    Callback<void()> fired_;
    SteadyTime at_{};
    bool armed_ = false;
  };

  SteadyTime now_{std::chrono::hours(1)};
  std::deque<Callback<void()>> posted_;
  std::map<int, FakeWatch*> watches_;
  std::set<FakeTimer*> timers_;
  bool is_over_ = false;
};

}  // namespace websession::testing
