// What a session may hold, whatever many requests write at once: the scripts see to it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "encrypted_harness.hpp"
#include "random.hpp"
#include "redis_fixture.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

constexpr std::size_t bytes_max = 64 * 1024;

struct Extent {
  std::size_t bytes = 0;
  std::size_t attributes = 0;
};

Extent extent(const Fields& fields) {
  Extent sum;
  for (const Field& field : fields) {
    if (field.name.starts_with('@')) continue;
    sum.bytes += field.name.size() + field.value.size();
    ++sum.attributes;
  }
  return sum;
}

class RedisLimits : public RedisTest {
 protected:
  StorePtr patient() {
    RedisOptions options;
    options.operation_timeout = std::chrono::seconds(20);
    return connect(options);
  }
  Extent held(SessionStore& store, const StoreKey& key) {
    return extent(store.load(key).value().value().fields);
  }
  // Eight requests that know nothing of each other: each commits 60,000 bytes.
  void flood(const std::shared_ptr<SessionStore>& store) {
    SessionOptions options;
    options.clock = clock;
    const SessionManager m = SessionManager::make(store, options).value();
    Session first = m.open({}).value();
    first.set("a", 1);
    ASSERT_TRUE(m.commit(first));
    const SessionId id = *first.id();
    std::vector<Session> sessions;
    for (int i = 0; i < 8; ++i) sessions.push_back(m.find(id).value().value());
    int refused = 0;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      sessions[i].set("v" + std::to_string(i), std::string(60'000, 'x'));
      const auto commit = m.commit(sessions[i]);
      if (commit) continue;
      ++refused;
      EXPECT_EQ(commit.error().code, Errc::too_large) << commit.error().message();
    }
    EXPECT_GE(refused, 6);
    Session last = m.find(id).value().value();
    EXPECT_LE(extent(store->load(StoreKey(id)).value().value().fields).bytes, 2 * bytes_max);
    last.invalidate();
    EXPECT_EQ(m.commit(last).value().status, Commit::Status::erased) << "logging out works";
  }
};

TEST_F(RedisLimits, EightLargeCommitsAtOnceStayBelowTwiceTheLimit) { flood(patient()); }

TEST_F(RedisLimits, AndWhenEncrypted) {
  EncryptionOptions options;
  options.keys = key_ring({std::string(32, 'k')});
  flood(EncryptedStore::make(patient(), std::move(options)).value());
}

TEST_F(RedisLimits, AndAsJson) {
  RedisJsonOptions options;
  options.redis.clock = clock;
  options.redis.operation_timeout = std::chrono::seconds(20);
  flood(connect_redis_json(server->url(), options).value());
}

// Sealed values are longer, and the limit is that of the plain ones.
TEST_F(RedisLimits, ASessionThatJustFitsFitsWhenEncrypted) {
  EncryptionOptions encryption;
  encryption.keys = key_ring({std::string(32, 'k')});
  SessionOptions options;
  options.clock = clock;
  const SessionManager m =
      SessionManager::make(EncryptedStore::make(patient(), encryption).value(), options).value();
  Session session = m.open({}).value();
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  for (std::size_t i = 0; i + 1 < options.attributes_max; ++i) {
    session.set("n" + std::to_string(i), std::string(245, 'x'));
  }
  const auto commit = m.commit(session);
  EXPECT_TRUE(commit) << commit.error().message();
  session.regenerate();
  EXPECT_TRUE(m.commit(session));
}

// Whatever is written in whatever order: never beyond twice the bytes, never beyond the attributes;
// what the exact rule allows is applied, and what was refused has written nothing.
TEST_F(RedisLimits, HoldAtRandom) {
  Random random;
  const auto store = patient();
  const std::size_t most = 1'000;
  const std::size_t attributes = 10;
  for (int round = 0; round < 20; ++round) {
    StoreKey key = fresh_key();
    ASSERT_TRUE(store->create(key, fields(), minute));
    for (int step = 0; step < 100; ++step) {
      const auto name = [&] { return "n" + std::to_string(random.below(14)); };
      Changes changes;
      changes.bytes_max = most;
      changes.attributes_max = attributes;
      const std::string changed = name();
      switch (random.below(6)) {
        case 0:
          changes.remove.push_back(changed);
          break;
        case 1:
          changes.increment.push_back({"c" + std::to_string(random.below(3)), 1});
          break;
        case 2:
          changes.expect.push_back({"@user", {}});
          [[fallthrough]];
        case 3:
          changes.set.push_back({changed, std::string(random.below(1'100), 'x')});
          changes.clear = random.below(10) == 0;
          break;
        case 4:
          changes.set.push_back({changed, std::string(random.below(300), 'x')});
          changes.remove.push_back(changed + "x");
          break;
        default:
          changes.set.push_back({changed, std::string(random.below(97), 'x')});
      }
      const Fields before = store->load(key).value().value().fields;
      const bool fits = apply(before, changes, clock->wall()).has_value();
      const bool moves = random.below(5) == 0;
      const StoreKey to = fresh_key();
      const Result<Outcome> outcome =
          moves ? store->rekey(key, to, changes, minute, {}) : store->update(key, changes, minute);
      if (outcome && moves) key = to;
      if (!outcome) {
        ASSERT_EQ(outcome.error().code, Errc::too_large) << outcome.error().message();
        ASSERT_EQ(store->load(key).value().value().fields, before) << "nothing was written";
        ASSERT_LE(extent(before).bytes, 2 * most);
        ASSERT_FALSE(fits && extent(before).bytes <= most) << "what fits exactly is not refused";
      }
      const Extent now = held(*store, key);
      ASSERT_LE(now.bytes, 2 * most);
      ASSERT_LE(now.attributes, attributes);
    }
  }
}

// Requests that have loaded attributes which others then removed write them without being asked.
TEST_F(RedisLimits, HoldForWhatStaleHintsPutBack) {
  struct Row {
    const char* name;
    std::size_t bytes_max;
    std::size_t attributes_max;
    std::size_t text;       // of an attribute
    std::size_t first = 0;  // of the one that is there from the beginning
  };
  for (const Row& row : {Row{"small ones", 4'000, 40, 20}, Row{"none but the bytes", 4'000, 40, 95},
                         Row{"beside a large one", 4'000, 40, 95, 3'900},
                         Row{"without a bound of bytes", 0, 40, 20}}) {
    SCOPED_TRACE(row.name);
    const auto store = patient();
    const StoreKey key = fresh_key();
    ASSERT_TRUE(store->create(key, fields({{"a", std::string(row.first, 'x')}}), minute));
    Lifetime known = minute;
    known.left = minute.ttl;
    int refused = 0;
    for (int i = 0; i < 200; ++i) {
      Changes changes;
      changes.bytes_max = row.bytes_max;
      changes.attributes_max = row.attributes_max;
      changes.set = {{"n" + std::to_string(i), std::string(row.text, 'y'), {}, true}};
      const Result<Outcome> outcome = store->update(key, changes, known);
      if (!outcome) {
        ++refused;
        EXPECT_EQ(outcome.error().code, Errc::too_large) << outcome.error().message();
      }
      const Record record = store->load(key).value().value();
      const Extent now = extent(record.fields);
      ASSERT_LE(now.attributes, 2 * row.attributes_max);
      if (row.bytes_max != 0) {
        ASSERT_LE(now.bytes, 2 * row.bytes_max);
      }
      ASSERT_EQ(record.fields.find("n" + std::to_string(i)).has_value(), outcome.has_value());
      ASSERT_EQ(record.fields.find("a").value_or("").size(), row.first) << "what was there stays";
    }
    EXPECT_GT(refused, 100);
  }
}

// A session that is beyond its limits, for example since they were lowered.
TEST_F(RedisLimits, WhatIsTooLargeCanShrinkMoveAndEnd) {
  const auto store = patient();
  const StoreKey key = fresh_key();
  const std::string large(5'000, 'x');
  ASSERT_TRUE(
      store->create(key, fields({{"a", large}, {"b", large}, {"c", "1"}, {"n", "1"}}), minute));
  const auto applied = [&](Changes changes, const char* what) {
    changes.bytes_max = 1'000;
    changes.attributes_max = 2;
    const Result<Outcome> outcome = store->update(key, changes, minute);
    EXPECT_TRUE(outcome) << what << ": " << outcome.error().message();
  };
  Changes changes;
  applied(changes, "a renewal");
  changes.increment = {{"n", 1}};
  applied(changes, "a counter that is there");
  changes = {};
  changes.set = {{"a", std::string(4'999, 'x')}};
  applied(changes, "less than before");
  changes.set = {{"@csrf", "1"}};
  applied(changes, "a field of the library's");
  changes = {};
  changes.bytes_max = 1'000;
  changes.attributes_max = 2;
  changes.set = {{"@user", "ada"}};
  const StoreKey moved = fresh_key();
  EXPECT_TRUE(store->rekey(key, moved, changes, {milliseconds(60'000), "ada"}, {}));
  changes.set = {{"d", "1"}};
  EXPECT_EQ(store->update(moved, changes, minute).error().code, Errc::too_large);
  changes.clear = true;
  const StoreKey cleared = fresh_key();
  EXPECT_TRUE(store->rekey(moved, cleared, changes, {milliseconds(60'000), "ada"}, {}));
  EXPECT_EQ(held(*store, cleared).attributes, 1U);
  EXPECT_TRUE(store->erase(cleared).value());
}

// Larger than any reply may be: it cannot be read, and can be ended.
TEST_F(RedisLimits, WhatCannotBeReadCanBeEnded) {
  const auto store = patient();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"@user", "ada"}}), {milliseconds(60'000), "ada"}));
  for (int i = 0; i < 10; ++i) {
    probe->integer({"HSET", redis_key(key), "v" + std::to_string(i), std::string(60'000, 'x')});
  }
  EXPECT_EQ(store->load(key).error().code, Errc::corrupt);
  EXPECT_TRUE(store->erase(key).value());
  EXPECT_TRUE(probe->keys("").empty());
}

}  // namespace
}  // namespace websession::testing
