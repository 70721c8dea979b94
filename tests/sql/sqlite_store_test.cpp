// The SQLite store: its file, what is in it, who may use it, and what it costs others.
#include "websession/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fork_support.hpp"
#include "processes.hpp"
#include "schema.hpp"
#include "sqlite_fixture.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr Lifetime minute{milliseconds(60'000)};

Fields fields(std::string_view a = "1") { return {{"@created", "1"}, {"a", a}}; }
StoreKey key(int i) { return StoreKey("key" + std::to_string(i)); }

// The file as another program has it.
class Outside {
 public:
  explicit Outside(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
  }
  ~Outside() { (void)sqlite3_close(database_); }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  // The first column of all rows, line by line; an error's text.
  std::string run(const std::string& sql) {
    std::string lines;
    char* problem = nullptr;
    const int code = sqlite3_exec(
        database_, sql.c_str(),
        [](void* to, int, char** columns, char**) {
          static_cast<std::string*>(to)->append(columns[0] == nullptr ? "NULL" : columns[0]) +=
              '\n';
          return 0;
        },
        &lines, &problem);
    if (code != SQLITE_OK) lines += problem == nullptr ? "?" : problem;
    sqlite3_free(problem);
    if (lines.ends_with('\n')) lines.pop_back();
    return lines;
  }
  sqlite3* get() { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

class SqliteStoreTest : public SqliteTest {
 protected:
  Error refused(const std::string& path, const SqliteOptions& options = {}) {
    const auto opened = SqliteStore::open(path, options);
    EXPECT_FALSE(opened) << path;
    return opened ? make_error(Errc::unavailable, "opened") : opened.error();
  }
  std::string folder() { return std::filesystem::path(file.path()).parent_path(); }
  std::uintmax_t bytes_on_disk() {
    std::uintmax_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder()))
      sum += entry.file_size();
    return sum;
  }
};

TEST_F(SqliteStoreTest, SessionsOutliveTheStore) {
  ASSERT_TRUE(open()->create(key(0), fields(), minute));
  const auto record = open()->load(key(0)).value();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->fields, fields());
  EXPECT_EQ(record->remaining, milliseconds(60'000));
}

// docs/sql-layout.md promises these columns.
TEST_F(SqliteStoreTest, ARowReadsWell) {
  SessionOptions options;
  options.clock = clock;
  const SessionManager m = SessionManager::make(open(), options).value();
  Session session = m.open({}).value();
  session.sign_in("ada", "Firefox on Linux");
  session.set("name", "Zoë");
  session.set("count", 3);
  session.set("token", "t", milliseconds(60'000));
  ASSERT_TRUE(m.commit(session));
  Outside outside(file.path());
  EXPECT_EQ(outside.run("SELECT key FROM websession_sessions"), session.id()->secret());
  EXPECT_EQ(outside.run("SELECT data->>'name' FROM websession_sessions WHERE principal = 'ada'"),
            "Zoë");
  EXPECT_EQ(outside.run("SELECT data->>'count' + 1 FROM websession_sessions"), "4");
  EXPECT_EQ(outside.run("SELECT label FROM websession_sessions"), "Firefox on Linux");
  EXPECT_EQ(outside.run("SELECT expires_at - created_at FROM websession_sessions"), "1800000");
  EXPECT_EQ(outside.run("SELECT until->>'token' - created_at FROM websession_sessions"), "60000");
  EXPECT_EQ(outside.run("SELECT count(*) FROM websession_sessions WHERE mark IS NULL"), "1");

  // And another program may write a value.
  EXPECT_EQ(outside.run("UPDATE websession_sessions SET data = json_set(data, '$.count', 7)"), "");
  EXPECT_EQ(m.find(*session.id()).value()->value("count", 0), 7);
}

// A row that no session can have would be in the way of its principal's sign-out.
TEST_F(SqliteStoreTest, OthersCannotWriteWhatNoSessionCanHave) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(0), {{"@created", "1"}, {"@user", "ada"}}, minute));
  for (const char* change : {"expires_at = '2030-01-01'", "expires_at = 1.5", "created_at = 'x'",
                             "listed_at = 'x'", "mark = 'over'", "mark = 'passed'"}) {
    const std::string said =
        Outside(file.path()).run("UPDATE websession_sessions SET " + std::string(change));
    EXPECT_NE(said.find("CHECK"), std::string::npos) << change << said;
  }
}

