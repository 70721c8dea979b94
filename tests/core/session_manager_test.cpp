// Session and SessionManager over the in-memory store, seen as a request sees them.
#include "websession/session_manager.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "faulty_memory.hpp"
#include "requests.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {
namespace {

// A null would be taken for a text.
template <class T>
concept FallsBackOnNull = requires(const T& attributes) {
  attributes.value("name", nullptr);
};
static_assert(!FallsBackOnNull<Session> && !FallsBackOnNull<SessionSnapshot>);

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Status = Commit::Status;

class Warnings final : public Observer {
 public:
  explicit Warnings(std::vector<std::string>& told) : told_(told) {}

 protected:
  void on_warning(const Warning& warning) override { told_.emplace_back(warning.text); }

 private:
  std::vector<std::string>& told_;
};

class SessionManagerTest : public ::testing::Test, protected FaultyMemory {
 protected:
  std::vector<std::string> warnings;

  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    options.observer = std::make_shared<Warnings>(warnings);
    return options;
  }
  SessionManager manager(const SessionOptions& with) {
    return SessionManager::make(store, with).value();
  }
  SessionManager manager() { return manager(options()); }

  // A stored session with a = 1; gives its Cookie header.
  std::string stored(const SessionManager& with) {
    Session session = open_session(with);
    session.set("a", 1);
    const Commit commit = with.commit(session).value();
    EXPECT_EQ(commit.status, Status::created);
    return cookie_of(commit);
  }
  static std::string id_of(const std::string& cookie) { return cookie.substr(4); }
};

// P6
TEST_F(SessionManagerTest, AVisitorWhoStoresNothingCostsNothing) {
  const SessionManager m = manager();
  Session session = open_session(m, "theme=dark; other=1");
  EXPECT_TRUE(session.is_new());
  EXPECT_EQ(session.value("count", 0), 0);
  session.set("a", 1);
  session.remove("a");
  session.regenerate();
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::unchanged);
  EXPECT_FALSE(testing::sends_cookie(commit));
  EXPECT_EQ(store->calls(), 0U);
  EXPECT_EQ(memory->size(), 0U);
}

// P6
TEST_F(SessionManagerTest, ARequestCostsOneLoadAndAtMostOneWrite) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  std::size_t before = store->calls();
  Session reader = open_session(m, cookie);
  EXPECT_EQ(reader.value("a", 0), 1);
  EXPECT_EQ(m.commit(reader).value().status, Status::unchanged);
  EXPECT_EQ(store->calls() - before, 1U) << "nothing changed, no renewal due";

  before = store->calls();
  Session writer = open_session(m, cookie);
  writer.set("a", 2);
  writer.set("b", "x");
  writer.remove("c");
  EXPECT_EQ(m.commit(writer).value().status, Status::updated);
  EXPECT_EQ(store->calls() - before, 2U);

  before = store->calls();
  Session counter = open_session(m, cookie);
  EXPECT_EQ(counter.increment("a").value(), 3);
  EXPECT_EQ(m.commit(counter).value().status, Status::unchanged);
  EXPECT_EQ(store->calls() - before, 2U) << "a direct operation carries the renewal";

  before = store->calls();
  clock->advance(minutes(4));
  Session late = open_session(m, cookie);
  EXPECT_EQ(m.commit(late).value().status, Status::renewed);
  EXPECT_EQ(store->calls() - before, 2U);
}

TEST_F(SessionManagerTest, TheFirstAttributeMakesASessionAndACookie) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("name", "Ada");
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::created);
  ASSERT_EQ(commit.headers.size(), 3U);
  EXPECT_EQ(commit.headers[0].name, "Set-Cookie");
  EXPECT_EQ(commit.headers[0].mode, Header::Mode::append);
  EXPECT_EQ(commit.headers[0].value,
            "sid=" + session.id()->secret() +
                "; Path=/; Max-Age=43200; Expires=Wed, 15 Nov 2023 10:13:20 GMT; HttpOnly; "
                "SameSite=Lax");
  EXPECT_EQ(commit.headers[1].name, "Cache-Control");
  EXPECT_EQ(commit.headers[1].value, "no-store");
  EXPECT_EQ(commit.headers[1].mode, Header::Mode::replace);

  EXPECT_EQ(m.commit(session).value().status, Status::unchanged) << "a second commit";
  EXPECT_EQ(open_session(m, cookie_of(commit)).value("name", "?"), "Ada");
}

// P4
TEST_F(SessionManagerTest, AnUnknownIdIsNeverTakenUp) {
  const SessionManager m = manager();
  const std::string forged(32, 'f');
  Session session = open_session(m, "sid=" + forged);
  EXPECT_TRUE(session.is_new());
  session.set("a", 1);
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::created);
  EXPECT_NE(session.id()->secret(), forged);
  EXPECT_TRUE(open_session(m, "sid=" + forged).is_new());
  EXPECT_EQ(memory->size(), 1U);
}

