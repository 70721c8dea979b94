// Updates without a script (operations.hpp): what a script decides, plain commands and the type of
// the key decide there. So each path is compared with the others, and a crash may come anywhere.
// HSETEX is there on some servers only.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "changed_fields.hpp"
#include "command_calls.hpp"
#include "endpoint.hpp"
#include "hinting_store.hpp"
#include "random.hpp"
#include "redis_fixture.hpp"
#include "redis_harness.hpp"
#include "redis_store_impl.hpp"
#include "tcp_proxy.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::minutes;

// An outcome and a record as texts, to compare them and to show how they differ.
std::string text_of(const Result<Outcome>& outcome) {
  if (!outcome) return outcome.error().code.message();
  std::string text = std::to_string(static_cast<int>(outcome->status));
  for (const std::int64_t counter : outcome->counters) text += " " + std::to_string(counter);
  return text + " found " + outcome->found.value_or("nothing");
}
std::string text_of(const Result<std::optional<Record>>& loaded) {
  if (!loaded.has_value()) return loaded.error().message();
  if (!loaded->has_value()) return "none";
  const Record& record = **loaded;
  std::string text = record.frozen ? "frozen" : "live";
  for (const Field& field : record.fields) {
    text += ", " + std::string(field.name) + "=" + std::string(field.value);
    if (field.deadline) {
      text += "@" + std::to_string(field.deadline->time_since_epoch() / milliseconds(1));
    }
  }
  // Redis counts real time, but five minutes are not over by the time that it is asked.
  return text + ", " + std::to_string((record.remaining + milliseconds(299'999)) / minutes(10));
}

// What a store may write by.
struct Path {
  std::string name;
  bool guarded = false;
  bool transactions = false;
  std::string command{};  // that is executed when a write goes this way
};
const Path by_script{"script"};
const Path by_transaction{"transaction", false, true, "exec"};
const Path by_hsetex{"hsetex", true, false, "hsetex"};

class RedisShortcuts : public RedisTest {
 protected:
  // Those that the server has.
  std::vector<Path> shortcuts() {
    const std::string answer = probe->text({"HSETEX", "none", "FXX", "FIELDS", "1", "a", "b"});
    if (answer == "0") return {by_transaction, by_hsetex};
    return {by_transaction};
  }
  StorePtr connect_with(const std::string& prefix, const Path& path, std::size_t connections = 4,
                        std::string url = {}) {
    RedisOptions options = patient_options(clock);
    options.connections = connections;
    options.prefix = prefix;
    redis::Endpoint endpoint =
        redis::make_endpoint(url.empty() ? server->url() : url, options, options.prefix, {})
            .value();
    endpoint.login.guarded = path.guarded;
    endpoint.login.transactions = path.transactions;
    return redis::make_store(redis::make_connector(endpoint), endpoint.login, options);
  }
  static constexpr Lifetime five_minutes{minutes(5)};
  // With hints, as a session that was loaded with five minutes left, before others changed it.
  static Result<Outcome> write(SessionStore& store, const StoreKey& key, Changes changes,
                               bool renews) {
    for (Changes::Set& set : changes.set) set.replaces = true;
    Lifetime lifetime{renews ? minutes(9) : minutes(5)};
    lifetime.left = five_minutes.ttl;
    return store.update(key, changes, lifetime);
  }
  static Changes setting(const std::string& text) {
    Changes changes;
    changes.set = {{"a", text}, {"b", text}};
    return changes;
  }
  // Connecting tries each once.
  std::int64_t done_by(const Path& path) { return calls_of(*probe, path.command); }
  // What is in the server must be whole and must end.
  static void expect_sound(RedisProbe& outside, const std::string& prefix, std::size_t least) {
    const auto keys = outside.keys(prefix);
    EXPECT_GE(keys.size(), least);
    for (const std::string& key : keys) {
      EXPECT_GT(outside.integer({"PTTL", key}), 0) << key << " never ends";
      const auto hash = outside.hash(key);
      EXPECT_EQ(hash.count("@created"), 1U) << key << " was never created";
      EXPECT_EQ(hash.at("a"), hash.at("b")) << key << " is half written";
    }
  }
};

// Random operations

class Operations {
 public:
  Operations(Random& random, const ManualClock& clock) : random_(random), clock_(clock) {}

  // Of the last session in one of four places.
  StoreKey key() { return key_at(random_.below(places_.size())); }
  // One that was never used.
  StoreKey next_key() {
    const std::size_t place = random_.below(places_.size());
    ++places_.at(place);
    return key_at(place);
  }
  Grace grace() {
    return {random_.below(2) == 0 ? milliseconds(0) : minutes(20), random_.below(3) != 0};
  }
  // Without a principal.
  Lifetime lifetime() {
    constexpr std::array<int, 3> lengths{10, 20, 40};
    Lifetime lifetime{minutes(lengths.at(random_.below(lengths.size())))};
    if (random_.below(3) == 0) lifetime.renew_after = minutes(15);
    return lifetime;
  }
  std::string text() { return std::to_string(random_.below(5)); }
  std::string name() { return std::string(1, static_cast<char>('a' + random_.below(5))); }
  std::optional<WallTime> deadline(milliseconds least) {
    if (random_.below(6) != 0) return std::nullopt;
    constexpr std::array<int, 3> later{0, 2, 3'600'000};
    return clock_.wall() + least + milliseconds(later.at(random_.below(later.size())));
  }
  Fields fields() {
    std::map<std::string, Field> fields;
    std::deque<std::string> texts;
    for (std::size_t i = random_.below(5); i > 0; --i) {
      const std::string& name = texts.emplace_back(this->name());
      const auto ends = deadline(milliseconds(-5));  // some have passed
      fields[name] = Field{name, texts.emplace_back(text()), ends};
    }
    std::vector<Field> all{{"@created", "1"}};
    for (const auto& [name, field] : fields) all.push_back(field);
    if (random_.below(3) == 0) all.push_back({"@user", principals.at(random_.below(2))});
    return Fields(all);
  }
  // Now and then somebody signs in, or out.
  void pass_on(Changes& changes, bool has_user) {
    if (random_.below(10) == 0) {
      changes.set.push_back({"@user", std::string(principals.at(random_.below(2)))});
    } else if (has_user && random_.below(10) == 0) {
      changes.remove.emplace_back("@user");
    }
  }
  static constexpr std::array<std::string_view, 2> principals{"ada", "bob"};

  Changes changes() {
    Changes changes;
    std::vector<std::string> names{"a", "b", "c", "d", "e"};
    const auto take = [&] {
      const auto taken = names.begin() + static_cast<std::ptrdiff_t>(random_.below(names.size()));
      std::string name = *taken;
      names.erase(taken);
      return name;
    };
    for (std::size_t i = random_.below(3); i > 0; --i) {
      changes.set.push_back({take(), text(), deadline(milliseconds(1))});
    }
    if (random_.below(3) == 0) changes.remove.push_back(take());
    if (random_.below(6) == 0) changes.increment.push_back({take(), 1});
    if (random_.below(6) == 0) changes.expect.push_back({name(), {text(), text()}});
    if (random_.below(8) == 0) changes.set.push_back({"@flash", text(), deadline(milliseconds(1))});
    changes.clear = random_.below(20) == 0;
    changes.clear_reserved = random_.below(2) == 0;  // counts with clear only
    // Together they let small texts pass unlooked at (docs/decisions.md).
    if (random_.below(3) == 0) {
      changes.attributes_max = 4;
    } else if (random_.below(10) == 0) {
      changes.bytes_max = 6;
      changes.bytes_spare = random_.below(2);
    }
    return changes;
  }

 private:
  [[nodiscard]] StoreKey key_at(std::size_t place) const {
    return StoreKey("key" + std::to_string(place) + "." + std::to_string(places_.at(place)));
  }
  Random& random_;
  const ManualClock& clock_;
  std::array<int, 4> places_{};  // how many sessions there were so far
};

// The principal's sessions, as the index leads to them.
std::string listed(SessionStore& store, std::string_view principal) {
  std::set<std::string> keys;
  for (const StoreKey& entry : store.index()->entries(principal).value()) {
    const auto record = store.load(entry).value();
    const bool live = record && !record->frozen && record->fields.find("@user") == principal;
    if (live) keys.insert(entry.secret());
  }
  std::string text(principal);
  for (const std::string& listed_key : keys) text += " " + listed_key;
  return text;
}

// WEBSESSION_TEST_OPERATIONS, when it is set.
int random_operations() {
  const char* given = std::getenv("WEBSESSION_TEST_OPERATIONS");
  return given != nullptr ? std::stoi(given) : 5'000;
}

TEST_F(RedisShortcuts, ScriptsAndTheMemoryStoreGiveTheSame) {
  const int count = random_operations();
  Random random;
  Operations operations(random, *clock);
  const auto scripts = connect_with("script_", by_script);
  std::vector<std::pair<std::string, std::shared_ptr<SessionStore>>> others{
      {"MemoryStore", std::make_shared<MemoryStore>(MemoryOptions{.clock = clock})}};
  for (const Path& path : shortcuts()) {
    others.emplace_back(path.name,
                        std::make_shared<HintingStore>(connect_with(path.name + "_", path)));
  }
  const auto on_each = [&](int i, const auto& call) {
    const std::string expected = call(*scripts);
    for (const auto& [name, store] : others) {
      ASSERT_EQ(expected, call(*store)) << "operation " << i << ": scripts and " << name;
    }
  };
  const auto user_of = [&](const StoreKey& which) {
    const auto loaded = scripts->load(which).value();
    return std::string(loaded ? loaded->fields.find("@user").value_or("") : "");
  };
  // Whom a session belongs to after the changes.
  const auto principal_after = [&](const Changes& changes, std::string user) {
    if (const auto* set = internal::find_set(changes, "@user")) return set->value;
    return internal::removes(changes, "@user") ? std::string() : std::move(user);
  };
  const auto changes_of = [&](const StoreKey& changed) {
    const auto loaded = scripts->load(changed).value();
    Changes changes = operations.changes();
    operations.pass_on(changes, !user_of(changed).empty());
    if (loaded && random.below(2) == 0) changes.reap = loaded->expired;
    return changes;
  };
  struct Move {
    StoreKey from, to;
    Changes changes;
    Lifetime lifetime;
    Grace grace;
  };
  std::optional<Move> last_move;
  // Nobody sets what has ended already, nor moves another session to a key that is taken (which of
  // two errors comes first then is nobody's business).
  const auto may_be_repeated = [&](const Move& made) {
    const auto from = scripts->load(made.from).value();
    if (from && !from->frozen && scripts->load(made.to).value()) return false;
    const auto& set = made.changes.set;
    return std::none_of(set.begin(), set.end(), [&](const Changes::Set& each) {
      return each.deadline && *each.deadline <= clock->wall();
    });
  };
  const auto move = [&](int i, const Move& made) {
    const auto moved = scripts->load(made.to).value();
    const std::string principal =
        moved ? user_of(made.to) : principal_after(made.changes, user_of(made.from));
    Lifetime lifetime = made.lifetime;
    lifetime.principal = principal;
    on_each(i, [&](SessionStore& store) {
      return text_of(store.rekey(made.from, made.to, made.changes, lifetime, made.grace));
    });
  };
  for (int i = 0; i < count && !HasFatalFailure(); ++i) {
    if (random.below(10) == 0) clock->advance(milliseconds(1 + random.below(3)));
    const std::size_t dice = random.below(20);
    const bool begins = dice == 0 && random.below(8) != 0;
    const StoreKey key = begins ? operations.next_key() : operations.key();
    Lifetime lifetime = operations.lifetime();
    const Grace grace = operations.grace();
    if (dice == 0) {
      const Fields fields = operations.fields();
      lifetime.principal = fields.find("@user").value_or("");
      on_each(i, [&](SessionStore& store) {
        const Result<void> made = store.create(key, fields, lifetime);
        return made ? std::string() : made.error().code.message();
      });
    } else if (dice == 1) {
      on_each(i, [&](SessionStore& store) {
        const Result<bool> erased = store.erase(key, grace);
        return erased.has_value() ? std::to_string(static_cast<int>(*erased))
                                  : erased.error().message();
      });
    } else if (dice == 2) {
      const bool again = last_move && random.below(4) == 0 && may_be_repeated(*last_move);
      if (!again) last_move = Move{key, operations.next_key(), changes_of(key), lifetime, grace};
      move(i, *last_move);
    } else {
      const Changes changes = changes_of(key);
      const std::string principal = principal_after(changes, user_of(key));
      lifetime.principal = principal;
      on_each(i,
              [&](SessionStore& store) { return text_of(store.update(key, changes, lifetime)); });
    }
    if (dice == 3) {
      for (const std::string_view principal : Operations::principals) {
        on_each(i, [&](SessionStore& store) { return listed(store, principal); });
      }
    }
    on_each(i, [&](SessionStore& store) { return text_of(store.load(key)); });
  }
  for (const Path& path : shortcuts()) {
    EXPECT_GT(done_by(path), count / 100) << path.name << " was not tried";
  }
}

// Another step comes between the load that the hints are from and the write.

struct Step {
  std::string name;
  std::function<void(SessionStore& store, RedisProbe& outside, const std::string& prefix)> take;
};

const StoreKey key("key");

std::vector<Step> steps() {
  const auto update = [](Changes changes) {
    return [changes](SessionStore& store, RedisProbe&, const std::string&) {
      EXPECT_TRUE(store.update(key, changes, {minutes(5)}));
    };
  };
  const auto erase = [](Grace grace) {
    return [grace](SessionStore& store, RedisProbe&, const std::string&) {
      EXPECT_TRUE(store.erase(key, grace).value());
    };
  };
  const auto move = [](Grace grace) {
    return [grace](SessionStore& store, RedisProbe&, const std::string&) {
      EXPECT_TRUE(store.rekey(key, StoreKey("next"), {}, {minutes(5)}, grace));
    };
  };
  const auto command = [](const RedisProbe::Words& words) {
    return [words](SessionStore&, RedisProbe& outside, const std::string& prefix) {
      RedisProbe::Words own = words;
      own.at(1) = prefix + own.at(1);
      (void)outside.text(own);
    };
  };
  Changes set;
  set.set = {{"a", "other"}};
  Changes timed;
  timed.set = {{"a", "other", WallTime(std::chrono::hours(1'000'000))}};
  Changes removal;
  removal.remove = {"a"};
  Changes count;
  count.increment = {{"n", 1}};
  Changes clear;
  clear.clear = true;
  return {{"nothing", [](auto&&...) {}},
          {"a set", update(set)},
          {"a deadline", update(timed)},
          {"a removal", update(removal)},
          {"a count", update(count)},
          {"a clear", update(clear)},
          {"a renewal", update({})},
          {"an end", erase({})},
          {"an end that leaves a mark", erase({minutes(5)})},
          {"a move", move({})},
          {"a move that leaves a mark", move({minutes(5)})},
          {"an end and a beginning",
           [](SessionStore& store, RedisProbe&, const std::string&) {
             EXPECT_TRUE(store.erase(key).value());
             EXPECT_TRUE(store.create(key, {{"@created", "1"}, {"a", "new"}}, {minutes(5)}));
           }},
          {"a sign-in",
           [](SessionStore& store, RedisProbe&, const std::string&) {
             Changes passing;
             passing.set = {{"@user", "ada"}};
             EXPECT_TRUE(store.rekey(key, StoreKey("next"), passing, {minutes(5), "ada"},
                                     {minutes(5), false}));
           }},
          {"the end of its time",
           [](SessionStore&, RedisProbe& outside, const std::string& prefix) {
             (void)outside.text({"PEXPIRE", prefix + "key", "1"});
             while (outside.integer({"EXISTS", prefix + "key"}) == 1) std::this_thread::yield();
           }},
          {"another program's end", command({"UNLINK", "key"})},
          {"another program's set", command({"HSET", "key", "a", "theirs"})},
          {"another program's text", command({"SET", "key", "text", "PX", "300000"})},
          {"another program's text in its place",
           [](SessionStore&, RedisProbe& outside, const std::string& prefix) {
             (void)outside.text({"UNLINK", prefix + "key"});
             (void)outside.text({"SET", prefix + "key", "text", "PX", "300000"});
           }},
          {"another program's list",
           [](SessionStore&, RedisProbe& outside, const std::string& prefix) {
             (void)outside.text({"UNLINK", prefix + "key"});
             (void)outside.text({"RPUSH", prefix + "key", "x"});
             (void)outside.text({"PEXPIRE", prefix + "key", "300000"});
           }},
          {"an empty script cache", [](SessionStore&, RedisProbe& outside, const std::string&) {
             (void)outside.text({"SCRIPT", "FLUSH"});
           }}};
}

TEST_F(RedisShortcuts, AnyStepBetweenTheLoadAndTheWriteEndsAsWithScripts) {
  int round = 0;
  for (const Step& step : steps()) {
    for (const bool renews : {false, true}) {
      for (const bool removes : {false, true}) {
        ++round;
        const auto end_by = [&](const Path& path) {
          const std::string prefix = std::to_string(round) + path.name + "_";
          const auto store = connect_with(prefix, path);
          const Fields fields{{"@created", "1"}, {"a", "0"}, {"b", "0"}, {"c", "0"}};
          EXPECT_TRUE(store->create(key, fields, {minutes(5)}));
          step.take(*store, *probe, prefix);
          Changes changes = setting("mine");
          if (removes) changes.remove.emplace_back("c");
          const std::int64_t before = done_by(path);
          const std::string written = text_of(write(*store, key, changes, renews));
          // HSETEX leaves removing to others.
          const bool goes_this_way = path.transactions || (path.guarded && !removes);
          EXPECT_EQ(done_by(path) - before, goes_this_way ? 1 : 0) << path.name << step.name;
          for (const std::string& left : probe->keys(prefix)) {
            EXPECT_GT(probe->integer({"PTTL", left}), 0) << step.name;
          }
          return written + ": " + text_of(store->load(key)) + " and next " +
                 text_of(store->load(StoreKey("next")));
        };
        const std::string expected = end_by(by_script);
        for (const Path& path : shortcuts()) {
          EXPECT_EQ(end_by(path), expected)
              << path.name << ", " << step.name << (renews ? ", renewing" : "")
              << (removes ? ", removing" : "");
        }
      }
    }
  }
}

// HSETEX may have a renewal before it. What comes between the two ends as if it had come before
// both, but that what is there may live longer.
TEST_F(RedisShortcuts, AnyStepBetweenTheRenewalAndHsetexEndsAsWithScripts) {
  const bool has_hsetex = shortcuts().size() == 2;
  int round = 0;
  for (const Step& step : steps()) {
    if (!has_hsetex) break;
    ++round;
    const auto end_by = [&](const Path& path) {
      const std::string prefix = "between" + std::to_string(round) + path.name + "_";
      const auto store = connect_with(prefix, path);
      EXPECT_TRUE(store->create(key, {{"@created", "1"}, {"a", "0"}, {"b", "0"}}, {minutes(5)}));
      // Its commands, one by one: the bytes of the first end where the second's begin.
      Changes changes = setting("mine");
      for (Changes::Set& set : changes.set) set.replaces = true;
      Lifetime renewing{minutes(9)};
      renewing.left = minutes(5);
      std::string outcome = "not tried";
      if (path.guarded) {
        probe->text({"PEXPIRE", prefix + "key", std::to_string(renewing.ttl.count()), "GT"});
        step.take(*store, *probe, prefix);
        std::string answer = "error";
        try {
          answer = probe->text(
              {"HSETEX", prefix + "key", "FXX", "FIELDS", "2", "a", "mine", "b", "mine"});
        } catch (const std::exception&) {  // WRONGTYPE
        }
        // What it does not write the script decides.
        if (answer == "1") outcome = text_of(Result<Outcome>(Outcome{}));
      } else {
        step.take(*store, *probe, prefix);
      }
      if (outcome == "not tried")
        outcome = text_of(connect_with(prefix, by_script)->update(key, changes, renewing));
      for (const std::string& left : probe->keys(prefix)) {
        EXPECT_GT(probe->integer({"PTTL", left}), 0) << step.name;
      }
      const auto fields_of = [&](const StoreKey& which) {
        const auto loaded = store->load(which);
        if (!loaded.has_value()) return loaded.error().message();
        if (!*loaded) return std::string("none");
        std::string text = (*loaded)->frozen ? "frozen" : "live";
        for (const Field& field : (*loaded)->fields) {
          text += ", " + std::string(field.name) + "=" + std::string(field.value);
        }
        return text;
      };
      return outcome + ": " + fields_of(key) + " and next " + fields_of(StoreKey("next"));
    };
    EXPECT_EQ(end_by(by_hsetex), end_by(by_script)) << step.name;
  }
}

// What a server's shortcuts are used for by a store that is set up as usual.
TEST_F(RedisShortcuts, AreTakenByAnyStore) {
  const bool has_hsetex = shortcuts().size() == 2;
  const auto store = connect();
  ASSERT_TRUE(store->create(key, fields({{"a", "0"}, {"b", "0"}, {"c", "0"}}), five_minutes));
  const auto ways = [&](const Changes& changes) {
    const auto before = std::pair(done_by(by_hsetex), done_by(by_transaction));
    EXPECT_TRUE(write(*store, key, changes, true));
    return std::pair(done_by(by_hsetex) - before.first, done_by(by_transaction) - before.second);
  };
  const std::pair<std::int64_t, std::int64_t> hsetex(1, 0);
  const std::pair<std::int64_t, std::int64_t> transaction(0, 1);
  const std::pair<std::int64_t, std::int64_t> script(0, 0);
  Changes removing = setting("2");
  removing.remove = {"c"};
  Changes counting;
  counting.increment = {{"n", 1}};
  EXPECT_EQ(ways(setting("1")), has_hsetex ? hsetex : transaction);
  EXPECT_EQ(ways(removing), transaction);
  EXPECT_EQ(ways(counting), script);
}

// The table of docs/redis-layout.md.
TEST_F(RedisShortcuts, WhatAnotherProgramLeftIsMetAsDocumented) {
  using Status = Outcome::Status;
  struct Row {
    RedisProbe::Words made_by;  // of a key
    bool has_expiry;
    Status by_script;
    Status by_transaction;
    Status by_hsetex;
    bool stays_with_transaction = true;
  };
  const std::vector<Row> rows{
      {{"HSET", "k", "a", "0", "b", "0"}, true, Status::gone, Status::applied, Status::applied},
      {{"HSET", "k", "@created", "1", "a", "0", "b", "0"},
       false,
       Status::applied,
       Status::gone,
       Status::applied,
       false},
      {{"SET", "k", "text"}, true, Status::gone, Status::gone, Status::gone},
      {{"RPUSH", "k", "x"}, false, Status::gone, Status::gone, Status::gone, false}};
  int number = 0;
  std::vector<Path> paths = shortcuts();
  paths.push_back(by_script);
  for (const Row& row : rows) {
    for (const Path& path : paths) {
      SCOPED_TRACE("row " + std::to_string(++number) + ", " + path.name);
      const std::string prefix = std::to_string(number) + "_";
      const auto store = connect_with(prefix, path);
      RedisProbe::Words made_by = row.made_by;
      made_by.at(1) = prefix + "k";
      probe->text(made_by);
      if (row.has_expiry) probe->text({"PEXPIRE", prefix + "k", "60000"});
      const Result<Outcome> outcome = write(*store, StoreKey("k"), setting("1"), false);
      EXPECT_EQ(outcome.value().status, path.guarded        ? row.by_hsetex
                                        : path.transactions ? row.by_transaction
                                                            : row.by_script);
      const bool stays = probe->integer({"EXISTS", prefix + "k"}) == 1;
      EXPECT_EQ(stays, !path.transactions || row.stays_with_transaction);
    }
  }
}

TEST_F(RedisShortcuts, AServerAtMaxmemoryRefusesAndKeepsWhatItHas) {
  for (const Path& path : shortcuts()) {
    SCOPED_TRACE(path.name);
    const std::string prefix = path.name + "_";
    const auto store = connect_with(prefix, path);
    ASSERT_TRUE(store->create(key, fields({{"a", "0"}, {"b", "0"}, {"c", "0"}}), five_minutes));
    probe->text({"CONFIG", "SET", "maxmemory", "1"});
    Changes removing = setting("1");
    removing.remove.emplace_back("c");
    for (const Changes& changes : {setting("1"), removing}) {
      const Result<Outcome> refused = write(*store, key, changes, true);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Errc::rejected);
      EXPECT_FALSE(refused.error().maybe_applied);
      EXPECT_NE(refused.error().detail.find("maxmemory"), std::string::npos);
    }
    const Record record = store->load(key).value().value();
    EXPECT_EQ(record.fields.find("a"), "0");
    EXPECT_EQ(record.fields.find("c"), "0");
    const bool may_renew = path.guarded;  // before the write
    EXPECT_EQ(record.remaining > five_minutes.ttl, may_renew);
    // A connection that is made now finds no shortcuts, and does without.
    const auto another = connect_with(prefix, path);
    EXPECT_FALSE(write(*another, key, setting("1"), false));
    probe->text({"CONFIG", "SET", "maxmemory", "0"});
    for (const auto& each : {store, another}) {
      EXPECT_TRUE(write(*each, key, setting("2"), false));
      EXPECT_EQ(each->load(key).value()->fields.find("b"), "2");
    }
  }
}

// A server that executes a transaction's commands one by one is left at once, and nothing lasts.
TEST_F(RedisShortcuts, ARightThatIsTakenAwayLeadsToScripts) {
  probe->text({"ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all"});
  const std::string url = "redis://app:pw@127.0.0.1:" + std::to_string(server->port());
  for (const Path& path : shortcuts()) {
    // (With neither HSET nor PEXPIRE a script can do no more; the next test has those.)
    const std::vector<std::string> rights =
        path.guarded ? std::vector<std::string>{"hsetex"}
                     : std::vector<std::string>{"multi", "exec", "pexpireat"};
    for (const std::string& right : rights) {
      const auto store = connect_with("sid_", path, 4, url);
      const StoreKey gone = fresh_key();
      const StoreKey live = fresh_key();
      ASSERT_TRUE(store->create(live, fields({{"a", "0"}, {"b", "0"}}), five_minutes));
      EXPECT_TRUE(write(*store, live, setting("1"), false));
      probe->text({"ACL", "SETUSER", "app", "-" + right});
      const Result<Outcome> first = write(*store, gone, setting("2"), false);
      EXPECT_TRUE(!first || first->status == Outcome::Status::gone) << right;
      const Result<Outcome> next = write(*store, live, setting("3"), false);
      ASSERT_TRUE(next) << right << ": " << next.error().message();
      EXPECT_EQ(store->load(live).value()->fields.find("a"), "3");
      for (const std::string& left : probe->keys("sid_")) {
        EXPECT_GT(probe->integer({"PTTL", left}), 0) << right << ": " << left << " never ends";
      }
      EXPECT_EQ(probe->integer({"EXISTS", redis_key(gone)}), 0) << right;
      probe->text({"ACL", "SETUSER", "app", "+@all"});
    }
  }
}

// Whatever right goes, and whatever is written: an answer is true, and nothing half done lasts.
TEST_F(RedisShortcuts, WithoutAnyOneRightAnswersAreTrueAndAllKeysEnd) {
  probe->text({"ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all"});
  const std::string url = "redis://app:pw@127.0.0.1:" + std::to_string(server->port());
  for (const Path& path : shortcuts()) {
    for (const std::string right : {"multi", "exec", "hset", "hdel", "pexpire", "pexpireat",
                                    "hsetex", "evalsha", "hmget", "pttl", "hlen"}) {
      if (right == "hsetex" && !path.guarded) continue;  // a server may not know it
      for (const bool renews : {false, true}) {
        for (const bool removes : {false, true}) {
          SCOPED_TRACE(path.name + " without " + right + (renews ? ", renewing" : "") +
                       (removes ? ", removing" : ""));
          const auto store = connect_with("sid_", path, 1, url);
          const StoreKey gone = fresh_key();
          const StoreKey live = fresh_key();
          ASSERT_TRUE(
              store->create(live, fields({{"a", "0"}, {"b", "0"}, {"c", "0"}}), five_minutes));
          ASSERT_TRUE(write(*store, live, setting("1"), false)) << "connected with all rights";
          probe->text({"ACL", "SETUSER", "app", "-" + right});
          Changes changes = setting("2");
          if (removes) changes.remove.emplace_back("c");
          const Result<Outcome> late = write(*store, gone, changes, renews);
          EXPECT_TRUE(!late || late->status == Outcome::Status::gone);
          const Result<Outcome> written = write(*store, live, changes, renews);
          probe->text({"ACL", "SETUSER", "app", "+@all"});
          const auto hash = probe->hash(redis_key(live));
          const bool is_written = hash.at("a") == "2";
          EXPECT_EQ(hash.at("b"), hash.at("a"));
          if (written) {
            EXPECT_TRUE(is_written);
            EXPECT_EQ(hash.count("c"), removes ? 0U : 1U);
          } else {  // a script may have been stopped half way, and says so
            EXPECT_TRUE(!is_written || written.error().maybe_applied) << written.error().message();
          }
          EXPECT_EQ(probe->integer({"EXISTS", redis_key(gone)}), 0);
          for (const std::string& left : probe->keys("sid_")) {
            EXPECT_GT(probe->integer({"PTTL", left}), 0) << left << " never ends";
          }
        }
      }
    }
  }
}

// A late write may make a mark live longer, and the end that is written in it counts all the same.
TEST_F(RedisShortcuts, AMarkThatLivesLongerLeadsNowhereAfterItsEnd) {
  const auto store = connect();
  const StoreKey next = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "0"}, {"b", "0"}}), five_minutes));
  ASSERT_TRUE(store->rekey(key, next, {}, five_minutes, {five_minutes.ttl}));
  EXPECT_EQ(write(*store, key, setting("1"), true).value().status, Outcome::Status::gone);
  EXPECT_GT(probe->integer({"PTTL", redis_key(key)}), five_minutes.ttl.count());
  // As if its grace were over.
  std::string mark = probe->text({"GET", redis_key(key)});
  const std::size_t end = std::string("@frozen 1 ").size();
  mark.replace(end, mark.find(' ', end) - end, "1");
  probe->text({"SET", redis_key(key), mark, "KEEPTTL"});
  EXPECT_FALSE(store->load(key).value().has_value());
  EXPECT_FALSE(store->erase(key).value());
  EXPECT_TRUE(store->load(next).value().has_value()) << "nobody has ended it";
  EXPECT_EQ(store->rekey(key, next, {}, five_minutes, {five_minutes.ttl}).value().status,
            Outcome::Status::applied)
      << "it is known to have been done";
}

