// An asynchronous store that stands upon another one.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "async/store_run.hpp"
#include "websession/async/session_store.hpp"
#include "websession/clock.hpp"

namespace websession::internal {

// A loop's timers, as a clock.
class LoopClock final : public Clock {
 public:
  explicit LoopClock(const Reactor& loop) noexcept : loop_(&loop) {}
  [[nodiscard]] WallTime wall() const noexcept override { return system_clock()->wall(); }
  [[nodiscard]] SteadyTime steady() const noexcept override { return loop_->now(); }

 private:
  const Reactor* loop_;
};

// `Verbs` has those verbs that are more than the inner store's, as Tasks on a flow that asks it.
template <class Verbs>
class DecoratingStore final : public AsyncSessionStore, private AsyncPrincipalIndex {
 public:
  DecoratingStore(std::shared_ptr<AsyncSessionStore> inner, std::shared_ptr<const Verbs> verbs)
      : AsyncSessionStore(inner->reactors()), inner_(std::move(inner)), verbs_(std::move(verbs)) {}

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    run(call, std::move(done),
        [&key](const Verbs& verbs, StoreFlow& flow) { return verbs.load(flow, key); });
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    run(call, std::move(done), [&key, &fields, lifetime](const Verbs& verbs, StoreFlow& flow) {
      return verbs.create(flow, key, fields, lifetime);
    });
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    run(call, std::move(done), [&key, &changes, lifetime](const Verbs& verbs, StoreFlow& flow) {
      return verbs.update(flow, key, changes, lifetime);
    });
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    run(call, std::move(done),
        [&from, &to, &changes, lifetime, grace](const Verbs& verbs, StoreFlow& flow) {
          return verbs.rekey(flow, from, to, changes, lifetime, grace);
        });
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    if constexpr (has_all) {
      run(call, std::move(done), [&key, grace](const Verbs& verbs, StoreFlow& flow) {
        return verbs.erase(flow, key, grace);
      });
    } else {
      inner_->erase(key, grace, call, std::move(done));
    }
  }
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return inner_->placement();
  }
  [[nodiscard]] AsyncSessionDirectory* directory() noexcept override { return inner_->directory(); }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override {
    if constexpr (has_all) {
      return inner_->index() != nullptr ? this : nullptr;
    } else {
      return inner_->index();
    }
  }

 private:
  static constexpr bool has_all = requires(const Verbs& verbs, StoreFlow& flow) {
    verbs.entries(flow, std::string_view());
  };

  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    if constexpr (has_all) {
      run(call, std::move(done), [principal](const Verbs& verbs, StoreFlow& flow) {
        return verbs.entries(flow, principal);
      });
    }
  }
  void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              AsyncCall& call, Done<void> done) override {
    if constexpr (has_all) {
      run(call, std::move(done), [principal, keys, made](const Verbs& verbs, StoreFlow& flow) {
        return verbs.forget(flow, principal, keys, made);
      });
    }
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    if constexpr (has_all) {
      run(call, std::move(done),
          [&key](const Verbs& verbs, StoreFlow& flow) { return verbs.end_frozen(flow, key); });
    }
  }

  // This store may be gone before the answer has come.
  template <class Ask>
  struct Making {
    auto operator()(StoreFlow& flow) { return ask(*verbs, flow); }
    template <class R>
    R give(R result) {
      return result;
    }
    [[nodiscard]] const Clock& clock() const noexcept { return loop_clock; }
    void timed_out() const noexcept {}  // whoever made the call tells

    LoopClock loop_clock;
    std::shared_ptr<const Verbs> verbs;
    Ask ask;
  };

  // `ask(verbs, flow)` gives the Task.
  template <class T, class Ask>
  void run(AsyncCall& call, Done<T> done, Ask ask) {
    Reactor& loop = *reactors()[call.loop()];
    // The inner store has a timeout of its own.
    const auto timeout = call.timeout().value_or(std::chrono::hours(1));
    const auto run = std::make_shared<StoreRun<T, Making<Ask>>>(
        inner_, Making<Ask>{LoopClock(loop), verbs_, std::move(ask)});
    call.when_stopped([weak = std::weak_ptr(run)] {
      if (const auto still_there = weak.lock()) still_there->stop();
    });
    run->begin(loop, call.loop(), std::chrono::ceil<std::chrono::milliseconds>(timeout),
               std::move(done));
  }

  const std::shared_ptr<AsyncSessionStore> inner_;
  const std::shared_ptr<const Verbs> verbs_;
};

}  // namespace websession::internal