// P4
TEST_F(SessionManagerTest, AMalformedCookieNeverReachesTheStore) {
  const SessionManager m = manager();
  const std::string good(32, 'a');
  for (const std::string& value :
       {std::string(), std::string("short"), std::string(3000, 'a'), std::string(10'000, 'a'),
        good + "\r\nSet-Cookie: x=1", good + "%0d%0a", "\"" + good + "\"", "sid_" + good,
        std::string(31, 'a') + "*", std::string(31, 'a') + std::string(1, '\0'),
        std::string("../../../../../../../etc/passwd0"), std::string(31, 'a') + "\xff"}) {
    Result<Session> session = m.open({"sid=" + value, false});
    ASSERT_TRUE(session) << session.error().message();
    EXPECT_TRUE(session->is_new());
  }
  EXPECT_EQ(store->calls(), 0U);
}

TEST_F(SessionManagerTest, OfSeveralCookiesTheFirstKnownOneCounts) {
  const SessionManager m = manager();
  const std::string mine = stored(m);
  const std::string other = stored(m);
  const std::string unknown = "sid=" + std::string(32, 'u');
  EXPECT_EQ(open_session(m, unknown + "; " + mine + "; " + other).id()->secret(), id_of(mine));
  EXPECT_EQ(open_session(m, mine + "; " + other).id()->secret(), id_of(mine));
  EXPECT_EQ(open_session(m, "sid=malformed; sid=; " + mine).id()->secret(), id_of(mine));

  const std::size_t before = store->calls();
  std::string many;
  for (int i = 0; i < 50; ++i) many += "sid=" + std::string(31, 'u') + "ABCDEFGHIJ"[i % 10] + ';';
  EXPECT_TRUE(open_session(m, many + mine).is_new());
  EXPECT_EQ(store->calls() - before, 4U) << "four at most";
}

TEST_F(SessionManagerTest, WithAHostNameOnlyTheFirstCookieCounts) {
  for (const std::string name : {"__Host-sid", "__host-sid"}) {
    SessionOptions with = options();
    with.cookie.name = name;
    with.cookie.secure = Secure::always;
    const SessionManager m = manager(with);
    Session session = m.open({"", true}).value();
    session.set("a", 1);
    const Commit commit = m.commit(session).value();
    const std::string& header = commit.headers.at(0).value;
    const std::string cookie = header.substr(0, header.find(';'));
    EXPECT_FALSE(open_session(m, cookie).is_new());
    EXPECT_TRUE(open_session(m, name + "=" + std::string(32, 'u') + "; " + cookie).is_new());
    EXPECT_TRUE(open_session(m, name + "=x; " + cookie).is_new());
  }
}

// P9
TEST_F(SessionManagerTest, AnOutageIsAnErrorAndNotALogout) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  store->fail_all(make_error(Errc::unavailable, "down"));
  const Result<Session> session = m.open({cookie, false});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::unavailable);
  store->recover();
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 1);
}

// P8: whichever call fails, a commit can be repeated and all changes are there in the end.
TEST_F(SessionManagerTest, AFailedCommitCanBeRepeated) {
  const SessionManager m = manager();
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    for (std::size_t n = 1; n <= 3; ++n) {
      Session session = open_session(m, stored(m));
      session.set("b", 2);
      session.regenerate();
      store->fail_call(1, make_error(Errc::timeout, "lost"), moment);
      const Result<Commit> failed = m.commit(session);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().maybe_applied, moment == FaultStore::Moment::after);
      session.set("c", 3);  // a change between the tries must not be lost
      if (n > 1) {
        store->fail_call(n - 1, make_error(Errc::timeout, "lost"), moment);
        (void)m.commit(session);
      }
      store->recover();
      const Result<Commit> commit = m.commit(session);
      ASSERT_TRUE(commit) << commit.error().message();
      if (commit->status != Status::unchanged) {
        EXPECT_EQ(commit->status, Status::regenerated);
        const Session after = open_session(m, cookie_of(*commit));
        EXPECT_EQ(after.value("a", 0), 1);
        EXPECT_EQ(after.value("b", 0), 2);
        EXPECT_EQ(after.value("c", 0), 3);
      }
      const Session after = m.find(*session.id()).value().value();
      EXPECT_EQ(after.value("c", 0), 3);
    }
  }
}

// P1
TEST_F(SessionManagerTest, GoneWritesNothingAndSendsNoCookie) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session slow = open_session(m, cookie);
  Session logout = open_session(m, cookie);
  logout.invalidate();
  EXPECT_EQ(m.commit(logout).value().status, Status::erased);
  slow.set("a", 2);
  const Commit commit = m.commit(slow).value();
  EXPECT_EQ(commit.status, Status::gone);
  EXPECT_FALSE(testing::sends_cookie(commit));
  EXPECT_EQ(memory->size(), 0U);
  EXPECT_EQ(m.commit(slow).value().status, Status::gone);
  EXPECT_TRUE(open_session(m, cookie).is_new());
}

// P1
TEST_F(SessionManagerTest, ADirectOperationOnAnEndedSessionSaysGone) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  ASSERT_TRUE(m.erase(*session.id()).value());
  EXPECT_EQ(session.increment("a").error().code, Errc::gone);
  EXPECT_EQ(session.compare_and_set("a", 1, 2).error().code, Errc::gone);
  EXPECT_EQ(m.commit(session).value().status, Status::gone);
  EXPECT_EQ(memory->size(), 0U);
}

