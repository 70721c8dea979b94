// EncryptedStore: changes that come between its reading and its writing, and moving to a new key.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "encrypted_fixture.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// Passes everything on, and lets a test step in right before a write.
class InterruptedStore final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;

  std::function<void()> before_each_write{};
  std::function<void()> before_next_write{};
  int writes = 0;

  Result<Outcome> update(const StoreKey& which, const Changes& changes,
                         Lifetime lifetime) override {
    interrupt();
    return StoreDecorator::update(which, changes, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace how_long) override {
    interrupt();
    return StoreDecorator::rekey(from, to, changes, lifetime, how_long);
  }

 private:
  void interrupt() {
    ++writes;
    if (before_each_write) before_each_write();
    if (before_next_write) std::exchange(before_next_write, nullptr)();
  }
};

class EncryptedRace : public EncryptedStoreTest {
 protected:
  // Lets another server make changes of its own before the next write.
  void before_next_write(std::function<void()> step) {
    interrupted->before_next_write = std::move(step);
  }

  std::shared_ptr<InterruptedStore> interrupted = std::make_shared<InterruptedStore>(memory);
  std::shared_ptr<EncryptedStore> slow = store_on(interrupted);
};

// Another request writes the same value again: the ciphertext differs, the value does not.
TEST_F(EncryptedRace, ExpectIsTriedAgainWhenOnlyTheCiphertextChanged) {
  ASSERT_TRUE(store->create(key, plain, minute));
  before_next_write([&] { update(*store, setting("name", "Ada")); });
  const Changes changes = expecting("name", {"Ada"}, setting("role", "admin"));
  EXPECT_EQ(update(*slow, changes).status, Outcome::Status::applied);
  EXPECT_EQ(interrupted->writes, 2);
  EXPECT_EQ(value(*store, key, "role"), "admin");
}

TEST_F(EncryptedRace, ExpectSeesWhatWasChangedMeanwhile) {
  ASSERT_TRUE(store->create(key, plain, minute));
  const Changes changes = expecting("name", {"Ada"}, setting("role", "admin"));
  before_next_write([&] { update(*store, setting("name", "Grace")); });
  const Outcome conflict = update(*slow, changes);
  EXPECT_EQ(conflict.status, Outcome::Status::conflict);
  EXPECT_EQ(conflict.found, "Grace");
  EXPECT_EQ(value(*store, key, "role"), "user");

  before_next_write([&] { update(*store, setting("new", "1")); });
  EXPECT_EQ(update(*slow, expecting("new", {}, setting("role", "admin"))).found, "1");

  before_next_write([&] { store->erase(key).value(); });
  EXPECT_EQ(update(*slow, expecting("name", {"Grace"})).status, Outcome::Status::gone);
}

TEST_F(EncryptedRace, ItGivesUpWhenOthersNeverStopAndHasWrittenNothing) {
  ASSERT_TRUE(store->create(key, plain, minute));
  const auto impatient = store_on(interrupted, {new_secret}, milliseconds(0));
  interrupted->before_each_write = [&] { update(*store, setting("name", "Ada")); };
  for (const Result<Outcome>& result :
       {impatient->update(key, expecting("name", {"Ada"}, setting("role", "admin")), minute),
        impatient->rekey(key, other, setting("role", "admin"), minute, grace)}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::overloaded);
    EXPECT_FALSE(result.error().maybe_applied);
  }
  EXPECT_EQ(interrupted->writes, 2) << "without time for it, nothing is tried again";
  EXPECT_EQ(value(*store, key, "role"), "user");
  EXPECT_FALSE(store->load(other).value().has_value());
}

