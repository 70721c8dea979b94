// What an SQLite store does when the disk fails, at each of its calls.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "failing_vfs.hpp"
#include "sqlite_fixture.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using Fault = FailingVfs::Fault;

constexpr Lifetime minute{milliseconds(60'000)};

// What the store holds, as far as the deeds below change it.
struct Held {
  std::optional<std::string> a;      // of key "old"
  std::optional<std::string> moved;  // of key "new"
  std::size_t listed = 0;            // sessions of ada
  friend bool operator==(const Held&, const Held&) = default;
};

Held held(SqliteStore& store) {
  const auto value = [&](const char* key) -> std::optional<std::string> {
    const auto record = store.load(StoreKey(key)).value();
    if (!record || record->frozen) return std::nullopt;
    return std::string(record->fields.find("a").value_or("none"));
  };
  return {value("old"), value("new"), store.entries("ada").value().size()};
}

// A deed, and whether it gave an error that says that nothing was done, or that it may have been.
struct Deed {
  const char* name;
  std::function<std::optional<Error>(SqliteStore&)> act;
};
template <class T>
std::optional<Error> error_of(const Result<T>& result) {
  return result.has_value() ? std::nullopt : std::optional(result.error());
}

std::vector<Deed> deeds() {
  return {
      {"create",
       [](SqliteStore& store) {
         return error_of(store.create(StoreKey("new"),
                                      {{"@created", "1"}, {"@user", "ada"}, {"a", "3"}}, minute));
       }},
      {"update",
       [](SqliteStore& store) {
         Changes changes;
         // More than a page.
         changes.set = {{"a", "2"}, {"large", std::string(20'000, 'x')}};
         return error_of(store.update(StoreKey("old"), changes, minute));
       }},
      {"rekey",
       [](SqliteStore& store) {
         Changes changes;
         changes.set = {{"a", "2"}};
         return error_of(store.rekey(StoreKey("old"), StoreKey("new"), changes, minute,
                                     {milliseconds(5000), true}));
       }},
      {"erase", [](SqliteStore& store) { return error_of(store.erase(StoreKey("old"), {})); }},
  };
}

class SqliteFaults : public SqliteTest, public ::testing::WithParamInterface<Fault> {
 protected:
  void SetUp() override {
    std::shared_ptr<SqliteStore> store = open_durable();
    ASSERT_TRUE(
        store->create(StoreKey("old"), {{"@created", "1"}, {"@user", "ada"}, {"a", "1"}}, minute));
  }
  // As it is by default: every commit waits for the disk.
  std::shared_ptr<SqliteStore> open_durable() {
    SqliteOptions options = SqliteFile::options(clock);
    options.synchronous = SqliteOptions::Synchronous::full;
    options.operation_timeout = milliseconds(200);
    return file.open(options);
  }
  void begin_anew() {
    std::shared_ptr<SqliteStore> store = open_durable();
    for (const char* key : {"old", "new"}) ASSERT_TRUE(store->erase(StoreKey(key), {}).has_value());
    clock->advance(milliseconds(10'000));  // marks end
    SetUp();
  }
  bool is_sound() {
    sqlite3* database = nullptr;
    std::string answer;
    if (sqlite3_open(file.path().c_str(), &database) == SQLITE_OK) {
      (void)sqlite3_exec(
          database, "PRAGMA integrity_check",
          [](void* to, int, char** columns, char**) {
            *static_cast<std::string*>(to) += columns[0];
            return 0;
          },
          &answer, nullptr);
    }
    (void)sqlite3_close(database);
    return answer == "ok";
  }
};

INSTANTIATE_TEST_SUITE_P(The, SqliteFaults,
                         ::testing::Values(Fault::disk_fails, Fault::disk_is_full),
                         [](const auto& tested) {
                           return tested.param == Fault::disk_fails ? "DiskFails" : "DiskIsFull";
                         });

// P8: an error says that nothing was written, and it is so; or it says that it may have been. And
// the next call works, in this store and in another one.
TEST_P(SqliteFaults, AtEachCallOfTheDiskErrorsAreHonest) {
  int in_doubt = 0;
  for (const Deed& deed : deeds()) {
    for (const bool warm : {false, true}) {
      std::size_t n = 1;
      for (bool failed = true; failed; ++n) {
        SCOPED_TRACE(std::string(deed.name) + (warm ? " warm" : "") + ", call " +
                     std::to_string(n));
        FailingVfs vfs;
        std::shared_ptr<SqliteStore> store = open_durable();
        const Held before = warm ? held(*store) : Held{"1", std::nullopt, 1};
        vfs.fail(n, GetParam());
        const std::optional<Error> error = deed.act(*store);
        failed = vfs.has_failed();
        vfs.work();
        const Held after = held(*store);
        if (error && !error->maybe_applied) {
          ASSERT_EQ(after, before) << error->message();
        }
        if (error) {
          ASSERT_TRUE(error->code == Errc::unavailable || error->code == Errc::timeout ||
                      error->code == Errc::corrupt)
              << error->message();
          in_doubt += error->maybe_applied ? 1 : 0;
        } else {
          ASSERT_NE(after, before) << "it was acknowledged";
        }
        if (after == before) {
          ASSERT_FALSE(deed.act(*store)) << "now there is no fault";
        }
        const Held last = held(*store);
        store.reset();
        ASSERT_TRUE(is_sound());
        ASSERT_EQ(held(*open_durable()), last);
        begin_anew();
      }
      EXPECT_GT(n, 3U) << "there were calls that could fail";
    }
  }
  EXPECT_EQ(in_doubt > 0, GetParam() == Fault::disk_fails);
}

// P9: a disk that stays as it is gives errors, and never an absent session.
TEST_P(SqliteFaults, AnOutageIsNoAbsence) {
  FailingVfs vfs;
  std::shared_ptr<SqliteStore> store = open_durable();
  vfs.fail(1, GetParam(), true);
  for (int i = 0; i < 3; ++i) {
    for (const Deed& deed : deeds()) {
      EXPECT_TRUE(deed.act(*store)) << deed.name;
    }
    const auto record = store->load(StoreKey("old"));
    if (record.has_value()) {
      EXPECT_TRUE(*record) << "it was read from memory";
    } else {
      EXPECT_EQ(record.error().code, Errc::unavailable) << record.error().message();
    }
  }
  vfs.work();
  EXPECT_EQ(held(*store), (Held{"1", std::nullopt, 1}));
  store.reset();
}

TEST_P(SqliteFaults, OpeningFailsClearlyOrWorks) {
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    FailingVfs vfs;
    vfs.fail(n, GetParam());
    SqliteOptions options = SqliteFile::options(clock);
    options.operation_timeout = milliseconds(200);
    const auto opened = SqliteStore::open(file.path(), options);
    failed = vfs.has_failed();
    vfs.work();
    if (!opened) {
      EXPECT_NE(opened.error().code, Errc::invalid_argument);
      EXPECT_NE(opened.error().code, Errc::rejected) << opened.error().message();
    }
  }
  EXPECT_TRUE(is_sound());
}

}  // namespace
}  // namespace websession::testing
