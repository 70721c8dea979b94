// Locks, and servers that come, go, and refuse: both engines.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fork_support.hpp"
#include "postgres_stores.hpp"
#include "processes.hpp"
#include "random.hpp"
#include "tcp_proxy.hpp"
#include "wait_for.hpp"

namespace websession::testing {
namespace {

// What gives a program another clock; "" where it is not installed.
std::string faketime_library() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib", ignored)) {
    const std::filesystem::path library = entry.path() / "faketime/libfaketime.so.1";
    if (std::filesystem::exists(library, ignored)) return library;
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Store, PostgresFaults,
                         ::testing::Values(PostgresHarness::First::blocking,
                                           PostgresHarness::First::on_a_loop),
                         [](const auto& tested) {
                           return tested.param == PostgresHarness::First::blocking ? "Blocking"
                                                                                   : "OnALoop";
                         });

TEST_P(PostgresFaults, AnyBytesAreKeysPrincipalsNamesAndValues) {
  const auto store = open(patient_postgres());
  const std::string all_bytes = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    return bytes;
  }();
  for (const std::string& bytes :
       {all_bytes, std::string("\x01plain"), std::string("{\"a\",b\\}"), std::string("NULL"),
        std::string("ü'; DROP TABLE websession_sessions; --"), std::string("\0", 1)}) {
    SCOPED_TRACE(bytes);
    const StoreKey key{bytes};
    const StoreKey next{bytes + "2"};
    ASSERT_TRUE(store->create(key, fields({{bytes, bytes}, {"@user", bytes}}), minute));
    EXPECT_EQ(value_of(*store, key, bytes), bytes);
    EXPECT_EQ(store->index()->entries(bytes).value(), std::vector<StoreKey>{key});
    EXPECT_EQ(store->rekey(key, next, {}, minute, {seconds(10), true}).value().status,
              Outcome::Status::applied);
    EXPECT_EQ(value_of(*store, next, bytes), bytes);
    EXPECT_TRUE(store->erase(key, {seconds(10)}).value()) << "over its mark";
    EXPECT_TRUE(store->load(key).value()->is_over());
  }
}

TEST_P(PostgresFaults, CredentialsAreAskedForByEachConnection) {
  make_tables();
  const std::string role = "c" + schema->name();
  probe()->run("CREATE ROLE " + role + " LOGIN; GRANT USAGE ON SCHEMA " + schema->name() + " TO " +
               role + "; GRANT SELECT ON websession_schema TO " + role +
               "; GRANT SELECT, INSERT, UPDATE, DELETE ON websession_sessions TO " + role);
  std::mutex mutex;
  Result<Credentials> given = make_error(Errc::unavailable, "no token yet");
  const auto give = [&](Result<Credentials> credentials) {
    const std::lock_guard lock(mutex);
    given = std::move(credentials);
  };
  PostgresOptions options = patient_postgres();
  options.credentials = [&]() -> Result<Credentials> {
    const std::lock_guard lock(mutex);
    return given;
  };
  const auto connect_later = [&]() -> std::shared_ptr<SessionStore> {
    if (GetParam() == PostgresHarness::First::on_a_loop) {
      return postgres_on_a_loop(schema->conninfo(), options);
    }
    return PostgresStore::connect_later(schema->conninfo(), options).value();
  };
  const auto store = connect_later();
  const auto missing = store->load(fresh_key());
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().detail, "no token yet");
  EXPECT_FALSE(missing.error().maybe_applied);

  give(Credentials{role, "token"});
  const StoreKey key = fresh_key();
  wait_for("the store", [&] { return store->load(key).has_value(); });
  ASSERT_TRUE(store->create(key, fields(), minute));
  const std::string of_role = "FROM pg_stat_activity WHERE usename = '" + role + "'";
  EXPECT_EQ(probe()->text("SELECT count(*) > 0 " + of_role), "t");

  give(Credentials{role + "gone", "token"});
  EXPECT_TRUE(store->load(key).value()) << "a connection that is there goes on";
  const auto refused = connect_later()->load(key);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::rejected) << refused.error().message();
  EXPECT_EQ(refused.error().detail.find("token"), std::string::npos);

  options.credentials = []() -> Result<Credentials> { throw std::runtime_error("s3cret"); };
  const auto thrown = connect_later()->load(key);
  ASSERT_FALSE(thrown.has_value());
  EXPECT_EQ(thrown.error().code, Errc::unavailable);
  EXPECT_EQ(thrown.error().detail.find("s3cret"), std::string::npos);
}