// An attribute that got a deadline meanwhile is in both forms then: what it takes is counted, and
// what has ended of it is reaped.
TEST_F(RedisShortcuts, AnAttributeInBothFormsTakesNoMoreThanItMay) {
  const auto store = connect_with("sid_", by_transaction);
  ASSERT_TRUE(store->create(key, fields({{"a", "0"}, {"b", "0"}}), five_minutes));
  Changes timed;
  timed.set = {{"a", std::string(80, 'x'), clock->wall() + minutes(1)}};
  ASSERT_TRUE(store->update(key, timed, five_minutes));
  ASSERT_TRUE(write(*store, key, setting("1"), false));
  Changes more;
  more.set = {{"c", std::string(30, 'y')}};
  more.bytes_max = 100;
  EXPECT_FALSE(store->update(key, more, five_minutes)) << "80 of 100 bytes are in use";
  more.bytes_max = 0;
  more.attributes_max = 3;
  EXPECT_TRUE(store->update(key, more, five_minutes)) << "a, b and c are three";
  clock->advance(minutes(1));
  const Record record = store->load(key).value().value();
  EXPECT_EQ(record.fields.find("a"), "1");
  ASSERT_EQ(record.expired, std::vector<std::string>{"a"});
  Changes reaping = setting("2");
  reaping.reap = record.expired;
  ASSERT_TRUE(store->update(key, reaping, five_minutes));
  EXPECT_EQ(probe->integer({"HEXISTS", redis_key(key), "@until.a"}), 0);
  EXPECT_EQ(store->load(key).value()->fields.find("a"), "2");
}

