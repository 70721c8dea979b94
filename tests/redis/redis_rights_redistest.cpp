// The rights of a Redis user that docs/operations.md and the example two_servers give: all of the
// library works with them, each is needed, and nothing else is allowed.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "command_calls.hpp"
#include "print_case.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "requests.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {
namespace {

using Words = std::vector<std::string>;

// From the file that the example gives Redis: "user websession on #hash ~pattern +command…".
Words rights() {
  std::ifstream file(WEBSESSION_ACL_FILE);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string user;
    std::string name;
    words >> user >> name;
    if (name != "websession") continue;
    Words found;
    for (std::string word; words >> word;) {
      if (word[0] == '~' || word[0] == '+') found.push_back(word);
    }
    return found;
  }
  return {};
}

class RedisRights : public RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    if (server) allow(all_rights());
  }
  // With what only newer servers know.
  Words all_rights() {
    Words all = rights();
    const std::string known = probe->text({"ACL", "SETUSER", "somebody", "+hsetex"});
    if (known == "OK") all.emplace_back("+hsetex");
    return all;
  }
  void allow(const Words& rights) {
    Words command = {"ACL", "SETUSER", "websession", "reset", "on", ">pw"};
    command.insert(command.end(), rights.begin(), rights.end());
    ASSERT_EQ(probe->text(command), "OK");
  }
  [[nodiscard]] std::string url() const {
    return "redis://websession:pw@127.0.0.1:" + std::to_string(server->port());
  }
  bool everything_works();
};

class RedisRightsConformance : public RedisRights,
                               public ::testing::WithParamInterface<ConformanceCase> {};

TEST_P(RedisRightsConformance, Conforms) {
  RedisHarness harness(connect_redis(url(), patient_options(clock)).value(), clock);
  expect_conformance(GetParam(), harness);
}

INSTANTIATE_TEST_SUITE_P(Case, RedisRightsConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(Index, RedisRightsConformance,
                         ::testing::ValuesIn(principal_index_cases()),
                         [](const auto& tested) { return tested.param.name; });

// Connects anew and does what takes each of the commands. False as soon as one step fails.
bool RedisRights::everything_works() {
  RedisOptions options;
  options.clock = clock;
  const auto connected = connect_redis(url(), patient(options));
  if (!connected) return false;
  SessionStore& store = **connected;
  const StoreKey from = fresh_key();
  const StoreKey to = fresh_key();
  const StoreKey other = fresh_key();
  const Lifetime ada{std::chrono::minutes(1), "ada"};
  if (!store.create(from, fields({{"@user", "ada"}, {"n", "1"}, {"x", "1"}}), ada)) return false;

  Changes set;
  set.set.push_back({"a", "1"});
  set.remove.emplace_back("x");
  set.attributes_max = 100;
  Changes count;
  count.increment.push_back({"n", 1});
  Changes clear;
  clear.clear = true;
  // An entry whose time has passed leaves the index with the next write.
  probe->integer({"ZADD", "sid_user:ada", "1", "sid_over"});
  for (const Changes* changes : {&set, &count, &clear}) {
    if (!store.update(from, *changes, ada)) return false;
  }
  // Known to be there, so that a transaction may write it.
  set.set[0].replaces = true;
  set.remove.clear();
  const Lifetime known{ada.ttl, "ada", std::chrono::seconds(10), ada.ttl};
  if (!store.create(other, fields({{"a", "0"}}), ada)) return false;
  if (!store.update(other, set, known)) return false;
  if (!store.rekey(from, to, {}, ada, {std::chrono::seconds(1)})) return false;
  if (!store.load(from).has_value() || !store.index()->entries("ada")) return false;
  probe->text({"SCRIPT", "FLUSH"});  // from here on EVAL
  return store.erase(from).has_value() && store.load(to).has_value();
}

// What a session's changes take; not where hashes of other programs are sessions.
TEST_F(RedisRights, GiveShortcutsToSessions) {
  for (const bool adopts : {false, true}) {
    RedisOptions options = patient_options(clock);
    options.adopt_foreign_hashes = adopts;
    SessionOptions session_options;
    session_options.clock = clock;
    const auto manager =
        SessionManager::make(connect_redis(url(), options).value(), session_options).value();
    Session first = open_session(manager);
    first.set("visits", 1);
    const std::string cookie = cookie_of(manager.commit(first).value());
    const auto shortcuts = [&] { return calls_of(*probe, "exec") + calls_of(*probe, "hsetex"); };
    const std::int64_t before = shortcuts();
    Session second = open_session(manager, cookie);
    second.set("visits", 2);
    ASSERT_TRUE(manager.commit(second));
    EXPECT_EQ(shortcuts() - before, adopts ? 0 : 1);
    EXPECT_EQ(open_session(manager, cookie).get<int>("visits").value(), 2);
  }
}

// What tools need beyond that, docs/operations.md says.
TEST_F(RedisRights, DoNotListAllSessions) {
  const auto store = connect_redis(url(), patient_options(clock)).value();
  const auto page = store->directory()->page({}, 10);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, Errc::rejected) << page.error().message();
  const auto count = store->directory()->count();
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, Errc::rejected) << count.error().message();
  Words more = all_rights();
  more.emplace_back("+scan");
  more.emplace_back("+dbsize");
  allow(more);
  const auto tool = connect_redis(url(), patient_options(clock)).value();
  EXPECT_TRUE(tool->directory()->page({}, 10));
  EXPECT_TRUE(tool->directory()->count());
}