TEST_P(PostgresFaults, WhatIsReadOnlySaysSo) {
  make_tables();
  const auto store = connect(server().conninfo("options='-csearch_path=" + schema->name() +
                                               " -cdefault_transaction_read_only=on'"),
                             patient_postgres());
  const auto created = store->create(fresh_key(), fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected);
  EXPECT_FALSE(created.error().maybe_applied);
  EXPECT_NE(created.error().detail.find("primary"), std::string::npos) << created.error().detail;
}

// The statement that waited for the lock ends with its caller.
TEST_P(PostgresFaults, ALockedRowCostsNoMoreThanTheDeadline) {
  const auto store = open(quick());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), minute));
  const auto other = probe();
  other->run("BEGIN; SELECT FROM websession_sessions FOR UPDATE");
  const auto start = std::chrono::steady_clock::now();
  const auto updated = store->update(key, setting("a", "2"), minute);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Errc::timeout);
  EXPECT_EQ(store->load(key).has_value(), true) << "reads wait for nobody";
  // By then the server has ended it; if not, it would be applied now.
  std::this_thread::sleep_for(seconds(1));
  other->run("COMMIT");
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(value_of(*store, key, "a"), "1");
}

// What has expired while a write waited for its row stays so.
TEST_P(PostgresFaults, NothingIsRevivedAfterAWaitForTheLock) {
  const auto store = open(patient_postgres());
  const StoreKey updated = fresh_key();
  const StoreKey moved = fresh_key();
  const StoreKey renewed = fresh_key();
  const StoreKey to = fresh_key();
  for (const StoreKey& key : {updated, moved, renewed}) {
    ASSERT_TRUE(store->create(key, fields(), Lifetime{seconds(1)}));
  }
  const auto other = probe();
  other->run("BEGIN; SELECT FROM websession_sessions FOR UPDATE");
  auto update = std::async(std::launch::async,
                           [&] { return store->update(updated, setting("a", "1"), minute); });
  auto renew = std::async(std::launch::async, [&] { return store->update(renewed, {}, minute); });
  auto move =
      std::async(std::launch::async, [&] { return store->rekey(moved, to, {}, minute, {}); });
  std::this_thread::sleep_for(milliseconds(1500));
  other->run("COMMIT");
  EXPECT_EQ(update.get().value().status, Outcome::Status::gone);
  EXPECT_EQ(renew.get().value().status, Outcome::Status::gone);
  EXPECT_EQ(move.get().value().status, Outcome::Status::gone);
  for (const StoreKey& key : {updated, moved, renewed, to}) {
    EXPECT_FALSE(store->load(key).value().has_value());
  }
}

// Serializable transactions fail where others were faster: they are done again.
TEST_P(PostgresFaults, SerializationFailuresAreNobodysConcern) {
  PostgresOptions options = patient_postgres();
  options.transaction_pooling = true;  // so that the database's own settings stay
  const auto store = connect(server().conninfo("options='-csearch_path=" + schema->name() +
                                               " -cdefault_transaction_isolation=serializable'"),
                             options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        Changes changes;
        changes.increment.push_back({"n", 1});
        const auto updated = store->update(key, changes, minute);
        EXPECT_TRUE(updated.has_value()) << updated.error().message();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value_of(*store, key, "n"), "100");
}

