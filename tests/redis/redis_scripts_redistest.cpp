// Redis does not roll scripts back. So each check of each script is made to fail here, and neither
// a field nor an expiry may have moved.
#include <gtest/gtest.h>

#include <functional>

#include "redis_fixture.hpp"
#include "scripts.hpp"

namespace websession::testing {
namespace {

class RedisScripts : public RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    probe->text({"HSET", live, "@created", "5", "a", "1", "n", "7", "@until.late", "1:x"});
    probe->text({"PEXPIRE", live, "50000"});
    const std::string mark = "@frozen 1 9999999999999 same 8:" + live + "\n8:1:@created51:1:a1";
    probe->text({"SET", frozen, mark, "PX", "50000"});
    probe->text({"HSET", foreign, "a", "1"});
    probe->text({"SET", text, "x", "PX", "50000"});
  }

  // Calls the script as it is, past all checks of the library.
  std::string call(const redis::Script& script, const std::vector<std::string>& keys,
                   std::vector<std::string> arguments) {
    std::vector<std::string> words{"EVAL", script.source(), std::to_string(keys.size())};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    const std::string reply = probe->text(words);
    return reply.empty() ? probe->list(words).at(0) : reply;
  }

  using State = std::map<std::string, std::pair<std::map<std::string, std::string>, std::int64_t>>;
  State state() {
    State all;
    for (const std::string& key : probe->keys("")) {
      if (key == text) continue;
      const bool is_mark = probe->text({"TYPE", key}) == "string";
      all[key] = {is_mark ? std::map<std::string, std::string>{{"mark", probe->text({"GET", key})}}
                          : probe->hash(key),
                  probe->integer({"PTTL", key})};
    }
    return all;
  }

  // `expected`: how the answer starts.
  void expect_untouched(const std::string& what, const std::string& expected,
                        const std::function<std::string()>& refused) {
    const State before = state();
    const std::string answer = refused();
    EXPECT_TRUE(answer.starts_with(expected)) << what << ": " << answer;
    const State after = state();
    ASSERT_EQ(before.size(), after.size()) << what;
    for (const auto& [key, was] : before) {
      EXPECT_EQ(was.first, after.at(key).first) << what;
      EXPECT_LE(after.at(key).second, was.second) << what << ": it renewed";
    }
    EXPECT_EQ(probe->text({"GET", text}), "x") << what;
  }

  // now, ttl, adopt, clear, limits, listed, former; expectations; counters; fields; removals; reaps
  static std::vector<std::string> arguments(const std::string& ttl,
                                            const std::vector<std::string>& checks) {
    std::vector<std::string> all{"1000", ttl, "59999", "0", "1", "0", "0", "0", "0", ""};
    all.insert(all.end(), checks.begin(), checks.end());
    for (const char* word : {"1", "b", "2", "1", "a", "1", "late"}) all.emplace_back(word);
    return all;
  }
  static std::vector<std::string> with_grace(std::vector<std::string> all) {
    all.emplace_back("10000");
    all.emplace_back("1");
    return all;
  }

  const std::string live = "sid_live";
  const std::string frozen = "sid_frozen";
  const std::string foreign = "sid_foreign";
  const std::string text = "sid_text";
  const std::string absent = "sid_absent";
  const redis::Scripts& scripts = redis::scripts();
  static constexpr const char* int64_max = "9223372036854775807";
};

TEST_F(RedisScripts, RefusedCreatesWriteNothing) {
  const auto create = [&](const std::string& key, const std::string& ttl) {
    return [=, this] { return call(scripts.create, {key}, {ttl, "@created", "5"}); };
  };
  expect_untouched("taken", "0", create(live, "60000"));
  expect_untouched("taken by a frozen one", "0", create(frozen, "60000"));
  expect_untouched("taken by a text", "0", create(text, "60000"));
  for (const char* ttl : {"0", "-1", "x", "", "34560000001"}) {
    expect_untouched(std::string("time to live ") + ttl, "ERR", create(absent, ttl));
  }
}