// P2
TEST_F(SessionManagerTest, OnlyChangedAttributesAreWritten) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session first = open_session(m, cookie);
  Session second = open_session(m, cookie);
  first.set("x", 1);
  second.set("y", 2);
  second.set("a", 1);  // what it was already
  ASSERT_TRUE(m.commit(first));
  Session third = open_session(m, cookie);
  third.set("a", 7);
  ASSERT_TRUE(m.commit(third));
  ASSERT_TRUE(m.commit(second));
  const Session after = open_session(m, cookie);
  EXPECT_EQ(after.value("x", 0), 1);
  EXPECT_EQ(after.value("y", 0), 2);
  EXPECT_EQ(after.value("a", 0), 7);
}

// P10
TEST_F(SessionManagerTest, RegenerateGivesANewIdAndFreezesTheOld) {
  const SessionManager m = manager();
  const std::string old_cookie = stored(m);
  Session session = open_session(m, old_cookie);
  Session parallel = open_session(m, old_cookie);
  session.regenerate();
  session.set("role", "admin");
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::regenerated);
  EXPECT_NE(cookie_of(commit), old_cookie);

  Session old = open_session(m, old_cookie);
  EXPECT_EQ(old.value("a", 0), 1);
  EXPECT_FALSE(old.contains("role"));
  EXPECT_EQ(m.commit(old).value().status, Status::unchanged);
  old.set("a", 5);
  EXPECT_EQ(m.commit(old).value().status, Status::gone);
  parallel.set("a", 5);
  const Commit late = m.commit(parallel).value();
  EXPECT_EQ(late.status, Status::gone) << "a write under a replaced id is reported";
  EXPECT_FALSE(testing::sends_cookie(late));

  clock->advance(seconds(11));
  EXPECT_TRUE(open_session(m, old_cookie).is_new()) << "after the grace";
  const Session moved = open_session(m, cookie_of(commit));
  EXPECT_EQ(moved.value("a", 0), 1);
  EXPECT_EQ(moved.value("role", ""), "admin");
}

TEST_F(SessionManagerTest, RegenerateKeepsTheAbsoluteTimeout) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  for (int i = 0; i < 28; ++i) {
    clock->advance(minutes(25));
    session = open_session(m, "sid=" + session.id()->secret());
    ASSERT_FALSE(session.is_new()) << i;
    session.regenerate();
    ASSERT_EQ(m.commit(session).value().status, Status::regenerated);
  }
  const std::string last = "sid=" + session.id()->secret();
  clock->advance(minutes(11 * 60 + 59) - 28 * minutes(25));
  EXPECT_FALSE(open_session(m, last).is_new()) << "11:59 after it was created";
  clock->advance(minutes(1));
  EXPECT_TRUE(open_session(m, last).is_new()) << "12:00";
}

TEST_F(SessionManagerTest, IdleSessionsEnd) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  for (int i = 0; i < 3; ++i) {
    clock->advance(minutes(29));
    Session session = open_session(m, cookie);
    ASSERT_FALSE(session.is_new());
    ASSERT_TRUE(m.commit(session));
  }
  clock->advance(minutes(30));
  EXPECT_TRUE(open_session(m, cookie).is_new());
}

TEST_F(SessionManagerTest, AShortenedAbsoluteTimeoutCountsAtOnce) {
  const std::string cookie = stored(manager());
  clock->advance(minutes(20));
  SessionOptions strict = options();
  strict.idle_timeout = strict.absolute_timeout = minutes(20);
  EXPECT_TRUE(open_session(manager(strict), cookie).is_new());
  EXPECT_FALSE(open_session(manager(), cookie).is_new());
}

TEST_F(SessionManagerTest, InvalidateErasesAndDeletesTheCookie) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  session.set("b", 1);
  session.invalidate();
  EXPECT_FALSE(session.contains("a")) << "at once";
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Status::erased);
  EXPECT_EQ(commit.headers.at(0).value,
            "sid=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; "
            "SameSite=Lax");
  EXPECT_EQ(commit.headers.at(1).value, "no-store");
  EXPECT_EQ(memory->size(), 0U);
  EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
  session.set("a", 1);
  EXPECT_EQ(m.commit(session).error().code, Errc::invalid_argument);
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(SessionManagerTest, AStaleCookieIsDeletedOnlyOnInvalidate) {
  const SessionManager m = manager();
  Session session = open_session(m, "sid=" + std::string(32, 's'));
  EXPECT_FALSE(testing::sends_cookie(m.commit(session).value()));
  session.invalidate();
  EXPECT_EQ(m.commit(session).value().headers.size(), 3U);
}

