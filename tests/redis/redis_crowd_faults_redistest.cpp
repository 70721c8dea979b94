// Faults while 64 threads are in flight, each of whose values is checked to be its own; and what a
// thousand faults leave behind.
#include <gtest/gtest.h>

#include <string>

#include "fault_fixture.hpp"
#include "possessions.hpp"

namespace websession::testing {
namespace {

using Way = TcpProxy::Way;
using End = TcpProxy::End;

// Whatever is acknowledged must survive the death of the server.
class RedisCrowdFaults : public RedisFaultTest {
  std::vector<std::string> server_options() override {
    return {"--appendonly", "yes", "--appendfsync", "always"};
  }
};

TEST_F(RedisCrowdFaults, ConnectionsAreResetWhile64ThreadsAreInFlight) {
  const auto store = connect_through_proxy();
  disturb_a_crowd(*store, 30,
                  [&](int i, Random&) { i % 2 == 0 ? proxy->reset_all() : proxy->close_all(); });
}

TEST_F(RedisCrowdFaults, RepliesAreCutWhile64ThreadsAreInFlight) {
  const auto store = connect_through_proxy();
  disturb_a_crowd(*store, 30, [&](int i, Random& random) {
    proxy->cut(i % 3 == 0 ? Way::requests : Way::replies, random.below(20'000),
               i % 2 == 0 ? End::close : End::reset);
  });
}

TEST_F(RedisCrowdFaults, RepliesStallWhile64ThreadsAreInFlight) {
  options.operation_timeout = milliseconds(100);
  const auto store = connect_through_proxy();
  disturb_a_crowd(*store, 4, [&](int i, Random& random) {
    proxy->cut(Way::replies, random.below(20'000), End::stall);
    std::this_thread::sleep_for(milliseconds(150));  // some calls pass their deadline, or all
    if (i % 2 == 0) proxy->forward();
  });
}

TEST_F(RedisCrowdFaults, ConnectionsAreRefusedWhile64ThreadsAreInFlight) {
  const auto store = connect_through_proxy();
  Tally tally(options.operation_timeout, scheduling_margin);
  disturb_a_crowd(*store, 5, tally, [&](int, Random&) {
    proxy->refuse();
    proxy->reset_all();
    const std::uint64_t before = tally.errors(Errc::unavailable);
    while (tally.errors(Errc::unavailable) < before + 200) std::this_thread::yield();
    proxy->forward();
  });
}

TEST_F(RedisCrowdFaults, RepliesTrickleWhile64ThreadsAreInFlight) {
  options.operation_timeout = milliseconds(100);
  const auto store = connect_through_proxy();
  disturb_a_crowd(*store, 3, [&](int, Random&) {
    proxy->trickle(std::chrono::microseconds(20));
    std::this_thread::sleep_for(milliseconds(150));
    proxy->forward();
  });
}

// Garbage within a text cannot be told from the text, so it has to come between two replies: the
// server stands still, and all that it sent has gone on.
TEST_F(RedisCrowdFaults, GarbageComesWhile64ThreadsAreInFlight) {
  const auto store = connect_through_proxy();
  Tally tally(options.operation_timeout, scheduling_margin);
  tally.expect(Errc::corrupt);
  disturb_a_crowd(*store, 20, tally, [&](int, Random& random) {
    server->pause();
    std::uint64_t before = 0;
    while (proxy->counters().reply_bytes != before) before = proxy->counters().reply_bytes;
    proxy->inject("?" + random.bytes(30) + "\r\n");
    server->resume();
  });
  EXPECT_GT(tally.errors(Errc::corrupt), 0U);
}

TEST_F(RedisCrowdFaults, TheServerIsStoppedWhile64ThreadsAreInFlight) {
  options.operation_timeout = milliseconds(100);
  const auto store = connect_through_proxy();
  Tally tally(options.operation_timeout, scheduling_margin);
  disturb_a_crowd(*store, 3, tally, [&](int, Random&) {
    server->pause();
    const std::uint64_t before = tally.errors(Errc::timeout);
    while (tally.errors(Errc::timeout) < before + 64) std::this_thread::sleep_for(milliseconds(1));
    server->resume();
  });
}

// The script cache is empty after it.
TEST_F(RedisCrowdFaults, TheServerIsKilledAndStartedWhile64ThreadsAreInFlight) {
  const auto store = connect(options);
  disturb_a_crowd(*store, 5, [&](int, Random&) {
    server->stop();
    server->start();
  });
}

TEST_F(RedisCrowdFaults, TheScriptCacheIsEmptiedWhile64ThreadsAreInFlight) {
  const auto store = connect(options);
  Tally tally(options.operation_timeout, scheduling_margin);
  disturb_a_crowd(*store, 20, tally, [&](int, Random&) { probe->text({"SCRIPT", "FLUSH"}); });
}

// One fault of each kind in turn, each met by a few calls.
class RedisThousandFaults : public RedisFaultTest {
 protected:
  void make_fault(int i, Random& random) {
    const StoreKey key = make_session();
    switch (i % 8) {
      case 0:
        proxy->reset_all();
        break;
      case 1:
        proxy->close_all();
        break;
      case 2:
        proxy->cut(Way::replies, random.below(60), End::reset);
        break;
      case 3:
        proxy->cut(Way::requests, random.below(300), End::close);
        break;
      case 4:
        proxy->replace_next_reply("garbage\r\n");
        break;
      case 5:
        proxy->refuse();
        proxy->reset_all();
        break;
      case 6:
        probe->text({"SCRIPT", "FLUSH"});
        probe->text({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        break;
      default:
        // Each costs two timeouts.
        proxy->cut(Way::replies, random.below(20), i % 40 == 7 ? End::stall : End::close);
        break;
    }
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    const auto loaded = timed([&] { return store->load(key); });
    failed_calls += (updated ? 0 : 1) + (loaded.has_value() ? 0 : 1);
    proxy->forward();
    auto recovered = timed([&] { return store->load(key); });
    // The timeout is short, and the machine may be busy: then the breaker opens, for 1.5 s at most.
    for (const auto start = SteadyClock::now();
         !recovered.has_value() && SteadyClock::now() < start + std::chrono::seconds(10);) {
      std::this_thread::sleep_for(milliseconds(1));
      recovered = timed([&] { return store->load(key); });
    }
    ASSERT_TRUE(recovered.has_value()) << "fault " << i << ": " << recovered.error().message();
    EXPECT_EQ((**recovered).fields.find("own"), key.secret());
    EXPECT_TRUE(reference->erase(key).has_value());
  }
  StorePtr store;
  int failed_calls = 0;
};

TEST_F(RedisThousandFaults, LeaveNoDescriptorAndNoMemoryBehind) {
  options.operation_timeout = milliseconds(100);
  Random random;
  const auto make_faults = [&](int count) {
    for (int i = 0; i < count; ++i) make_fault(i, random);
    proxy->forward();
    proxy->reset_all();
    const StoreKey key = make_session();
    while (!store->load(key).has_value()) std::this_thread::yield();  // connected again
    return possessions();
  };
  const auto without_store = [&] {
    store.reset();
    proxy->reset_all();
    return possessions();
  };
  store = connect_through_proxy();
  make_faults(40);
  const Possessions none_before = without_store();
  store = connect_through_proxy();
  const Possessions before = make_faults(40);
  failed_calls = 0;
  const Possessions after = make_faults(1000);
  const Possessions none_after = without_store();

  EXPECT_GT(failed_calls, 200) << "the faults were felt";
  EXPECT_EQ(none_after.descriptors, none_before.descriptors);
  // A store keeps a few connections, and a lost one until it is used again.
  EXPECT_LE(after.descriptors, before.descriptors + RedisOptions().connections);
  // LeakSanitizer looks at the heap better; and sanitizers keep books of their own on it.
  if (sanitized) return;
  // Buffers may stand at another size than before, but a fault that left its connection behind
  // would leave some kilobytes, a thousand times.
  EXPECT_LT(none_after.heap_bytes, none_before.heap_bytes + std::size_t{64} * 1024);
  EXPECT_LT(after.heap_bytes, before.heap_bytes + std::size_t{256} * 1024);
}

}  // namespace
}  // namespace websession::testing
