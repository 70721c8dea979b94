// Ids under fork, at the end of threads, and without randomness (P5).
#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_set_rand_method, the simplest way to a failing
                                     // generator
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fork_support.hpp"
#include "websession/session_id.hpp"

namespace websession {
namespace {

using testing::child_may_allocate;

constexpr std::size_t id_size = 32;

std::string new_id() { return SessionId::generate().value().secret(); }

std::vector<std::string> new_ids(int count) {
  std::vector<std::string> ids;
  for (int i = 0; i < count; ++i) ids.push_back(new_id());
  return ids;
}

void expect_no_duplicates(const std::vector<std::string>& ids) {
  const std::set<std::string> distinct(ids.begin(), ids.end());
  EXPECT_EQ(distinct.size(), ids.size());
}

// A process that makes ids and writes them to a pipe.
class Child {
 public:
  explicit Child(int ids) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) throw std::runtime_error("pipe");
    pid_ = fork();
    if (pid_ == 0) {
      int status = 0;
      for (int i = 0; i < ids; ++i) {
        const Result<SessionId> id = SessionId::generate();
        if (!id || write(ends[1], id->secret().data(), id_size) != ssize_t{id_size}) status = 1;
      }
      _exit(status);
    }
    close(ends[1]);
    output_ = ends[0];
  }

  // Waits for its end. Empty when it failed.
  std::vector<std::string> ids() {
    std::vector<std::string> ids;
    std::array<char, id_size> id{};
    // The pipe takes 32 bytes as one piece (PIPE_BUF).
    while (read(output_, id.data(), id.size()) == ssize_t{id_size}) {
      ids.emplace_back(id.data(), id.size());
    }
    close(output_);
    int status = -1;
    if (waitpid(pid_, &status, 0) != pid_ || status != 0) ids.clear();
    return ids;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

// No multiple of what a buffer holds (85 ids), so the forks find it at many states of use.
TEST(RandomBytes, ParentAndChildrenNeverGiveTheSameId) {
  constexpr int forks = 50;
  constexpr int ids_each = 100;
  std::vector<std::string> all;
  for (int i = 0; i < forks; ++i) {
    all.push_back(new_id());
    Child child(ids_each);
    const std::vector<std::string> own = new_ids(ids_each);
    all.insert(all.end(), own.begin(), own.end());
    const std::vector<std::string> others = child.ids();
    ASSERT_EQ(others.size(), std::size_t{ids_each});
    all.insert(all.end(), others.begin(), others.end());
  }
  expect_no_duplicates(all);
}

TEST(RandomBytes, ForksFromManyThreadsNeverGiveTheSameId) {
  constexpr int threads = 8;
  constexpr int rounds = 5;
  constexpr int ids_each = 60;
  std::mutex mutex;  // a child must not inherit the allocator's lock from another thread
  std::vector<std::string> all;
  const auto work = [&](int number) {
    for (int round = 0; round < rounds; ++round) {
      const std::lock_guard lock(mutex);
      const std::vector<std::string> before = new_ids(1 + number * 5 + round);
      Child child(ids_each);
      const std::vector<std::string> after = new_ids(ids_each);
      const std::vector<std::string> others = child.ids();
      EXPECT_EQ(others.size(), std::size_t{ids_each});
      for (const auto* ids : {&before, &after, &others}) {
        all.insert(all.end(), ids->begin(), ids->end());
      }
    }
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(work, i);
  for (std::thread& thread : running) thread.join();
  EXPECT_GE(all.size(), std::size_t{threads * rounds * ids_each * 2});
  expect_no_duplicates(all);
}

// OpenSSL's generator has locks that other threads hold again and again while they begin.
TEST(RandomBytes, AChildWaitsForNoLockOfItsParentsThreads) {
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!done) std::thread([] { EXPECT_TRUE(SessionId::generate()); }).join();
    });
  }
  int status = 0;
  for (int i = 0; i < 400 && child_may_allocate && status == 0; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);  // a child that hangs dies
      _exit(SessionId::generate() ? 0 : 1);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "child " << i;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(RandomBytes, ThreadsNeverGiveTheSameId) {
  constexpr int threads = 8;
  constexpr int ids_each = 2000;
  std::vector<std::vector<std::string>> made(threads);
  std::vector<std::thread> running;
  for (auto& ids : made) running.emplace_back([&ids] { ids = new_ids(ids_each); });
  for (std::thread& thread : running) thread.join();
  std::vector<std::string> all;
  for (const auto& ids : made) all.insert(all.end(), ids.begin(), ids.end());
  ASSERT_EQ(all.size(), std::size_t{threads * ids_each});
  expect_no_duplicates(all);
}

