// Decisions on a store that blocks.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "store_flow.hpp"
#include "websession/clock.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// Answers at once, by calling the store. Apart from StoreDecorator, which passes calls on, this is
// the one place in the core that calls one.
class BlockingDriver final : public StoreDriver {
 public:
  explicit BlockingDriver(SessionStore& store) noexcept : store_(store) {}

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
  SessionStore& store_;
};

// What an operation's frames lie in, on the stack.
class FrameMemory {
 public:
  // Enough for all operations, unless the compiler does not optimize: then the deepest ones spill
  // (tests/core/blocking_flow_test.cpp).
  static constexpr std::size_t bytes = 6144;
  [[nodiscard]] Arena& arena() noexcept { return arena_; }

 private:
  alignas(std::max_align_t) std::array<std::byte, bytes> memory_;
  Arena arena_{memory_.data(), memory_.size()};
};

template <class T>
T finish(Task<T> task) {
  static_cast<void>(task.await_ready());  // BlockingDriver suspends nothing
  return task.await_resume();
}

// Runs an operation to its end. `make(flow)` gives its Task.
template <class Make>
auto run_blocking(SessionStore& store, const Make& make) {
  FrameMemory memory;
  BlockingDriver driver(store);
  StoreFlow flow(memory.arena(), driver);
  return finish(make(flow));
}

}  // namespace websession::internal
