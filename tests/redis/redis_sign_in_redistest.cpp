// The index of principals in Redis: what it looks like, that it trims itself, and that it holds in
// races and when Redis refuses.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "redis_fixture.hpp"
#include "sign_in_races.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::seconds;
using Status = Commit::Status;

class RedisSignIn : public RedisTest {
 protected:
  static constexpr std::string_view index = "sid_user:ada";

  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    return options;
  }
  SessionManager manager(std::shared_ptr<SessionStore> store) {
    return SessionManager::make(std::move(store), options()).value();
  }
  static Session signed_in(const SessionManager& with, std::string_view principal = "ada") {
    Session session = with.open({}).value();
    session.sign_in(principal, "Firefox");
    EXPECT_TRUE(with.commit(session));
    return session;
  }
  static std::string key_of(const Session& session) { return "sid_" + session.id()->secret(); }
  std::vector<std::string> members() {
    return probe->list({"ZRANGE", std::string(index), "0", "-1"});
  }
  void expect_only_marks() {
    for (const std::string& key : probe->keys("")) {
      EXPECT_TRUE(probe->text({"GET", key}).starts_with("@over ")) << key;
    }
  }
  double score(const std::string& member) {
    return std::stod(probe->text({"ZSCORE", std::string(index), member}));
  }
  double now_ms() {
    const std::vector<std::string> time = probe->list({"TIME"});
    return std::stod(time.at(0)) * 1000 + std::stod(time.at(1)) / 1000;
  }
  static Lifetime owned(milliseconds ttl = milliseconds(60'000)) { return {ttl, "ada"}; }
};

TEST_F(RedisSignIn, ASignInIsAHashAndAnEntry) {
  const SessionManager m = manager(connect());
  Session session = signed_in(m);
  const std::string key = key_of(session);
  EXPECT_EQ(probe->hash(key),
            (std::map<std::string, std::string>{
                {"@created", "1700000000000"}, {"@user", "ada"}, {"@label", "Firefox"}}));
  EXPECT_EQ(members(), std::vector<std::string>{key});
  const auto ends = static_cast<double>(probe->integer({"PTTL", key}));
  EXPECT_GE(score(key), now_ms() + ends - 1000);
  EXPECT_LE(score(key), now_ms() + 1'800'000 + 10);
  EXPECT_GE(probe->integer({"PTTL", std::string(index)}), probe->integer({"PTTL", key}));
  EXPECT_LE(probe->integer({"PTTL", std::string(index)}), 1'800'010);

  const std::string before = key;
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(members().size(), 2U) << "the old one can still be read";
  session.sign_in("bob");
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(probe->list({"ZRANGE", "sid_user:bob", "0", "-1"}),
            std::vector<std::string>{key_of(session)});
  EXPECT_EQ(m.sessions_of("ada").value().size(), 0U);
  EXPECT_EQ(probe->integer({"EXISTS", std::string(index)}), 0) << "listing has dropped the rest";
}

TEST_F(RedisSignIn, AnonymousSessionsHaveNoIndex) {
  const SessionManager m = manager(connect());
  Session session = m.open({}).value();
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(probe->keys(""), std::vector<std::string>{key_of(session)});
}

TEST_F(RedisSignIn, MovingWithoutGraceLeavesNoEntryBehind) {
  const auto store = connect();
  const StoreKey from = fresh_key();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->create(from, fields({{"@user", "ada"}}), owned()));
  ASSERT_TRUE(store->rekey(from, to, {}, owned(), {}));
  EXPECT_EQ(members(), std::vector<std::string>{redis_key(to)});
}