TEST_F(RedisRights, EachIsNeeded) {
  const Words all = all_rights();
  ASSERT_GE(all.size(), 15U) << "is " WEBSESSION_ACL_FILE " there?";
  ASSERT_TRUE(everything_works());
  for (const std::string& right : all) {
    Words others = all;
    std::erase(others, right);
    allow(others);
    // These are used if allowed, and done without otherwise.
    const bool is_optional = right == "+script|load" || right == "+client|setname" ||
                             right == "+multi" || right == "+exec" || right == "+pexpireat" ||
                             right == "+hsetex";
    EXPECT_EQ(everything_works(), is_optional) << right;
  }
}

TEST_F(RedisRights, NothingElseIsAllowed) {
  const StoreKey key = fresh_key();
  ASSERT_TRUE(connect_redis(url(), patient()).value()->create(key, fields(), minute));
  ASSERT_EQ(probe->text({"SET", "other", "1"}), "OK");
  RedisProbe user(*server);
  ASSERT_EQ(user.text({"AUTH", "websession", "pw"}), "OK");
  const std::string mine = redis_key(key);
  const std::vector<Words> denied = {
      {"FLUSHDB"},
      {"FLUSHALL"},
      {"KEYS", "*"},
      {"SCAN", "0"},
      {"RANDOMKEY"},
      {"DBSIZE"},
      {"CONFIG", "GET", "*"},
      {"ACL", "LIST"},
      {"CLIENT", "LIST"},
      {"MONITOR"},
      {"INFO"},
      {"SCRIPT", "FLUSH"},
      {"SHUTDOWN"},
      {"PERSIST", mine},
      {"DEL", mine},
      {"APPEND", mine, "1"},
      {"RENAME", mine, "other"},
      {"DUMP", mine},
      {"GET", "other"},
      {"HGETALL", "other"},
      {"HSET", "other", "a", "1"},
      {"UNLINK", "other"},
      {"PEXPIRE", "other", "1"},
      {"EVAL", "return redis.call('HGETALL', KEYS[1])", "1", "other"}};
  for (const Words& command : denied) {
    EXPECT_TRUE(user.text(command).starts_with("NOPERM"))
        << command[0] << ": " << user.text(command);
  }
  // In a script as well, in words that differ from version to version.
  EXPECT_NE(user.text({"EVAL", "return redis.call('FLUSHDB')", "0"}), "OK");
  EXPECT_EQ(probe->text({"GET", "other"}), "1");
  EXPECT_EQ(probe->integer({"EXISTS", mine}), 1);
}

}  // namespace
}  // namespace websession::testing