TEST_F(SessionManagerTest, TheFirstBadCallIsKeptAndNothingIsWritten) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  const std::string long_name(129, 'n');
  struct Bad {
    const char* what;
    std::function<void(Session&)> call;
    Errc code;
  };
  const std::vector<Bad> all = {
      {"an empty name", [](Session& s) { s.set("", 1); }, Errc::invalid_argument},
      {"a long name", [&](Session& s) { s.set(long_name, 1); }, Errc::invalid_argument},
      {"a reserved name", [](Session& s) { s.set("@user", "root"); }, Errc::invalid_argument},
      {"a control byte", [](Session& s) { s.set("a\nb", 1); }, Errc::invalid_argument},
      {"NaN", [](Session& s) { s.set("x", std::nan("")); }, Errc::invalid_argument},
      {"bad UTF-8 in JSON", [](Session& s) { s.set("x", nlohmann::json{"\xff"}); },
       Errc::invalid_argument},
      {"removing a reserved name", [](Session& s) { s.remove("@created"); },
       Errc::invalid_argument},
      {"no lifetime", [](Session& s) { s.set("x", 1, seconds(0)); }, Errc::invalid_argument},
      {"an endless lifetime", [](Session& s) { s.set("x", 1, hours(24 * 500)); },
       Errc::invalid_argument},
      {"a huge value", [](Session& s) { s.set("x", std::string(70'000, 'x')); }, Errc::too_large},
  };
  for (const Bad& bad : all) {
    Session session = open_session(m, cookie);
    session.set("b", 1);
    bad.call(session);
    session.set("", "a later mistake");
    const std::size_t before = store->calls();
    const Result<Commit> commit = m.commit(session);
    ASSERT_FALSE(commit) << bad.what;
    EXPECT_EQ(commit.error().code, bad.code) << bad.what;
    EXPECT_EQ(store->calls(), before) << bad.what;
    EXPECT_FALSE(open_session(m, cookie).contains("b")) << bad.what;
  }
}

TEST_F(SessionManagerTest, LimitsRefuseOnlyGrowth) {
  SessionOptions with = options();
  with.session_bytes_max = 100;
  with.attributes_max = 3;
  const SessionManager small = manager(with);
  Session session = open_session(small);
  session.set("a", std::string(60, 'x'));
  session.set("b", std::string(60, 'x'));
  EXPECT_EQ(small.commit(session).error().code, Errc::too_large);
  Session names = open_session(small);
  for (const char* name : {"a", "b", "c", "d"}) names.set(name, 1);
  EXPECT_EQ(small.commit(names).error().code, Errc::too_large);
  EXPECT_EQ(memory->size(), 0U);

  Session big = open_session(manager());
  for (const char* name : {"a", "b", "c", "d"}) big.set(name, std::string(60, 'x'));
  const std::string cookie = cookie_of(manager().commit(big).value());
  Session over = open_session(small, cookie);
  EXPECT_EQ(over.value("d", "").size(), 60U) << "a record over the limit still loads";
  over.set("d", std::string(61, 'x'));
  EXPECT_EQ(small.commit(over).error().code, Errc::too_large);
  over.set("d", "x");
  EXPECT_EQ(small.commit(over).value().status, Status::updated) << "shrinking is fine";
  EXPECT_EQ(over.compare_and_set("e", absent, 1).error().code, Errc::too_large);
  EXPECT_EQ(over.increment("e").error().code, Errc::too_large);
}

TEST_F(SessionManagerTest, GetIsTypedAndExact) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("n", 300);
  session.set("s", "text");
  session.set("t", true);
  session.set("zip", "10115");
  session.set("plain", Text{"10115"});
  session.set("j", nlohmann::json{1, 2});
  EXPECT_EQ(session.get<int>("n").value(), 300);
  EXPECT_EQ(session.get<int>("none").value(), std::nullopt);
  EXPECT_FALSE(session.get<std::uint8_t>("n").has_value()) << "300 does not fit";
  EXPECT_FALSE(session.get<int>("s").has_value());
  EXPECT_FALSE(session.get<bool>("n").has_value());
  EXPECT_EQ(session.get<std::string>("zip").value(), "10115");
  EXPECT_FALSE(session.get<int>("zip").has_value()) << "a string is a string";
  EXPECT_EQ(session.get<int>("plain").value(), 10115) << "plain text reads as what it says";
  EXPECT_EQ(session.get<std::string>("n").value(), "300");
  EXPECT_EQ(session.get<nlohmann::json>("j").value(), (nlohmann::json{1, 2}));
  EXPECT_EQ(session.value("n", 7), 300);
  EXPECT_EQ(session.value("s", 7), 7);
  EXPECT_EQ(session.value("s", "fallback"), "text");
  EXPECT_EQ(session.value("none", "fallback"), "fallback");
  EXPECT_EQ(session.value("t", false), true);
  EXPECT_FALSE(session.contains("@created"));
  EXPECT_EQ(session.names(), (std::vector<std::string>{"j", "n", "plain", "s", "t", "zip"}));
  const Error error = session.get<int>("s").error();
  EXPECT_NE(error.detail.find("\"s\""), std::string::npos);
  EXPECT_EQ(error.detail.find("text\""), std::string::npos) << "the value is not in the error";
}

TEST_F(SessionManagerTest, ChangesShowAtOnceAndWaitForTheCommit) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  session.set("b", 2);
  session.remove("a");
  EXPECT_FALSE(session.contains("a"));
  EXPECT_EQ(session.value("b", 0), 2);
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 1) << "not before the commit";
  session.clear();
  EXPECT_TRUE(session.names().empty());
  session.set("c", 3);
  EXPECT_EQ(session.names(), std::vector<std::string>{"c"});
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(open_session(m, cookie).names(), std::vector<std::string>{"c"});
}