TEST_F(RedisScripts, RefusedUpdatesWriteNothing) {
  const auto update = [&](const std::string& key, const std::string& ttl,
                          const std::vector<std::string>& checks) {
    return [=, this] { return call(scripts.update, {key}, arguments(ttl, checks)); };
  };
  const std::vector<std::string> none{"0", "0"};
  expect_untouched("absent", "gone", update(absent, "60000", none));
  expect_untouched("frozen", "gone", update(frozen, "60000", none));
  expect_untouched("foreign", "gone", update(foreign, "60000", none));
  expect_untouched("another type", "gone", update(text, "60000", none));
  expect_untouched("expect a text", "conflict", update(live, "60000", {"1", "a", "1", "2", "0"}));
  expect_untouched("expect absence", "conflict", update(live, "60000", {"1", "a", "0", "0"}));
  expect_untouched("expect what expired", "conflict",
                   update(live, "60000", {"1", "late", "1", "x", "0"}));
  for (const char* ttl : {"0", "-1", "34560000001"}) {
    expect_untouched(std::string("time to live ") + ttl, "ERR", update(live, ttl, none));
  }
  expect_untouched("time to live x", "ERR", update(live, "x", none));
}

TEST_F(RedisScripts, RefusedSetsWriteNothing) {
  const auto set = [&](const std::string& key, const std::string& ttl) {
    return [=, this] {
      return call(scripts.set, {key},
                  {ttl, "59999", "1000", "0", "0", "0", "2", "a", "@until.a", "b", "2"});
    };
  };
  expect_untouched("absent", "0", set(absent, "60000"));
  expect_untouched("frozen", "0", set(frozen, "60000"));
  expect_untouched("foreign", "0", set(foreign, "60000"));
  expect_untouched("another type", "0", set(text, "60000"));
  for (const char* ttl : {"0", "-1", "x", "", "34560000001"}) {
    expect_untouched(std::string("time to live ") + ttl, "ERR", set(live, ttl));
  }
}

TEST_F(RedisScripts, RefusedCountsWriteNothing) {
  const auto count = [&](const std::string& key, const std::string& ttl, const std::string& name) {
    return [=, this] { return call(scripts.count, {key}, {ttl, "59999", "1000", "0", name, "1"}); };
  };
  const std::string soon = "2000:";
  probe->text({"HSET", live, "t", "1.5", "max", int64_max, "@until.soon_t", soon + "1.5",
               "@until.soon_max", soon + int64_max});
  expect_untouched("absent", "gone", count(absent, "60000", "n"));
  expect_untouched("frozen", "gone", count(frozen, "60000", "n"));
  expect_untouched("foreign", "gone", count(foreign, "60000", "n"));
  expect_untouched("another type", "gone", count(text, "60000", "n"));
  expect_untouched("no integer", "not_integer", count(live, "60000", "t"));
  expect_untouched("overflow", "overflow", count(live, "60000", "max"));
  expect_untouched("no integer, timed", "not_integer", count(live, "60000", "soon_t"));
  expect_untouched("overflow, timed", "overflow", count(live, "60000", "soon_max"));
  for (const char* ttl : {"0", "-1", "x", "", "34560000001"}) {
    expect_untouched(std::string("time to live ") + ttl, "ERR", count(live, ttl, "n"));
  }
}

// An attribute is in one form, with its deadline or without.
TEST_F(RedisScripts, ACounterWithADeadlineKeepsIt) {
  using Words = std::vector<std::string>;
  const auto count = [&](const std::string& name, const std::string& step) {
    return probe->list(
        {"EVAL", scripts.count.source(), "1", live, "60000", "59999", "1000", "0", name, step});
  };
  const auto count_with_others = [&](const std::string& name, const std::string& step) {
    return probe->list({"EVAL",
                        scripts.update.source(),
                        "1",
                        live,
                        "1000",
                        "60000",
                        "59999",
                        "0",
                        "0",
                        "0",
                        "0",
                        "0",
                        "0",
                        "",
                        "0",
                        "1",
                        name,
                        step,
                        "9223372036854775806",
                        "0",
                        "0",
                        "0"});
  };
  const auto field = [&](const std::string& name) { return probe->text({"HGET", live, name}); };
  for (const auto& add : {std::function<Words(std::string, std::string)>(count),
                          std::function<Words(std::string, std::string)>(count_with_others)}) {
    probe->text({"HSET", live, "@until.over", "1000:5", "@until.soon", "1001:9007199254740993",
                 "@until.both", "1001:7", "both", "8"});
    EXPECT_EQ(add("over", "2"), (Words{"applied", "2"})) << "it had ended";
    EXPECT_EQ(field("over"), "2");
    EXPECT_FALSE(probe->hash(live).contains("@until.over"));
    EXPECT_EQ(add("soon", "1"), (Words{"applied", "9007199254740994"})) << "beyond 2^53";
    EXPECT_EQ(field("@until.soon"), "1001:9007199254740994");
    EXPECT_FALSE(probe->hash(live).contains("soon"));
    EXPECT_EQ(add("both", "1"), (Words{"applied", "9"})) << "another program's: that counts";
    EXPECT_EQ(field("both"), "9");
    probe->text({"HDEL", live, "over", "both", "@until.both"});
  }
}

