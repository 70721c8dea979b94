// A network that refuses, stays silent, stalls, cuts, trickles and garbles, one caller at a time.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "command_calls.hpp"
#include "fault_fixture.hpp"
#include "lanes.hpp"
#include "socket_transport.hpp"

namespace websession::testing {
namespace {

using Way = TcpProxy::Way;
using End = TcpProxy::End;

class RedisNetworkFaults : public RedisFaultTest {
 protected:
  static constexpr milliseconds waits{4000};

  // How many bytes a call's reply has.
  template <class Call>
  std::size_t reply_size(Call call) {
    const std::uint64_t before = proxy->counters().reply_bytes;
    EXPECT_TRUE(call());
    const std::size_t size = proxy->counters().reply_bytes - before;
    EXPECT_GT(size, 3U);
    return size;
  }
};

// P8, P9
TEST_F(RedisNetworkFaults, RefusedConnectionsFailAtOnceAndTheFirstCallAfterWorks) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  for (int round = 0; round < 3; ++round) {
    proxy->refuse();
    proxy->reset_all();
    for (int i = 0; i < 3; ++i) {
      const auto loaded = timed([&] { return store->load(key); });
      ASSERT_FALSE(loaded.has_value());
      EXPECT_EQ(loaded.error().code, Errc::unavailable);
      const auto created = timed([&] { return store->create(fresh_key(), fields(), minute); });
      ASSERT_FALSE(created);
      EXPECT_EQ(created.error().code, Errc::unavailable);
      EXPECT_FALSE(created.error().maybe_applied) << "it was never sent";
    }
    proxy->forward();
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_TRUE(updated) << "the first call: " << updated.error().message();
    expect_own(*store, key, std::to_string(round + 1));
  }
}

TEST_F(RedisNetworkFaults, AServerThatAcceptsAndStaysSilentCostsTheDeadline) {
  proxy->stay_silent();
  options.connect_timeout = milliseconds(100);
  const auto start = SteadyClock::now();
  const auto refused = connect_redis(proxy->url(), options);
  EXPECT_LT(SteadyClock::now() - start, options.connect_timeout + scheduling_margin);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::timeout);
  EXPECT_NE(refused.error().detail.find("does not answer"), std::string::npos);

  options.operation_timeout = short_timeout;
  const auto store = connect_redis_later(proxy->url(), options).value();
  const auto created = timed([&] { return store->create(fresh_key(), fields(), minute); });
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::timeout);
  EXPECT_FALSE(created.error().maybe_applied) << "only the login was sent";
}

// The breaker: while attempts to connect take long, callers fail without one.
TEST_F(RedisNetworkFaults, TheBreakerOpensOnASilentServerAndCloses) {
  options.operation_timeout = short_timeout;
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  proxy->stay_silent();
  proxy->reset_all();
  ASSERT_FALSE(timed([&] { return store->load(key); }).has_value()) << "it opens";
  // Between two attempts lie 50 ms or more: 100 ms, less half of it by jitter.
  const auto opened = SteadyClock::now();
  const std::uint64_t before = proxy->counters().connections;
  for (int i = 0; i < 1000; ++i) {
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_FALSE(updated);
    EXPECT_FALSE(updated.error().maybe_applied);
  }
  const auto attempts_max = 1 + (SteadyClock::now() - opened) / milliseconds(50);
  EXPECT_LE(proxy->counters().connections - before, static_cast<std::uint64_t>(attempts_max));

  proxy->forward();
  const auto ended = SteadyClock::now();
  while (!store->load(key).has_value()) std::this_thread::yield();
  EXPECT_LT(SteadyClock::now() - ended, milliseconds(1500) + scheduling_margin) << "it closes";
  expect_own(*store, key, "0");
  // It is closed: a lost connection is replaced at once.
  proxy->reset_all();
  expect_own(*store, key, "0");
}

// It stays closed when connections are refused.
TEST_F(RedisNetworkFaults, TheBreakerStaysClosedWhenConnectionsAreRefused) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  proxy->refuse();
  proxy->reset_all();
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(timed([&] { return store->load(key); }).has_value());
  proxy->forward();
  expect_own(*store, key, "0");
}