// What a server says is told as what it is, and nothing of the write is kept.
TEST_P(PostgresFaults, WhatTheServerRefusesIsToldAndNotDone) {
  const auto store = open(patient_postgres());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), minute));
  for (const auto& [state, code] :
       {std::pair{"53100", Errc::unavailable},  // the disk is full
        std::pair{"53200", Errc::unavailable},  // no memory
        std::pair{"58030", Errc::unavailable},  // the disk fails
        std::pair{"57014", Errc::timeout},      // somebody has ended the statement
        std::pair{"55P03", Errc::timeout},      // lock_timeout
        std::pair{"54000", Errc::too_large},    // a limit of the server
        std::pair{"42501", Errc::rejected},     // rights
        std::pair{"P0001", Errc::rejected}}) {  // a trigger of somebody's
    SCOPED_TRACE(state);
    probe()->run(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '" +
        std::string(state) +
        "'; END $$; CREATE TRIGGER refuses BEFORE INSERT OR UPDATE OR DELETE "
        "ON websession_sessions FOR EACH ROW EXECUTE FUNCTION refuse()");
    const StoreKey next = fresh_key();
    const auto expect_refused = [&, code = code](const auto& result) {
      ASSERT_FALSE(result.has_value());
      EXPECT_EQ(result.error().code, code) << result.error().message();
      EXPECT_FALSE(result.error().maybe_applied);
    };
    expect_refused(store->update(key, setting("a", "2"), minute));
    expect_refused(store->rekey(key, next, setting("a", "2"), minute, {seconds(10)}));
    expect_refused(store->erase(key));
    expect_refused(store->create(next, fields(), minute));
    EXPECT_EQ(value_of(*store, key, "a"), "1") << "reads go on";
    probe()->run("DROP TRIGGER refuses ON websession_sessions");
    EXPECT_FALSE(store->load(next).value().has_value());
  }
  EXPECT_TRUE(store->update(key, setting("a", "2"), minute));
  EXPECT_EQ(value_of(*store, key, "a"), "2");
}

TEST_P(PostgresFaults, ATableThatSomebodyAltersMeanwhileServesOn) {
  PostgresOptions options = patient_postgres();
  options.connections_max = 1;
  const auto store = open(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), minute));
  EXPECT_EQ(value_of(*store, key, "a"), "1");
  for (const char* type : {"varchar(200)", "varchar(300)", "text"}) {
    probe()->run("ALTER TABLE websession_sessions ALTER COLUMN label TYPE " + std::string(type));
    EXPECT_EQ(value_of(*store, key, "a"), "1");
    EXPECT_TRUE(store->update(key, setting("b", type), minute));
    EXPECT_EQ(value_of(*store, key, "b"), type);
  }
}

// A site's own limit, where the store sets none.
TEST_P(PostgresFaults, AStatementTimeoutOfTheDatabaseIsATimeout) {
  make_tables();
  PostgresOptions options = patient_postgres();
  options.transaction_pooling = true;
  const auto store = connect(
      server().conninfo("options='-csearch_path=" + schema->name() + " -cstatement_timeout=100ms'"),
      options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), minute));
  const auto other = probe();
  other->run("BEGIN; SELECT FROM websession_sessions FOR UPDATE");
  const auto updated = store->update(key, setting("a", "2"), minute);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Errc::timeout) << updated.error().message();
  EXPECT_FALSE(updated.error().maybe_applied);
  other->run("COMMIT");
  EXPECT_EQ(value_of(*store, key, "a"), "1");
  EXPECT_TRUE(store->update(key, setting("a", "2"), minute));
}

