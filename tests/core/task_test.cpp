// Coroutines as decisions are written with them: what they give, where they lie, and how much of
// the stack they take.
#include "task.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace websession::internal {
namespace {

class TestFlow final : public Flow {
 public:
  explicit TestFlow(Arena& arena) noexcept : Flow(arena) {}

  // Answered at once, or by give().
  auto ask(int number) {
    const auto start = [this, number](Answer<int>& answer) {
      if (!waits) {
        answer.put(number);
        return true;
      }
      waiting = &answer;
      return false;
    };
    return Ask<int, decltype(start)>(start);
  }
  void give(int number) { std::exchange(waiting, nullptr)->give(number); }

  bool waits = false;
  Answer<int>* waiting = nullptr;
};

class TaskTest : public ::testing::Test {
 protected:
  alignas(std::max_align_t) std::array<std::byte, 4096> memory{};
  Arena arena{memory.data(), memory.size()};
  TestFlow flow{arena};
};

// What a blocking driver does.
template <class T>
T run(Task<T> task) {
  EXPECT_TRUE(task.await_ready());
  return task.await_resume();
}

Task<int> doubled(TestFlow& flow, int number) {
  auto asked = flow.ask(number);
  co_return 2 * co_await asked;
}

Task<int> sum_of_doubles(TestFlow& flow, int count) {
  int sum = 0;
  for (int i = 1; i <= count; ++i) {
    auto one = doubled(flow, i);
    sum += co_await one;
  }
  co_return sum;
}

TEST_F(TaskTest, GivesWhatItsChildrenGive) {
  EXPECT_EQ(run(sum_of_doubles(flow, 4)), 20);
  EXPECT_EQ(arena.bytes_used(), 0U) << "all frames are given back";
}

TEST_F(TaskTest, IsLazy) {
  flow.waits = true;
  { const auto task = doubled(flow, 1); }
  EXPECT_EQ(flow.waiting, nullptr);
}

TEST_F(TaskTest, GoesOnWhenTheAnswerComes) {
  flow.waits = true;
  auto task = sum_of_doubles(flow, 2);
  EXPECT_FALSE(task.await_ready());
  flow.give(10);
  EXPECT_FALSE(task.done()) << "it asks for the next one";
  flow.waits = false;  // which does not matter to a question that was asked before
  flow.give(20);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.await_resume(), 60);
}

TEST_F(TaskTest, MayBeDestroyedWhileItWaits) {
  flow.waits = true;
  {
    auto task = sum_of_doubles(flow, 2);
    EXPECT_FALSE(task.await_ready());
    EXPECT_NE(flow.waiting, nullptr);
  }
  EXPECT_EQ(arena.bytes_used(), 0U);
}

Task<int> thrower(TestFlow& flow) {
  auto asked = flow.ask(1);
  co_await asked;
  throw std::runtime_error("thrown");
}

Task<std::string> catcher(TestFlow& flow) {
  auto throws = thrower(flow);
  std::string caught;
  try {
    co_await throws;
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
  co_return std::move(caught);
}

TEST_F(TaskTest, ThrowsIntoItsParent) {
  EXPECT_EQ(run(catcher(flow)), "thrown");
  EXPECT_THROW(run(thrower(flow)), std::runtime_error);
  flow.waits = true;
  auto task = catcher(flow);
  EXPECT_FALSE(task.await_ready());
  flow.give(1);
  EXPECT_EQ(task.await_resume(), "thrown");
}

Task<std::unique_ptr<int>> owner(TestFlow& flow, std::unique_ptr<int> number) {
  auto asked = flow.ask(*number);
  *number += co_await asked;
  co_return std::move(number);
}

struct Wide {
  explicit Wide(std::string text) : first(std::move(text)), second(first) {}
  std::string first;
  std::string second;
};

Task<std::string> joined(TestFlow& flow, Wide wide, std::string text) {
  auto asked = flow.ask(1);
  co_await asked;
  co_return wide.first + wide.second + text;
}

// As whoever uses coroutines writes it: g++ 12 destroys an owning aggregate twice that is passed so
// (a class with a constructor it does not), which AddressSanitizer shows.
Task<std::string> inline_awaits(TestFlow& flow) {
  const std::string long_text(40, 'x');
  std::string text = co_await joined(flow, Wide(long_text), long_text + "!");
  text += std::to_string(*co_await owner(flow, std::make_unique<int>(21)));
  if (co_await doubled(flow, 1) == 2) text += co_await joined(flow, Wide("a"), {"b"});
  for (int i = 0; i < 2; ++i) text += std::to_string(co_await doubled(flow, i));
  co_return std::move(text);
}

TEST_F(TaskTest, ArgumentsOfInlineAwaitsAreDestroyedOnce) {
  EXPECT_EQ(run(inline_awaits(flow)), std::string(120, 'x') + "!42aab02");
  flow.waits = true;
  auto task = inline_awaits(flow);
  EXPECT_FALSE(task.await_ready());
  for (const int answer : {1, 21, 1, 1, 0, 1}) flow.give(answer);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.await_resume(), std::string(120, 'x') + "!42aab02");
}