TEST_F(RedisScripts, WritesThatGrowTooMuchWriteNothing) {
  // The session has a and n: 2 attributes with 4 bytes. `late` has ended, and does not count.
  using Words = std::vector<std::string>;
  const auto set = [&](const Words& limits, const std::string& name, const std::string& value) {
    return [=, this] {
      return call(scripts.set, {live},
                  {"60000", "59999", "1000", limits[0], limits[1], "0", "0", name, value});
    };
  };
  const std::string large(97, 'x');
  expect_untouched("bytes", "2", set({"100", "0"}, "b", large));
  expect_untouched("bytes, replaced", "2", set({"100", "0"}, "a", large + "x"));
  expect_untouched("attributes", "2", set({"0", "2"}, "b", "1"));
  const auto general = [&](const redis::Script& script, const Words& keys, const Words& limits,
                           const std::string& name, const std::string& value) {
    return [=, this] {
      return call(script, keys,
                  {"1000", "60000", "59999", "0", "0", limits[0], limits[1], "0", "0", "", "0", "0",
                   "1", name, value, "0", "0", "1000", "1"});
    };
  };
  expect_untouched("bytes", "too_large", general(scripts.update, {live}, {"100", "0"}, "b", large));
  expect_untouched("attributes", "too_large",
                   general(scripts.update, {live}, {"0", "2"}, "b", "1"));
  expect_untouched("bytes of a rekey", "too_large",
                   general(scripts.rekey, {live, "sid_new"}, {"100", "0"}, "b", large));
  const auto count = [&](const std::string& most) {
    return [=, this] {
      return call(scripts.count, {live}, {"60000", "59999", "1000", most, "m", "1"});
    };
  };
  expect_untouched("a new counter", "too_large", count("2"));
  for (const char* bad : {"x", ""}) {
    expect_untouched("bad limits", "ERR", [&, this] {
      return call(scripts.set, {live}, {"60000", "59999", "1000", "0", "0", bad, "0", "b", "1"});
    });
    expect_untouched("bad limits", "ERR", set({bad, "0"}, "b", "1"));
    expect_untouched("bad limits", "ERR", set({"0", bad}, "b", "1"));
    expect_untouched("bad limits", "ERR", count(bad));
  }
  EXPECT_EQ(set({"100", "3"}, "b", std::string(95, 'x'))(), "1") << "exactly";
}

// Counters are checked against what is there, so these must not clear first.
TEST_F(RedisScripts, RefusedCountersWriteNothing) {
  const auto update = [&](const std::vector<std::string>& checks) {
    return [=, this] {
      std::vector<std::string> all{"1000", "60000", "59999", "0", "0", "0", "0", "0", "0", ""};
      all.insert(all.end(), checks.begin(), checks.end());
      for (const char* word : {"1", "b", "2", "0", "0"}) all.emplace_back(word);
      return call(scripts.update, {live}, all);
    };
  };
  probe->text({"HSET", live, "t", "1.5", "max", int64_max});
  expect_untouched("no integer", "not_integer",
                   update({"0", "1", "t", "1", "9223372036854775806"}));
  expect_untouched("overflow", "overflow", update({"0", "1", "max", "1", "9223372036854775806"}));
  expect_untouched(
      "a good one before it", "overflow",
      update({"0", "2", "n", "1", "9223372036854775806", "max", "1", "9223372036854775806"}));
}