TEST_F(RedisNetworkFaults, AStallInTheMiddleOfAReplyCostsTheDeadlineAndThenTheConnection) {
  options.operation_timeout = short_timeout;
  const auto store = connect_through_proxy();
  for (const std::size_t bytes : {0U, 1U, 7U}) {
    const StoreKey key = make_session();
    proxy->cut(Way::replies, bytes, End::stall);
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, Errc::timeout);
    EXPECT_TRUE(updated.error().maybe_applied);
    EXPECT_EQ(stored_count(key), "1");
    // Nothing more comes on that connection: it is given up after two timeouts without a word.
    int calls = 1;
    while (!timed([&] { return store->load(key); }).has_value()) {
      ASSERT_LT(++calls, 5) << "the connection is not given up";
    }
    expect_own(*store, key, "1");
    proxy->forward();  // the late bytes come now, to nobody
    expect_own(*store, key, "1");
  }
}

TEST_F(RedisNetworkFaults, AStallThatEndsGivesTheLateReplyToNobodyElse) {
  options.operation_timeout = short_timeout;
  const auto store = connect_through_proxy();
  const StoreKey one = make_session();
  const StoreKey other = make_session();
  for (std::size_t bytes = 0; bytes < 40; bytes += 7) {
    proxy->cut(Way::replies, bytes, End::stall);
    const auto loaded = timed([&] { return store->load(one); });
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Errc::timeout);
    EXPECT_FALSE(loaded.error().maybe_applied) << "a read is never applied";
    proxy->forward();
    expect_own(*store, other, "0");
  }
}

// P8. What was lost with its answer: reads and harmless repeats succeed all the same, other writes
// say that they may have been applied, and were, once. The next call works.
TEST_F(RedisNetworkFaults, ACutAtEveryByteOfALoadReply) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  const std::size_t size = reply_size([&] { return store->load(key).has_value(); });
  for (const End end : {End::close, End::reset}) {
    for (std::size_t bytes = 0; bytes <= size; ++bytes) {
      proxy->cut(Way::replies, bytes, end);
      expect_own(*store, key, "0");
      expect_own(*store, key, "0");
    }
  }
}

TEST_F(RedisNetworkFaults, ACutAtEveryByteOfACreateReply) {
  const auto store = connect_through_proxy();
  const std::size_t size = reply_size([&] { return store->create(fresh_key(), fields(), minute); });
  for (const End end : {End::close, End::reset}) {
    for (std::size_t bytes = 0; bytes <= size; ++bytes) {
      const StoreKey key = fresh_key();
      proxy->cut(Way::replies, bytes, end);
      const auto created = timed([&] { return store->create(key, own_fields(key), minute); });
      EXPECT_EQ(created.has_value(), bytes == size);
      if (!created) {
        EXPECT_EQ(created.error().code, Errc::unavailable) << created.error().message();
        EXPECT_TRUE(created.error().maybe_applied);
      }
      EXPECT_EQ(stored_count(key), "0") << "it was applied";
      expect_own(*store, key, "0");
    }
  }
}

TEST_F(RedisNetworkFaults, ACutAtEveryByteOfAnUpdateReply) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  const std::size_t size = reply_size([&] { return store->update(key, one_more(), minute); });
  int count = 1;
  for (const End end : {End::close, End::reset}) {
    for (std::size_t bytes = 0; bytes <= size; ++bytes) {
      proxy->cut(Way::replies, bytes, end);
      const auto updated = timed([&] { return store->update(key, one_more(), minute); });
      const std::string expected = std::to_string(++count);
      // Counts grow by a digit, and their replies by a byte.
      if (updated) {
        EXPECT_GE(bytes, size);
        EXPECT_EQ(updated->counters, std::vector<std::int64_t>{count});
      } else {
        EXPECT_EQ(updated.error().code, Errc::unavailable) << updated.error().message();
        EXPECT_TRUE(updated.error().maybe_applied);
      }
      EXPECT_EQ(stored_count(key), expected) << "once, not twice";
      expect_own(*store, key, expected);
    }
  }
}

