// Caps of the MemoryStore: who makes room for whom, and what is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "random.hpp"
#include "websession/memory_store.hpp"
#include "websession/observer.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t no_cap = std::numeric_limits<std::size_t>::max();
constexpr Lifetime minute{milliseconds(60'000)};

StoreKey key(std::size_t i) { return StoreKey("key" + std::to_string(i)); }

Fields anonymous(std::string_view value = "1") { return {{"@created", "1"}, {"a", value}}; }
Fields signed_in() { return {{"@created", "1"}, {"@user", "7"}, {"a", "1"}}; }

Changes set(std::string name, std::string value) {
  Changes changes;
  changes.set.push_back({std::move(name), std::move(value)});
  return changes;
}

class Capped : public ::testing::Test {
 protected:
  void open(std::size_t sessions_max, std::size_t bytes_max = no_cap) {
    store_ = std::make_unique<MemoryStore>(MemoryOptions{sessions_max, bytes_max, clock_});
  }
  [[nodiscard]] bool has(std::size_t i) { return store_->load(key(i)).value().has_value(); }
  // The time to live grows with the number, so the lowest one ends soonest.
  void create(std::size_t i, const Fields& fields) {
    const Lifetime lifetime{milliseconds(1000 + i)};
    ASSERT_TRUE(store_->create(key(i), fields, lifetime)) << i;
  }
  void expect_evicted(std::uint64_t anonymous, std::uint64_t signed_in) {
    EXPECT_EQ(store_->stats().evicted_anonymous, anonymous);
    EXPECT_EQ(store_->stats().evicted_signed_in, signed_in);
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::unique_ptr<MemoryStore> store_;
  milliseconds clock_offset_{};
};

TEST_F(Capped, TheOneThatEndsSoonestMakesRoom) {
  open(50);
  for (std::size_t i = 100; i-- > 50;) create(i, anonymous());
  for (std::size_t i = 100; i < 125; ++i) {
    create(i, anonymous());
    EXPECT_EQ(store_->size(), 50U);
    EXPECT_FALSE(has(i - 50)) << "was the next to end";
    EXPECT_TRUE(has(i - 49));
    EXPECT_TRUE(has(i));
  }
  expect_evicted(25, 0);
}

TEST_F(Capped, AnonymousSessionsMakeRoomBeforeSignedInOnes) {
  open(20);
  for (std::size_t i = 0; i < 10; ++i) create(i, signed_in());
  for (std::size_t i = 10; i < 20; ++i) create(i, anonymous());
  for (std::size_t i = 20; i < 30; ++i) create(i, signed_in());
  expect_evicted(10, 0);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(has(i), i < 10 || i >= 20) << i;

  for (std::size_t i = 30; i < 33; ++i) create(i, signed_in());
  expect_evicted(10, 3);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(has(i), i >= 3) << i;
}

TEST_F(Capped, AnAnonymousSessionNeverDisplacesASignedInOne) {
  open(5);
  for (std::size_t i = 0; i < 5; ++i) create(i, signed_in());
  const MemoryStats before = store_->stats();
  const Result<void> refused = store_->create(key(9), anonymous(), minute);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  EXPECT_FALSE(refused.error().maybe_applied);
  EXPECT_FALSE(has(9));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(has(i));
  EXPECT_EQ(store_->stats().bytes, before.bytes);
  expect_evicted(0, 0);
  ASSERT_TRUE(store_->erase(key(0)).has_value());
  EXPECT_TRUE(store_->create(key(9), anonymous(), minute)) << "there is room again";
}

TEST_F(Capped, ExpiredSessionsLeaveFirstAndAreNotEvicted) {
  open(20);
  for (std::size_t i = 0; i < 10; ++i) create(i, signed_in());
  for (std::size_t i = 10; i < 20; ++i) create(i + 1000, anonymous());
  clock_->advance(milliseconds(1500));  // the signed-in ones are over
  for (std::size_t i = 20; i < 30; ++i) create(i + 2000, anonymous());
  expect_evicted(0, 0);
  for (std::size_t i = 10; i < 20; ++i) EXPECT_TRUE(has(i + 1000));
}

TEST_F(Capped, ARenewedSessionEndsLater) {
  open(3);
  for (std::size_t i = 0; i < 3; ++i) create(i, anonymous());
  ASSERT_TRUE(store_->update(key(0), {}, minute));
  create(3, anonymous());
  EXPECT_TRUE(has(0));
  EXPECT_FALSE(has(1));
}

TEST_F(Capped, SigningInProtects) {
  open(3);
  for (std::size_t i = 0; i < 3; ++i) create(i, anonymous());
  ASSERT_TRUE(store_->update(key(0), set("@user", "7"), {milliseconds(1000)}));
  create(3, anonymous());
  EXPECT_TRUE(has(0));
  EXPECT_FALSE(has(1));
  Changes sign_out;
  sign_out.remove.emplace_back("@user");
  ASSERT_TRUE(store_->update(key(0), sign_out, {milliseconds(1000)}));
  create(4, anonymous());
  EXPECT_FALSE(has(0)) << "anonymous again, and the next to end";
}

TEST_F(Capped, BytesAreCounted) {
  open(no_cap);
  EXPECT_EQ(store_->stats().bytes, 0U);
  create(0, anonymous());
  const std::size_t small = store_->stats().bytes;
  EXPECT_GT(small, 10U);
  ASSERT_TRUE(store_->update(key(0), set("a", std::string(1001, 'x')), minute));
  EXPECT_EQ(store_->stats().bytes, small + 1000);
  ASSERT_TRUE(store_->update(key(0), set("a", "2"), minute));
  EXPECT_EQ(store_->stats().bytes, small);
  ASSERT_TRUE(store_->rekey(key(0), key(1), {}, minute, {milliseconds(1000)}));
  EXPECT_GT(store_->stats().bytes, 2 * small);
  ASSERT_TRUE(store_->rekey(key(1), key(2), {}, minute, {}));
  EXPECT_EQ(store_->size(), 1U);
  EXPECT_EQ(store_->stats().marks, 1U);
  clock_->advance(milliseconds(1000));
  EXPECT_EQ(store_->sweep(10), 1U);
  EXPECT_EQ(store_->stats().bytes, small);
  ASSERT_TRUE(store_->erase(key(2)).has_value());
  EXPECT_EQ(store_->stats().bytes, 0U);
  EXPECT_EQ(store_->stats().sessions, 0U);
}

TEST_F(Capped, AGrowingSessionDisplacesOthersAndNotItself) {
  open(no_cap, 10'000);
  std::size_t count = 0;
  for (; store_->stats().evicted_anonymous == 0; ++count) create(count, anonymous());
  create(count, signed_in());
  EXPECT_LE(store_->stats().bytes, 10'000U);
  // Number 2 or so is the next to end, but it is the one that grows.
  std::size_t oldest = 0;
  while (!has(oldest)) ++oldest;
  const Lifetime short_one{milliseconds(1)};
  const Outcome grown =
      store_->update(key(oldest), set("a", std::string(5000, 'x')), short_one).value();
  EXPECT_EQ(grown.status, Outcome::Status::applied);
  EXPECT_TRUE(has(oldest));
  EXPECT_FALSE(has(oldest + 1));
  EXPECT_TRUE(has(count));
  EXPECT_LE(store_->stats().bytes, 10'000U);
  EXPECT_EQ(store_->stats().evicted_signed_in, 0U);

  const Result<Outcome> huge =
      store_->update(key(oldest), set("a", std::string(10'000, 'x')), minute);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, Errc::too_large);
  EXPECT_EQ(store_->load(key(oldest)).value()->fields.find("a")->size(), 5000U);
  const Result<void> born_huge =
      store_->create(key(9999), anonymous(std::string(10'000, 'x')), minute);
  ASSERT_FALSE(born_huge);
  EXPECT_EQ(born_huge.error().code, Errc::too_large);
}

TEST_F(Capped, GrowthBeyondTheCapIsRefusedWhenOnlySignedInOnesAreLeft) {
  open(no_cap, 4'000);
  create(0, anonymous());
  std::size_t count = 1;
  while (store_->stats().bytes < 3'600) create(count++, signed_in());
  const MemoryStats before = store_->stats();
  const Result<Outcome> refused = store_->update(key(0), set("a", std::string(1000, 'x')), minute);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  EXPECT_EQ(store_->load(key(0)).value()->fields.find("a"), "1");
  EXPECT_EQ(store_->stats().bytes, before.bytes);
  expect_evicted(0, 0);
  // A signed-in one may: the anonymous one goes, and then those that end soonest.
  EXPECT_TRUE(store_->update(key(count - 1), set("a", std::string(1000, 'x')), minute));
  EXPECT_FALSE(has(0));
  EXPECT_FALSE(has(1));
  EXPECT_TRUE(has(count - 1));
}

TEST_F(Capped, RegenerateInAFullStore) {
  open(3);
  for (std::size_t i = 0; i < 3; ++i) create(i, anonymous());
  ASSERT_TRUE(store_->rekey(key(0), key(10), {}, minute, {}));
  EXPECT_EQ(store_->size(), 3U);
  expect_evicted(0, 0);
  ASSERT_TRUE(store_->rekey(key(1), key(11), set("@user", "7"), minute, {milliseconds(500)}));
  EXPECT_TRUE(has(1)) << "frozen, and not the one that made room";
  EXPECT_TRUE(has(11));
  EXPECT_FALSE(has(2));
  expect_evicted(1, 0);
}

// Each eviction is told, with the label that the session has elsewhere, and under no lock: an
// observer that asks the store for something waits for nobody.
TEST_F(Capped, AnObserverIsToldOfEvictions) {
  class Asking final : public Observer {
   public:
    std::vector<std::string> told{};
    std::vector<EndReason> ends{};
    MemoryStore* store = nullptr;
    std::size_t expected = 0;  // the number of the next one to go
    std::size_t held = 0;
    [[nodiscard]] std::string label_of(std::size_t i) const { return label(SessionRef(key(i))); }

   protected:
    void on_session(const SessionEvent& event) override {
      told.emplace_back(to_text(event.kind));
      ends.push_back(event.end.value());
      if (event.kind == SessionEvent::Kind::expired) return;
      EXPECT_EQ(label(event.session), label_of(expected++));
      for (std::size_t i = 0; i < 20; ++i) held += store->load(key(i)).value() ? 1 : 0;
    }
  };
  const auto observer = std::make_shared<Asking>();
  store_ = std::make_unique<MemoryStore>(
      MemoryOptions{.sessions_max = 2, .clock = clock_, .observer = observer});
  observer->store = store_.get();
  for (std::size_t i = 0; i < 2; ++i) create(i, anonymous());
  EXPECT_TRUE(observer->told.empty());
  for (std::size_t i = 2; i < 5; ++i) create(i, signed_in());
  EXPECT_EQ(observer->told, std::vector<std::string>(
                                {"evicted_anonymous", "evicted_anonymous", "evicted_signed_in"}));
  EXPECT_EQ(observer->held, 3U) << "each time the other one; the newcomer is not there yet";
  EXPECT_FALSE(store_->create(key(9), anonymous(), minute)) << "refused: nobody was evicted";
  clock_->advance(milliseconds(5000));
  EXPECT_EQ(store_->sweep(9), 2U);
  EXPECT_EQ(observer->told.size(), 5U);
  EXPECT_EQ(observer->told.back(), "expired") << "those whose time had come are not evicted";
  using enum EndReason;
  EXPECT_EQ(observer->ends, (std::vector{evicted, evicted, evicted, idle, idle}));
  expect_evicted(2, 1);
}

// A flood of visitors who have not signed in, against a full house of some who have: whatever is
// created, grows or regenerates, no signed-in session ends while there is an anonymous one.
TEST_F(Capped, AFloodEndsNoSignedInSession) {
  open(100, 60'000);
  for (std::size_t i = 0; i < 20; ++i) create(i, signed_in());  // these would end first
  Random random;
  std::size_t refused = 0;
  for (std::size_t i = 1000; i < 5000; ++i) {
    const std::size_t other = 1000 + random.below(i - 999);
    const std::string value(random.below(4000), 'x');
    switch (random.below(3)) {
      case 0:
        refused += store_->create(key(i), anonymous(value), {milliseconds(i)}) ? 0 : 1;
        break;
      case 1:
        static_cast<void>(store_->update(key(other), set("a", value), {milliseconds(i)}));
        break;
      default:
        static_cast<void>(store_->rekey(key(other), key(i), set("a", value), {milliseconds(i)},
                                        {milliseconds(500)}));
        break;
    }
    ASSERT_EQ(store_->stats().evicted_signed_in, 0U);
  }
  for (std::size_t i = 0; i < 20; ++i) EXPECT_TRUE(has(i)) << i;
  EXPECT_EQ(refused, 0U) << "there was always an anonymous one to end";
  EXPECT_GT(store_->stats().evicted_anonymous, 100U);
}

Fields signed_in_as(std::string_view principal) {
  return {{"@created", "1"}, {"@user", principal}, {"a", "1"}};
}

// One account signs in again and again: nobody else loses a session by it.
TEST_F(Capped, AFloodOfOneAccountEndsOnlyItsOwn) {
  open(2'000);
  for (std::size_t i = 0; i < 1'000; ++i) create(i, signed_in_as("user" + std::to_string(i)));
  const Lifetime longer{milliseconds(600'000)};
  for (std::size_t i = 1'000; i < 5'000; ++i) {
    ASSERT_TRUE(store_->create(key(i), signed_in_as("flood"), longer));
  }
  for (std::size_t i = 0; i < 1'000; ++i) EXPECT_TRUE(has(i)) << i;
  for (std::size_t i = 1'000; i < 5'000; ++i) EXPECT_EQ(has(i), i >= 4'000) << i;
  expect_evicted(0, 3'000);
  for (std::size_t i = 5'000; i < 5'500; ++i) create(i, signed_in_as("late" + std::to_string(i)));
  for (std::size_t i = 0; i < 1'000; ++i) EXPECT_TRUE(has(i)) << "room comes from the flood: " << i;
  EXPECT_EQ(store_->entries("flood").value().size(), 500U);
}

TEST_F(Capped, WhoHasTheMostMakesRoomAndThenWhatEndsSoonest) {
  open(6);
  create(0, signed_in_as("one"));
  create(5, signed_in_as("three"));
  create(2, signed_in_as("two"));
  create(4, signed_in_as("three"));
  create(3, signed_in_as("three"));
  create(1, signed_in_as("two"));
  create(10, signed_in_as("new"));
  EXPECT_FALSE(has(5)) << "the oldest of three";
  create(11, signed_in_as("newer"));
  create(12, signed_in_as("newest"));
  EXPECT_FALSE(has(2) || has(4)) << "the older ones of two each";
  create(20, signed_in_as("last"));
  EXPECT_FALSE(has(0)) << "nobody has two, so it is the one that ends soonest";
  EXPECT_TRUE(has(1));
  EXPECT_TRUE(has(3));
}

// The session that grows is never the one that makes room.
TEST_F(Capped, AGrowingSessionIsNotTheOneOfItsOwnerThatLeaves) {
  open(no_cap, 3 * 900);
  create(0, signed_in_as("ada"));
  create(1, signed_in_as("ada"));
  create(2, signed_in_as("bob"));
  ASSERT_TRUE(store_->update(key(0), set("a", std::string(1'900, 'x')), minute));
  EXPECT_TRUE(has(0));
  EXPECT_FALSE(has(1));
}

TEST_F(Capped, AKeyThatExistsTakesNoRoom) {
  open(10);
  create(0, anonymous());
  const std::size_t bytes = store_->stats().bytes;
  EXPECT_FALSE(store_->create(key(0), anonymous(), minute));
  EXPECT_EQ(store_->stats().bytes, bytes);
  EXPECT_EQ(store_->size(), 1U);
}

TEST_F(Capped, SweepRemovesWhatHasExpired) {
  open(no_cap);
  for (std::size_t i = 0; i < 5000; ++i) create(i % 2 == 0 ? i : i + 100'000, anonymous());
  EXPECT_EQ(store_->sweep(no_cap), 0U);
  clock_->advance(milliseconds(10'000));
  EXPECT_EQ(store_->sweep(0), 0U);
  EXPECT_EQ(store_->sweep(100), 100U);
  EXPECT_EQ(store_->size(), 4900U);
  EXPECT_EQ(store_->sweep(no_cap), 2400U);
  EXPECT_EQ(store_->sweep(no_cap), 0U);
  clock_->advance(milliseconds(200'000));
  EXPECT_EQ(store_->sweep(no_cap), 2500U);
  EXPECT_EQ(store_->stats().bytes, 0U);
}

// Random calls against a plain map. The caps are out of reach, so both must agree on everything.
TEST_F(Capped, AgreesWithAPlainMap) {
  struct Plain {
    std::string value;
    std::int64_t ends;
  };
  open(no_cap);
  Random random;
  std::map<std::size_t, Plain> plain;
  std::int64_t now = 0;
  for (int step = 0; step < 30'000; ++step) {
    const std::size_t i = random.below(300);
    const auto ttl = static_cast<std::int64_t>(1 + random.below(2000));
    const Lifetime lifetime{milliseconds(ttl)};
    std::erase_if(plain, [now](const auto& e) { return e.second.ends <= now; });
    const auto found = plain.find(i);
    const std::string value(random.below(50), 'v');
    switch (random.below(6)) {
      case 0:
        ASSERT_EQ(store_->create(key(i), anonymous(value), lifetime).has_value(),
                  found == plain.end());
        plain.try_emplace(i, Plain{value, now + ttl});
        break;
      case 1: {
        const Outcome outcome =
            store_->update(key(i), set(random.below(9) == 0 ? "@user" : "a", value), lifetime)
                .value();
        ASSERT_EQ(outcome.status == Outcome::Status::applied, found != plain.end());
        if (found == plain.end()) break;
        const auto now_held = store_->load(key(i)).value()->fields.find("a");
        found->second = {std::string(*now_held), std::max(found->second.ends, now + ttl)};
        break;
      }
      case 2:
        ASSERT_EQ(store_->erase(key(i)).value(), found != plain.end());
        plain.erase(i);
        break;
      case 3: {
        const std::size_t to = random.below(300);
        if (to == i || plain.contains(to)) break;
        const Outcome outcome = store_->rekey(key(i), key(to), {}, lifetime, {}).value();
        ASSERT_EQ(outcome.status == Outcome::Status::applied, found != plain.end());
        if (found == plain.end()) break;
        plain[to] = {found->second.value, std::max(found->second.ends, now + ttl)};
        plain.erase(i);
        break;
      }
      case 4: {
        const auto record = store_->load(key(i)).value();
        ASSERT_EQ(record.has_value(), found != plain.end());
        if (!record) break;
        ASSERT_EQ(record->fields.find("a"), found->second.value);
        ASSERT_EQ(record->remaining.count(), found->second.ends - now);
        break;
      }
      default:
        now += static_cast<std::int64_t>(random.below(20));
        clock_->advance(milliseconds(now) - clock_offset_);
        clock_offset_ = milliseconds(now);
        break;
    }
  }
  std::erase_if(plain, [now](const auto& e) { return e.second.ends <= now; });
  store_->sweep(no_cap);
  EXPECT_EQ(store_->size(), plain.size());
  clock_->advance(milliseconds(10'000));
  store_->sweep(no_cap);
  EXPECT_EQ(store_->stats().sessions, 0U);
  EXPECT_EQ(store_->stats().bytes, 0U);
}

// Many threads in a store that is always full: the caps hold at every moment, every session is
// accounted for, and nothing is left at the end.
TEST_F(Capped, CapsHoldAmongThreads) {
  constexpr std::size_t sessions_max = 60;
  constexpr std::size_t bytes_max = 20'000;
  constexpr int threads = 4;
  open(sessions_max, bytes_max);
  std::atomic<std::uint64_t> stored = 0;
  std::atomic<std::uint64_t> erased = 0;
  std::atomic<bool> exceeded = false;
  const auto work = [&](std::size_t number) {
    for (std::size_t step = 0; step < 1500; ++step) {
      const std::size_t mine = number * 10'000 + step;
      const bool user = step % 3 == 0;
      if (store_->create(key(mine), user ? signed_in() : anonymous(), minute)) ++stored;
      const std::string value(step % 7 * 300, 'x');
      static_cast<void>(
          store_->update(key(mine - std::min<std::size_t>(step, 3)), set("a", value), minute));
      const Grace mark{milliseconds(step % 10 == 0 ? 0 : 1000)};
      if (step % 5 == 0 &&
          store_->erase(key(mine - std::min<std::size_t>(step, 2)), mark).value()) {
        ++erased;
      }
      static_cast<void>(store_->rekey(key(mine), key(mine + 5000), {}, minute,
                                      {milliseconds(step % 2 == 0 ? 0 : 1000), step % 3 == 0}));
      const MemoryStats stats = store_->stats();
      if (stats.sessions > sessions_max || stats.bytes > bytes_max) exceeded = true;
    }
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(work, static_cast<std::size_t>(i));
  for (std::thread& thread : running) thread.join();

  EXPECT_FALSE(exceeded);
  const MemoryStats stats = store_->stats();
  EXPECT_GT(stats.evicted_anonymous, 0U);
  EXPECT_EQ(stats.sessions + stats.evicted_anonymous + stats.evicted_signed_in + erased, stored);
  clock_->advance(milliseconds(120'000));
  EXPECT_EQ(store_->sweep(no_cap), stats.sessions + stats.marks);
  EXPECT_EQ(store_->stats().bytes, 0U);
  EXPECT_EQ(store_->stats().sessions, 0U);
}

}  // namespace
}  // namespace websession::testing