TEST_F(SessionManagerTest, AttributesCanExpireBeforeTheSession) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("code", "123456", minutes(5));
  session.set("a", 1);
  const std::string cookie = cookie_of(m.commit(session).value());
  clock->advance(minutes(4));
  Session before = open_session(m, cookie);
  EXPECT_EQ(before.value("code", ""), "123456");
  ASSERT_TRUE(m.commit(before));
  clock->advance(minutes(1));
  const Session after = open_session(m, cookie);
  EXPECT_FALSE(after.contains("code"));
  EXPECT_EQ(after.value("a", 0), 1);
}

TEST_F(SessionManagerTest, DirectOperationsActAtOnce) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  EXPECT_EQ(session.increment("a", 4).value(), 5);
  EXPECT_EQ(session.value("a", 0), 5) << "the snapshot follows";
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 5) << "no commit needed";
  EXPECT_TRUE(session.compare_and_set("a", 5, 6).value());
  EXPECT_FALSE(session.compare_and_set("a", 5, 7).value());
  EXPECT_TRUE(session.compare_and_set("new", absent, "x").value());
  EXPECT_FALSE(session.compare_and_set("new", absent, "y").value());
  EXPECT_TRUE(session.consume("new", "x").value());
  EXPECT_FALSE(session.consume("new", "x").value());
  EXPECT_EQ(open_session(m, cookie).names(), std::vector<std::string>{"a"});
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 6);
  session.set("s", "x");
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(session.increment("s").error().code, Errc::invalid_argument);
}

TEST_F(SessionManagerTest, DirectOperationsActOnTheStoresStateNotTheSnapshots) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session early = open_session(m, cookie);
  Session other = open_session(m, cookie);
  EXPECT_EQ(other.increment("a", 10).value(), 11);
  EXPECT_EQ(early.increment("a").value(), 12);
  EXPECT_FALSE(other.compare_and_set("a", 11, 0).value());
}

TEST_F(SessionManagerTest, DirectOperationsOnLocalStateRideOnTheCommit) {
  const SessionManager m = manager();
  Session fresh = open_session(m);
  EXPECT_EQ(fresh.increment("n").value(), 1);
  EXPECT_EQ(fresh.increment("n").value(), 2);
  EXPECT_TRUE(fresh.compare_and_set("x", absent, 1).value());
  EXPECT_FALSE(fresh.compare_and_set("x", 2, 3).value());
  EXPECT_TRUE(fresh.consume("x", 1).value());
  EXPECT_EQ(store->calls(), 0U);
  const std::string cookie = cookie_of(m.commit(fresh).value());
  EXPECT_EQ(open_session(m, cookie).names(), std::vector<std::string>{"n"});

  Session session = open_session(m, cookie);
  session.set("n", 10);
  EXPECT_EQ(session.increment("n").value(), 11) << "a pending change is built upon";
  session.remove("n");
  EXPECT_EQ(session.increment("n").value(), 1);
  EXPECT_EQ(open_session(m, cookie).value("n", 0), 2) << "nothing is written yet";
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(open_session(m, cookie).value("n", 0), 1);
}

TEST_F(SessionManagerTest, ConsumeMatchesEitherFormOfAString) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("encoded", "10115");
  session.set("plain", Text{"10115"});
  ASSERT_TRUE(m.commit(session));
  EXPECT_FALSE(session.consume("encoded", Text{"10115"}).value()) << "Text means these bytes";
  EXPECT_TRUE(session.consume("encoded", "10115").value());
  EXPECT_TRUE(session.consume("plain", "10115").value());
}

TEST_F(SessionManagerTest, AStringMatchesHoweverItIsStored) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.set("quoted", Text{"\"abc\""});
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(session.value("quoted", ""), "abc");
  EXPECT_TRUE(session.consume("quoted", "abc").value());
}

TEST_F(SessionManagerTest, AfterAMismatchTheSnapshotShowsWhatIsThere) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  ASSERT_EQ(open_session(m, cookie).increment("a", 4).value(), 5);
  int tries = 0;
  while (!session.compare_and_set("a", session.value("a", 0), session.value("a", 0) + 1).value()) {
    ASSERT_LT(++tries, 3) << "a retry loop must end";
  }
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 6);
  ASSERT_TRUE(open_session(m, cookie).consume("a", 6).value());
  EXPECT_FALSE(session.compare_and_set("a", 6, 7).value());
  EXPECT_FALSE(session.contains("a"));
}

