// What is PostgreSQL's own: tables, rights, options.
#include "websession/postgres_store.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "postgres_stores.hpp"
#include "websession/session_directory.hpp"

namespace websession::testing {
namespace {

// Tables, and what blocks only.
class PostgresStoreTest : public PostgresStores {};

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

// A row that no session can have would be in the way of its principal's sign-out.
TEST_F(PostgresStoreTest, OthersCannotWriteWhatNoSessionCanHave) {
  const auto store = schema->open(patient_postgres());
  ASSERT_TRUE(store->create(fresh_key(), fields({{"@user", "ada"}}), minute));
  for (const char* change : {"expires_at = 'infinity'", "expires_at = '-infinity'",
                             "listed_at = 'infinity'", "mark = 'over'", "mark = 'passed'"}) {
    EXPECT_THROW(probe()->run("UPDATE websession_sessions SET " + std::string(change)),
                 std::runtime_error)
        << change;
  }
  probe()->run("UPDATE websession_sessions SET mark = 'over', principal = NULL, listed_at = NULL");
}

TEST_F(PostgresStoreTest, AnEncodingThatCannotHoldAllIsRefused) {
  probe()->run("CREATE DATABASE l" + schema->name() +
               " ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
  const auto store =
      PostgresStore::connect(server().conninfo("dbname=l" + schema->name()), patient_postgres());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::rejected);
  EXPECT_NE(store.error().detail.find("LATIN1"), std::string::npos) << store.error().detail;
  EXPECT_NE(store.error().detail.find("UTF8"), std::string::npos) << store.error().detail;
}

TEST_F(PostgresStoreTest, WhatTheServerNoticesGoesNowhere) {
  ::testing::internal::CaptureStderr();
  const auto store = PostgresStore::connect(
      server().conninfo("options='-csearch_path=" + schema->name() +
                        " -cclient_min_messages=debug1 -clog_min_duration_statement=0'"),
      patient_postgres());
  const StoreKey key = fresh_key();
  EXPECT_TRUE((*store)->create(key, fields({{"a", "private"}}), minute));
  EXPECT_TRUE((*store)->load(key).value());
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
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
  // Special characters that nobody has encoded.
  for (const char* url : {"postgresql://u:5ecret/x@127.0.0.1:1/db", "postgresql://u:x/5ecret@h/db",
                          "postgresql://u:x@5ecret@127.0.0.1/db", "postgresql://u:1/5ecret@h/db"}) {
    EXPECT_EQ(code_of(url, quick()), name_of(Errc::invalid_argument)) << url;
  }
  EXPECT_EQ(code_of("port=abc", quick()), name_of(Errc::invalid_argument));
  EXPECT_EQ(code_of("host=a,b port=5432,x", quick()), name_of(Errc::invalid_argument));
  EXPECT_EQ(code_of("replication=database", quick()), name_of(Errc::invalid_argument));
  EXPECT_EQ(code_of("postgresql://u:5%40ecret%2F@/db?host=/nowhere&port=5432", quick()),
            name_of(Errc::unavailable));
  PostgresOptions options;
  options.connections_max = 0;
  EXPECT_EQ(code_of(schema->conninfo(), options), name_of(Errc::invalid_argument));
  options = {};
  options.operation_timeout = milliseconds(0);
  EXPECT_EQ(code_of(schema->conninfo(), options), name_of(Errc::invalid_argument));
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

TEST_F(PostgresStoreTest, ManySessionsAreReckonedFromStatistics) {
  const auto store = schema->open(patient_postgres());
  probe()->run(
      "INSERT INTO websession_sessions (key, created_at, expires_at, data) SELECT 'key' || i, 1, "
      "now() + CASE WHEN i % 4 = 0 THEN -1 ELSE 1 END * interval '1 hour', '{}' "
      "FROM generate_series(1, 160000) AS i; ANALYZE websession_sessions");
  const SessionCount count = store->count().value();
  EXPECT_FALSE(count.is_exact);
  EXPECT_NEAR(static_cast<double>(count.sessions), 120'000, 10'000);
  EXPECT_EQ(count_sessions(*store).value(), 120'000U);
}

}  // namespace
}  // namespace websession::testing