// An entry leaves with its session, in the same step.
TEST_F(RedisSignIn, EndsTakeTheirEntriesAlong) {
  const auto store = connect();
  const auto signed_in = [&] {
    const StoreKey key = fresh_key();
    EXPECT_TRUE(store->create(key, fields({{"@user", "ada"}}), owned()));
    EXPECT_EQ(members(), std::vector<std::string>{redis_key(key)});
    return key;
  };
  Changes to_bob;
  to_bob.set = {{"@user", "bob"}};
  Changes to_nobody;
  to_nobody.remove = {"@user"};
  const Lifetime bobs{milliseconds(60'000), "bob"};

  EXPECT_TRUE(store->erase(signed_in()).value());
  EXPECT_TRUE(members().empty()) << "erase";
  const StoreKey first = signed_in();
  const StoreKey next = fresh_key();
  ASSERT_TRUE(store->rekey(first, next, {}, owned(), {milliseconds(5000)}));
  EXPECT_TRUE(store->erase(first).value());
  EXPECT_TRUE(members().empty()) << "erase of a chain";

  for (const auto& [changes, lifetime] : {std::pair(to_bob, bobs), std::pair(to_nobody, minute)}) {
    ASSERT_TRUE(store->rekey(signed_in(), fresh_key(), changes, lifetime, {}));
    EXPECT_TRUE(members().empty()) << "a new id for somebody else";
    ASSERT_TRUE(store->update(signed_in(), changes, lifetime));
    EXPECT_TRUE(members().empty()) << "the same id for somebody else";
  }
  EXPECT_EQ(probe->list({"ZRANGE", "sid_user:bob", "0", "-1"}).size(), 2U);
}

// A replaced id can be read for its grace, and its entry need not be there for longer.
TEST_F(RedisSignIn, TheEntryOfAReplacedIdEndsWithItsGrace) {
  const auto store = connect();
  const StoreKey from = fresh_key();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->create(from, fields({{"@user", "ada"}}), owned()));
  ASSERT_TRUE(store->rekey(from, to, {}, owned(), {milliseconds(5000)}));
  const auto left = static_cast<double>(probe->integer({"PTTL", redis_key(from)}));
  EXPECT_GE(score(redis_key(from)), now_ms() + left - 1000);
  EXPECT_LE(score(redis_key(from)), now_ms() + 5010);
  Changes to_bob;
  to_bob.set = {{"@user", "bob"}};
  ASSERT_TRUE(
      store->rekey(to, fresh_key(), to_bob, {milliseconds(60'000), "bob"}, {milliseconds(5000)}));
  EXPECT_EQ(probe->text({"ZSCORE", std::string(index), redis_key(to)}), "(nil)")
      << "nothing in it can be read";
}

// An end must not fail because of its entry.
TEST_F(RedisSignIn, ABrokenIndexStopsNoEnd) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"@user", "ada"}}), owned()));
  probe->text({"DEL", std::string(index)});
  probe->text({"SET", std::string(index), "x"});
  EXPECT_TRUE(store->erase(key).value());
  EXPECT_FALSE(store->load(key).value());
}

// The attack, or two years of an unlucky account: entries without a session (their programs died,
// or ended them past the library) in front of the one that lives.
TEST_F(RedisSignIn, DeadEntriesHideNoSession) {
  SessionOptions limited = options();
  limited.max_sessions_per_principal = 1;
  limited.when_too_many = TooManySessions::refuse_new;
  const auto store = connect();
  const SessionManager m = SessionManager::make(store, limited).value();
  for (int i = 0; i < 10'500; i += 500) {
    std::vector<std::string> command{"ZADD", std::string(index)};
    for (int k = i; k < i + 500; ++k) {
      command.push_back(std::to_string(static_cast<std::int64_t>(now_ms()) + 100'000));
      command.push_back("sid_" + std::to_string(k));
    }
    probe->integer(command);
  }
  const StoreKey alive = fresh_key();
  ASSERT_TRUE(store->create(alive, fields({{"@user", "ada"}}), owned(milliseconds(600'000))));
  const auto sessions = m.sessions_of("ada");
  ASSERT_TRUE(sessions) << sessions.error().message();
  EXPECT_EQ(sessions->size(), 1U);
  EXPECT_EQ(members(), std::vector<std::string>{redis_key(alive)});
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 1U);
}

TEST_F(RedisSignIn, SignInsAndOutsLeaveNothing) {
  const SessionManager m = manager(connect());
  for (int i = 0; i < 300; ++i) {
    Session session = signed_in(m);
    session.sign_out();
    if (i % 3 == 0) session.set("farewell", 1);
    if (i % 3 == 1) session.sign_in("bob");
    ASSERT_TRUE(m.commit(session));
  }
  EXPECT_TRUE(members().empty());
  EXPECT_EQ(m.sessions_of("bob").value().size(), 100U);
}

// Processes may die at any time, and nobody may ever list the principal again.
TEST_F(RedisSignIn, EntriesEndWithTheirSessions) {
  const auto store = connect();
  const StoreKey ends = fresh_key();
  const StoreKey stays = fresh_key();
  ASSERT_TRUE(store->create(ends, fields({{"@user", "ada"}}), owned(milliseconds(300))));
  ASSERT_TRUE(store->create(stays, fields({{"@user", "ada"}}), owned(milliseconds(300))));
  std::this_thread::sleep_for(milliseconds(100));
  ASSERT_TRUE(store->update(stays, {}, owned(milliseconds(1500))));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(members().size(), 2U);
  ASSERT_TRUE(store->update(stays, {}, owned(milliseconds(1500))));
  EXPECT_EQ(members(), std::vector<std::string>{redis_key(stays)}) << "each renewal trims";
  std::this_thread::sleep_for(milliseconds(1700));
  EXPECT_EQ(probe->integer({"EXISTS", std::string(index)}), 0);
  EXPECT_TRUE(probe->keys("").empty());
}

TEST_F(RedisSignIn, TrimsABoundedNumberAtATime) {
  const auto store = connect();
  for (int i = 0; i < 250; ++i) {
    probe->text({"ZADD", std::string(index), std::to_string(i + 1), "sid_" + std::to_string(i)});
  }
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"@user", "ada"}}), owned()));
  EXPECT_EQ(members().size(), 151U);
  EXPECT_GT(probe->integer({"PTTL", std::string(index)}), 0) << "though somebody made it immortal";
  Changes change;
  for (int i = 0; i < 2; ++i) {
    change.set = {{"a", std::to_string(i)}};
    ASSERT_TRUE(store->update(key, change, owned(milliseconds(120'000 + 1000 * i))));
  }
  EXPECT_EQ(members(), std::vector<std::string>{redis_key(key)});
}

// A write that does not lengthen the session's life does not shorten its entry's.
TEST_F(RedisSignIn, AnEntryIsOnlyEverRaised) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"@user", "ada"}, {"n", "1"}}), owned()));
  const double first = score(redis_key(key));
  Changes sets;
  sets.set = {{"a", "1"}};
  Changes counts;
  counts.increment = {{"n", 1}};
  Changes expects;
  expects.expect = {{"a", {"1"}}};
  expects.set = {{"a", "2"}};
  for (const Changes& changes : {Changes{}, sets, counts, expects}) {
    const double before = score(redis_key(key));
    ASSERT_EQ(store->update(key, changes, owned(milliseconds(1000)))->status,
              Outcome::Status::applied);
    EXPECT_GE(score(redis_key(key)), before);
  }
  EXPECT_GE(score(redis_key(key)), first);
  EXPECT_GE(static_cast<double>(probe->integer({"PTTL", std::string(index)})),
            static_cast<double>(probe->integer({"PTTL", redis_key(key)})));
}

