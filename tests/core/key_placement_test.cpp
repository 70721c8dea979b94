// A store that can move a session only between keys of one place: managers ask it for such ids.
#include "websession/key_placement.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "id_rollout.hpp"
#include "requests.hpp"
#include "session_keys.hpp"
#include "websession/async/encrypted_store.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/async/stores.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/memory_store.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

// A key's place is its first character; that of a hashed one stands before the hash.
class FirstCharacter final : public KeyPlacement {
 public:
  [[nodiscard]] Result<SessionId> generate_beside(const SessionId& id) const override {
    Result<SessionId> drawn = SessionId::generate();
    if (!drawn) return drawn;
    return SessionId::parse(tag_of(id) + drawn->secret().substr(1)).value();
  }
  [[nodiscard]] std::string tag_of(const SessionId& id) const override {
    return id.secret().substr(0, 1);
  }
};

class PlacedStore final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    ++rekeys;
    EXPECT_EQ(place_of(from), place_of(to));
    return StoreDecorator::rekey(from, to, changes, lifetime, grace);
  }
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    return std::make_shared<FirstCharacter>();
  }
  int rekeys = 0;

 private:
  static char place_of(const StoreKey& key) {
    const std::string& text = key.secret();
    return text.starts_with("2:") ? text.at(2) : text.at(0);
  }
};

class KeyPlacementTest : public ::testing::Test {
 protected:
  static EncryptionOptions secrets() {
    EncryptionOptions options;
    options.keys = KeyRing::make({std::string(32, 's')}).value();
    return options;
  }
  // All that moves a session, in each state of its keys.
  static void expect_moves(const std::shared_ptr<SessionStore>& over, const PlacedStore& placed) {
    for (const IdStorage storage : {IdStorage::plain, IdStorage::plain_and_hashed,
                                    IdStorage::hashed, IdStorage::hashed_only}) {
      SessionOptions options;
      options.id_storage = storage;
      const SessionManager manager = SessionManager::make(over, options).value();
      Session session = manager.create().value();
      const int before = placed.rekeys;
      session.regenerate();
      ASSERT_EQ(manager.commit(session).value().status, Status::regenerated);
      session.sign_in("ada");
      ASSERT_TRUE(manager.commit(session));
      EXPECT_EQ(placed.rekeys, before + 2);
      EXPECT_EQ(manager.sessions_of("ada").value().size(), 1U);
      EXPECT_TRUE(manager.sessions_of("ada", &session).value().at(0).is_current);
      ASSERT_TRUE(manager.sign_out_everywhere("ada"));
    }
  }

  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  std::shared_ptr<PlacedStore> store = std::make_shared<PlacedStore>(memory);
};

TEST_F(KeyPlacementTest, NewIdsAreBesideTheOldOnes) { expect_moves(store, *store); }

TEST_F(KeyPlacementTest, WhateverStandsInBetween) {
  expect_moves(std::make_shared<StoreDecorator>(store), *store);
  expect_moves(EncryptedStore::make(store, secrets()).value(), *store);
}

TEST_F(KeyPlacementTest, ASessionMovesToItsHashedKey) {
  SessionOptions plain;
  const SessionManager before = SessionManager::make(store, plain).value();
  SessionOptions hashed;
  hashed.id_storage = IdStorage::hashed;
  const SessionManager after = SessionManager::make(store, hashed).value();
  const SessionId id = store_session(before);
  EXPECT_TRUE(after.find(id).value());
  EXPECT_EQ(store->rekeys, 1);
  const std::string hash = internal::key_of(id, internal::KeyForm::hashed).secret().substr(2);
  EXPECT_TRUE(memory->load(StoreKey("2:" + id.secret().substr(0, 1) + hash)).value().has_value());
}

TEST_F(KeyPlacementTest, IsPassedOnByAsynchronousStores) {
  const auto loop = EpollReactor::make().value();
  const auto immediate_store = immediate(store, {loop}).value();
  EXPECT_TRUE(immediate_store->placement());
  EXPECT_TRUE(encrypted(immediate_store, secrets()).value()->placement());
  const auto threaded = on_threads(store, {loop}).value();
  EXPECT_TRUE(threaded->placement());
  EXPECT_FALSE(immediate(memory, {loop}).value()->placement());

  const auto manager = AsyncSessionManager::make(immediate_store).value();
  bool moved = false;
  manager.create().start([&](Result<AsyncSession> session) {
    session->regenerate();
    manager.commit(*session).start([&](const Result<Commit>& commit) {
      moved = commit && commit->status == Status::regenerated;
    });
  });
  while (!moved) loop->run_once(std::chrono::milliseconds(10));
  EXPECT_EQ(store->rekeys, 1);
}

}  // namespace
}  // namespace websession::testing
