// What an observer costs: nothing when there is none, and two looks at the clock for each call of
// the store when there is one. This program counts all allocations, so it is one of its own.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>

#include "websession/counters.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace {
std::atomic<std::size_t> allocations = 0;
}  // namespace

// All forms, since a sanitizer has its own where one is left out. Not inlined, since g++ 12 would
// then see a pointer from `new` go to `free` and warn.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t& nothrow) noexcept {
  return operator new(size, nothrow);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }

namespace websession::testing {
namespace {

class CountingClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const noexcept override {
    ++looks;
    return clock_.wall();
  }
  [[nodiscard]] SteadyTime steady() const noexcept override {
    ++looks;
    return clock_.steady();
  }
  mutable std::size_t looks = 0;

 private:
  ManualClock clock_;
};

// Whose allocations depend on nothing random, such as where a key is put.
class PlainStore final : public SessionStore {
 public:
  Result<std::optional<Record>> load(const StoreKey& key) override {
    ++calls;
    const auto found = sessions_.find(key.secret());
    if (found == sessions_.end()) return std::optional<Record>();
    return std::optional<Record>(Record{found->second, left});
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime) override {
    ++calls;
    sessions_[key.secret()] = fields;
    return {};
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime) override {
    ++calls;
    Fields& fields = sessions_.at(key.secret());
    Result<Applied> applied = apply(fields, changes, WallTime());
    if (!applied) return std::move(applied).error();
    if (applied->outcome.status == Outcome::Status::applied) fields = applied->fields;
    return std::move(applied->outcome);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes&, Lifetime,
                        Grace) override {
    ++calls;
    sessions_[to.secret()] = sessions_.at(from.secret());
    sessions_.erase(from.secret());
    return Outcome{};
  }
  Result<bool> erase(const StoreKey& key, Grace) override {
    ++calls;
    return sessions_.erase(key.secret()) == 1;
  }

  std::size_t calls = 0;

 private:
  static constexpr auto left = std::chrono::minutes(30);
  std::map<std::string, Fields> sessions_;
};

struct Cost {
  std::size_t allocations;
  std::size_t looks;
  std::size_t calls;
};

// Of requests of every kind, once what is made only once is there.
Cost cost_with(const std::shared_ptr<Observer>& observer) {
  const auto clock = std::make_shared<CountingClock>();
  const auto store = std::make_shared<PlainStore>();
  SessionOptions options;
  options.clock = clock;
  options.observer = observer;
  const SessionManager manager = SessionManager::make(store, options).value();
  const auto requests = [&] {
    Session session = manager.open({"sid=malformed", true}).value();
    session.set("a", 1);
    static_cast<void>(manager.commit(session).value());
    const std::string cookie = "sid=" + session.id()->secret();
    session = manager.open({cookie, true}).value();
    session.set("a", 2);
    static_cast<void>(manager.commit(session).value());
    EXPECT_EQ(session.increment("a").value(), 3);
    EXPECT_FALSE(session.consume("a", 7).value());
    session.regenerate();
    static_cast<void>(manager.commit(session).value());
    session.invalidate();
    static_cast<void>(manager.commit(session).value());
    EXPECT_TRUE(manager.open({cookie, true})->is_new());
  };
  requests();
  const Cost before{allocations, clock->looks, store->calls};
  requests();
  return {allocations - before.allocations, clock->looks - before.looks,
          store->calls - before.calls};
}

TEST(ObserverCost, NothingWithoutOne) {
  const Cost without = cost_with(nullptr);
  ASSERT_GT(without.allocations, 0U) << "they are counted";
  ASSERT_EQ(without.calls, 8U);
  const Cost with = cost_with(std::make_shared<Counters>());
  EXPECT_EQ(with.calls, without.calls);
  EXPECT_EQ(with.looks, without.looks + 2 * without.calls);
}

// Nothing is hashed, copied or formatted until an observer asks for it. (The ids of the two events
// that the manager tells by itself are copied; none of them is among these.)
TEST(ObserverCost, CountingAllocatesNothing) {
  EXPECT_EQ(cost_with(std::make_shared<Counters>()).allocations, cost_with(nullptr).allocations);
}

}  // namespace
}  // namespace websession::testing
