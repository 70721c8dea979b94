// Many entries in the index of a principal: whatever is in front of a session, it is found, or the
// call says that it could not look.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "forwarding_store.hpp"
#include "requests.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Lists dead entries in front of those that it has, and looking at one of them takes time.
class CrowdedStore final : public IndexedDecorator {
 public:
  CrowdedStore(std::shared_ptr<SessionStore> inner, std::shared_ptr<ManualClock> clock)
      : IndexedDecorator(std::move(inner)), clock_(std::move(clock)) {}

  void bury_under(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) dead_.emplace_back("dead-" + std::to_string(i));
  }
  [[nodiscard]] std::size_t dead() const { return dead_.size(); }
  milliseconds load_takes{0};

  Result<std::optional<Record>> load(const StoreKey& key) override {
    clock_->advance(load_takes);
    return IndexedDecorator::load(key);
  }
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    std::vector<StoreKey> all(dead_.begin(), dead_.end());
    const auto alive = IndexedDecorator::entries(principal).value();
    all.insert(all.end(), alive.begin(), alive.end());
    if (all.size() > entries_max) all.erase(all.begin() + entries_max, all.end());
    return all;
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    // Those that were listed go together.
    const auto is_forgotten = [keys](const StoreKey& dead) {
      return std::find(keys.begin(), keys.end(), dead) != keys.end();
    };
    if (!dead_.empty() && is_forgotten(dead_.front())) {
      const std::size_t listed = std::min(dead_.size(), entries_max);
      dead_.erase(dead_.begin(), dead_.begin() + static_cast<std::ptrdiff_t>(listed));
    }
    return IndexedDecorator::forget(principal, keys, made);
  }

 private:
  std::shared_ptr<ManualClock> clock_;
  std::deque<StoreKey> dead_;
};

class PrincipalSessions : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager manager(std::optional<std::size_t> most = {},
                         TooManySessions policy = TooManySessions::end_oldest) {
    SessionOptions options;
    options.clock = clock;
    options.max_sessions_per_principal = most;
    options.when_too_many = policy;
    return SessionManager::make(crowd, options).value();
  }
  Session signed_in(const SessionManager& with) {
    clock->advance(milliseconds(1));
    Session session = open_session(with);
    session.sign_in("ada");
    EXPECT_TRUE(with.commit(session));
    return session;
  }

  std::shared_ptr<CrowdedStore> crowd = std::make_shared<CrowdedStore>(store, clock);
};