// Another program locks two rows in the other order. The server ends one of the two statements; it
// is done again.
TEST_P(PostgresFaults, DeadlocksAreNobodysConcern) {
  make_tables();
  const auto store = connect(
      server().conninfo("options='-csearch_path=" + schema->name() + " -cdeadlock_timeout=50ms'"),
      patient_postgres());
  const StoreKey from = fresh_key();
  const StoreKey to = fresh_key();
  ASSERT_TRUE(store->create(from, fields({{"a", "1"}}), minute));
  const auto watcher = probe();
  const auto deadlocks = [](PostgresProbe& on) {
    return std::stoi(
        on.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"));
  };
  const int before = deadlocks(*watcher);
  const auto other = probe();
  // It is never the one that notices.
  other->run(
      "SET deadlock_timeout = '10min'; BEGIN; INSERT INTO websession_sessions (key, "
      "created_at, expires_at, data) VALUES ('" +
      to.secret() + "', 0, now() + interval '1 h', '{}')");
  auto moved = std::async(std::launch::async, [&] {
    return store->rekey(from, to, setting("a", "2"), minute, {seconds(10)});
  });
  wait_for("nobody waits for the row", [&] {
    return watcher->text(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
               "AND query LIKE '%websession_sessions%'") != "0";
  });
  other->run("SELECT FROM websession_sessions WHERE key = '" + from.secret() + "' FOR UPDATE");
  other->run("ROLLBACK");
  const auto outcome = moved.get();
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(outcome->status, Outcome::Status::applied);
  EXPECT_EQ(value_of(*store, to, "a"), "2");
  EXPECT_TRUE(store->load(from).value()->frozen);
  // It counts with delay.
  wait_for("there was no deadlock", [&] { return deadlocks(*watcher) > before; });
}

// The tables have a disk of their own, which is full in the end.
TEST_P(PostgresFaults, OnAFullDiskNothingIsLost) {
  const TemporaryFolder folder("small");
  // Mounted for this thread, and those that it starts, alone.
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "this user may not mount a disk";
  }
  give_to_postgres(folder.path());
  PostgresServer own;
  PostgresProbe(own.conninfo()).run("CREATE TABLESPACE small LOCATION '" + folder.path() + "'");
  const auto store =
      connect(own.conninfo("options='-cdefault_tablespace=small'"), patient_postgres());
  Random random;
  const auto noise = [&random] {
    std::string text;
    for (int i = 0; i < 3000; ++i) text += static_cast<char>('0' + random.below(75));
    return text;
  };
  std::vector<std::pair<StoreKey, std::string>> made;
  std::optional<Error> refused;
  while (!refused && made.size() < 1000) {
    made.emplace_back(fresh_key(), noise());
    const auto created =
        store->create(made.back().first, fields({{"noise", made.back().second}}), minute);
    if (!created) refused = created.error();
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Errc::unavailable) << refused->message();
  EXPECT_FALSE(refused->maybe_applied);
  EXPECT_NE(refused->detail.find("53100"), std::string::npos) << refused->detail;
  EXPECT_FALSE(store->load(made.back().first).value().has_value());
  made.pop_back();
  ASSERT_GT(made.size(), 20U);
  for (const auto& [key, text] : made) EXPECT_EQ(value_of(*store, key, "noise"), text);
  for (const auto& [key, text] : made) EXPECT_TRUE(store->erase(key).value());
  ASSERT_EQ(::mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
  EXPECT_TRUE(store->create(fresh_key(), fields({{"noise", noise()}}), minute));
}

// The time is the database's, whatever its machine makes of it.
TEST_P(PostgresFaults, TheDatabasesClockMayJump) {
  const std::string library = faketime_library();
  if (library.empty()) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") FAIL() << "faketime is not installed";
    GTEST_SKIP() << "faketime is not installed";
  }
  const TemporaryFolder folder("clock");
  const std::string clock = folder.path() + "/clock";
  const auto jump = [&clock](const std::string& by) {
    std::ofstream(clock + ".new") << by << '\n';
    give_to_postgres(clock + ".new");
    std::filesystem::rename(clock + ".new", clock);
  };
  jump("+0");
  give_to_postgres(folder.path());
  PostgresServer own(
      {}, {"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + clock, "FAKETIME_NO_CACHE=1"});
  const auto store = connect(own.conninfo(), patient_postgres());
  const StoreKey key = fresh_key();
  const StoreKey ended = fresh_key();
  for (const StoreKey& one : {key, ended}) ASSERT_TRUE(store->create(one, fields(), minute));
  EXPECT_TRUE(store->erase(ended).value());

  jump("+2h");
  EXPECT_FALSE(store->load(key).value().has_value());
  EXPECT_EQ(store->update(key, setting("a", "1"), minute)->status, Outcome::Status::gone);
  const StoreKey later = fresh_key();
  ASSERT_TRUE(store->create(later, fields({{"@user", "ada"}}), minute));
  EXPECT_TRUE(store->load(later).value().has_value());

  jump("-2h");
  EXPECT_TRUE(store->load(later).value().has_value()) << "it lives so much longer";
  EXPECT_EQ(store->index()->entries("ada").value(), std::vector<StoreKey>{later});
  EXPECT_FALSE(store->load(ended).value().has_value()) << "what was ended does not come back";
  EXPECT_EQ(store->update(ended, setting("a", "1"), minute)->status, Outcome::Status::gone);
  const StoreKey to = fresh_key();
  EXPECT_EQ(store->rekey(later, to, {}, minute, {seconds(10)})->status, Outcome::Status::applied);
  EXPECT_TRUE(store->load(to).value().has_value());
}

TEST_P(PostgresFaults, AServerThatCrashesLosesNothingThatWasAcknowledged) {
  PostgresServer own;
  const auto store = connect(own.conninfo(), quick(seconds(2)));
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  std::atomic<std::int64_t> acknowledged = 0;
  std::atomic<std::int64_t> in_doubt = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        Changes changes;
        changes.increment.push_back({"n", 1});
        const auto updated = store->update(key, changes, minute);
        if (updated) {
          ++acknowledged;
        } else if (updated.error().maybe_applied) {
          ++in_doubt;
        }
      }
    });
  }
  for (int crash = 0; crash < 3; ++crash) {
    std::this_thread::sleep_for(milliseconds(300));
    own.crash();
    own.start();
  }
  threads.clear();
  Result<std::optional<Record>> record = store->load(key);
  for (int i = 0; i < 100 && !record.has_value(); ++i) record = store->load(key);
  const std::int64_t n = std::stoll(std::string((*record)->fields.find("n").value_or("0")));
  EXPECT_GE(n, acknowledged);
  EXPECT_LE(n, acknowledged + in_doubt);
  EXPECT_GT(acknowledged, 0);
}