// The same for what goes without a script, as most writes do.
TEST_F(RedisNetworkFaults, ACutAtEveryByteOfAnAnswerToAWriteWithoutAScript) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  int count = 0;
  for (const bool renews : {false, true}) {
    const auto set = [&](int value) {
      Changes changes;
      changes.set = {{"n", std::to_string(value), {}, true}};
      Lifetime lifetime{renews ? minute.ttl * 2 : minute.ttl};
      lifetime.left = minute.ttl;
      return timed([&] { return store->update(key, changes, lifetime); });
    };
    const std::size_t size = reply_size([&] { return set(count); });
    for (const End end : {End::close, End::reset}) {
      for (std::size_t bytes = 0; bytes <= size; ++bytes) {
        if (renews) probe->text({"PEXPIRE", redis_key(key), std::to_string(minute.ttl.count())});
        proxy->cut(Way::replies, bytes, end);
        const auto updated = set(++count);
        if (updated) {
          EXPECT_GE(bytes, size);
          EXPECT_EQ(updated->status, Outcome::Status::applied);
        } else {
          EXPECT_EQ(updated.error().code, Errc::unavailable) << updated.error().message();
          EXPECT_TRUE(updated.error().maybe_applied);
        }
        expect_own(*store, key, std::to_string(count));  // connects again
        EXPECT_EQ(probe->integer({"PTTL", redis_key(key)}) > minute.ttl.count(), renews);
      }
    }
  }
}

TEST_F(RedisNetworkFaults, ACutAtEveryByteOfARenewalReply) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  const std::size_t size = reply_size([&] { return store->update(key, {}, minute); });
  for (const End end : {End::close, End::reset}) {
    for (std::size_t bytes = 0; bytes <= size; ++bytes) {
      probe->text({"PEXPIRE", redis_key(key), "30000"});
      proxy->cut(Way::replies, bytes, end);
      const auto renewed = timed([&] { return store->update(key, {}, minute); });
      ASSERT_TRUE(renewed) << renewed.error().message();
      EXPECT_EQ(renewed->status, Outcome::Status::applied);
      EXPECT_GT(probe->integer({"PTTL", redis_key(key)}), 30'000);
      expect_own(*store, key, "0");
    }
  }
}

