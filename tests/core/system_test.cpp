// What the operating system is asked for, whichever of the two answers is built (preset portable).
#include "system.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <thread>
#include <vector>

#include "websession/async/reactor.hpp"

namespace websession::internal {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class System : public ::testing::Test {
 protected:
  System() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0); }
  ~System() override {
    close_far();
    ::close(near());
  }
  [[nodiscard]] int near() const { return ends[0]; }
  [[nodiscard]] int far() const { return ends[1]; }
  void close_far() {
    if (ends[1] >= 0) ::close(std::exchange(ends[1], -1));
  }
  int ends[2] = {-1, -1};
};

TEST_F(System, AWaitForOneEndsWithItOrNotBeforeItsDeadline) {
  pollfd waiting{near(), POLLIN, 0};
  const SteadyTime deadline = steady_clock::now() + milliseconds(20);
  EXPECT_EQ(poll_until(waiting, deadline), 0);
  EXPECT_GE(steady_clock::now(), deadline);
  EXPECT_EQ(poll_until(waiting, deadline), 0) << "a time that has passed";
  ASSERT_EQ(::write(far(), "x", 1), 1);
  EXPECT_EQ(poll_until(waiting, steady_clock::now() + std::chrono::hours(1)), 1);
  EXPECT_EQ(waiting.revents & POLLIN, POLLIN);
}

TEST_F(System, AHangUpIsSeen) {
  EXPECT_FALSE(has_hung_up(near()));
  ASSERT_EQ(::write(far(), "x", 1), 1);
  EXPECT_FALSE(has_hung_up(near())) << "that was only something to read";
  close_far();
  char byte = 0;
  ASSERT_EQ(::read(near(), &byte, 1), 1);
  EXPECT_TRUE(has_hung_up(near()));
}

TEST_F(System, SocketsAreClosedByExecAndBlockAsAsked) {
  for (const bool blocks : {false, true}) {
    const int fd = make_stream_socket(AF_INET, blocks);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0, blocks);
    ::close(fd);
  }
  EXPECT_LT(make_stream_socket(-1, false), 0);
}

// The default of SIGPIPE would end this process.
TEST_F(System, SendingToNobodyIsAnError) {
  close_far();
  EXPECT_LT(send_quietly(near(), "x", 1), 0);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(System, ASleeperSleepsUntilItsDeadlineAndNotAtAllWhenTheWordHasChanged) {
  const std::atomic<std::uint32_t> word = 1;
  const SteadyTime deadline = steady_clock::now() + milliseconds(20);
  while (steady_clock::now() < deadline) sleep_while(word, 1, deadline);
  sleep_while(word, 2, steady_clock::now() + std::chrono::hours(1));
}

TEST_F(System, SleepersOnManyWordsAreEachWoken) {
  // More than there are places to sleep at in the portable answer.
  std::vector<std::atomic<std::uint32_t>> words(200);
  std::vector<std::thread> sleepers;
  for (auto& word : words) {
    sleepers.emplace_back([&word] {
      while (word == 0) sleep_while(word, 0, steady_clock::now() + std::chrono::hours(1));
    });
  }
  for (auto& word : words) {
    word = 1;
    wake_sleeper(&word);
  }
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST_F(System, APollerTellsWhatIsReady) {
  Poller poller;
  ASSERT_TRUE(poller.open());
  Poller::Room room;
  int tag = 0;
  ASSERT_TRUE(poller.watch(near(), Reactor::none, Reactor::readable, &tag));
  EXPECT_TRUE(poller.wait(0, room).empty());
  ASSERT_TRUE(poller.watch(near(), Reactor::readable, Reactor::readable | Reactor::writable, &tag));
  ASSERT_EQ(::write(far(), "x", 1), 1);
  const auto events = poller.wait(-1, room);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events.front().watched, &tag);
  EXPECT_EQ(events.front().ready, Reactor::readable | Reactor::writable);
  ASSERT_TRUE(poller.watch(near(), Reactor::readable | Reactor::writable, Reactor::none, nullptr));
  EXPECT_TRUE(poller.wait(0, room).empty());
}

TEST_F(System, APollerIsWokenAndTellsTheTimeOnce) {
  Poller poller;
  ASSERT_TRUE(poller.open());
  Poller::Room room;
  std::thread waker([&] { poller.wake(); });
  EXPECT_TRUE(poller.wait(-1, room).empty());
  waker.join();
  poller.set_time(steady_clock::now() + std::chrono::hours(1));
  const SteadyTime at = steady_clock::now() + milliseconds(20);
  poller.set_time(at);
  const auto events = poller.wait(-1, room);
  EXPECT_GE(steady_clock::now(), at);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events.front().watched, nullptr);
  EXPECT_TRUE(poller.wait(0, room).empty());
  poller.set_time(steady_clock::now() - std::chrono::hours(1));
  EXPECT_EQ(poller.wait(-1, room).size(), 1U) << "a time that has passed has come";
}

// More are ready, again and again, than there is room for.
TEST_F(System, APollerTellsOfEverybodyInTurn) {
  Poller poller;
  ASSERT_TRUE(poller.open());
  std::vector<int> copies;
  for (int i = 0; i < 150; ++i) copies.push_back(::dup(near()));
  for (int& copy : copies) ASSERT_TRUE(poller.watch(copy, Reactor::none, Reactor::writable, &copy));
  std::set<void*> told;
  Poller::Room room;
  for (int round = 0; round < 3; ++round) {
    for (const Poller::Event& event : poller.wait(-1, room)) told.insert(event.watched);
  }
  EXPECT_EQ(told.size(), copies.size());
  for (const int copy : copies) {
    EXPECT_TRUE(poller.watch(copy, Reactor::writable, Reactor::none, nullptr));
    ::close(copy);
  }
}

TEST_F(System, APollerRefusesWhatCannotBeWaitedFor) {
  Poller poller;
  ASSERT_TRUE(poller.open());
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  EXPECT_FALSE(poller.watch(file, Reactor::none, Reactor::readable, nullptr));
  EXPECT_EQ(errno, EPERM);
  ::close(file);
  EXPECT_FALSE(poller.watch(file, Reactor::none, Reactor::readable, nullptr));
  EXPECT_EQ(errno, EBADF);
  int tag = 0;
  ASSERT_TRUE(poller.watch(near(), Reactor::none, Reactor::readable, &tag));
  EXPECT_FALSE(poller.watch(near(), Reactor::none, Reactor::readable, &tag));
  EXPECT_EQ(errno, EEXIST) << "one watch for each descriptor";
}

}  // namespace
}  // namespace websession::internal
