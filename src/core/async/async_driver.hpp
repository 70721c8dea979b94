// Decisions on a store that answers later.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "async/root_task.hpp"
#include "store_flow.hpp"
#include "websession/async/reactor.hpp"
#include "websession/async/session_store.hpp"
#include "websession/result.hpp"

namespace websession::internal {

// Makes the calls of one operation, one after the other, on one loop. Each keeps the owner alive
// until it is answered.
class AsyncDriver final : public StoreDriver {
 public:
  AsyncDriver(Kept& owner, std::weak_ptr<AsyncSessionStore> store) noexcept
      : owner_(owner), store_(std::move(store)) {}

  // Before the first question.
  void begin(const StoreFlow& flow, Reactor& reactor, std::size_t loop) noexcept {
    flow_ = &flow;
    reactor_ = &reactor;
    loop_ = loop;
  }
  // Nobody waits for the operation any more. From now on its calls are `canceled`; but once it has
  // begun to write, it goes on.
  void stop();
  [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_ && !has_written_; }

  bool load(const StoreKey& key, Answer<Result<std::optional<Record>>>& answer) override;
  bool create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
              Answer<Result<void>>& answer) override;
  bool update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
              Answer<Result<Outcome>>& answer) override;
  bool rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, Answer<Result<Outcome>>& answer) override;
  bool erase(const StoreKey& key, Grace grace, Answer<Result<bool>>& answer) override;
  bool entries(std::string_view principal, Answer<Result<std::vector<StoreKey>>>& answer) override;
  bool forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              Answer<Result<void>>& answer) override;
  bool end_frozen(const StoreKey& key, Answer<Result<void>>& answer) override;
  bool pause(std::chrono::microseconds time, Answer<Result<void>>& answer) override;

 private:
  enum class Kind { read, write };
  // `at_once(store)` calls a store that never waits; `later(store, call, done)` any other one.
  template <class T, class AtOnce, class Later>
  bool ask(Kind kind, Answer<Result<T>>& answer, const AtOnce& at_once, const Later& later);

  Kept& owner_;
  const std::weak_ptr<AsyncSessionStore> store_;
  const StoreFlow* flow_ = nullptr;
  Reactor* reactor_ = nullptr;
  std::size_t loop_ = 0;
  bool is_stopped_ = false;
  bool has_written_ = false;
  std::optional<AsyncCall> call_{};  // the one that runs
  std::unique_ptr<Timer> pause_{};
};

}  // namespace websession::internal