TEST_F(SqliteStoreTest, ReplacedAndEndedOnesLeaveMarks) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(0), {{"@created", "1"}, {"@user", "ada"}}, minute));
  ASSERT_TRUE(store->rekey(key(0), key(1), {}, minute, {milliseconds(5000), true}));
  Outside outside(file.path());
  EXPECT_EQ(outside.run("SELECT key || ' ' || mark || ' ' || successor FROM websession_sessions "
                        "WHERE mark IS NOT NULL"),
            "key0 frozen key1");
  ASSERT_TRUE(store->erase(key(0), {milliseconds(5000)}).value()) << "and what it leads to";
  EXPECT_EQ(outside.run("SELECT key || ' ' || mark || data || ifnull(principal, '') "
                        "FROM websession_sessions ORDER BY key"),
            "key0 over{}\nkey1 over{}");
}

// Sessions are secrets, and so are SQLite's files beside the file.
TEST_F(SqliteStoreTest, OnlyTheOwnerCanReadANewFile) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(0), fields(), minute));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3);
}

TEST_F(SqliteStoreTest, WhatCannotBeOpenedIsRefusedWithWhatToDo) {
  EXPECT_EQ(refused("").code, Errc::invalid_argument);
  EXPECT_NE(refused(":memory:").detail.find("MemoryStore"), std::string::npos);
  EXPECT_EQ(refused(std::string("a\0b", 3)).code, Errc::invalid_argument);
  const Error no_folder = refused(folder() + "/none/sessions.db");
  EXPECT_EQ(no_folder.code, Errc::unavailable);
  EXPECT_NE(no_folder.detail.find("folder"), std::string::npos) << no_folder.detail;
  EXPECT_EQ(refused(folder()).code, Errc::unavailable);

  std::ofstream(file.path()) << std::string(5000, 'x');
  EXPECT_EQ(refused(file.path()).code, Errc::corrupt);
}

TEST_F(SqliteStoreTest, WhereRightsAreMissingItIsRejected) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  static_cast<void>(open());
  std::filesystem::permissions(folder(), std::filesystem::perms::all);
  std::filesystem::permissions(file.path(), std::filesystem::perms::none);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;  // root may do everything
    if (::geteuid() == 0 && ::setuid(nobody) != 0) ::_exit(2);
    const auto opened = SqliteStore::open(file.path());
    const bool is_told = !opened && opened.error().code == Errc::rejected &&
                         opened.error().detail.find("allowed") != std::string::npos;
    ::_exit(is_told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(SqliteStoreTest, BadOptionsAreNamed) {
  const auto named = [&](auto change) {
    SqliteOptions options;
    change(options);
    const Error error = refused(file.path(), options);
    EXPECT_EQ(error.code, Errc::invalid_argument);
    return error.detail.substr(0, error.detail.find(':', error.detail.find("::") + 2));
  };
  EXPECT_EQ(named([](SqliteOptions& o) { o.operation_timeout = milliseconds(0); }),
            "SqliteOptions::operation_timeout");
  EXPECT_EQ(named([](SqliteOptions& o) { o.operation_timeout = hours(2); }),
            "SqliteOptions::operation_timeout");
  EXPECT_EQ(named([](SqliteOptions& o) { o.readers_max = 0; }), "SqliteOptions::readers_max");
  EXPECT_EQ(named([](SqliteOptions& o) { o.readers_max = 257; }), "SqliteOptions::readers_max");
  EXPECT_EQ(named([](SqliteOptions& o) { o.pending_max = 0; }), "SqliteOptions::pending_max");
}

TEST_F(SqliteStoreTest, APathThatLooksLikeAUriIsAPath) {
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder());
  const auto opened = SqliteStore::open("file:x?mode=memory");
  std::filesystem::current_path(before);
  ASSERT_TRUE(opened);
  ASSERT_TRUE((*opened)->create(key(0), fields(), minute));
  EXPECT_TRUE((*opened)->load(key(0)).value()) << "wherever the process is by now";
  EXPECT_TRUE(std::filesystem::exists(folder() + "/file:x?mode=memory"));
}