TEST_F(PrincipalSessions, DeadEntriesHideNone) {
  const SessionManager m = manager();
  const Session current = signed_in(m);
  crowd->bury_under(25'000);
  const auto sessions = m.sessions_of("ada", &current).value();
  ASSERT_EQ(sessions.size(), 1U);
  EXPECT_TRUE(sessions[0].is_current);
  EXPECT_EQ(crowd->dead(), 0U) << "they were dropped on the way";

  crowd->bury_under(25'000);
  EXPECT_TRUE(m.erase_one("ada", sessions[0].handle).value());
  EXPECT_FALSE(m.erase_one("ada", sessions[0].handle).value());
}

TEST_F(PrincipalSessions, DeadEntriesHideNoneFromSignOutEverywhere) {
  const SessionManager m = manager();
  const Session kept = signed_in(m);
  signed_in(m);
  crowd->bury_under(25'000);
  EXPECT_EQ(m.sign_out_everywhere("ada", &kept).value(), 1U);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
}

TEST_F(PrincipalSessions, DeadEntriesHideNoneFromTheLimit) {
  signed_in(manager());
  crowd->bury_under(10'500);
  Session refused = open_session(manager());
  refused.sign_in("ada");
  EXPECT_EQ(manager(1, TooManySessions::refuse_new).commit(refused).error().code,
            Errc::too_many_sessions);
  crowd->bury_under(10'500);
  signed_in(manager(1));
  EXPECT_EQ(manager().sessions_of("ada").value().size(), 1U);
}

// An index whose entries are there before their sessions: forget() leaves those that are new.
class AheadStore final : public IndexedDecorator {
 public:
  using IndexedDecorator::IndexedDecorator;
  std::vector<StoreKey> ahead{};
  std::function<void(const StoreKey&)> after_load{};
  bool is_barred = false;

  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    auto all = IndexedDecorator::entries(principal).value();
    for (const StoreKey& key : ahead) {
      if (std::find(all.begin(), all.end(), key) == all.end()) all.push_back(key);
    }
    return all;
  }
  Result<std::optional<Record>> load(const StoreKey& key) override {
    auto record = IndexedDecorator::load(key);
    // A copy: it may take itself away.
    if (const auto deed = after_load) deed(key);
    return record;
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    if (is_barred) return make_error(Errc::gone, "barred");
    return IndexedDecorator::create(key, fields, lifetime);
  }
};

class SessionsBeingMade : public PrincipalSessions {
 protected:
  std::shared_ptr<AheadStore> ahead = std::make_shared<AheadStore>(store);
  const SessionManager m = [this] {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(ahead, options).value();
  }();
};

// A session moves while it is listed, its new entry being there already: it is found once, whenever
// that happens.
TEST_F(SessionsBeingMade, AMoveIsFoundOnce) {
  for (int loads_before = 0; loads_before < 6; ++loads_before) {
    const std::string ada = "ada" + std::to_string(loads_before);
    Session session = open_session(m);
    session.sign_in(ada);
    ASSERT_TRUE(m.commit(session));
    const StoreKey from(*session.id());
    const StoreKey to(SessionId::generate().value());
    ahead->ahead = {to};
    int loads = 0;
    ahead->after_load = [&](const StoreKey&) {
      if (loads++ != loads_before) return;
      ahead->after_load = {};
      EXPECT_TRUE(store->rekey(from, to, {}, {seconds(600), ada}, {seconds(20)}));
    };
    EXPECT_EQ(m.sessions_of(ada).value().size(), 1U) << "after " << loads_before << " loads";
    ahead->after_load = {};
  }
}

// Entries of sessions that never come to be hold up nobody.
TEST_F(SessionsBeingMade, ThoseThatNeverComeAreNoSessions) {
  ahead->ahead = {StoreKey("a"), StoreKey("b")};
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
}

TEST_F(SessionsBeingMade, ASignInThatIsKeptFromItIsGone) {
  ahead->is_barred = true;
  Session session = open_session(m);
  session.sign_in("ada");
  const Result<Commit> commit = m.commit(session);
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(commit->status, Commit::Status::gone);
  EXPECT_FALSE(commit->cookie);
}

// More than the index gives at once, all of them alive.
TEST_F(PrincipalSessions, MoreThanCanBeListedIsAnErrorAndCanBeEnded) {
  const SessionManager m = manager();
  for (std::size_t i = 0; i < PrincipalIndex::entries_max + 500; ++i) signed_in(m);
  EXPECT_EQ(m.sessions_of("ada").error().code, Errc::overloaded);
  EXPECT_EQ(m.erase_one("ada", "a handle of none").error().code, Errc::overloaded);
  Session refused = open_session(m);
  refused.sign_in("ada");
  EXPECT_EQ(manager(1'000, TooManySessions::refuse_new).commit(refused).error().code,
            Errc::too_many_sessions);

  signed_in(manager(3));
  EXPECT_EQ(m.sessions_of("ada").value().size(), 3U) << "a limit that is new holds at once";
  for (std::size_t i = 0; i < PrincipalIndex::entries_max; ++i) signed_in(m);
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), PrincipalIndex::entries_max + 3);
}

// The work has an end, and what was not looked at is not called complete.
TEST_F(PrincipalSessions, WhatTakesTooLongIsATimeout) {
  const SessionManager m = manager();
  const Session first = signed_in(m);
  const std::string handle = m.sessions_of("ada").value().at(0).handle;
  for (int i = 0; i < 30; ++i) signed_in(m);
  crowd->load_takes = seconds(1);
  const SteadyTime start = clock->steady();
  EXPECT_EQ(m.sessions_of("ada").error().code, Errc::timeout);
  EXPECT_LE(clock->steady() - start, seconds(11));
  EXPECT_TRUE(m.erase_one("ada", handle).value()) << "one that is found needs no list";
  const auto some = m.sign_out_everywhere("ada");
  EXPECT_EQ(some.error().code, Errc::timeout);
  EXPECT_TRUE(some.error().maybe_applied);
  crowd->load_takes = milliseconds(0);
  EXPECT_LT(m.sessions_of("ada").value().size(), 30U) << "what has ended stays so";
  EXPECT_GT(m.sign_out_everywhere("ada").value(), 0U);
}

TEST_F(PrincipalSessions, ALimitThatTakesTooLongSignsIn) {
  const SessionManager m = manager();
  for (int i = 0; i < 30; ++i) signed_in(m);
  crowd->load_takes = seconds(1);
  signed_in(manager(1));
  crowd->load_takes = milliseconds(0);
  signed_in(manager(1));
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U) << "the next one makes up for it";
}

}  // namespace
}  // namespace websession::testing
