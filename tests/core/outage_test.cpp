// P9: what a visitor gets while the store cannot be asked, and after it is back.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "requests.hpp"
#include "websession/observer.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

class OutageTest : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager manager(Outage on_outage, std::shared_ptr<Observer> observer = nullptr) {
    SessionOptions options;
    options.clock = clock;
    options.on_outage = on_outage;
    options.observer = std::move(observer);
    return SessionManager::make(store, options).value();
  }
  // A session with a = 1 that is there already; gives its Cookie header.
  std::string stored() {
    const Fields fields{{"a", "1"}};
    return "sid=" + manager(Outage::fail).create(fields).value().id()->secret();
  }
  void fail_all(Errc code) { store->fail_all(make_error(code, "no answer within 500 ms")); }
  Session degraded(const SessionManager& by, const std::string& cookie) {
    Result<Session> session = by.open({cookie, true});
    EXPECT_TRUE(session);
    EXPECT_TRUE(session->degraded());
    return *std::move(session);
  }
};

constexpr Errc outages[] = {Errc::unavailable, Errc::timeout, Errc::overloaded};

TEST_F(OutageTest, FailingIsTheDefault) {
  EXPECT_EQ(SessionOptions().on_outage, Outage::fail);
  const SessionManager m = manager(Outage::fail);
  const std::string cookie = stored();
  for (const Errc code : outages) {
    fail_all(code);
    const Result<Session> session = m.open({cookie, true});
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, code);
    store->recover();
  }
}

TEST_F(OutageTest, AnonymousServesTheVisitorWithoutTheSession) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string cookie = stored();
  for (const Errc code : outages) {
    fail_all(code);
    const std::size_t before = store->calls();
    Session session = degraded(m, cookie);
    EXPECT_TRUE(session.is_new());
    EXPECT_EQ(session.id(), nullptr);
    EXPECT_FALSE(session.contains("a"));
    EXPECT_EQ(session.value("a", 7), 7);
    EXPECT_TRUE(session.names().empty());
    EXPECT_FALSE(session.get<int>("a").value().has_value());
    for (int i = 0; i < 2; ++i) {
      const Commit commit = m.commit(session).value();
      EXPECT_EQ(commit.status, Status::unchanged);
      EXPECT_FALSE(testing::sends_cookie(commit));
    }
    EXPECT_EQ(store->calls() - before, 1U) << "an outage is not asked twice";
    store->recover();
  }
  const Session back = m.open({cookie, true}).value();
  EXPECT_FALSE(back.degraded());
  EXPECT_EQ(back.value("a", 0), 1) << "once the store is back, so is the session";
}

// Whatever a handler wants to change, it hears that it cannot, and no cookie is sent or deleted.
TEST_F(OutageTest, ADegradedSessionCanChangeNothing) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string cookie = stored();
  const std::vector<std::function<void(Session&)>> changes = {
      [](Session& s) { s.set("a", 2); },
      [](Session& s) { s.set("b", 2, std::chrono::seconds(5)); },
      [](Session& s) { s.remove("a"); },
      [](Session& s) { s.remove("never set"); },
      [](Session& s) { s.clear(); },
      [](Session& s) { s.clear(), s.remove("a"); },
      [](Session& s) { s.regenerate(); },
      [](Session& s) { s.sign_in("ada"); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    fail_all(Errc::timeout);
    Session session = degraded(m, cookie);
    changes[i](session);
    store->recover();  // though the store is back: nobody knows what the session holds
    const std::size_t before = store->calls();
    for (int again = 0; again < 2; ++again) {
      const Result<Commit> commit = m.commit(session);
      ASSERT_FALSE(commit) << i;
      EXPECT_EQ(commit.error().code, Errc::timeout) << i;
      EXPECT_EQ(commit.error().detail, "the session could not be loaded: no answer within 500 ms");
      EXPECT_FALSE(commit.error().maybe_applied);
    }
    EXPECT_EQ(store->calls(), before) << i;
    EXPECT_EQ(m.open({cookie, true}).value().value("a", 0), 1) << i;
  }
  EXPECT_EQ(memory->size(), 1U) << "and no other session was made";
}

// The end needs no knowledge of what the session holds. Whoever logs out hears whether it worked.
TEST_F(OutageTest, ADegradedSessionCanBeEnded) {
  const SessionManager m = manager(Outage::anonymous);
  const std::vector<std::function<void(Session&)>> ends = {
      [](Session& s) { s.invalidate(); },
      [](Session& s) { s.sign_out(); },
      [](Session& s) { s.set("a", 2), s.invalidate(); },
      [](Session& s) { s.sign_out(), s.set("farewell", 1); },
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::string cookie = stored();
    fail_all(Errc::timeout);
    Session session = degraded(m, cookie);
    ends[i](session);
    const std::size_t before = store->calls();
    const Result<Commit> failed = m.commit(session);
    ASSERT_FALSE(failed) << i;
    EXPECT_EQ(failed.error().code, Errc::timeout) << i;
    EXPECT_EQ(store->calls() - before, 1U) << i;
    store->recover();
    EXPECT_FALSE(m.open({cookie, true}).value().is_new()) << i << ": it did not work";

    Result<Commit> commit = m.commit(session);
    if (i == 3) {
      EXPECT_EQ(commit.error().code, Errc::timeout) << "the farewell could not be stored";
      commit = m.commit(session);
    }
    EXPECT_EQ(commit.value().status, Status::erased) << i;
    EXPECT_NE(commit->headers.at(0).value.find("Max-Age=0"), std::string::npos) << i;
    EXPECT_TRUE(m.open({cookie, true}).value().is_new()) << i;
  }
  EXPECT_EQ(memory->size(), 0U);
}