// Half of what a pause may take at least: 0.25, 0.5, 1, 2, 4, 8, 10, 10… ms. Without pauses there
// would be thousands of tries.
TEST_F(EncryptedRace, WhoIsOvertakenPausesBeforeTheNextTry) {
  ASSERT_TRUE(store->create(key, plain, minute));
  interrupted->before_each_write = [&] { update(*store, setting("name", "Ada")); };
  const auto patient = store_on(interrupted, {new_secret}, milliseconds(300));
  EXPECT_EQ(patient->rekey(key, other, {}, minute, grace).error().code, Errc::overloaded);
  EXPECT_GT(interrupted->writes, 1);
  EXPECT_LE(interrupted->writes, 36);
}

TEST_F(EncryptedRace, TheTimeForItIsThatOfTheGivenClock) {
  ASSERT_TRUE(store->create(key, plain, minute));
  interrupted->before_each_write = [&] {
    clock->advance(milliseconds(100));
    update(*store, setting("name", "Ada"));
  };
  EncryptionOptions options;
  options.keys = key_ring({new_secret});
  options.countable = {"visits"};
  options.retry_for = milliseconds(250);
  options.clock = clock;
  const auto timed = EncryptedStore::make(interrupted, options).value();
  EXPECT_EQ(timed->rekey(key, other, {}, minute, grace).error().code, Errc::overloaded);
  EXPECT_EQ(interrupted->writes, 3);
}

// Moving to a new key

class EncryptedRekey : public EncryptedStoreTest {};

TEST_F(EncryptedRekey, ARekeyedSessionIsSealedForItsNewKeyAndTheFrozenOneStillOpens) {
  ASSERT_TRUE(store->create(key, plain, minute));
  ASSERT_EQ(update(*store, setting("code", "42", clock->wall() + milliseconds(1000))).status,
            Outcome::Status::applied);
  const Fields before = store->load(key).value().value().fields;
  ASSERT_EQ(store->rekey(key, other, {}, minute, grace).value().status, Outcome::Status::applied);
  EXPECT_EQ(store->load(other).value().value().fields, before) << "deadlines included";
  const Record frozen = store->load(key).value().value();
  EXPECT_EQ(frozen.fields, before);
  EXPECT_TRUE(frozen.frozen);
  EXPECT_NE(stored_text(key, "name"), stored_text(other, "name"));
}

TEST_F(EncryptedRace, ARekeySeesWhatCameBetween) {
  struct Case {
    std::string what;
    std::function<void()> step;
    std::string name;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"an attribute that was added", [&] { update(*store, setting("new", "1")); }, "new", "1"},
      {"one that was changed", [&] { update(*store, setting("name", "Grace")); }, "name", "Grace"},
      {"one that was set to what it was", [&] { update(*store, setting("name", "Ada")); }, "name",
       "Ada"},
      {"one that was removed",
       [&] {
         Changes removing;
         removing.remove.emplace_back("name");
         update(*store, removing);
       },
       "name", "(absent)"},
      {"all of them cleared",
       [&] {
         Changes clearing;
         clearing.clear = true;
         update(*store, clearing);
       },
       "role", "(absent)"},
      {"one that came to its deadline", [&] { clock->advance(milliseconds(1000)); }, "code",
       "(absent)"},
      {"one that is counted",
       [&] {
         Changes counting;
         counting.increment.push_back({"visits", 4});
         update(*store, counting);
       },
       "visits", "7"},
  };
  for (const Case& tested : cases) {
    ASSERT_TRUE(store->create(key, plain, minute));
    update(*store, setting("code", "42", clock->wall() + milliseconds(1000)));
    before_next_write(tested.step);
    EXPECT_EQ(slow->rekey(key, other, setting("by", "rekey"), minute, {}).value().status,
              Outcome::Status::applied)
        << tested.what;
    EXPECT_EQ(value(*store, other, tested.name), tested.text) << tested.what;
    EXPECT_EQ(value(*store, other, "by"), "rekey") << tested.what;
    EXPECT_TRUE(store->erase(other).value());
  }
}