// Made before the thread's first id, so it ends after the buffer does.
struct LastWords {
  std::vector<std::string>* said = nullptr;
  ~LastWords() {
    if (said != nullptr) *said = new_ids(3);
  }
};

TEST(RandomBytes, WorksInDestructorsAtTheEndOfAThread) {
  std::vector<std::string> before;
  std::vector<std::string> after;
  std::thread([&] {
    thread_local LastWords last;
    last.said = &after;
    before = new_ids(3);
  }).join();
  ASSERT_EQ(after.size(), 3U);
  before.insert(before.end(), after.begin(), after.end());
  expect_no_duplicates(before);

  // And when the destructor's id is the thread's first.
  std::thread([&] {
    thread_local LastWords last;
    last.said = &after;
  }).join();
  ASSERT_EQ(after.size(), 3U);
  before.insert(before.end(), after.begin(), after.end());
  expect_no_duplicates(before);
}

// The main thread's buffer is gone when static objects end.
TEST(RandomBytes, WorksWhenTheProcessEnds) {
  const auto end = [] {
    new_id();
    std::atexit([] { _exit(SessionId::generate() ? 7 : 8); });
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): the point of the test
  };
  EXPECT_EXIT(end(), ::testing::ExitedWithCode(7), "");
}

// More than the thread has drawn ahead. The process is a new one: a forked one does not ask
// OpenSSL.
TEST(RandomBytes, GivesAnErrorWhenOpenSslHasEnded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto end = [] {
    new_id();
    OPENSSL_cleanup();
    for (int i = 0; i < 100; ++i) {
      const Result<SessionId> id = SessionId::generate();
      if (!id) _exit(id.error().code == Errc::no_randomness ? 7 : 8);
    }
    _exit(9);
  };
  EXPECT_EXIT(end(), ::testing::ExitedWithCode(7), "");
}

// Takes the place of OpenSSL's generator while it lives.
class Generator {
 public:
  explicit Generator(int (*bytes)(unsigned char*, int)) : before_(RAND_get_rand_method()) {
    method_.bytes = bytes;
    method_.pseudorand = bytes;
    RAND_set_rand_method(&method_);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  ~Generator() { RAND_set_rand_method(before_); }

 private:
  const RAND_METHOD* before_;
  RAND_METHOD method_{};
};

int fail_after_some(unsigned char* bytes, int size) {
  std::fill_n(bytes, size / 2, static_cast<unsigned char>('x'));
  return 0;
}

TEST(RandomBytes, AFailingGeneratorGivesNoId) {
  // A thread of its own, with nothing drawn ahead.
  std::thread([] {
    {
      const Generator failing(fail_after_some);
      for (int i = 0; i < 3; ++i) {
        const Result<SessionId> id = SessionId::generate();
        ASSERT_FALSE(id);
        EXPECT_EQ(id.error().code, Errc::no_randomness);
      }
    }
    expect_no_duplicates(new_ids(100));
  }).join();
}

int count_up(unsigned char* bytes, int size) {
  static unsigned char next = 0;
  std::generate_n(bytes, size, [] { return next++; });
  return 1;
}

// What is drawn ahead can only run out; then the failure shows.
TEST(RandomBytes, AFailureShowsWhenTheBufferIsEmpty) {
  std::thread([] {
    new_id();
    const Generator failing(fail_after_some);
    int made = 0;
    while (made < 1000 && SessionId::generate()) ++made;
    EXPECT_LT(made, 1000);
    EXPECT_FALSE(SessionId::generate());
  }).join();
}

// Every byte of the generator is used once: ids are pieces of its output that do not overlap.
TEST(RandomBytes, IdsAreTheGeneratorsBytes) {
  std::thread([] {
    const Generator counting(count_up);
    // 42 ids are 1,008 bytes, so each of the 256 byte values is due three or four times.
    std::vector<int> uses(256);
    for (int i = 0; i < 42; ++i) {
      const std::string id = new_id();
      std::uint32_t bits = 0;
      int have = 0;
      for (const char c : id) {
        const std::string_view digits =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        bits = (bits << 6U) | static_cast<std::uint32_t>(digits.find(c));
        have += 6;
        if (have >= 8) {
          have -= 8;
          ++uses[(bits >> static_cast<unsigned>(have)) & 0xffU];
        }
      }
    }
    const auto [least, most] = std::minmax_element(uses.begin(), uses.end());
    EXPECT_GE(*least, 42 * 24 / 256);
    EXPECT_LE(*most, 42 * 24 / 256 + 1);
  }).join();
}

}  // namespace
}  // namespace websession