// Only right after its load does a session know that a change is none.
TEST_F(SessionManagerTest, AStaleSnapshotElidesNothing) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session lost = open_session(m, cookie);
  lost.set("admin", true);
  store->fail_call(1, make_error(Errc::timeout, "lost"), FaultStore::Moment::after);
  ASSERT_FALSE(m.commit(lost));
  lost.remove("admin");
  ASSERT_EQ(m.commit(lost).value().status, Status::updated);
  EXPECT_FALSE(open_session(m, cookie).contains("admin"));

  Session mismatch = open_session(m, cookie);
  ASSERT_TRUE(open_session(m, cookie).compare_and_set("a", 1, 5).value());
  ASSERT_FALSE(mismatch.compare_and_set("a", 1, 2).value());
  mismatch.set("a", 1);
  ASSERT_TRUE(m.commit(mismatch));
  EXPECT_EQ(open_session(m, cookie).value("a", 0), 1);

  Session living = open_session(m, cookie);
  living.set("online", true);
  ASSERT_TRUE(m.commit(living));
  Session other = open_session(m, cookie);
  other.set("online", false);
  ASSERT_TRUE(m.commit(other));
  living.set("online", true);
  ASSERT_TRUE(m.commit(living));
  EXPECT_TRUE(open_session(m, cookie).value("online", false));
  ASSERT_TRUE(open_session(m, cookie).increment("later"));
  living.clear();
  ASSERT_TRUE(m.commit(living));
  EXPECT_TRUE(open_session(m, cookie).names().empty());
}

TEST_F(SessionManagerTest, AnAttributeExpiresInALivingSession) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  session.set("sudo", true, minutes(5));
  EXPECT_TRUE(session.contains("sudo"));
  clock->advance(minutes(5));
  EXPECT_FALSE(session.contains("sudo")) << "before the commit";
  EXPECT_FALSE(session.consume("sudo", true).value());
  Session counter = open_session(m, cookie);
  counter.set("n", 7, minutes(5));
  ASSERT_TRUE(m.commit(counter));
  EXPECT_TRUE(counter.contains("n"));
  clock->advance(minutes(5));
  EXPECT_FALSE(counter.contains("n")) << "after the commit";
  EXPECT_EQ(counter.increment("n").value(), 1);
  EXPECT_EQ(counter.value("n", 0), 1);
  counter.remove("n");
  ASSERT_TRUE(m.commit(counter));
  EXPECT_FALSE(open_session(m, cookie).contains("n"));
}

// P1: whatever the handler goes on to do.
TEST_F(SessionManagerTest, GoneIsAStatusHoweverItIsNoticed) {
  const SessionManager m = manager();
  Session session = open_session(m, stored(m));
  ASSERT_TRUE(m.erase(*session.id()).value());
  EXPECT_EQ(session.increment("a").error().code, Errc::gone);
  session.set("x", 1);
  session.clear();
  EXPECT_EQ(m.commit(session).value().status, Status::gone);
}

TEST_F(SessionManagerTest, AFailedRegenerateIsRepeatedBeforeAnythingElse) {
  const SessionManager m = manager();
  Session session = open_session(m, stored(m));
  session.regenerate();
  store->fail_call(1, make_error(Errc::timeout, "lost"), FaultStore::Moment::after);
  ASSERT_FALSE(m.commit(session));
  EXPECT_EQ(session.increment("a").error().code, Errc::invalid_argument);
  EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_EQ(session.increment("a").value(), 2);

  session.regenerate();
  store->fail_call(1, make_error(Errc::overloaded, "not sent"));
  ASSERT_FALSE(m.commit(session));
  const std::size_t before = store->calls();
  EXPECT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_EQ(store->calls() - before, 1U) << "nothing to make sure of";
}

TEST_F(SessionManagerTest, TimesThatCannotBeAreCorrupt) {
  SessionOptions strict = options();
  strict.on_unreadable = Unreadable::fail;
  const SessionManager m = manager(strict);
  for (const char* created : {"-1", "-9223372036854775808", "9223372036854775807"}) {
    const SessionId id = SessionId::generate().value();
    ASSERT_TRUE(memory->create(StoreKey(id), {{"@created", created}}, {minutes(1)}));
    const Result<Session> session = m.open({"sid=" + id.secret(), false});
    ASSERT_FALSE(session) << created;
    EXPECT_EQ(session.error().code, Errc::corrupt);
  }
}

TEST_F(SessionManagerTest, ADirectOperationCarriesTheRenewal) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  clock->advance(minutes(20));
  Session session = open_session(m, cookie);
  EXPECT_EQ(session.expires_in(), minutes(30)) << "the commit would renew it";
  ASSERT_TRUE(session.increment("a"));
  EXPECT_EQ(m.commit(session).value().status, Status::unchanged);
  clock->advance(minutes(25));
  EXPECT_FALSE(open_session(m, cookie).is_new());
}

TEST_F(SessionManagerTest, ExpiresInTellsWhatIsLeft) {
  const SessionManager m = manager();
  Session session = open_session(m);
  EXPECT_EQ(session.expires_in(), minutes(30));
  session.set("a", 1);
  const std::string cookie = cookie_of(m.commit(session).value());
  clock->advance(minutes(2));
  EXPECT_EQ(open_session(m, cookie).expires_in(), minutes(28)) << "no renewal due";
}