TEST_P(PostgresFaults, ASilentServerCostsTheDeadline) {
  PostgresServer own;
  const auto store = connect(own.conninfo(), quick());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  own.pause();
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto updated = store->update(key, setting("a", "1"), minute);
    EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(4));
    ASSERT_FALSE(updated);
    EXPECT_FALSE(updated.error().maybe_applied) << "it has not even read the row";
  }
  own.resume();
  EXPECT_EQ(value_of(*schema->open(patient_postgres()), key, "a"), "(no session)");
  const auto patient = PostgresStore::connect(own.conninfo(), patient_postgres()).value();
  EXPECT_EQ(value_of(*patient, key, "a"), "(absent)");
}

TEST_F(PostgresStores, ProcessesRaceWell) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  make_tables();
  expect_processes_race_well([this] { return schema->open(patient_postgres()); });
}

TEST_F(PostgresStores, WhatIsAcknowledgedSurvivesProcessesThatAreKilled) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  make_tables();
  expect_acknowledged_writes_survive([this] { return schema->open(patient_postgres()); });
}

// The connection ends after each number of bytes of the replies: what an error says of the write is
// true.
TEST_P(PostgresFaults, CutAtEachByteOfItsReplies) {
  make_tables();
  TcpProxy proxy(server().port());
  PostgresOptions options = quick(seconds(20));
  options.connections_max = 1;
  const auto store = connect(server().tcp_conninfo(proxy.port(), schema->words()), options);
  const auto direct = schema->open(patient_postgres());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "0"}}), minute));
  ASSERT_TRUE(store->update(key, setting("a", "0"), minute));  // its statements are prepared
  const auto before = proxy.counters().reply_bytes;
  ASSERT_TRUE(store->update(key, setting("a", "0"), minute));
  const std::size_t whole = proxy.counters().reply_bytes - before;
  std::size_t lost = 0;
  std::size_t refused = 0;
  for (std::size_t bytes = 0; bytes < whole; ++bytes) {
    for (const TcpProxy::End end : {TcpProxy::End::close, TcpProxy::End::reset}) {
      const std::string value = std::to_string(2 * bytes + (end == TcpProxy::End::reset ? 1 : 0));
      const std::string old = value_of(*direct, key, "a");
      ASSERT_TRUE(store->load(key).has_value());  // connected, and it has read a row already
      ASSERT_TRUE(store->update(key, {}, minute));
      proxy.cut(TcpProxy::Way::replies, bytes, end);
      const auto updated = store->update(key, setting("a", value), minute);
      const std::string now = value_of(*direct, key, "a");
      if (updated) {
        EXPECT_EQ(now, value);
      } else if (updated.error().maybe_applied) {
        EXPECT_TRUE(now == value || now == old);
        ++lost;
      } else {
        EXPECT_EQ(now, old) << updated.error().message();
        ++refused;
      }
      proxy.forward();
    }
  }
  EXPECT_GT(lost, 0U);
  EXPECT_GT(refused, 0U);
}