// Crashes

class RedisShortcutCrashes : public RedisShortcuts {
 protected:
  std::vector<std::string> server_options() override {
    return {"--appendonly", "yes", "--appendfsync", "always"};
  }
  [[nodiscard]] std::filesystem::path append_only_folder() {
    return std::filesystem::path(probe->list({"CONFIG", "GET", "dir"}).at(1)) / "appendonlydir";
  }
  void expect_whole_writes_wherever_the_file_ends(const Path& path);
  void expect_whole_writes_when_a_replica_takes_over(const Path& path,
                                                     std::optional<std::size_t> cut);
};

// Several callers in one transaction, one of whose sessions is gone; the file ends anywhere in it.
TEST_F(RedisShortcutCrashes, AFileThatEndsAnywhereHoldsWholeWritesOnly) {
  for (const Path& path : shortcuts()) {
    SCOPED_TRACE(path.name);
    expect_whole_writes_wherever_the_file_ends(path);
  }
}

void RedisShortcutCrashes::expect_whole_writes_wherever_the_file_ends(const Path& path) {
  const std::string prefix = path.name + "_";
  const auto store = connect_with(prefix, path);
  const std::vector<StoreKey> keys{StoreKey("1"), StoreKey("2"), StoreKey("3"), StoreKey("4")};
  for (const StoreKey& each : keys) {
    ASSERT_TRUE(store->create(each, {{"@created", "1"}, {"a", "0"}, {"b", "0"}}, five_minutes));
  }
  ASSERT_TRUE(store->erase(keys[3]).value());
  const std::filesystem::path folder = append_only_folder();
  const std::filesystem::path file = folder / "appendonly.aof.1.incr.aof";
  // All but the first find the server busy, and share the next transaction: if the server was found
  // to be near, and all of them were in time.
  std::size_t before = 0;
  for (bool apart = true; apart;) {
    const auto shared = connect_with(prefix, path, 1);
    ASSERT_TRUE(shared->load(keys[0]).has_value());  // connects
    before = std::filesystem::file_size(file);
    const std::int64_t done_before = done_by(path);
    server->pause();
    std::vector<std::thread> threads;
    std::atomic<int> begun = 0;
    for (const StoreKey& each : keys) {
      threads.emplace_back([&, each] {
        ++begun;
        EXPECT_TRUE(write(*shared, each, setting("1"), true));
      });
    }
    while (begun < 4) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(100));  // nobody can see that they wait
    server->resume();
    for (std::thread& thread : threads) thread.join();
    apart = path.transactions && done_by(path) - done_before > 2;
  }

  const std::size_t whole = std::filesystem::file_size(file);
  ASSERT_GT(whole, before + 100);
  const TemporaryFolder copy("aof");
  for (std::size_t size = before; size <= whole && !HasFailure(); ++size) {
    const std::filesystem::path target = std::filesystem::path(copy.path()) / std::to_string(size);
    std::filesystem::create_directories(target);
    std::filesystem::copy(folder, target / "appendonlydir",
                          std::filesystem::copy_options::recursive);
    std::filesystem::resize_file(target / "appendonlydir" / file.filename(), size);
    RedisServer loaded({"--appendonly", "yes", "--dir", target});
    RedisProbe outside(loaded);
    SCOPED_TRACE("cut at " + std::to_string(size - before));
    expect_sound(outside, prefix, 3);
    EXPECT_EQ(outside.integer({"EXISTS", prefix + "4"}), 0) << "it had ended";
    std::filesystem::remove_all(target);
  }
}