// How far the stack reaches below its first frame, by the lowest address that was seen.
class StackUse {
 public:
  void look() {
    const char here = 0;
    const auto address = reinterpret_cast<std::uintptr_t>(&here);
    lowest_ = std::min(lowest_, address);
    highest_ = std::max(highest_, address);
  }
  [[nodiscard]] std::size_t bytes() const { return highest_ - lowest_; }

 private:
  std::uintptr_t lowest_ = UINTPTR_MAX;
  std::uintptr_t highest_ = 0;
};

Task<int> looking(TestFlow& flow, StackUse& stack) {
  stack.look();
  auto asked = flow.ask(1);
  const int one = co_await asked;
  stack.look();
  co_return one;
}

Task<int> many(TestFlow& flow, StackUse& stack, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    auto one = looking(flow, stack);
    sum += co_await one;
  }
  stack.look();
  co_return sum;
}

TEST_F(TaskTest, AMillionImmediateAnswersTakeNoStack) {
  StackUse stack;
  stack.look();
  constexpr int count = 1'000'000;
  EXPECT_EQ(run(many(flow, stack, count)), count);
  EXPECT_LT(stack.bytes(), 64U * 1024);
}

TEST_F(TaskTest, AMillionLateAnswersTakeNoStack) {
  StackUse stack;
  stack.look();
  constexpr int count = 1'000'000;
  flow.waits = true;
  auto task = many(flow, stack, count);
  EXPECT_FALSE(task.await_ready());
  for (int i = 0; i < count; ++i) flow.give(1);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.await_resume(), count);
  EXPECT_LT(stack.bytes(), 64U * 1024);
}

TEST_F(TaskTest, FramesThatDoNotFitAreAllocated) {
  Arena small(memory.data(), 16);
  TestFlow narrow(small);
  EXPECT_EQ(run(sum_of_doubles(narrow, 4)), 20);
  EXPECT_EQ(small.bytes_used(), 0U);
}

TEST(ArenaTest, WhatIsGivenBackLastServesAgain) {
  alignas(std::max_align_t) std::array<std::byte, 256> memory{};
  Arena arena(memory.data(), memory.size());
  void* const first = arena.take(40);
  void* const second = arena.take(1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % alignof(std::max_align_t), 0U);
  arena.give_back(second, 1);
  EXPECT_EQ(arena.take(1), second);
  arena.give_back(second, 1);
  arena.give_back(first, 40);
  EXPECT_EQ(arena.bytes_used(), 0U);
}

TEST(ArenaTest, AnotherOrderCostsOnlyRoom) {
  alignas(std::max_align_t) std::array<std::byte, 256> memory{};
  Arena arena(memory.data(), memory.size());
  void* const first = arena.take(32);
  void* const second = arena.take(32);
  arena.give_back(first, 32);
  void* const third = arena.take(32);
  EXPECT_NE(third, second) << "that is in use";
  EXPECT_NE(third, first);
  arena.give_back(third, 32);
  arena.give_back(second, 32);
  void* const large = arena.take(1000);
  EXPECT_TRUE(large < memory.data() || large >= memory.data() + memory.size());
  arena.give_back(large, 1000);
}

}  // namespace
}  // namespace websession::internal