// Reading must not go on in another file than writing does.
TEST_F(SqliteStoreTest, AFileThatTookThePlaceIsNotRead) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(0), fields(), minute));
  std::filesystem::rename(file.path(), file.path() + ".moved");
  const auto other = open();
  const auto loaded = store->load(key(0));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, Errc::rejected);
}

// Many processes begin with a file that is not there yet.
TEST_F(SqliteStoreTest, ManyOpenANewFileAtOnce) {
  std::vector<std::thread> openers;
  for (int t = 0; t < 16; ++t) {
    openers.emplace_back([&, t] {
      const auto opened = SqliteStore::open(file.path(), SqliteFile::options(clock));
      ASSERT_TRUE(opened) << opened.error().message();
      EXPECT_TRUE((*opened)->create(key(t), fields(), minute));
    });
  }
  for (std::thread& opener : openers) opener.join();
  EXPECT_EQ(Outside(file.path()).run("SELECT count(*) FROM websession_sessions"), "16");
}

TEST_F(SqliteStoreTest, AFileInAnotherEncodingIsRefusedAndLeftAsItIs) {
  Outside outside(file.path());
  EXPECT_EQ(outside.run("PRAGMA encoding = 'UTF-16'; CREATE TABLE users (name TEXT)"), "");
  EXPECT_EQ(refused(file.path()).code, Errc::rejected);
  EXPECT_EQ(outside.run("PRAGMA journal_mode"), "delete");
}

TEST_F(SqliteStoreTest, AFileOfOthersMayHoldOurTablesToo) {
  Outside outside(file.path());
  EXPECT_EQ(outside.run("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('ada')"), "");
  ASSERT_TRUE(open()->create(key(0), fields(), minute));
  EXPECT_EQ(outside.run("SELECT name FROM users"), "ada");
}

TEST_F(SqliteStoreTest, ATableOfOthersWithOurNameIsLeftAlone) {
  Outside outside(file.path());
  EXPECT_EQ(outside.run("CREATE TABLE websession_sessions (x TEXT)"), "");
  const Error error = refused(file.path());
  EXPECT_EQ(error.code, Errc::rejected);
  EXPECT_NE(error.detail.find("another file"), std::string::npos) << error.detail;
}

TEST_F(SqliteStoreTest, AFileOfANewerVersionIsRefusedAndLeftAsItIs) {
  ASSERT_TRUE(open()->create(key(0), fields(), minute));
  Outside outside(file.path());
  EXPECT_EQ(outside.run("UPDATE websession_schema SET version = 99"), "");
  const Error error = refused(file.path());
  EXPECT_EQ(error.code, Errc::rejected);
  EXPECT_NE(error.detail.find("update this program"), std::string::npos) << error.detail;
  EXPECT_EQ(outside.run("SELECT version FROM websession_schema"), "99");
  EXPECT_EQ(outside.run("UPDATE websession_schema SET version = -1"), "");
  EXPECT_EQ(refused(file.path()).code, Errc::corrupt);
}

