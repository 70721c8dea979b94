#include "processes.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "random.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

constexpr int processes = 3;
constexpr int increments = 100;  // of each process
constexpr int tickets = 40;
constexpr int moves = 40;
constexpr int sign_ins = 30;  // of each process

constexpr Lifetime minute{std::chrono::minutes(1)};
constexpr const char* ada = "ada";

StoreKey named(const std::string& name, int i) { return StoreKey(name + std::to_string(i)); }

// What the processes tell. In memory that they share.
struct Told {
  std::array<std::atomic<int>, processes * increments + 1> given{};  // how often each number was
  std::atomic<int> consumed = 0;
  std::atomic<int> moved = 0;
  std::array<std::array<char, 64>, static_cast<std::size_t>(processes* sign_ins)> ids{};
};

// Nobody tells a failure but by its exit code.
void require(bool is_so) {
  if (!is_so) ::_exit(1);
}

void race(SessionStore& store, int me, Told& told) {
  Changes one_more;
  one_more.increment = {{"n", 1}};
  for (int i = 0; i < increments; ++i) {
    const auto counted = store.update(StoreKey("shared"), one_more, minute);
    require(counted.has_value() && counted->status == Outcome::Status::applied);
    ++told.given.at(static_cast<std::size_t>(counted->counters.at(0)));
  }
  Changes consume;
  consume.expect = {{"ticket", {"1"}}};
  consume.remove = {"ticket"};
  for (int i = 0; i < tickets; ++i) {
    const auto consumed = store.update(named("ticket", i), consume, minute);
    require(consumed.has_value());
    if (consumed->status == Outcome::Status::applied) ++told.consumed;
  }
  for (int i = 0; i < moves; ++i) {
    const StoreKey to = named("moved" + std::to_string(me) + "-", i);
    const auto moved = store.rekey(named("old", i), to, {}, minute, {std::chrono::seconds(10)});
    require(moved.has_value());
    if (moved->status == Outcome::Status::applied) ++told.moved;
  }
}

void sign_in_again_and_again(const std::shared_ptr<SessionStore>& store, int me, Told& told) {
  const SessionManager manager = SessionManager::make(store).value();
  for (int i = 0; i < sign_ins; ++i) {
    Session session = manager.open({}).value();
    session.sign_in(ada);
    require(manager.commit(session).has_value());
    const std::string id = session.id()->secret();
    auto& place = told.ids.at(static_cast<std::size_t>(me * sign_ins + i));
    require(id.size() < place.size());
    std::copy(id.begin(), id.end(), place.begin());
  }
}

}  // namespace

void expect_acknowledged_writes_survive(const OpenStore& open) {
  Random random;
  const auto start = [&](int number) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto store = open();
      Changes changes;
      for (int i = 1;; ++i) {
        const StoreKey mine("p" + std::to_string(number) + "-" + std::to_string(i % 5));
        (void)store->create(mine, {{"@created", "1"}, {"a", "0"}, {"b", "0"}}, minute);
        changes.set = {{"a", std::to_string(i)}, {"b", std::to_string(i)}};
        changes.increment = {{"n", 1}};
        if (!store->update(mine, changes, minute)) ::_exit(1);
        if (::write(pipe[1], &i, sizeof i) != sizeof i) ::_exit(2);
      }
    }
    (void)::close(pipe[1]);
    return std::pair(child, pipe[0]);
  };
  for (int round = 0; round < 10; ++round) {
    const std::array both{start(2 * round), start(2 * round + 1)};
    std::map<int, int> acknowledged;
    for (std::size_t i = 0; i < both.size(); ++i) {
      const auto [child, pipe] = both[i];
      const std::size_t writes = 20 + random.below(100);
      int last = 0;
      for (std::size_t n = 0; n < writes; ++n) {
        ASSERT_EQ(::read(pipe, &last, sizeof last), static_cast<ssize_t>(sizeof last));
      }
      ASSERT_EQ(::kill(child, SIGKILL), 0);
      while (::read(pipe, &last, sizeof last) > 0) {
      }
      (void)::close(pipe);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status)) << "it gave up by itself: " << WEXITSTATUS(status);
      acknowledged[2 * round + static_cast<int>(i)] = last;
    }
    const auto store = open();
    for (const auto& [number, last] : acknowledged) {
      for (int i = last; i > std::max(last - 5, 0); --i) {
        const StoreKey theirs("p" + std::to_string(number) + "-" + std::to_string(i % 5));
        const auto record = store->load(theirs).value();
        ASSERT_TRUE(record) << number;
        const std::string a(record->fields.find("a").value_or(""));
        EXPECT_EQ(record->fields.find("b"), a) << "half a write";
        EXPECT_TRUE(a == std::to_string(i) || a == std::to_string(i + 5)) << a << " after " << i;
      }
    }
  }
}

void expect_processes_race_well(const OpenStore& open) {
  void* const memory =
      ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Told& told = *new (memory) Told;
  {
    const auto store = open();
    const Fields fields{{"@created", "1700000000000"}, {"ticket", "1"}};
    ASSERT_TRUE(store->create(StoreKey("shared"), fields, minute));
    for (int i = 0; i < tickets; ++i)
      ASSERT_TRUE(store->create(named("ticket", i), fields, minute));
    for (int i = 0; i < moves; ++i) ASSERT_TRUE(store->create(named("old", i), fields, minute));
  }
  std::vector<pid_t> children;
  for (int me = 0; me < processes; ++me) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    const auto store = open();
    race(*store, me, told);
    sign_in_again_and_again(store, me, told);
    ::_exit(0);
  }
  const auto store = open();
  const SessionManager manager = SessionManager::make(store).value();
  for (const pid_t child : children) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      static_cast<void>(manager.sign_out_everywhere(ada));  // or they are faster
    }
    EXPECT_EQ(status, 0) << "a call has failed";
  }
  ASSERT_TRUE(manager.sign_out_everywhere(ada));
  EXPECT_TRUE(manager.sessions_of(ada)->empty());
  for (const auto& id : told.ids) {
    EXPECT_FALSE(manager.find(SessionId::parse(id.data()).value()).value());
  }
  for (std::size_t n = 1; n < told.given.size(); ++n) EXPECT_EQ(told.given[n], 1) << n;
  EXPECT_EQ(told.consumed, tickets);
  EXPECT_EQ(told.moved, moves);
  told.~Told();
  ::munmap(memory, sizeof(Told));
}

}  // namespace websession::testing
