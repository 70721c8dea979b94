// What is PostgreSQL's own: tables, rights, locks, and servers that come and go.
#include "websession/postgres_store.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "postgres_fixture.hpp"
#include "tcp_proxy.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PostgresStores : public PostgresTest {
 protected:
  [[nodiscard]] static Fields fields(std::initializer_list<Field> attributes = {}) {
    std::vector<Field> all(attributes);
    all.push_back({"@created", "1700000000000"});
    return Fields(all);
  }
  [[nodiscard]] static StoreKey fresh_key() { return StoreKey(SessionId::generate().value()); }
  [[nodiscard]] static PostgresOptions quick(milliseconds timeout = milliseconds(500)) {
    PostgresOptions options;
    options.operation_timeout = timeout;
    options.connect_timeout = timeout;
    return options;
  }
  void make_tables() const { static_cast<void>(schema->open(patient_postgres())); }
  [[nodiscard]] std::unique_ptr<PostgresProbe> probe() const {
    return std::make_unique<PostgresProbe>(schema->conninfo());
  }
  static Changes setting(std::string name, std::string value) {
    Changes changes;
    changes.set.push_back({std::move(name), std::move(value)});
    return changes;
  }
  static std::string value_of(SessionStore& store, const StoreKey& key, std::string_view name) {
    const auto record = store.load(key).value();
    if (!record) return "(no session)";
    return std::string(record->fields.find(name).value_or("(absent)"));
  }
};

// Tables, and what blocks only.
class PostgresStoreTest : public PostgresStores {};

// What both engines must bear.
class PostgresFaults : public PostgresStores,
                       public ::testing::WithParamInterface<PostgresHarness::First> {
 protected:
  static std::shared_ptr<SessionStore> connect(const std::string& conninfo,
                                               const PostgresOptions& options) {
    if (GetParam() == PostgresHarness::First::on_a_loop) {
      return postgres_on_a_loop(conninfo, options);
    }
    return PostgresStore::connect(conninfo, options).value();
  }
  [[nodiscard]] std::shared_ptr<SessionStore> open(const PostgresOptions& options) const {
    return connect(schema->conninfo(), options);
  }
};
INSTANTIATE_TEST_SUITE_P(Store, PostgresFaults,
                         ::testing::Values(PostgresHarness::First::blocking,
                                           PostgresHarness::First::on_a_loop),
                         [](const auto& tested) {
                           return tested.param == PostgresHarness::First::blocking ? "Blocking"
                                                                                   : "OnALoop";
                         });

TEST_F(PostgresStoreTest, ARowReadsWell) {
  const auto store = schema->open(patient_postgres());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"name", "Ada \"L\""}, {"@user", "ada"}}), minute));
  const auto row = probe()->rows(
      "SELECT key, principal, data->>'name', expires_at > now() + interval '50 s', mark, "
      "to_timestamp(created_at / 1000.0) AT TIME ZONE 'UTC' FROM websession_sessions");
  ASSERT_EQ(row.size(), 1U);
  EXPECT_EQ(row[0], (std::vector<std::string>{key.secret(), "ada", "Ada \"L\"", "t", "NULL",
                                              "2023-11-14 22:13:20"}));
}

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

TEST_F(PostgresStoreTest, ManyMayComeFirst) {
  std::vector<std::future<bool>> all;
  for (int i = 0; i < 16; ++i) {
    all.push_back(std::async(std::launch::async, [&] {
      const auto store = PostgresStore::connect(schema->conninfo(), patient_postgres());
      return store.has_value() && (*store)->create(fresh_key(), fields(), minute).has_value();
    }));
  }
  for (auto& one : all) EXPECT_TRUE(one.get());
  EXPECT_EQ(probe()->text("SELECT count(*) FROM websession_schema"), "1");
  EXPECT_EQ(probe()->text("SELECT count(*) FROM websession_sessions"), "16");
}

TEST_F(PostgresStoreTest, TablesOfANewerVersionAreRefused) {
  make_tables();
  probe()->run("UPDATE websession_schema SET version = 999");
  const auto store = PostgresStore::connect(schema->conninfo(), patient_postgres());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::rejected);
  EXPECT_NE(store.error().detail.find("newer version"), std::string::npos) << store.error().detail;
  EXPECT_EQ(probe()->text("SELECT version FROM websession_schema"), "999");
}

