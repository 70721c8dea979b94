// Records that no session can be made of: what their visitors get, and what becomes of them in the
// lists of their principal.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "forwarding_store.hpp"
#include "requests.hpp"
#include "websession/observer.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using Status = Commit::Status;

// Gives records with times to live that another program might have set.
class StrangeStore final : public ForwardingIndexedStore {
 public:
  using ForwardingIndexedStore::ForwardingIndexedStore;
  std::optional<milliseconds> remaining;

  Result<std::optional<Record>> load(const StoreKey& key) override {
    Result<std::optional<Record>> record = ForwardingStore::load(key);
    if (record && *record && remaining) (*record)->remaining = *remaining;
    return record;
  }
};

class Unreadable : public ::testing::Test, protected FaultyMemory {
 protected:
  static constexpr std::int64_t ms_min = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t ms_max = std::numeric_limits<std::int64_t>::max();

  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    return options;
  }
  SessionManager manager(const SessionOptions& with) {
    return SessionManager::make(store, with).value();
  }
  // A record of Ada that says it was created then.
  SessionId record_of_ada(std::int64_t created) {
    SessionId id = SessionId::generate().value();
    const std::string text = std::to_string(created);
    EXPECT_TRUE(
        memory->create(StoreKey(id), {{"@created", text}, {"@user", "ada"}}, {minutes(30), "ada"}));
    return id;
  }
  static std::string cookie_of(const Session& session) { return "sid=" + session.id()->secret(); }
};

constexpr std::int64_t year_9999 = 253'402'300'799'999;

TEST_F(Unreadable, TimesThatCannotBeAreInNoList) {
  const SessionManager m = manager(options());
  Session good = open_session(m);
  good.sign_in("ada");
  ASSERT_TRUE(m.commit(good));
  for (const std::int64_t bad : {ms_min, ms_max, std::int64_t{-1}, year_9999 + 1}) {
    record_of_ada(bad);
  }
  const std::vector<SessionInfo> infos = m.sessions_of("ada", &good).value();
  ASSERT_EQ(infos.size(), 1U);
  EXPECT_TRUE(infos[0].is_current);
  EXPECT_EQ(m.sign_out_everywhere("ada", &good).value(), 4U) << "they end with the others";
  EXPECT_EQ(memory->size(), 1U);
}

// Whoever has no session left that can be opened must not be kept out by what is left of them.
TEST_F(Unreadable, WhatCannotBeOpenedCountsForNoLimit) {
  for (const TooManySessions policy : {TooManySessions::refuse_new, TooManySessions::end_oldest}) {
    SessionOptions with = options();
    with.max_sessions_per_principal = 1;
    with.when_too_many = policy;
    const SessionManager m = manager(with);
    record_of_ada(ms_max);
    record_of_ada(ms_min);
    // Beyond the absolute timeout, which was longer when the record was written.
    record_of_ada((clock->wall() - hours(13)).time_since_epoch().count());
    Session session = open_session(m);
    session.sign_in("ada");
    const Result<Commit> commit = m.commit(session);
    ASSERT_TRUE(commit) << commit.error().message();
    EXPECT_EQ(commit->status, Status::created);
    EXPECT_EQ(open_session(m, cookie_of(session)).principal(), "ada");
    EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
    ASSERT_TRUE(m.sign_out_everywhere("ada"));
    EXPECT_EQ(memory->size(), 0U);
  }
}

TEST_F(Unreadable, ATimeToLiveOfAnySizeIsCutToWhatCanBe) {
  auto strange = std::make_shared<StrangeStore>(memory);
  const SessionManager m = SessionManager::make(strange, options()).value();
  Session session = open_session(m);
  session.sign_in("ada");
  ASSERT_TRUE(m.commit(session));
  for (const std::int64_t ms : {ms_min, std::int64_t{-5}, std::int64_t{0}, ms_max}) {
    strange->remaining = milliseconds(ms);
    const std::vector<SessionInfo> infos = m.sessions_of("ada").value();
    ASSERT_EQ(infos.size(), 1U) << ms;
    EXPECT_EQ(infos[0].renewed, clock->wall()) << ms << ": within the life of the session";
    Session opened = open_session(m, cookie_of(session));
    EXPECT_GE(opened.expires_in(), minutes(30)) << ms;
    EXPECT_LE(opened.expires_in(), ttl_max) << ms;
    EXPECT_TRUE(m.commit(opened)) << ms;
  }
}

}  // namespace
}  // namespace websession::testing