TEST_F(EncryptedRace, ARekeyThatWasOvertakenIsAppliedOrGone) {
  ASSERT_TRUE(store->create(key, plain, minute));
  before_next_write([&] { store->rekey(key, other, {}, minute, grace).value(); });
  EXPECT_EQ(slow->rekey(key, other, {}, minute, grace).value().status, Outcome::Status::applied)
      << "the same two keys";
  EXPECT_EQ(value(*store, other, "name"), "Ada");

  const StoreKey from("from");
  ASSERT_TRUE(store->create(from, plain, minute));
  before_next_write([&] { store->erase(from).value(); });
  EXPECT_EQ(slow->rekey(from, StoreKey("to"), {}, minute, grace).value().status,
            Outcome::Status::gone);
  EXPECT_FALSE(store->load(StoreKey("to")).value().has_value());
}

TEST_F(EncryptedRekey, ARepeatedRekeyGivesTheCountersAndWritesNothing) {
  for (const Grace how_long : {grace, Grace{grace.duration, false}, Grace{}}) {
    const StoreKey from(SessionId::generate().value());
    ASSERT_TRUE(store->create(from, plain, minute));
    Changes changes = setting("name", "Grace");
    changes.increment.push_back({"visits", 1});
    ASSERT_EQ(store->rekey(from, other, changes, minute, how_long).value().counters,
              std::vector<std::int64_t>{4});
    const Fields before = memory->load(other).value().value().fields;
    const Outcome again = store->rekey(from, other, changes, minute, how_long).value();
    EXPECT_EQ(again.status, Outcome::Status::applied);
    EXPECT_EQ(again.counters, std::vector<std::int64_t>{4});
    EXPECT_EQ(memory->load(other).value().value().fields, before);
    EXPECT_EQ(store->rekey(from, StoreKey("third"), changes, minute, how_long).value().status,
              Outcome::Status::gone);
    EXPECT_TRUE(store->erase(other).value());
  }
}

// Requests add attributes while another one regenerates the id: each addition is under the new key
// and opens there, or was refused.
TEST_F(EncryptedRekey, AttributesAddedMeanwhileAreNeitherLostNorLeftSealedForTheOldKey) {
  constexpr int rounds = 10;
  constexpr std::size_t writers = 2;
  // So many that they are still being added while the rekey, of many as well, is at work.
  constexpr int names = 100;
  std::vector<std::string> texts;
  for (int i = 0; i < names; ++i) texts.push_back("before " + std::to_string(i));
  std::vector<Field> before(plain.begin(), plain.end());
  for (const std::string& text : texts) before.push_back({text, text});

  for (int round = 0; round < rounds; ++round) {
    const StoreKey from("from" + std::to_string(round));
    const StoreKey to("to" + std::to_string(round));
    ASSERT_TRUE(store->create(from, Fields(before), minute));
    std::vector<std::vector<std::string>> added(writers);
    std::atomic<bool> begun = false;
    std::vector<std::thread> threads;
    for (std::size_t writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        for (int i = 0; i < names; ++i) {
          const std::string name = std::to_string(writer) + "." + std::to_string(i);
          const Outcome outcome = store->update(from, setting(name, name), minute).value();
          if (outcome.status == Outcome::Status::applied) added[writer].push_back(name);
          begun = true;
          std::this_thread::yield();
        }
      });
    }
    while (!begun) std::this_thread::yield();
    Result<Outcome> moved = store->rekey(from, to, {}, minute, grace);
    // On a machine that does much else, the others may not come to an end in its time.
    while (!moved && moved.error().code == Errc::overloaded) {
      moved = store->rekey(from, to, {}, minute, grace);
    }
    for (std::thread& thread : threads) thread.join();

    ASSERT_EQ(moved.value().status, Outcome::Status::applied);
    const Fields after = store->load(to).value().value().fields;
    std::size_t expected = before.size();
    for (const std::vector<std::string>& list : added) {
      expected += list.size();
      for (const std::string& name : list) EXPECT_EQ(after.find(name), name);
    }
    EXPECT_EQ(after.size(), expected);
    EXPECT_EQ(store->load(from).value().value().fields, after) << "frozen as it was";
  }
}

}  // namespace
}  // namespace websession::testing
