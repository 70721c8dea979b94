#include "killed_processes.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <utility>

#include "random.hpp"

namespace websession::testing {

void expect_acknowledged_writes_survive(
    const std::function<std::shared_ptr<SessionStore>()>& open) {
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
        (void)store->create(mine, {{"@created", "1"}, {"a", "0"}, {"b", "0"}},
                            Lifetime{std::chrono::minutes(1)});
        changes.set = {{"a", std::to_string(i)}, {"b", std::to_string(i)}};
        changes.increment = {{"n", 1}};
        if (!store->update(mine, changes, Lifetime{std::chrono::minutes(1)})) ::_exit(1);
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

}  // namespace websession::testing
