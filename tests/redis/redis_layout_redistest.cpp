// What is in Redis, seen from outside; and other programs' hashes, seen from inside.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

class RedisLayout : public RedisTest {
 protected:
  SessionManager manager(std::shared_ptr<SessionStore> store) {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(std::move(store), options).value();
  }
  using Hash = std::map<std::string, std::string>;
};

TEST_F(RedisLayout, ASessionIsOneReadableHash) {
  const SessionManager m = manager(connect());
  Session session = m.open({}).value();
  session.set("count", 1);
  session.set("name", "Ada");
  session.set("zip", "10115");
  session.set("vip", true);
  session.set("code", "x", milliseconds(5000));
  ASSERT_TRUE(m.commit(session));
  const std::string key = "sid_" + session.id()->secret();
  EXPECT_EQ(probe->hash(key), (Hash{{"@created", "1700000000000"},
                                    {"count", "1"},
                                    {"name", "Ada"},
                                    {"zip", "\"10115\""},
                                    {"vip", "true"},
                                    {"@until.code", "1700000005000:x"}}));
  const std::int64_t ttl = probe->integer({"TTL", key});
  EXPECT_GT(ttl, 1790);
  EXPECT_LE(ttl, 1800);
  EXPECT_EQ(probe->keys(""), std::vector<std::string>{key});
}

TEST_F(RedisLayout, ThePrefixIsAnOption) {
  RedisOptions options;
  options.prefix = "shop:session:";
  const StoreKey key = fresh_key();
  ASSERT_TRUE(connect(options)->create(key, fields(), minute));
  EXPECT_EQ(probe->keys(""), std::vector<std::string>{"shop:session:" + key.secret()});
}