TEST_F(RedisNetworkFaults, ACutAtEveryByteOfARekeyReply) {
  const auto store = connect_through_proxy();
  StoreKey from = make_session();
  int count = 0;
  const auto rekey = [&](const StoreKey& to, Grace grace) {
    return timed([&] { return store->rekey(from, to, one_more(), minute, grace); });
  };
  const std::size_t size = reply_size([&] { return rekey(fresh_key(), {}); });
  for (const Grace grace : {Grace{}, Grace{milliseconds(60'000)}}) {
    for (const End end : {End::close, End::reset}) {
      for (std::size_t bytes = 0; bytes <= size; ++bytes) {
        from = make_session();
        const StoreKey to = fresh_key();
        proxy->cut(Way::replies, bytes, end);
        const auto moved = rekey(to, grace);
        ASSERT_TRUE(moved) << moved.error().message();
        EXPECT_EQ(moved->status, Outcome::Status::applied);
        EXPECT_EQ(moved->counters, std::vector<std::int64_t>{1}) << "once, not twice";
        EXPECT_EQ(stored_count(to), "1");
        EXPECT_EQ(probe->integer({"EXISTS", redis_key(from)}), grace.duration.count() > 0 ? 1 : 0);
        const auto loaded = timed([&] { return store->load(to); });
        ASSERT_TRUE(loaded.has_value()) << "the first call: " << loaded.error().message();
        EXPECT_EQ((**loaded).fields.find("own"), from.secret());
        ++count;
      }
    }
  }
  EXPECT_EQ(count, 4 * (static_cast<int>(size) + 1));
}

TEST_F(RedisNetworkFaults, ACutAtEveryByteOfAnEraseReply) {
  const auto store = connect_through_proxy();
  const StoreKey first = make_session();
  const StoreKey other = make_session();
  const std::size_t size = reply_size([&] { return store->erase(first).has_value(); });
  for (const End end : {End::close, End::reset}) {
    for (std::size_t bytes = 0; bytes <= size; ++bytes) {
      const StoreKey key = make_session();
      proxy->cut(Way::replies, bytes, end);
      const auto erased = timed([&] { return store->erase(key); });
      ASSERT_TRUE(erased.has_value()) << erased.error().message();
      EXPECT_TRUE(*erased) << "by the first try or the second";
      EXPECT_EQ(probe->integer({"EXISTS", redis_key(key)}), 0);
      expect_own(*store, other, "0");
    }
  }
}

// Nothing of the caller's was sent yet, so a write is tried again as well.
TEST_F(RedisNetworkFaults, ACutAtEveryByteOfALoginReply) {
  // One PING is part of it. On lanes it ends with some more, as time will have it, each answered
  // with seven bytes; one is certain.
  const std::size_t certain = on_a_loop() ? 1 : 2;
  const std::int64_t pings_before = calls_of(*probe, "ping");
  const std::size_t whole =
      reply_size([&] { return connect_redis(proxy->url(), options).has_value(); });
  const auto pings = static_cast<std::size_t>(calls_of(*probe, "ping") - pings_before);
  ASSERT_GE(pings, certain);
  const auto store = connect_through_proxy();
  // On a loop, connecting is a load.
  const StoreKey nobodys = fresh_key();
  const std::size_t beside =
      on_a_loop() ? reply_size([&] { return store->load(nobodys).has_value(); }) : 0;
  const std::size_t size = whole - beside - (pings - certain) * 7;
  for (std::size_t bytes = 0; bytes < size; ++bytes) {
    proxy->reset_all();
    proxy->cut(Way::replies, bytes, bytes % 2 == 0 ? End::close : End::reset);
    const StoreKey key = fresh_key();
    const auto created = timed([&] { return store->create(key, own_fields(key), minute); });
    ASSERT_TRUE(created) << bytes << ": " << created.error().message();
    expect_own(*store, key, "0");
  }
}

TEST_F(RedisNetworkFaults, ACommandThatIsCutShortIsNotApplied) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  const std::uint64_t before = proxy->counters().request_bytes;
  ASSERT_TRUE(store->update(key, one_more(), minute));
  const std::size_t size = proxy->counters().request_bytes - before;
  for (std::size_t bytes = 0; bytes < size; bytes += 9) {
    proxy->cut(Way::requests, bytes, bytes % 2 == 0 ? End::close : End::reset);
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_FALSE(updated) << "it cannot be known, and so it is not repeated";
    EXPECT_EQ(updated.error().code, Errc::unavailable);
    EXPECT_TRUE(updated.error().maybe_applied);
    expect_own(*store, key, "1");
  }
}

TEST_F(RedisNetworkFaults, ATrickleIsPutTogether) {
  const auto store = connect_through_proxy();
  proxy->trickle(std::chrono::nanoseconds(0));
  for (int i = 0; i < 3; ++i) {
    const StoreKey key = make_session();
    ASSERT_TRUE(timed([&] { return store->update(key, one_more(), minute); }));
    expect_own(*store, key, "1");
    proxy->reset_all();  // the login trickles as well
  }
}

TEST_F(RedisNetworkFaults, ATrickleThatIsTooSlowCostsTheDeadlineAndNothingElse) {
  options.operation_timeout = short_timeout;
  const auto store = connect_through_proxy();
  const StoreKey one = make_session();
  const StoreKey other = make_session();
  for (int i = 0; i < 3; ++i) {
    proxy->trickle(milliseconds(40));
    const auto loaded = timed([&] { return store->load(one); });
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Errc::timeout);
    proxy->forward();
    expect_own(*store, other, "0");
  }
}

TEST_F(RedisNetworkFaults, ProtocolGarbageIsCorruptAndTheNextCallWorks) {
  const auto store = connect_through_proxy();
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "*1\r\n";
  const std::vector<std::string> garbage = {
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      std::string(64, '\0'),
      "*400000000\r\n$1\r\nx\r\n$-5\r\n",
      "$-5\r\n",
      "$99999999999999999999\r\n",
      "*-3\r\n",
      ":12x\r\n",
      "\x15\x03\x01\x02\x02",  // a TLS alert
      deep,
  };
  for (const std::string& bytes : garbage) {
    const StoreKey key = make_session();
    proxy->replace_next_reply(bytes);
    const auto loaded = timed([&] { return store->load(key); });
    ASSERT_FALSE(loaded.has_value()) << bytes;
    EXPECT_EQ(loaded.error().code, Errc::corrupt) << loaded.error().message();
    EXPECT_FALSE(loaded.error().maybe_applied);
    expect_own(*store, key, "0");

    proxy->replace_next_reply(bytes);
    const auto updated = timed([&] { return store->update(key, one_more(), minute); });
    ASSERT_FALSE(updated) << bytes;
    EXPECT_EQ(updated.error().code, Errc::corrupt) << updated.error().message();
    EXPECT_TRUE(updated.error().maybe_applied);
    EXPECT_EQ(stored_count(key), "1");
    expect_own(*store, key, "1");
  }
}

TEST_F(RedisNetworkFaults, RepliesOfTheWrongKindAreCorrupt) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  for (const char* bytes : {":5\r\n:6\r\n", "$1\r\nx\r\n+OK\r\n", "*2\r\n:1\r\n:2\r\n:3\r\n"}) {
    proxy->replace_next_reply(bytes);
    const auto loaded = timed([&] { return store->load(key); });
    ASSERT_FALSE(loaded.has_value()) << bytes;
    EXPECT_EQ(loaded.error().code, Errc::corrupt) << loaded.error().message();
    expect_own(*store, key, "0");
  }
  proxy->replace_next_reply("+OK\r\n");
  const auto created = timed([&] { return store->create(fresh_key(), fields(), minute); });
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::corrupt);
  EXPECT_TRUE(created.error().maybe_applied);
  expect_own(*store, key, "0");
}

