// Writers that share transactions.
#include "write_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "connection.hpp"
#include "sqlite_fixture.hpp"

namespace websession::sqlite {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::SqliteFile;

class WriteQueueTest : public ::testing::Test {
 protected:
  static SteadyTime in(milliseconds time) { return std::chrono::steady_clock::now() + time; }
  std::unique_ptr<Connection> connect() {
    (void)file.open(SqliteFile::options());
    return Connection::open(file.path(), Connection::Access::write, SqliteFile::options(),
                            in(minutes(1)))
        .value();
  }
  static WriteQueue::Work creates(const std::string& key) {
    return [key](Transaction& transaction) {
      const auto made = create(transaction, StoreKey(key), {{"@created", "1"}}, {minutes(1)});
      EXPECT_TRUE(made) << made.error().message();
    };
  }
  bool is_there(const std::string& key) {
    return file.open(SqliteFile::options())->load(StoreKey(key)).value().has_value();
  }

  // Somebody whose work goes on until he is told to end it.
  class Slow {
   public:
    explicit Slow(WriteQueue& queue) : thread_([this, &queue] { work(queue); }) {
      while (!begun_) std::this_thread::yield();
    }
    void end() {
      may_end_ = true;
      thread_.join();
    }

   private:
    void work(WriteQueue& queue) {
      EXPECT_TRUE(queue.run(
          [this](Transaction&) {
            begun_ = true;
            while (!may_end_) std::this_thread::yield();
          },
          in(minutes(1))));
    }

    std::atomic<bool> begun_ = false;
    std::atomic<bool> may_end_ = false;
    std::thread thread_;
  };

  SqliteFile file;
  WriteQueue queue{connect(), 100, system_clock()};
};

TEST_F(WriteQueueTest, OneThatFailsSpoilsItForNobodyElse) {
  constexpr int threads = 16;
  constexpr int rounds = 50;
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        if (t % 4 == 0) {
          const auto failed = queue.run(
              [&](Transaction& transaction) {
                creates(key)(transaction);
                EXPECT_FALSE(Statement(transaction.connection, "no SQL").run());
              },
              in(minutes(1)));
          ASSERT_FALSE(failed);
          EXPECT_EQ(failed.error().code, Errc::rejected);
          EXPECT_FALSE(failed.error().maybe_applied);
        } else if (t % 4 == 1) {
          EXPECT_THROW((void)queue.run(
                           [&](Transaction& transaction) {
                             creates(key)(transaction);
                             throw std::bad_alloc();
                           },
                           in(minutes(1))),
                       std::bad_alloc);
        } else {
          EXPECT_TRUE(queue.run(creates(key), in(minutes(1))));
        }
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  for (int t = 0; t < threads; ++t) {
    for (int i = 0; i < rounds; ++i) {
      ASSERT_EQ(is_there(std::to_string(t) + "-" + std::to_string(i)), t % 4 >= 2) << t;
    }
  }
}

// Whoever leaves has done nothing, and those behind get their turn.
TEST_F(WriteQueueTest, WhoWaitsTooLongHasNotWritten) {
  Slow slow(queue);
  std::thread patient([&] { EXPECT_TRUE(queue.run(creates("patient"), in(minutes(1)))); });
  const auto late = queue.run(creates("late"), in(milliseconds(20)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);
  EXPECT_FALSE(late.error().maybe_applied);
  slow.end();
  patient.join();
  EXPECT_TRUE(is_there("patient"));
  EXPECT_FALSE(is_there("late"));
}

TEST_F(WriteQueueTest, SoManyWaitAndNoMore) {
  WriteQueue narrow(connect(), 1, system_clock());
  Slow slow(narrow);
  std::atomic<int> refused = 0;
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&, i] {
      const auto done = narrow.run(creates(std::to_string(i)), in(minutes(1)));
      if (done) return;
      EXPECT_EQ(done.error().code, Errc::overloaded);
      ++refused;
    });
  }
  while (refused < 3) std::this_thread::yield();
  slow.end();
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(refused, 3);
}

}  // namespace
}  // namespace websession::sqlite