TEST_F(PostgresStoreTest, TablesAreMadeOnlyWhenTheyMayBe) {
  PostgresOptions options = patient_postgres();
  options.create_tables = false;
  const auto refused = PostgresStore::connect(schema->conninfo(), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::rejected);
  EXPECT_NE(refused.error().detail.find("create_tables"), std::string::npos);
  make_tables();
  EXPECT_TRUE(PostgresStore::connect(schema->conninfo(), options));
}

TEST_F(PostgresStoreTest, ItNeedsNoMoreRightsThanItSays) {
  make_tables();
  const std::string role = "r" + schema->name();
  probe()->run("CREATE ROLE " + role + " LOGIN; GRANT USAGE ON SCHEMA " + schema->name() + " TO " +
               role + "; GRANT SELECT ON websession_schema TO " + role);
  const std::string conninfo = server().conninfo(schema->words() + " user=" + role);
  {
    const auto store = PostgresStore::connect(conninfo, patient_postgres()).value();
    const auto loaded = store->load(fresh_key());
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Errc::rejected);
    EXPECT_NE(loaded.error().detail.find("grant"), std::string::npos) << loaded.error().detail;
  }
  probe()->run("GRANT SELECT, INSERT, UPDATE, DELETE ON websession_sessions TO " + role);
  const auto store = PostgresStore::connect(conninfo, patient_postgres()).value();
  const StoreKey key = fresh_key();
  const StoreKey next = fresh_key();
  EXPECT_TRUE(store->create(key, fields(), minute));
  EXPECT_TRUE(store->update(key, setting("a", "1"), minute));
  EXPECT_TRUE(store->rekey(key, next, {}, minute, {seconds(1), true}));
  EXPECT_TRUE(store->erase(next).value());
  EXPECT_TRUE(store->sweep(10));
}

TEST_F(PostgresStoreTest, MistakesAreTold) {
  const auto code_of = [](const std::string& conninfo, const PostgresOptions& options) {
    const auto store = PostgresStore::connect(conninfo, options);
    if (store.has_value()) return std::string("no error");
    EXPECT_EQ(store.error().detail.find("5ecret"), std::string::npos) << store.error().detail;
    EXPECT_FALSE(store.error().maybe_applied);
    return std::error_code(store.error().code).message().substr(0, 12);
  };
  const auto name_of = [](Errc code) { return make_error_code(code).message().substr(0, 12); };
  EXPECT_EQ(code_of("postgresql://u:5ecret@[", {}), name_of(Errc::invalid_argument));
  EXPECT_EQ(code_of("hast=x password=5ecret", {}), name_of(Errc::invalid_argument));
  EXPECT_EQ(code_of(server().conninfo("dbname=none5uch"), {}), name_of(Errc::rejected));
  EXPECT_EQ(code_of("host=/nowhere password=5ecret", quick()), name_of(Errc::unavailable));
  PostgresOptions options;
  options.connections_max = 0;
  EXPECT_EQ(code_of(schema->conninfo(), options), name_of(Errc::invalid_argument));
  options = {};
  options.operation_timeout = milliseconds(0);
  EXPECT_EQ(code_of(schema->conninfo(), options), name_of(Errc::invalid_argument));
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

TEST_F(PostgresStoreTest, AChildOfAForkHasNone) {
  const auto store = schema->open(patient_postgres());
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  const pid_t child = ::fork();
  if (child == 0) {
    const auto loaded = store->load(key);
    const bool refused = !loaded.has_value() && loaded.error().code == Errc::rejected;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(store->load(key).value().has_value()) << "the parent's go on";
}

TEST_F(PostgresStoreTest, ExpiredRowsGo) {
  const auto store = schema->open(patient_postgres());
  const auto sql = probe();
  sql->run(
      "INSERT INTO websession_sessions (key, created_at, expires_at, data) "
      "SELECT 'k' || n, 0, now() - interval '1 s', '{}' FROM generate_series(1, 100) n");
  const auto count = [&] { return sql->text("SELECT count(*) FROM websession_sessions"); };
  ASSERT_TRUE(store->create(fresh_key(), fields(), minute));
  EXPECT_EQ(count(), "99") << "each new one removes two";
  EXPECT_EQ(store->sweep(1).value(), 1U);
  EXPECT_EQ(count(), "98");
  EXPECT_EQ(store->sweep(1'000'000).value(), 97U);
  EXPECT_EQ(count(), "1");
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