// The index is the first thing that is written. If it cannot be, the session is as it was.
TEST_F(RedisSignIn, ABrokenIndexLeavesSessionsUntouched) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  const StoreKey other = fresh_key();
  ASSERT_TRUE(
      store->create(key, fields({{"@user", "ada"}, {"n", "1"}}), owned(milliseconds(9000))));
  probe->text({"DEL", std::string(index)});
  probe->text({"SET", std::string(index), "x"});
  const auto before = probe->hash(redis_key(key));
  Changes sets;
  sets.set = {{"a", "1"}};
  Changes counts;
  counts.increment = {{"n", 1}};
  Changes clears;
  clears.clear = true;
  clears.set = {{"a", "1"}};
  for (const Changes& changes : {sets, counts, clears}) {
    EXPECT_FALSE(store->update(key, changes, owned()));
  }
  EXPECT_FALSE(store->rekey(key, other, sets, owned(), {}));
  EXPECT_FALSE(store->create(other, fields({{"@user", "ada"}}), owned()));
  EXPECT_EQ(probe->hash(redis_key(key)), before);
  EXPECT_LE(probe->integer({"PTTL", redis_key(key)}), 9000);
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(other)}), 0);
  EXPECT_FALSE(store->index()->entries("ada"));
  EXPECT_FALSE(store->index()->forget("ada", std::vector<StoreKey>{key}, BeingMade::stays));
  EXPECT_TRUE(store->update(key, sets, {milliseconds(60'000), "bob"})) << "another principal's is";
}

TEST_F(RedisSignIn, AFullServerRefusesSignInsAndRenewsAndEnds) {
  const auto store = connect();
  const SessionManager m = manager(store);
  Session session = signed_in(m);
  probe->text({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  probe->text({"CONFIG", "SET", "maxmemory", "1"});
  Session next = m.open({}).value();
  next.sign_in("ada");
  EXPECT_EQ(m.commit(next).error().code, Errc::rejected);
  const StoreKey key(*session.id());
  EXPECT_TRUE(store->update(key, {}, {milliseconds(3'600'000), "ada"})) << "a renewal";
  EXPECT_GT(probe->integer({"PTTL", redis_key(key)}), 3'500'000);
  EXPECT_GT(score(redis_key(key)), now_ms() + 3'500'000) << "and the entry went along";
  Changes removes;
  removes.remove = {"x"};
  EXPECT_TRUE(store->update(key, removes, {milliseconds(3'700'000), "ada"}));
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1U);
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 1U);
  expect_only_marks();
}

// Nor can the old id of the session that is kept be read any more.
TEST_F(RedisSignIn, AFullServerEndsReplacedIds) {
  const auto store = connect();
  const SessionManager m = manager(store);
  Session session = signed_in(m);
  const SessionId old = *session.id();
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  ASSERT_TRUE(m.find(old).value());
  probe->text({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  probe->text({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(m.sign_out_everywhere("ada", &session).value(), 0U);
  EXPECT_FALSE(m.find(old).value());
  EXPECT_TRUE(store->load(StoreKey(old)).value()->is_over()) << "and late requests are told";
  EXPECT_TRUE(m.find(*session.id()).value());
}

// A user without the right to PEXPIRE must leave neither a session nor an index that never ends.
TEST_F(RedisSignIn, NothingImmortalWithoutTheRightToPexpire) {
  probe->text({"ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "-pexpire"});
  const std::string url = "redis://half:pw@127.0.0.1:" + std::to_string(server->port());
  const auto store = connect_redis(url, patient()).value();
  EXPECT_FALSE(store->create(fresh_key(), fields({{"@user", "ada"}}), owned()));
  EXPECT_TRUE(probe->keys("").empty());
}

// With room for few entries in a reply, lists come page by page.
TEST_F(RedisSignIn, ListsComeInPages) {
  RedisOptions redis;
  redis.record_bytes_max = 1024;
  const SessionManager m = manager(connect(redis));
  std::set<std::string> handles;
  for (int i = 0; i < 7; ++i) signed_in(m);
  for (const SessionInfo& info : m.sessions_of("ada").value()) handles.insert(info.handle);
  EXPECT_EQ(handles.size(), 7U);
  Session kept = signed_in(m);
  EXPECT_EQ(m.sign_out_everywhere("ada", &kept).value(), 7U);
  EXPECT_EQ(members(), std::vector<std::string>{key_of(kept)});
}

TEST_F(RedisSignIn, ManySessionsEnd) {
  const SessionManager m = manager(connect());
  for (int i = 0; i < 1500; ++i) signed_in(m);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 1500U);
  EXPECT_EQ(m.sign_out_everywhere("ada").value(), 1500U);
  expect_only_marks();
}

// A handle, the index's key or an entry presented as a cookie is no login.
TEST_F(RedisSignIn, NothingOfTheIndexIsACookie) {
  const SessionManager m = manager(connect());
  Session session = signed_in(m, std::string(27, 'a'));
  const std::string handle = m.sessions_of(std::string(27, 'a')).value().at(0).handle;
  for (const std::string& cookie : {handle, "user:" + std::string(27, 'a'), key_of(session)}) {
    EXPECT_TRUE(m.open({"sid=" + cookie, false}).value().is_new());
  }
}

TEST_F(RedisSignIn, RacesASignInEndsTooOrCameLater) {
  SignInRaces(connect(), options()).sign_in_against_sign_out();
}
TEST_F(RedisSignIn, RacesARegenerateIsNoWayOut) {
  SignInRaces(connect(), options()).regenerate_against_sign_out();
}
TEST_F(RedisSignIn, RacesNorIsOneWithoutGrace) {
  SignInRaces(connect(), options()).regenerate_keeps_nothing_alive();
}
TEST_F(RedisSignIn, RacesOneThatAlwaysMovesEnds) {
  SignInRaces(connect(), options()).one_that_always_moves_ends();
}
TEST_F(RedisSignIn, RacesAListMissesNoneThatMoves) {
  SignInRaces(connect(), options()).a_list_misses_none_that_moves();
}
TEST_F(RedisSignIn, RacesTheLimitMissesNoneThatMoves) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    SessionOptions limited = options();
    limited.max_sessions_per_principal = 1;
    limited.when_too_many = policy;
    SignInRaces(connect(), limited).the_limit_misses_none_that_moves();
  }
}
TEST_F(RedisSignIn, RacesAWriteDoesNotResurrect) {
  SignInRaces(connect(), options()).a_write_does_not_resurrect();
}
TEST_F(RedisSignIn, RacesTheKeptOneSurvives) {
  SignInRaces(connect(), options()).the_kept_one_survives();
}
TEST_F(RedisSignIn, RacesAtRandom) {
  SessionOptions with = options();
  with.regenerate_grace = milliseconds(5);
  SignInRaces(connect(), with).at_random(8, 10);
}
TEST_F(RedisSignIn, RacesTheLimitHolds) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    for (const std::size_t most : {1U, 3U}) {
      SessionOptions limited = options();
      limited.max_sessions_per_principal = most;
      limited.when_too_many = policy;
      SignInRaces(connect(), limited).limit_at_once(8);
    }
  }
}

}  // namespace
}  // namespace websession::testing