TEST_F(RedisScripts, RefusedCountersOfARekeyWriteNothing) {
  probe->text({"HSET", live, "t", "1.5", "max", int64_max});
  const auto rekey = [&](const std::string& name) {
    return [=, this] {
      return call(scripts.rekey, {live, "sid_new"},
                  {"1000",  "60000", "59999", "0", "0",
                   "0",     "0",     "0",     "0", "",
                   "0",     "1",     name,    "1", "9223372036854775806",
                   "1",     "b",     "2",     "0", "0",
                   "10000", "1"});
    };
  };
  expect_untouched("no integer", "not_integer", rekey("t"));
  expect_untouched("overflow", "overflow", rekey("max"));
}

// A caller that does not keep to the protocol of the arguments.
TEST_F(RedisScripts, MalformedArgumentsWriteNothing) {
  using Words = std::vector<std::string>;
  const Words good{"1000", "60000", "59999", "0", "0", "0", "0", "0",     "0", "",
                   "0",    "0",     "1",     "b", "2", "0", "0", "10000", "1"};
  for (const std::size_t at : {0U, 1U, 2U, 4U, 5U, 6U, 7U, 10U, 11U, 12U, 15U, 16U}) {
    Words bad = good;
    bad[at] = "x";
    expect_untouched("update with a bad argument", "ERR",
                     [&] { return call(scripts.update, {live}, bad); });
    expect_untouched("rekey with a bad argument", "ERR", [&] {
      return call(scripts.rekey, {live, "sid_new"}, bad);
    });
  }
  Words no_grace = good;
  no_grace.pop_back();
  no_grace.back() = "x";
  expect_untouched("rekey with a bad grace", "ERR", [&] {
    return call(scripts.rekey, {live, "sid_new"}, no_grace);
  });
  no_grace.pop_back();
  expect_untouched("rekey without a grace", "ERR", [&] {
    return call(scripts.rekey, {live, "sid_new"}, no_grace);
  });
  expect_untouched("update without arguments", "ERR",
                   [&] { return call(scripts.update, {live}, {}); });
}

TEST_F(RedisScripts, RefusedRekeysWriteNothing) {
  const auto rekey = [&](const std::string& from, const std::string& to, const std::string& ttl,
                         const std::vector<std::string>& checks) {
    return [=, this] {
      return call(scripts.rekey, {from, to}, with_grace(arguments(ttl, checks)));
    };
  };
  const std::vector<std::string> none{"0", "0"};
  expect_untouched("absent", "gone", rekey(absent, "sid_new", "60000", none));
  expect_untouched("frozen for another", "gone", rekey(frozen, "sid_new", "60000", none));
  expect_untouched("repeated", "applied", rekey(frozen, live, "60000", none));
  expect_untouched("foreign", "gone", rekey(foreign, "sid_new", "60000", none));
  expect_untouched("taken", "key_exists", rekey(live, foreign, "60000", none));
  expect_untouched("taken by a text", "key_exists", rekey(live, text, "60000", none));
  expect_untouched("another type", "gone", rekey(text, "sid_new", "60000", none));
  expect_untouched("conflict", "conflict",
                   rekey(live, "sid_new", "60000", {"1", "a", "1", "2", "0"}));
  for (const char* ttl : {"0", "-1", "x", "34560000001"}) {
    expect_untouched(std::string("time to live ") + ttl, "ERR", rekey(live, "sid_new", ttl, none));
  }
}

TEST_F(RedisScripts, RefusedErasesWriteNothing) {
  const auto erase = [&](const std::vector<std::string>& keys) {
    return [=, this] {
      return call(scripts.erase, keys, {"0", std::to_string(keys.size()), "10000"});
    };
  };
  expect_untouched("absent", "0", erase({absent}));
  expect_untouched("foreign", "0", erase({foreign}));
  expect_untouched("frozen: gives its successor", live, erase({frozen}));
  expect_untouched("another type", "WRONGTYPE", erase({text}));
  expect_untouched("without arguments", "ERR", [&] { return call(scripts.erase, {live}, {}); });
}

