// All sessions of a Redis: by SCAN, in bounded steps, beside whatever else lies there.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "command_calls.hpp"
#include "moves.hpp"
#include "redis_fixture.hpp"
#include "websession/copy_sessions.hpp"
#include "websession/memory_store.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_directory.hpp"

namespace websession::testing {
namespace {

class RedisDirectory : public RedisTest {
 protected:
  static std::multiset<std::string> walk(SessionStore& store, std::size_t about = 100) {
    std::multiset<std::string> keys;
    DirectoryCursor cursor;
    while (true) {
      const DirectoryPage page = store.directory()->page(cursor, about).value();
      for (const StoreKey& key : page.keys) keys.insert(key.secret());
      if (page.is_last) return keys;
      cursor = page.next;
    }
  }
  static void fill(SessionStore& store, int count, const std::string& name = "session") {
    for (int i = 0; i < count; ++i) {
      const StoreKey key(name + std::to_string(i));
      ASSERT_TRUE(store.create(key, {{"@created", "1700000000000"}}, minute));
    }
  }
};

TEST_F(RedisDirectory, ListsItsOwnHashesAndNothingElse) {
  RedisOptions options;
  options.prefix = "we*rd[x]?\\^_";
  const auto store = connect(options);
  fill(*store, 20);
  RedisOptions others;
  others.prefix = "weird[x]?\\^_";  // what the prefix would match as a pattern
  fill(*connect(others), 5, "others");
  const StoreKey signed_in("signed in");
  const Fields fields{{"@created", "1700000000000"}, {"@user", "ada"}};
  ASSERT_TRUE(store->create(signed_in, fields, {minute.ttl, "ada"}));
  probe->text({"SET", options.prefix + "text", "1", "EX", "60"});
  const std::multiset<std::string> keys = walk(*store, 7);
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 21U);
  EXPECT_TRUE(keys.contains("signed in"));
  EXPECT_FALSE(keys.contains("text"));
  EXPECT_EQ(store->directory()->count()->sessions, 21U);
  EXPECT_TRUE(store->directory()->count()->is_exact);
  EXPECT_EQ(count_sessions(*store->directory()).value(), 21U);
}

TEST_F(RedisDirectory, StepsAreBoundedAndNeverKeys) {
  const auto store = connect();
  fill(*store, 3000);
  const std::int64_t before = calls_of(*probe, "scan");
  const DirectoryPage page = store->directory()->page({}, SessionDirectory::page_max).value();
  EXPECT_LT(page.keys.size(), 1200U);
  EXPECT_LE(calls_of(*probe, "scan") - before, 1);
  const std::multiset<std::string> all = walk(*store, SessionDirectory::page_max);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 3000U);
  EXPECT_EQ(calls_of(*probe, "keys"), 0);
}

TEST_F(RedisDirectory, ManyAreReckonedFromAPart) {
  const auto store = connect();
  fill(*store, 12'000);
  RedisOptions others;
  others.prefix = "others_";
  fill(*connect(others), 4000);
  const SessionCount count = store->directory()->count().value();
  EXPECT_FALSE(count.is_exact);
  EXPECT_GT(count.sessions, 10'000U);
  EXPECT_LT(count.sessions, 14'000U);
  EXPECT_EQ(count_sessions(*store->directory()).value(), 12'000U);
}

// One reply holds no more than a record may have.
TEST_F(RedisDirectory, LongKeysComeInSmallerParts) {
  if (tested_topology() == "cluster") GTEST_SKIP() << "records are larger there";
  RedisOptions options;
  options.prefix = std::string(200, 'p');
  options.record_bytes_max = 2048;
  const auto store = connect(options);
  fill(*store, 50, std::string(100, 'k'));
  const std::multiset<std::string> keys = walk(*store);
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 50U);
  EXPECT_TRUE(store->directory()->count());
}

TEST_F(RedisDirectory, ACursorOfNobodysIsRefused) {
  const auto store = connect();
  for (const char* text : {"x", "r", "rx", "r1/2", "r99999999999999999999999", "r-1", "r1/x@h:1",
                           "r70000/1@h:1", "s1"}) {
    const auto page = store->directory()->page(DirectoryCursor(text), 10);
    ASSERT_FALSE(page) << text;
    EXPECT_EQ(page.error().code, Errc::invalid_argument) << page.error().message();
  }
}

// After a failover, say: another node has the slots by now.
TEST_F(RedisDirectory, OnAClusterACursorOfAnotherNodeBeginsThatOneAnew) {
  if (tested_topology() != "cluster") GTEST_SKIP() << "there is one node";
  const auto store = connect();
  fill(*store, 1000);
  const DirectoryPage first = store->directory()->page({}, 20).value();
  ASSERT_FALSE(first.is_last);
  const std::string text = first.next.secret();
  DirectoryCursor cursor(text.substr(0, text.find('@')) + "@192.0.2.1:6379");
  std::set<std::string> keys;
  while (true) {
    const DirectoryPage page = store->directory()->page(cursor, 100).value();
    for (const StoreKey& key : page.keys) keys.insert(key.secret());
    if (page.is_last) break;
    cursor = page.next;
  }
  EXPECT_EQ(keys.size(), 1000U);
}

TEST_F(RedisDirectory, SessionsMoveIn) {
  const auto memory = std::make_shared<MemoryStore>(clock);
  SessionOptions options;
  options.clock = clock;
  Moves(memory, connect(), options).all();
}

TEST_F(RedisDirectory, SessionsMoveOut) {
  const auto memory = std::make_shared<MemoryStore>(clock);
  SessionOptions options;
  options.clock = clock;
  Moves(connect(), memory, options).all();
}

TEST_F(RedisDirectory, SessionsOfJsonMoveOut) {
  if (tested_topology() == "cluster") GTEST_SKIP() << "there is no such store";
  RedisJsonOptions json;
  json.redis.clock = clock;
  json.redis = patient(json.redis);
  const auto from = connect_redis_json(server->url(), json).value();
  SessionOptions options;
  options.clock = clock;
  Moves(from, connect(), options).all();

  // One that Express has made.
  probe->text({"SET", "sess:express", R"({"cookie":{"originalMaxAge":60000},"n":7})", "EX", "60"});
  const auto to = connect();
  for (int i = 0; i < 2; ++i) {
    const CopyProgress progress = copy_sessions(*from, *to).value();
    EXPECT_EQ(progress.copied, i == 0 ? 1U : 0U);
    EXPECT_EQ(progress.replaced, 0U);
  }
  const Record record = to->load(StoreKey("express")).value().value();
  EXPECT_EQ(record.fields.find("n"), "7");
  EXPECT_TRUE(record.fields.contains("@created"));
}

}  // namespace
}  // namespace websession::testing