// A migration is one transaction: the file has the old version or the new one.
TEST_F(SqliteStoreTest, AFileOfAnOlderVersionIsBroughtUpToDate) {
  ASSERT_TRUE(open()->create(key(0), fields(), minute));
  const auto steps_before = sqlite::schema_steps();
  std::vector<const char*> steps(steps_before.begin(), steps_before.end());
  const auto migrate = [&] {
    auto connection = sqlite::Connection::open(file.path(), sqlite::Connection::Access::write,
                                               SqliteFile::options(),
                                               std::chrono::steady_clock::now() + minutes(1))
                          .value();
    return sqlite::migrate(*connection, steps);
  };
  Outside outside(file.path());
  const std::string version = outside.run("SELECT version FROM websession_schema");
  steps.push_back("ALTER TABLE websession_sessions ADD COLUMN note TEXT;");
  steps.push_back("CREATE TABLE websession_half (x); no SQL;");
  ASSERT_FALSE(migrate());
  EXPECT_EQ(outside.run("SELECT version FROM websession_schema"), version);
  EXPECT_EQ(outside.run("SELECT count(*) FROM pragma_table_info('websession_sessions') "
                        "WHERE name = 'note'"),
            "0");
  steps.back() = "UPDATE websession_sessions SET note = 'moved';";
  ASSERT_TRUE(migrate());
  EXPECT_EQ(outside.run("SELECT version FROM websession_schema"), std::to_string(steps.size()));
  EXPECT_EQ(outside.run("SELECT key || note FROM websession_sessions"), "key0moved");
  ASSERT_TRUE(migrate()) << "and once is enough";
}