// A script touches no key that it was not given, so it asks for the index of whom it finds.
TEST_F(RedisScripts, TheIndexOfAnotherPrincipalIsAskedFor) {
  using Words = std::vector<std::string>;
  probe->text({"HSET", live, "@user", "ada"});
  const Words leaves{"1000", "60000", "59999", "0", "0", "0", "0",     "0",
                     "0",    "",      "0",     "0", "0", "1", "@user", "0"};
  Words passes{"1000", "60000", "59999", "0", "0",     "0",   "0", "0", "0",
               "",     "0",     "0",     "1", "@user", "bob", "0", "0"};
  for (const Words& changes : {leaves, passes}) {
    expect_untouched("update", "principal", [&] { return call(scripts.update, {live}, changes); });
    expect_untouched("rekey", "principal", [&] {
      return call(scripts.rekey, {live, "sid_new"}, with_grace(changes));
    });
    EXPECT_EQ(probe->list({"EVAL",  scripts.update.source(),
                           "1",     live,
                           "1000",  "60000",
                           "59999", "0",
                           "0",     "0",
                           "0",     "0",
                           "0",     "",
                           "0",     "0",
                           "0",     "1",
                           "@user", "0"}),
              (Words{"principal", "ada"}));
  }
  expect_untouched("erase", "", [&] {
    const Words asked = probe->list({"EVAL", scripts.erase.source(), "1", live, "0", "1", "0"});
    EXPECT_EQ(asked, (Words{"", "ada"}));
    return std::string();
  });
}

// Out of memory is refused as a whole, because what needs memory comes first.
TEST_F(RedisScripts, OutOfMemoryWritesNothing) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  const WallTime soon = clock->wall() + milliseconds(1);
  const WallTime later = soon + minute.ttl;
  ASSERT_TRUE(store->create(
      key, fields({{"a", "1"}, {"b", "2"}, {"n", "1"}, {"timed", "1", later}, {"x", "1", soon}}),
      minute));
  clock->advance(milliseconds(1));
  Changes changes;
  changes.set.push_back({"a", "2"});
  changes.remove.emplace_back("b");
  changes.increment.push_back({"n", 1});
  changes.reap.emplace_back("x");
  probe->text({"CONFIG", "SET", "maxmemory", "1"});
  const auto refused = [](const auto& result) {
    EXPECT_FALSE(result);
    if (result) return std::string("it succeeded");
    EXPECT_EQ(result.error().code, Errc::rejected);
    EXPECT_FALSE(result.error().maybe_applied);
    EXPECT_NE(result.error().detail.find("maxmemory"), std::string::npos);
    return std::string("refused");
  };
  const Lifetime longer{milliseconds(90'000)};
  expect_untouched("update", "refused",
                   [&] { return refused(store->update(key, changes, longer)); });
  Changes counts;
  counts.increment.push_back({"n", 1});
  counts.remove.emplace_back("b");
  expect_untouched("count", "refused", [&] { return refused(store->update(key, counts, longer)); });
  Changes timed;
  timed.increment.push_back({"timed", 1});
  expect_untouched("count one with an end", "refused",
                   [&] { return refused(store->update(key, timed, longer)); });
  expect_untouched("create", "refused",
                   [&] { return refused(store->create(fresh_key(), fields(), longer)); });
  expect_untouched("rekey", "refused", [&] {
    return refused(store->rekey(key, fresh_key(), changes, longer, {milliseconds(1000)}));
  });
  EXPECT_TRUE(store->load(key).value().has_value()) << "reading still works";
  EXPECT_TRUE(store->update(key, {}, longer)) << "so does renewing";
  EXPECT_TRUE(store->erase(key).value()) << "and logging out";
}

// P3: a user who may write but not set an expiry makes no immortal keys.
TEST_F(RedisScripts, WithoutTheRightToExpireNothingIsCreated) {
  probe->text({"ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "-pexpire"});
  const auto store =
      connect_redis("redis://half:pw@127.0.0.1:" + std::to_string(server->port()), patient())
          .value();
  const StoreKey key = fresh_key();
  const Result<void> created = store->create(key, fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected);
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(key)}), 0);
  const StoreKey to = fresh_key();
  EXPECT_FALSE(store->rekey(StoreKey("live"), to, {}, minute, {milliseconds(1000)}));
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(to)}), 0);
}

}  // namespace
}  // namespace websession::testing