// Nobody could look which of several cookies is the visitor's.
TEST_F(OutageTest, LoggingOutEndsWhateverTheCookiesName) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string planted = "sid=" + SessionId::generate().value().secret();
  for (const bool first : {false, true}) {
    const std::string own = stored();
    fail_all(Errc::timeout);
    Session session = degraded(m, first ? own + "; " + planted : planted + "; " + own);
    store->recover();
    session.sign_out();
    EXPECT_EQ(m.commit(session).value().status, Status::erased);
    EXPECT_TRUE(m.open({own, true}).value().is_new());
  }
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(OutageTest, DirectOperationsFail) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string cookie = stored();
  fail_all(Errc::unavailable);
  Session session = degraded(m, cookie);
  store->recover();
  const std::size_t before = store->calls();
  EXPECT_EQ(session.increment("a").error().code, Errc::unavailable);
  EXPECT_EQ(session.increment("new").error().code, Errc::unavailable);
  EXPECT_EQ(session.compare_and_set("a", 1, 2).error().code, Errc::unavailable);
  EXPECT_EQ(session.compare_and_set("a", absent, 2).error().code, Errc::unavailable);
  EXPECT_EQ(session.consume("a", 1).error().code, Errc::unavailable);
  EXPECT_EQ(session.increment("@user").error().code, Errc::invalid_argument) << "a mistake first";
  EXPECT_EQ(store->calls(), before);
  EXPECT_EQ(m.commit(session).value().status, Status::unchanged) << "they leave no change behind";
}

TEST_F(OutageTest, AVisitorWithoutACookieIsNotAffected) {
  const SessionManager m = manager(Outage::anonymous);
  fail_all(Errc::unavailable);
  for (const char* header : {"", "theme=dark", "sid=malformed"}) {
    Session session = m.open({header, true}).value();
    EXPECT_FALSE(session.degraded());
    EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
    session.set("a", 1);
    EXPECT_EQ(m.commit(session).error().code, Errc::unavailable) << "a session cannot be made";
  }
  store->recover();
  Session session = m.open({"", true}).value();
  session.set("a", 1);
  EXPECT_EQ(m.commit(session).value().status, Status::created);
}

// Errors that say more than that nobody answered: somebody has to act.
TEST_F(OutageTest, OtherErrorsAreNeverTakenForAnOutage) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string cookie = stored();
  for (const Errc code : {Errc::rejected, Errc::corrupt, Errc::invalid_argument, Errc::too_large,
                          Errc::no_randomness}) {
    fail_all(code);
    const Result<Session> session = m.open({cookie, true});
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, code);
    store->recover();
  }
}

// The second of two cookies may be the visitor's session.
TEST_F(OutageTest, AnyCookieThatCannotBeAskedForDegrades) {
  const SessionManager m = manager(Outage::anonymous);
  const std::string cookie = stored();
  const std::string two = "sid=" + std::string(32, 'u') + "; " + cookie + "; " + cookie;
  store->fail_call(2, make_error(Errc::timeout, "late"));
  const std::size_t before = store->calls();
  const Session session = degraded(m, two);
  EXPECT_EQ(store->calls() - before, 2U) << "each further one could cost a timeout";
  EXPECT_FALSE(m.open({two, true}).value().degraded());
}

// The outage begins after the session was loaded: as ever, for every verb that a commit may use.
TEST_F(OutageTest, ALoadedSessionIsNotDegradedByAFailingCommit) {
  const SessionManager m = manager(Outage::anonymous);
  const std::vector<std::function<void(Session&)>> changes = {
      [](Session& s) { s.set("a", 2); },
      [](Session& s) { s.regenerate(); },
      [](Session& s) { s.invalidate(); },
  };
  for (const auto& change : changes) {
    Session session = m.open({stored(), true}).value();
    change(session);
    fail_all(Errc::unavailable);
    EXPECT_EQ(m.commit(session).error().code, Errc::unavailable);
    EXPECT_FALSE(session.degraded());
    store->recover();
    EXPECT_TRUE(m.commit(session)) << "it can be repeated";
  }
}

TEST_F(OutageTest, FindGivesTheError) {
  const SessionManager m = manager(Outage::anonymous);
  const SessionId id = SessionId::generate().value();
  fail_all(Errc::unavailable);
  EXPECT_EQ(m.find(id).error().code, Errc::unavailable) << "a tool has no visitor to serve";
}

TEST_F(OutageTest, AnObserverIsToldOfEachDegradedSession) {
  class Kinds final : public Observer {
   public:
    std::vector<std::string> told{};

   protected:
    void on_session(const SessionEvent& event) override {
      told.push_back(std::string(to_text(event.kind)) + (label(event.session).empty() ? "" : "!"));
    }
    void on_store_call(const StoreCall& call) override {
      told.push_back(std::string(to_text(call.verb)) + (call.error == nullptr ? "" : " failed"));
    }
  };
  const auto kinds = std::make_shared<Kinds>();
  const std::string cookie = stored();
  fail_all(Errc::unavailable);
  degraded(manager(Outage::anonymous, kinds), cookie);
  EXPECT_EQ(kinds->told, std::vector<std::string>({"load failed", "degraded!"}));
  EXPECT_FALSE(manager(Outage::fail, kinds).open({cookie, true}));
  EXPECT_EQ(kinds->told.size(), 3U) << "an error that is given back is no event of a session";
}

}  // namespace
}  // namespace websession::testing