TEST_F(SessionManagerTest, SecureFollowsTheRequestOrTheOption) {
  const auto header = [&](Secure secure, bool https) {
    SessionOptions with = options();
    with.cookie.secure = secure;
    const SessionManager m = manager(with);
    Session session = m.open({"", https}).value();
    session.set("a", 1);
    return m.commit(session).value().headers.at(0).value;
  };
  const auto secure = [](const std::string& text) { return text.find("; Secure") != text.npos; };
  EXPECT_FALSE(secure(header(Secure::automatic, false)));
  EXPECT_TRUE(secure(header(Secure::automatic, true)));
  EXPECT_TRUE(secure(header(Secure::always, true)));
  EXPECT_FALSE(secure(header(Secure::never, true)));
  EXPECT_TRUE(warnings.empty());
  EXPECT_TRUE(secure(header(Secure::always, false)));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("browsers drop it (except on localhost)"), std::string::npos);
  EXPECT_NE(warnings[0].find("X-Forwarded-Proto"), std::string::npos) << "it says what to do";
}

TEST_F(SessionManagerTest, ASessionCookieHasNoDates) {
  SessionOptions with = options();
  with.cookie.persistent = false;
  const SessionManager m = manager(with);
  Session session = open_session(m);
  session.set("a", 1);
  const std::string text = m.commit(session).value().headers.at(0).value;
  EXPECT_EQ(text.find("Max-Age"), std::string::npos);
  EXPECT_EQ(text.find("Expires"), std::string::npos);
}

TEST_F(SessionManagerTest, MaxAgeIsWhatIsLeftOfTheAbsoluteTimeout) {
  SessionOptions with = options();
  with.cookie.rolling = true;
  const SessionManager m = manager(with);
  const std::string cookie = stored(m);
  clock->advance(minutes(20));
  Session session = open_session(m, cookie);
  session.set("a", 2);
  const std::string text = m.commit(session).value().headers.at(0).value;
  EXPECT_NE(text.find("; Max-Age=42000;"), std::string::npos) << text;
  EXPECT_TRUE(text.starts_with(cookie + ";")) << "the same id";
}

TEST_F(SessionManagerTest, WorksWithoutHttp) {
  const SessionManager m = manager();
  Session session = m.create({{"a", "1"}, {"name", "Ada"}}).value();
  EXPECT_FALSE(session.is_new());
  const SessionId id = *session.id();
  session.set("b", 2);
  EXPECT_EQ(m.save(session).value(), Status::updated);
  const Session found = m.find(id).value().value();
  EXPECT_EQ(found.value("a", 0), 1);
  EXPECT_EQ(found.value("b", 0), 2);
  EXPECT_TRUE(m.erase(id).value());
  EXPECT_FALSE(m.erase(id).value());
  EXPECT_FALSE(m.find(id).value().has_value());
  EXPECT_EQ(m.create({{"@user", "root"}}).error().code, Errc::invalid_argument);
}

TEST_F(SessionManagerTest, WrongOptionsAreRefusedByName) {
  struct Bad {
    std::string field;
    std::function<void(SessionOptions&)> spoil;
  };
  const std::vector<Bad> all = {
      {"idle_timeout", [](SessionOptions& o) { o.idle_timeout = seconds(0); }},
      {"idle_timeout", [](SessionOptions& o) { o.idle_timeout = hours(24 * 500); }},
      {"absolute_timeout", [](SessionOptions& o) { o.absolute_timeout = milliseconds(-1); }},
      {"idle_timeout: must not be longer than absolute_timeout",
       [](SessionOptions& o) { o.idle_timeout = hours(24 * 7); }},
      {"idle_timeout: must not be longer than absolute_timeout",
       [](SessionOptions& o) { o.absolute_timeout = minutes(10); }},
      {"renew_after", [](SessionOptions& o) { o.renew_after = milliseconds(-1); }},
      {"renew_after", [](SessionOptions& o) { o.renew_after = hours(1); }},
      {"renew_after", [](SessionOptions& o) { o.renew_after = o.idle_timeout / 2 + seconds(1); }},
      {"regenerate_grace", [](SessionOptions& o) { o.regenerate_grace = hours(1); }},
      {"regenerate_grace", [](SessionOptions& o) { o.regenerate_grace = seconds(-1); }},
      {"session_bytes_max", [](SessionOptions& o) { o.session_bytes_max = 0; }},
      {"name_bytes_max", [](SessionOptions& o) { o.name_bytes_max = 0; }},
      {"attributes_max", [](SessionOptions& o) { o.attributes_max = 0; }},
      {"attributes_max", [](SessionOptions& o) { o.attributes_max = 5000; }},
      {"id_format", [](SessionOptions& o) { o.id_format.length_min = 33; }},
      {"id_format", [](SessionOptions& o) { o.id_format.length_min = 1; }},
      {"id_format", [](SessionOptions& o) { o.id_format.length_max = 31; }},
      {"id_format", [](SessionOptions& o) { o.id_format.length_max = 100'000; }},
      {"id_format.other_characters", [](SessionOptions& o) { o.id_format.other_characters = ";"; }},
      {"id_format.other_characters", [](SessionOptions& o) { o.id_format.other_characters = ":"; }},
      {"cookie.name", [](SessionOptions& o) { o.cookie.name = "a;b"; }},
  };
  for (const Bad& bad : all) {
    SessionOptions with = options();
    bad.spoil(with);
    const Result<SessionManager> made = SessionManager::make(store, with);
    ASSERT_FALSE(made) << bad.field;
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    EXPECT_TRUE(made.error().detail.starts_with(bad.field)) << made.error().detail;
  }
  EXPECT_FALSE(SessionManager::make(nullptr, options()));
}

// Renewals that lengthen little are not made, but for the last one.
TEST_F(SessionManagerTest, WhoIsActiveStaysUntilTheAbsoluteTimeout) {
  for (const bool writes : {false, true}) {
    SessionOptions with = options();
    with.renew_after = with.idle_timeout / 2;
    const SessionManager m = manager(with);
    const std::string cookie = stored(m);
    for (milliseconds age(0); age < with.absolute_timeout - minutes(1); age += minutes(1)) {
      clock->advance(minutes(1));
      Session session = open_session(m, cookie);
      ASSERT_FALSE(session.is_new()) << age.count() << " ms, writing: " << writes;
      if (writes) session.set("a", age.count());
      ASSERT_TRUE(m.commit(session));
    }
    clock->advance(seconds(59));
    EXPECT_FALSE(open_session(m, cookie).is_new());
    clock->advance(seconds(1));
    EXPECT_TRUE(open_session(m, cookie).is_new());
  }
}

// Notes whether an update is told that the first attribute was there.
class HintNotes final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    replaces = !changes.set.empty() && changes.set.front().replaces;
    return StoreDecorator::update(key, changes, lifetime);
  }
  bool replaces = false;
};

