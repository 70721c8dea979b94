// Records that no session can be made of: what their visitors get, and what becomes of them in the
// lists of their principal.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
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

// Gives records with times to live that another program might have set, and cannot read one of
// them.
class StrangeStore final : public IndexedDecorator {
 public:
  using IndexedDecorator::IndexedDecorator;
  std::optional<milliseconds> remaining;
  std::optional<StoreKey> corrupt;
  bool is_a_string = false;  // what is there in its place can be neither read nor erased

  Result<bool> erase(const StoreKey& key, Grace grace) override {
    if (corrupt == key && is_a_string) return make_error(Errc::corrupt, "a string");
    return IndexedDecorator::erase(key, grace);
  }
  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (corrupt == key) return make_error(Errc::corrupt, "test");
    Result<std::optional<Record>> record = IndexedDecorator::load(key);
    if (record.has_value() && *record && remaining) (*record)->remaining = *remaining;
    return record;
  }
};

class UnreadableRecord : public ::testing::Test, protected FaultyMemory {
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
  static std::string cookie_of(const SessionId& id) { return "sid=" + id.secret(); }
};

class Kinds final : public Observer {
 public:
  std::vector<std::string> told{};

 protected:
  void on_session(const SessionEvent& event) override {
    told.push_back(std::string(to_text(event.kind)) + (label(event.session).empty() ? "" : "!"));
  }
};

constexpr std::int64_t year_9999 = 253'402'300'799'999;

TEST_F(UnreadableRecord, TimesThatCannotBeAreInNoList) {
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
TEST_F(UnreadableRecord, WhatCannotBeOpenedCountsForNoLimit) {
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

TEST_F(UnreadableRecord, ATimeToLiveOfAnySizeIsCutToWhatCanBe) {
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

// Whose record cannot be read is served as a new visitor, and record and cookie are left alone.
TEST_F(UnreadableRecord, ItsVisitorGetsAFreshSession) {
  EXPECT_EQ(SessionOptions().on_unreadable, Unreadable::fresh_session);
  const auto strange = std::make_shared<StrangeStore>(memory);
  SessionOptions with = options();
  const auto kinds = std::make_shared<Kinds>();
  with.observer = kinds;
  const SessionManager m = SessionManager::make(strange, with).value();
  const SessionId refused = record_of_ada(clock->wall().time_since_epoch().count());
  strange->corrupt = StoreKey(refused);
  for (const SessionId& id : {record_of_ada(ms_min), record_of_ada(ms_max), refused}) {
    kinds->told.clear();
    Session session = open_session(m, cookie_of(id));
    EXPECT_EQ(std::count(kinds->told.begin(), kinds->told.end(), "unreadable!"), 1);
    EXPECT_TRUE(session.is_new());
    EXPECT_FALSE(session.degraded());
    EXPECT_EQ(session.principal(), std::nullopt);
    const Commit nothing = m.commit(session).value();
    EXPECT_EQ(nothing.status, Status::unchanged);
    EXPECT_FALSE(testing::sends_cookie(nothing)) << "it may be readable again tomorrow";

    session.sign_in("bob");
    const Commit commit = m.commit(session).value();
    EXPECT_EQ(commit.status, Status::created);
    EXPECT_TRUE(testing::sends_cookie(commit));
    EXPECT_NE(cookie_of(session), cookie_of(id));
    EXPECT_TRUE(memory->load(StoreKey(id)).value()) << "it is left alone";
    EXPECT_EQ(m.find(id).error().code, Errc::corrupt) << "a tool has no visitor to serve";
  }
}

TEST_F(UnreadableRecord, OrTheErrorAsBefore) {
  SessionOptions with = options();
  with.on_unreadable = Unreadable::fail;
  const Result<Session> session = manager(with).open({cookie_of(record_of_ada(ms_max)), false});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::corrupt);
}

TEST_F(UnreadableRecord, AnotherCookieOfTheNameMayBeTheSession) {
  const SessionManager m = manager(options());
  Session good = open_session(m);
  good.set("a", 1);
  ASSERT_TRUE(m.commit(good));
  const std::string both = cookie_of(record_of_ada(ms_max)) + "; " + cookie_of(good);
  EXPECT_EQ(open_session(m, both).value("a", 0), 1);
}

// One reply that made no sense, of a server that answers well when it is asked again.
TEST_F(UnreadableRecord, ABadReplyIsNoUnreadableRecord) {
  const SessionManager m = manager(options());
  Session good = open_session(m);
  good.sign_in("ada");
  ASSERT_TRUE(m.commit(good));
  store->fail_call(1, make_error(Errc::corrupt, "what Redis sent is not its protocol"));
  EXPECT_EQ(open_session(m, cookie_of(good)).principal(), "ada");
}

// P9: an outage is not a logout, nor is a server that answers nothing but nonsense.
TEST_F(UnreadableRecord, AServerThatMakesNoSenseIsAnError) {
  const SessionManager m = manager(options());
  Session good = open_session(m);
  good.sign_in("ada");
  ASSERT_TRUE(m.commit(good));
  store->fail_all(make_error(Errc::corrupt, "what Redis sent is not its protocol"));
  EXPECT_EQ(m.open({cookie_of(good), false}).error().code, Errc::corrupt);
  store->recover();
  EXPECT_EQ(open_session(m, cookie_of(good)).principal(), "ada");
}

// An error of the store as a whole is none of one record.
TEST_F(UnreadableRecord, AnOutageIsSomethingElse) {
  const SessionManager m = manager(options());
  const std::string cookie = cookie_of(record_of_ada(ms_max));
  for (const Errc code : {Errc::unavailable, Errc::timeout, Errc::overloaded, Errc::rejected}) {
    store->fail_all(make_error(code, "test"));
    EXPECT_EQ(m.open({cookie, false}).error().code, code);
  }
}

TEST_F(UnreadableRecord, LoggingOutEndsItAndItsCookie) {
  const auto strange = std::make_shared<StrangeStore>(memory);
  const SessionManager m = SessionManager::make(strange, options()).value();
  for (const bool is_a_string : {false, true}) {
    for (const bool farewell : {false, true}) {
      const SessionId id = record_of_ada(clock->wall().time_since_epoch().count());
      strange->corrupt = StoreKey(id);
      strange->is_a_string = is_a_string;
      Session session = open_session(m, cookie_of(id));
      session.sign_out();
      if (farewell) session.set("farewell", 1);
      const Commit commit = m.commit(session).value();
      EXPECT_EQ(commit.status, farewell ? Status::created : Status::erased);
      EXPECT_TRUE(testing::sends_cookie(commit));
      EXPECT_EQ(commit.headers[0].value.find("Max-Age=0") == std::string::npos, farewell);
      EXPECT_EQ(memory->load(StoreKey(id)).value()->is_over(), !is_a_string);
      EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
    }
  }
}

TEST_F(UnreadableRecord, LoggingOutHearsOfAnOutage) {
  const SessionManager m = manager(options());
  const SessionId id = record_of_ada(ms_max);
  Session session = open_session(m, cookie_of(id));
  session.invalidate();
  store->fail_call(1, make_error(Errc::unavailable, "test"));
  EXPECT_EQ(m.commit(session).error().code, Errc::unavailable);
  EXPECT_TRUE(memory->load(StoreKey(id)).value());
  EXPECT_EQ(m.commit(session).value().status, Status::erased);
  EXPECT_TRUE(memory->load(StoreKey(id)).value()->is_over());
}

}  // namespace
}  // namespace websession::testing
