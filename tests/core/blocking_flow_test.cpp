// Decisions on a store that blocks: all that it is asked, and where the frames lie.
#include "blocking_flow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decisions.hpp"
#include "faulty_memory.hpp"

namespace websession::testing {
namespace {

using internal::Answer;
using internal::Arena;
using internal::BlockingDriver;
using internal::StoreFlow;

// Looks how much of the arena is in use whenever something is asked: then the stack of frames is at
// its deepest.
class LookingDriver final : public internal::StoreDriver {
 public:
  LookingDriver(SessionStore& store, const Arena& arena) : driver_(store), arena_(arena) {}
  std::size_t most = 0;

  bool load(const StoreKey& key, Answer<Result<std::optional<Record>>>& answer) override {
    look();
    return driver_.load(key, answer);
  }
  bool create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
              Answer<Result<void>>& answer) override {
    look();
    return driver_.create(key, fields, lifetime, answer);
  }
  bool update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
              Answer<Result<Outcome>>& answer) override {
    look();
    return driver_.update(key, changes, lifetime, answer);
  }
  bool rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, Answer<Result<Outcome>>& answer) override {
    look();
    return driver_.rekey(from, to, changes, lifetime, grace, answer);
  }
  bool erase(const StoreKey& key, Grace grace, Answer<Result<bool>>& answer) override {
    look();
    return driver_.erase(key, grace, answer);
  }
  bool entries(std::string_view principal, Answer<Result<std::vector<StoreKey>>>& answer) override {
    look();
    return driver_.entries(principal, answer);
  }
  bool forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              Answer<Result<void>>& answer) override {
    look();
    return driver_.forget(principal, keys, made, answer);
  }
  bool end_frozen(const StoreKey& key, Answer<Result<void>>& answer) override {
    look();
    return driver_.end_frozen(key, answer);
  }
  bool pause(std::chrono::microseconds time, Answer<Result<void>>& answer) override {
    look();
    return driver_.pause(time, answer);
  }

 private:
  void look() { most = std::max(most, arena_.bytes_used()); }
  BlockingDriver driver_;
  const Arena& arena_;
};

// What an operation takes of an arena that is large enough for any.
template <class Make>
std::size_t frames_of(SessionStore& store, const Make& make) {
  alignas(std::max_align_t) static std::array<std::byte, 64 * 1024> memory;
  Arena arena(memory.data(), memory.size());
  LookingDriver driver(store, arena);
  StoreFlow flow(arena, driver);
  static_cast<void>(internal::finish(make(flow)));
  EXPECT_EQ(arena.bytes_used(), 0U) << "a frame was left";
  return driver.most;
}

class BlockingFlowTest : public ::testing::Test, protected FaultyMemory {};

TEST_F(BlockingFlowTest, TheFramesOfAllOperationsLieOnTheStack) {
  SessionOptions options;
  options.clock = clock;
  options.id_storage = IdStorage::hashed;
  options.max_sessions_per_principal = 1;
  const auto fresh = std::make_shared<internal::SessionContext>();
  ASSERT_TRUE(internal::set_up(*fresh, options, true));
  const internal::ContextPtr context = fresh;

  std::vector<std::pair<const char*, std::size_t>> sizes;
  const auto measure = [&](const char* name, const auto& make) {
    sizes.emplace_back(name, frames_of(*memory, make));
  };
  const auto signed_in = [&] {
    auto state = std::make_unique<internal::SessionState>(context);
    state->sign_in("ada", {});
    state->put("n", std::string("1"), std::nullopt);
    measure("sign in", [&](StoreFlow& flow) { return internal::commit_session(flow, *state); });
    return state;
  };
  signed_in();
  const auto state = signed_in();  // which ends the first one
  const std::string cookie = "sid=" + std::string(state->id()->secret());
  const RequestInfo request{cookie, true};
  measure("open", [&](StoreFlow& flow) { return internal::open_session(flow, context, request); });
  measure("increment",
          [&](StoreFlow& flow) { return internal::increment_attribute(flow, *state, "n", 1); });
  measure("csrf", [&](StoreFlow& flow) { return internal::csrf_token(flow, *state); });
  measure("list",
          [&](StoreFlow& flow) { return internal::list_sessions(flow, *context, "ada", nullptr); });
  state->regenerate();
  measure("regenerate", [&](StoreFlow& flow) { return internal::commit_session(flow, *state); });
  state->sign_out();
  measure("sign out", [&](StoreFlow& flow) { return internal::commit_session(flow, *state); });
  measure("sign out everywhere",
          [&](StoreFlow& flow) { return internal::end_all(flow, *context, "ada", nullptr); });
  std::size_t most = 0;
  for (const auto& [name, size] : sizes) {
    std::printf("%5zu bytes: %s\n", size, name);
    EXPECT_GT(size, 0U);
    most = std::max(most, size);
  }
#if !defined(__SANITIZE_ADDRESS__)  // whose build does not optimize, either
  EXPECT_LE(most, internal::FrameMemory::bytes);
#endif
}

}  // namespace
}  // namespace websession::testing