TEST_P(PostgresFaults, ConnectionsAreFew) {
  PostgresOptions options = patient_postgres();
  options.connections_max = 2;
  const std::string name = "app" + schema->name();
  const auto store =
      connect(server().conninfo(schema->words() + " application_name=" + name), options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(store->load(key).has_value());
    });
  }
  const std::string count =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + name + "'";
  const auto outside = probe();
  for (int i = 0; i < 20; ++i) EXPECT_LE(std::stoi(outside->text(count)), 2);
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PostgresFaults, WhoComesWhenAllWaitIsTold) {
  PostgresOptions options = quick(seconds(2));
  options.connections_max = 1;
  options.pending_max = 1;
  const auto store = open(options);
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"a", "1"}}), minute));
  const auto other = probe();
  other->run("BEGIN; LOCK TABLE websession_sessions IN ACCESS EXCLUSIVE MODE");
  std::vector<std::future<Errc>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(std::async(std::launch::async, [&] {
      const auto loaded = store->load(key);
      if (loaded.has_value()) return Errc::gone;
      for (const Errc code : {Errc::timeout, Errc::overloaded}) {
        if (loaded.error().code == code) return code;
      }
      return Errc::corrupt;
    }));
  }
  int overloaded = 0;
  for (auto& one : all) {
    const Errc code = one.get();
    EXPECT_TRUE(code == Errc::timeout || code == Errc::overloaded) << static_cast<int>(code);
    overloaded += code == Errc::overloaded ? 1 : 0;
  }
  EXPECT_GE(overloaded, 1);
  other->run("COMMIT");
  EXPECT_EQ(value_of(*store, key, "a"), "1");
}

TEST_P(PostgresFaults, IdleConnectionsThatWereClosedCostNothing) {
  const auto store = open(patient_postgres());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  for (int i = 0; i < 5; ++i) {
    probe()->run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'websession' AND pid <> pg_backend_pid()");
    const auto updated = store->update(key, setting("i", std::to_string(i)), minute);
    EXPECT_TRUE(updated.has_value()) << updated.error().message();
  }
}

TEST_P(PostgresFaults, WorksWhereConnectionsAreNobodysOwn) {
  PostgresOptions options = patient_postgres();
  options.transaction_pooling = true;
  const auto store = open(options);
  const StoreKey key = fresh_key();
  const StoreKey next = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  EXPECT_TRUE(store->update(key, setting("a", "1"), minute));
  EXPECT_TRUE(store->rekey(key, next, {}, minute, {seconds(1), true}));
  EXPECT_EQ(value_of(*store, next, "a"), "1");
  EXPECT_TRUE(store->erase(key, {seconds(1)}).value());
}

}  // namespace
}  // namespace websession::testing