// Whatever comes while nobody has asked belongs to nobody.
TEST_F(RedisNetworkFaults, BytesThatNobodyAskedForAreNobodysReply) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  for (const char* bytes : {"*0\r\n:-2\r\n", "nonsense", "\r\n"}) {
    const std::uint64_t before = proxy->counters().reply_bytes;
    proxy->inject(bytes);
    while (proxy->counters().reply_bytes == before) std::this_thread::yield();
    expect_own(*store, key, "0");
    ASSERT_TRUE(timed([&] { return store->update(key, {}, minute); }));
  }
}

// The default action of SIGPIPE ends the process, so this test would not return.
TEST_F(RedisNetworkFaults, AServerThatClosesWhileWeWriteRaisesNoSigpipe) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  const std::string large(200'000, 'x');
  Changes changes;
  changes.set.push_back({"large", large});
  for (const std::size_t bytes : {0U, 1U, 1000U, 65'536U, 150'000U}) {
    for (const End end : {End::close, End::reset}) {
      proxy->cut(Way::requests, bytes, end);
      const auto updated = timed([&] { return store->update(key, changes, minute); });
      // Without a whole command on its way it is tried again, and then succeeds.
      EXPECT_TRUE(updated || updated.error().code == Errc::unavailable);
      proxy->forward();
      expect_own(*store, key, "0");
    }
  }
  for (int i = 0; i < 20; ++i) {
    probe->text({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    expect_own(*store, key, "0");
  }
}

// A stateful firewall forgets connections that are idle: whoever comes next, reading or writing,
// does not notice.
TEST_F(RedisNetworkFaults, IdleConnectionsThatAFirewallForgotAreReplacedUnseen) {
  redis::EngineOptions engine_options{.connect_timeout = std::chrono::seconds(10),
                                      .operation_timeout = std::chrono::seconds(10),
                                      .pending_max = 16,
                                      .reply_bytes_max = 1024};
  engine_options.ask_after = milliseconds(0);
  redis::Lanes lanes(
      redis::make_socket_connector({.host = "127.0.0.1", .port = std::to_string(proxy->port())}),
      {}, engine_options);
  const auto call = [&](std::initializer_list<std::string_view> words) {
    const auto append = [&](std::string& out) { redis::append_command(out, words); };
    const auto replies = lanes.execute(redis::Commands(1, append), SteadyClock::now() + 2 * waits);
    EXPECT_TRUE(replies) << replies.error().message();
    return replies ? (*replies)[0].integer() : -1;
  };
  EXPECT_EQ(call({"INCR", "sid_n"}), 1);
  for (int n = 2; n < 4; ++n) {
    proxy->forget_all();
    EXPECT_EQ(call({"INCR", "sid_n"}), n) << "a write, once";
    proxy->forget_all();
    EXPECT_EQ(call({"STRLEN", "sid_n"}), 1) << "a read";
  }
  // One that answers is kept.
  const std::uint64_t before = proxy->counters().connections;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call({"STRLEN", "sid_n"}), 1);
  EXPECT_EQ(proxy->counters().connections, before);
}

// The proxy itself: tests and benchmarks rely on its delay.
TEST_F(RedisNetworkFaults, TheProxyDelaysBothWays) {
  const auto store = connect_through_proxy();
  const StoreKey key = make_session();
  proxy->delay(milliseconds(2));
  for (int i = 0; i < 5; ++i) {
    const auto start = SteadyClock::now();
    expect_own(*store, key, "0");
    EXPECT_GE(SteadyClock::now() - start, milliseconds(4));
  }
}

}  // namespace
}  // namespace websession::testing