TEST_F(RedisLayout, AMarkIsATextThatBeginsReadably) {
  const auto store = connect();
  const StoreKey from = fresh_key();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->create(from, fields({{"a", "1"}}), minute));
  ASSERT_TRUE(store->rekey(from, to, {}, minute, {milliseconds(10'000)}));
  const std::string successor = std::to_string(redis_key(to).size()) + ":" + redis_key(to) + "\n";
  const std::string frozen = probe->text({"GET", redis_key(from)});
  EXPECT_TRUE(frozen.starts_with("@frozen 1 1")) << frozen;
  EXPECT_NE(frozen.find(" same " + successor), std::string::npos) << frozen;
  EXPECT_NE(frozen.find("1:1:a1"), std::string::npos) << frozen;
  EXPECT_LE(probe->integer({"PTTL", redis_key(from)}), 10'000);
  EXPECT_EQ(probe->text({"TYPE", redis_key(to)}), "hash");
  ASSERT_TRUE(store->erase(to, {milliseconds(10'000)}).has_value());
  const std::string over = probe->text({"GET", redis_key(to)});
  EXPECT_TRUE(over.starts_with("@over 1 1")) << over;
  EXPECT_TRUE(over.ends_with(" other 0:\n")) << over;
  EXPECT_LE(probe->integer({"PTTL", redis_key(to)}), 10'000);
}

TEST_F(RedisLayout, RemovedAndExpiredAttributesLeaveNothing) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  const WallTime soon = clock->wall() + milliseconds(1000);
  ASSERT_TRUE(store->create(key, fields({{"a", "1", soon}, {"b", "2", soon}}), minute));
  Changes changes;
  changes.remove.emplace_back("a");
  ASSERT_TRUE(store->update(key, changes, minute));
  clock->advance(milliseconds(1000));
  changes = {};
  changes.reap = store->load(key).value()->expired;
  changes.set.push_back({"c", "3"});
  ASSERT_TRUE(store->update(key, changes, minute));
  EXPECT_EQ(probe->hash(redis_key(key)), (Hash{{"@created", "1700000000000"}, {"c", "3"}}));
}

// P4: a hash of another program is no session, and none of ours to change or delete.
TEST_F(RedisLayout, ForeignHashesAreLeftAlone) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  probe->text({"HSET", redis_key(key), "count", "5"});
  EXPECT_FALSE(store->load(key).value().has_value());
  Changes changes;
  changes.set.push_back({"a", "1"});
  EXPECT_EQ(store->update(key, changes, minute)->status, Outcome::Status::gone);
  EXPECT_EQ(store->rekey(key, fresh_key(), changes, minute, {})->status, Outcome::Status::gone);
  EXPECT_FALSE(store->erase(key).value());
  EXPECT_EQ(store->create(key, fields(), minute).error().code, Errc::key_exists);
  EXPECT_EQ(probe->hash(redis_key(key)), (Hash{{"count", "5"}}));
  EXPECT_EQ(probe->integer({"PTTL", redis_key(key)}), -1);
}

TEST_F(RedisLayout, ForeignHashesCanBeAdopted) {
  RedisOptions options;
  options.adopt_foreign_hashes = true;
  const auto store = connect(options);
  const SessionManager m = manager(store);
  const StoreKey key(SessionId::generate().value());
  probe->text({"HSET", redis_key(key), "count", "5", "zip", "10115"});

  Session session = m.open({"sid=" + key.secret(), false}).value();
  ASSERT_FALSE(session.is_new());
  EXPECT_EQ(session.value("count", 0), 5);
  EXPECT_EQ(m.commit(session)->status, Commit::Status::renewed) << "a commit is due";
  EXPECT_EQ(probe->hash(redis_key(key)),
            (Hash{{"@created", "1700000000000"}, {"count", "5"}, {"zip", "10115"}}));
  EXPECT_GT(probe->integer({"PTTL", redis_key(key)}), 0);

  clock->advance(milliseconds(5000));
  Session again = m.open({"sid=" + key.secret(), false}).value();
  EXPECT_EQ(again.increment("count").value(), 6);
  EXPECT_EQ(m.commit(again)->status, Commit::Status::unchanged);
  EXPECT_EQ(probe->text({"HGET", redis_key(key), "@created"}), "1700000000000")
      << "only when it is absent";
}

// Whoever makes sessions with a @user of their own may have forgotten to list them.
TEST_F(RedisLayout, AdoptingListsTheSession) {
  RedisOptions options;
  options.adopt_foreign_hashes = true;
  const auto store = connect(options);
  const StoreKey key = fresh_key();
  probe->text({"HSET", redis_key(key), "@user", "ada"});
  probe->text({"PEXPIRE", redis_key(key), "90000"});
  const Lifetime not_due{milliseconds(60'000), "ada", milliseconds(30'000)};
  ASSERT_EQ(store->update(key, {}, not_due)->status, Outcome::Status::applied);
  EXPECT_EQ(store->index()->entries("ada").value(), std::vector<StoreKey>{key});
  const double end = std::stod(probe->text({"ZSCORE", "sid_user:ada", redis_key(key)}));
  const std::vector<std::string> time = probe->list({"TIME"});
  EXPECT_GT(end, std::stod(time.at(0)) * 1000 + 80'000) << "as long as the session lives";
}

TEST_F(RedisLayout, AdoptingWorksInEveryVerb) {
  RedisOptions options;
  options.adopt_foreign_hashes = true;
  const auto store = connect(options);
  const StoreKey updated = fresh_key();
  const StoreKey cleared = fresh_key();
  const StoreKey moved = fresh_key();
  const StoreKey to = fresh_key();
  const StoreKey erased = fresh_key();
  for (const StoreKey& key : {updated, cleared, moved, erased}) {
    probe->text({"HSET", redis_key(key), "count", "5"});
  }
  Changes changes;
  changes.increment.push_back({"count", 1});
  EXPECT_EQ(store->update(updated, changes, minute)->counters, std::vector<std::int64_t>{6});
  Changes clear;
  clear.clear = true;
  EXPECT_EQ(store->update(cleared, clear, minute)->status, Outcome::Status::applied);
  EXPECT_EQ(store->rekey(moved, to, clear, minute, {milliseconds(100'000)})->status,
            Outcome::Status::applied);
  EXPECT_TRUE(store->erase(erased).value());
  for (const StoreKey& key : {updated, cleared, moved, to}) {
    const std::int64_t ttl = probe->integer({"PTTL", redis_key(key)});
    EXPECT_GT(ttl, 0) << "P3";
    EXPECT_LE(ttl, 100'000);
  }
  EXPECT_EQ(probe->hash(redis_key(cleared)), (Hash{{"@created", "1700000000000"}}));
  EXPECT_EQ(probe->hash(redis_key(to)), (Hash{{"@created", "1700000000000"}}));
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(erased)}), 0);
}

TEST_F(RedisLayout, ASessionThatAnotherProgramMadeImmortalIsCorrupt) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  probe->text({"PERSIST", redis_key(key)});
  const auto loaded = store->load(key);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, Errc::corrupt);
  EXPECT_NE(loaded.error().detail.find("PERSIST"), std::string::npos);
  EXPECT_EQ(loaded.error().message().find(key.secret()), std::string::npos) << "P5";
  ASSERT_TRUE(store->update(key, {}, minute)) << "the next write gives it one again";
  EXPECT_GT(probe->integer({"PTTL", redis_key(key)}), 0);
}

TEST_F(RedisLayout, ARecordOverTheLimitIsCorruptAndHarmsNobody) {
  RedisOptions options;
  options.record_bytes_max = 2000;
  const auto store = connect(options);
  const StoreKey big = fresh_key();
  const StoreKey small = fresh_key();
  EXPECT_EQ(store->create(big, fields({{"a", std::string(3000, 'x')}}), minute).error().code,
            Errc::too_large)
      << "what could not be read again is not written";
  ASSERT_TRUE(connect()->create(big, fields({{"a", std::string(3000, 'x')}}), minute));
  ASSERT_TRUE(store->create(small, fields({{"a", "1"}}), minute));
  EXPECT_EQ(store->load(big).error().code, Errc::corrupt);
  EXPECT_EQ(store->load(small).value()->fields.find("a"), "1");
  EXPECT_TRUE(store->erase(big).value()) << "it can still be ended";
  Changes grow;
  grow.set.push_back({"a", std::string(3000, 'x')});
  EXPECT_EQ(store->update(small, grow, minute).error().code, Errc::too_large);
}

// What other programs do to a key keeps nobody out, and nobody from logging out.
TEST_F(RedisLayout, AVisitorWhoseRecordCannotBeReadIsServed) {
  const SessionManager m = manager(connect());
  const std::vector<std::function<void(const std::string&)>> spoilers = {
      [&](const std::string& key) {
        probe->text({"PERSIST", key});
      },
      [&](const std::string& key) {
        probe->text({"HSET", key, "@created", "yesterday"});
      },
      [&](const std::string& key) {
        probe->text({"HSET", key, "@created", "-1"});
      },
      [&](const std::string& key) {
        probe->text({"SET", key, "x"});
      },
  };
  for (const auto& spoil : spoilers) {
    Session session = m.open({}).value();
    session.sign_in("ada");
    ASSERT_TRUE(m.commit(session));
    const std::string cookie = "sid=" + session.id()->secret();
    const std::string key = "sid_" + session.id()->secret();
    spoil(key);
    Session page = m.open({cookie, false}).value();
    EXPECT_TRUE(page.is_new());
    EXPECT_EQ(m.commit(page).value().status, Commit::Status::unchanged);
    EXPECT_EQ(probe->integer({"EXISTS", key}), 1) << "left alone";
    const bool is_hash = probe->text({"TYPE", key}) == "hash";
    Session logout = m.open({cookie, false}).value();
    logout.sign_out();
    const Commit commit = m.commit(logout).value();
    EXPECT_EQ(commit.status, Commit::Status::erased);
    EXPECT_NE(commit.headers.at(0).value.find("Max-Age=0"), std::string::npos);
    EXPECT_EQ(probe->text({"GET", key}).starts_with("@over "), is_hash)
        << "a string is another program's";
  }
  EXPECT_TRUE(m.sessions_of("ada").value().empty());
}

}  // namespace
}  // namespace websession::testing