// The lock is another process'.
TEST_F(SqliteStoreTest, AWriteWaitsForOthersUntilItsDeadlineAndReadsGoOn) {
  SqliteOptions options = SqliteFile::options(clock);
  options.operation_timeout = milliseconds(100);
  const auto store = file.open(options);
  ASSERT_TRUE(store->create(key(0), fields(), minute));
  Outside outside(file.path());
  EXPECT_EQ(outside.run("BEGIN IMMEDIATE"), "");
  const auto late = store->update(key(0), {}, {milliseconds(120'000)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);
  EXPECT_FALSE(late.error().maybe_applied);
  EXPECT_TRUE(store->load(key(0)).value());
  EXPECT_EQ(outside.run("COMMIT"), "");
  EXPECT_TRUE(store->update(key(0), {}, {milliseconds(120'000)}));
}

TEST_F(SqliteStoreTest, ADamagedRowIsCorruptAndCanBeEnded) {
  const auto store = open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->create(key(i), fields(), minute));
  Outside(file.path()).run("UPDATE websession_sessions SET data = '{' WHERE key <> 'key2'");
  EXPECT_EQ(store->load(key(0)).error().code, Errc::corrupt);
  Changes changes;
  changes.set = {{"a", "2"}};
  EXPECT_EQ(store->update(key(0), changes, minute).error().code, Errc::corrupt);
  EXPECT_EQ(store->rekey(key(0), key(9), {}, minute, {}).error().code, Errc::corrupt);
  EXPECT_TRUE(store->erase(key(0), {}).value());
  EXPECT_FALSE(store->load(key(0)).value());
  EXPECT_TRUE(store->load(key(2)).value()) << "others do not suffer";
}

// Expired sessions leave while new ones come, so a file does not grow.
TEST_F(SqliteStoreTest, AWeekOfSessionsKeepsTheFileBounded) {
  const auto store = open();
  std::uintmax_t after_a_day = 0;
  int made = 0;
  for (int hour = 0; hour < 24 * 7; ++hour) {
    for (int i = 0; i < 50; ++i) {
      const std::string user = "user" + std::to_string(i % 7);
      ASSERT_TRUE(store->create(key(made++),
                                {{"@created", "1"}, {"@user", user}, {"a", std::string(300, 'x')}},
                                {hours(12), user}));
    }
    Changes changes;
    changes.set = {{"b", std::to_string(hour)}};
    ASSERT_TRUE(store->update(key(made - 1), changes, {hours(12)}));
    clock->advance(hours(1));
    if (hour == 24) after_a_day = bytes_on_disk();
  }
  EXPECT_LE(bytes_on_disk(), after_a_day + after_a_day / 4);
  const int rows = std::stoi(Outside(file.path()).run("SELECT count(*) FROM websession_sessions"));
  EXPECT_LE(rows, 50 * 12 + 50);
}

// Writes some sixty thousand bytes, other ones each time, as SQLite writes only pages that change.
void write_much(SqliteStore& store, int i) {
  const std::string large(60'000, static_cast<char>('a' + i % 26));
  ASSERT_TRUE(store.erase(StoreKey("large"), {}).has_value());
  ASSERT_TRUE(store.create(StoreKey("large"), fields(large), minute));
}

// Readers that are there all the time, each for an instant, do not keep the log from beginning
// anew.
TEST_F(SqliteStoreTest, TheLogIsBoundedWhileOthersReadAllTheTime) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(1), fields(), minute));
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done) EXPECT_TRUE(store->load(key(1)).value());
    });
  }
  std::uintmax_t longest = 0;
  for (int i = 1; i < 1500; ++i) {
    write_much(*store, i);
    longest = std::max(longest, std::filesystem::file_size(file.path() + "-wal"));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_LT(longest, 80'000'000U) << "of 90 MB that were written";
}

// A reader who stays, as a backup does, costs a wait now and then, and no commit fails for it.
TEST_F(SqliteStoreTest, AReaderWhoStaysStopsNobody) {
  const auto store = open();
  write_much(*store, 0);
  Outside outside(file.path());
  EXPECT_EQ(outside.run("BEGIN; SELECT count(*) FROM websession_sessions"), "1");
  for (int i = 1; i < 1500; ++i) write_much(*store, i);
  EXPECT_GT(std::filesystem::file_size(file.path() + "-wal"), 80'000'000U);
  EXPECT_EQ(outside.run("COMMIT"), "");
  for (int i = 0; i < 3; ++i) write_much(*store, i);
  EXPECT_LT(std::filesystem::file_size(file.path() + "-wal"), 20'000'000U) << "given back";
}

TEST_F(SqliteStoreTest, SweepRemovesWhatHasExpired) {
  const auto store = open();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(store->create(key(i), fields(), minute));
  ASSERT_TRUE(store->create(key(300), fields(), {hours(1)}));
  EXPECT_EQ(store->sweep(1000).value(), 0U);
  clock->advance(minutes(2));
  EXPECT_EQ(store->sweep(100).value(), 100U);
  EXPECT_EQ(store->sweep(1000).value(), 200U);
  EXPECT_EQ(Outside(file.path()).run("SELECT key FROM websession_sessions"), "key300");
}

// A clock that is set back brings no ended session back, and one that lives goes on.
TEST_F(SqliteStoreTest, AClockThatIsSetBackRevivesNothingThatWasEnded) {
  const auto store = open();
  ASSERT_TRUE(store->create(key(0), fields(), minute));
  ASSERT_TRUE(store->create(key(1), fields(), minute));
  ASSERT_TRUE(store->erase(key(0), {milliseconds(1000)}).value());
  clock->advance(-hours(1));
  EXPECT_TRUE(store->load(key(0)).value()->is_over());
  EXPECT_EQ(store->update(key(0), {}, minute)->status, Outcome::Status::gone);
  EXPECT_EQ(store->load(key(1)).value()->remaining, hours(1) + minutes(1));
}

TEST_F(SqliteStoreTest, ABackupTakenMeanwhileIsWhole) {
  const auto store = open();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(store->create(key(i), fields("0"), minute));
  std::thread writer([&] {
    Changes changes;
    for (int i = 0; i < 2000; ++i) {
      changes.set = {{"a", std::to_string(i)}, {"b", std::to_string(i)}};
      EXPECT_TRUE(store->update(key(i % 500), changes, minute));
    }
  });
  const std::string copy = folder() + "/copy.db";
  EXPECT_EQ(Outside(file.path()).run("VACUUM INTO '" + copy + "'"), "");
  writer.join();
  const auto restored = SqliteStore::open(copy, SqliteFile::options(clock)).value();
  for (int i = 0; i < 500; ++i) {
    const auto record = restored->load(key(i)).value();
    ASSERT_TRUE(record) << i;
    const auto b = record->fields.find("b");
    if (b) {
      EXPECT_EQ(record->fields.find("a"), b) << "half a write";
    }
  }
}

TEST_F(SqliteStoreTest, AChildOfAForkIsRefused) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  auto store = open();
  ASSERT_TRUE(store->create(key(0), fields(), minute));
  const pid_t child = ::fork();
  if (child == 0) {
    const auto rejected = [](const auto& result) {
      return !result.has_value() && result.error().code == Errc::rejected &&
             !result.error().maybe_applied;
    };
    const bool all = rejected(store->load(key(0))) &&
                     rejected(store->create(key(1), fields(), minute)) &&
                     rejected(store->update(key(0), {}, minute)) &&
                     rejected(store->rekey(key(0), key(1), {}, minute, {})) &&
                     rejected(store->erase(key(0))) && rejected(store->entries("ada")) &&
                     rejected(store->forget("ada", std::vector{key(0)}, BeingMade::stays)) &&
                     rejected(store->end_frozen(key(0))) && rejected(store->sweep(1));
    store.reset();
    ::_exit(all ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(store->load(key(0)).value());
}

TEST_F(SqliteStoreTest, ProcessesRaceWell) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  expect_processes_race_well([this] { return open(); });
}

TEST_F(SqliteStoreTest, WhatIsAcknowledgedSurvivesProcessesThatAreKilled) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  open();
  expect_acknowledged_writes_survive([this] { return open(); });
  EXPECT_EQ(Outside(file.path()).run("PRAGMA integrity_check"), "ok");
}