// What was loaded long ago may have been removed since, and more and more would come back.
TEST_F(SessionManagerTest, HintsOfAttributesThatAreThereEndAfterAMinute) {
  const auto notes = std::make_shared<HintNotes>(store);
  const SessionManager m = SessionManager::make(notes, options()).value();
  Session session = open_session(m, stored(m));
  const auto told = [&](int value) {
    session.set("a", value);
    EXPECT_TRUE(m.commit(session));
    return notes->replaces;
  };
  EXPECT_TRUE(told(2));
  clock->advance(minutes(1));
  EXPECT_TRUE(told(3));
  clock->advance(milliseconds(1));
  EXPECT_FALSE(told(4));
}

// A session that was loaded long ago knows less of its time to live than the store does. What it
// takes for renewed is.
TEST_F(SessionManagerTest, ASessionThatIsHeldForLongIsRenewedByItsWrites) {
  SessionOptions with = options();
  with.renew_after = with.idle_timeout / 2;
  const SessionManager m = manager(with);
  const std::string cookie = stored(m);
  clock->advance(with.idle_timeout / 2 - seconds(6));
  Session held = open_session(m, cookie);
  clock->advance(seconds(30));
  Session other = open_session(m, cookie);
  ASSERT_EQ(m.commit(other).value().status, Commit::Status::renewed);
  const milliseconds early = with.idle_timeout / 2 - seconds(6);
  clock->advance(early);
  ASSERT_TRUE(held.increment("n"));
  clock->advance(early);
  held.set("a", 1);
  ASSERT_TRUE(m.commit(held));
  clock->advance(with.idle_timeout / 2);
  EXPECT_FALSE(open_session(m, cookie).is_new()) << "it was written to half an idle timeout ago";
}

TEST_F(SessionManagerTest, ACounterThatHasEndedBeforeItIsStoredBeginsAgain) {
  Session session = open_session(manager());
  session.set("n", 7, milliseconds(10));
  clock->advance(milliseconds(10));
  EXPECT_TRUE(session.names().empty());
  EXPECT_EQ(session.increment("n").value(), 1);
  EXPECT_EQ(session.increment("n").value(), 2);
  EXPECT_EQ(session.value("n", 0), 2);
}

// P5: whatever fails, neither an id nor a value is in the error.
TEST_F(SessionManagerTest, ErrorsHoldNoSecrets) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  Session session = open_session(m, cookie);
  session.set("secret", "the-value");
  ASSERT_TRUE(m.commit(session));
  for (const Error& error :
       {session.get<int>("secret").error(), session.increment("secret").error(),
        session.compare_and_set("@x", "the-value", "the-value").error()}) {
    EXPECT_EQ(error.message().find("the-value"), std::string::npos) << error.message();
    EXPECT_EQ(error.message().find(id_of(cookie)), std::string::npos) << error.message();
  }
}

// A manager is shared between threads; each request has a session of its own.
TEST_F(SessionManagerTest, ManyThreadsCountTogether) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&m, &cookie, i] {
      for (int n = 0; n < 50; ++n) {
        Session session = m.open({cookie, false}).value();
        EXPECT_TRUE(session.increment("a"));
        session.set("thread" + std::to_string(i), n);
        EXPECT_TRUE(m.commit(session));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Session after = open_session(m, cookie);
  EXPECT_EQ(after.value("a", 0), 801);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(after.value("thread" + std::to_string(i), 0), 49);
}

}  // namespace
}  // namespace websession::testing