TEST_F(RedisShortcutCrashes, AReplicaThatTakesOverHoldsWholeWritesOnly) {
  for (const Path& path : shortcuts()) {
    SCOPED_TRACE(path.name);
    for (int round = 0; round < 3; ++round) expect_whole_writes_when_a_replica_takes_over(path, {});
  }
}

// What it is sent ends anywhere, in the midst of a command or of a transaction.
TEST_F(RedisShortcutCrashes, AReplicaThatWasCutOffHoldsWholeWritesOnly) {
  Random random;
  for (const Path& path : shortcuts()) {
    SCOPED_TRACE(path.name);
    for (int round = 0; round < 5; ++round) {
      expect_whole_writes_when_a_replica_takes_over(path, random.below(2'000));
    }
  }
}

// `cut`: after so many bytes of what its master sends; none: the master stops.
void RedisShortcutCrashes::expect_whole_writes_when_a_replica_takes_over(
    const Path& path, std::optional<std::size_t> cut) {
  // So that an online replica gets what comes.
  RedisServer master({"--repl-diskless-sync", "no"});
  TcpProxy proxy(master.port());
  RedisServer replica({"--replicaof", "127.0.0.1", std::to_string(proxy.port())});
  RedisProbe outside(replica);
  RedisProbe inside(master);
  // Both have to say so: a replica may still load what its master has sent.
  const auto says = [](RedisProbe& asked, const std::string& state) {
    return asked.text({"INFO", "replication"}).find(state) != std::string::npos;
  };
  while (!says(inside, "state=online") || !says(outside, "master_link_status:up")) {
    std::this_thread::yield();
  }
  const auto store = connect_with("sid_", path, 4, master.url());
  std::atomic<int> written = 0;
  std::vector<std::thread> threads;
  constexpr int writers = 8;
  for (int t = 0; t < writers; ++t) {
    threads.emplace_back([&, t] {
      const StoreKey live = fresh_key();
      const StoreKey gone = fresh_key();
      ASSERT_TRUE(store->create(live, fields({{"a", "0"}, {"b", "0"}}), five_minutes));
      for (int i = t;; ++i) {
        const bool late = i % 3 == 0;
        const auto outcome =
            write(*store, late ? gone : live, setting(std::to_string(i)), i % 2 == 0);
        if (!outcome) return;
        EXPECT_EQ(outcome->status, late ? Outcome::Status::gone : Outcome::Status::applied);
        ++written;
      }
    });
  }
  while (written < 3000) std::this_thread::yield();
  if (cut) {
    proxy.refuse();  // it cannot come back
    proxy.cut(TcpProxy::Way::replies, *cut, TcpProxy::End::close);
    while (!says(outside, "master_link_status:down")) std::this_thread::yield();
  }
  master.stop();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(outside.text({"REPLICAOF", "NO", "ONE"}), "OK");
  expect_sound(outside, "sid_", writers);
}

}  // namespace
}  // namespace websession::testing