// Many rows are reckoned from a part of them; and a page is one step, whatever has expired.
TEST_F(SqliteTest, ManySessionsAreReckoned) {
  const auto store = open();
  const std::string now = std::to_string(clock->wall().time_since_epoch().count());
  EXPECT_EQ(Outside(file.path())
                .run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                     "WHERE i < 160000) INSERT INTO websession_sessions "
                     "(key, created_at, expires_at, data) SELECT 'key' || i, 1, " +
                     now + " + CASE WHEN i % 4 = 0 THEN -1 ELSE 60000 END, '{}' FROM n"),
            "");
  const SessionCount count = store->count().value();
  EXPECT_FALSE(count.is_exact);
  EXPECT_NEAR(static_cast<double>(count.sessions), 120'000, 6000);
  EXPECT_EQ(count_sessions(*store).value(), 120'000U);
  EXPECT_EQ(store->page({}, 1000)->keys.size(), 750U);
  EXPECT_EQ(store->page(DirectoryCursor("x"), 10).error().code, Errc::invalid_argument);
}

TEST_F(SqliteTest, MakesNothingUnlessItMay) {
  SqliteOptions options = SqliteFile::options(clock);
  options.create_tables = false;
  EXPECT_FALSE(SqliteStore::open(file.path(), options));
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  EXPECT_EQ(Outside(file.path()).run("CREATE TABLE others (a)"), "");
  const auto refused = SqliteStore::open(file.path(), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::rejected);
  EXPECT_EQ(Outside(file.path()).run("SELECT count(*) FROM sqlite_master"), "1");
  EXPECT_EQ(Outside(file.path()).run("PRAGMA journal_mode"), "delete");
  open();
  EXPECT_TRUE(SqliteStore::open(file.path(), options));
}

}  // namespace
}  // namespace websession::testing
