// What the tests of faults start from: a Redis, a proxy in front of it, and a look at every call.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "crowd.hpp"
#include "random.hpp"
#include "redis_fixture.hpp"
#include "session_history.hpp"
#include "tcp_proxy.hpp"

namespace websession::testing {

using SteadyClock = std::chrono::steady_clock;

// What a loaded machine, or a sanitizer, may add to a deadline before a thread runs again.
constexpr milliseconds scheduling_margin{2000};

class RedisFaultTest : public RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    if (server) proxy = std::make_unique<TcpProxy>(server->port());
    if (server) reference = make_reference();
  }

  StorePtr connect_through_proxy() {
    options.clock = clock;
    return connect_redis(proxy->url(), options).value();
  }

  // P7: every call comes back by its deadline.
  template <class Call>
  auto timed(Call call) {
    const auto start = SteadyClock::now();
    auto result = call();
    EXPECT_LT(SteadyClock::now() - start, options.operation_timeout + scheduling_margin) << "P7";
    return result;
  }

  // A session whose attribute "own" is its own key, so that nobody else's can be taken for it. It
  // is made past the proxy, and with time to spare.
  StoreKey make_session() {
    const StoreKey key = fresh_key();
    const Result<void> created = reference->create(key, own_fields(key), minute);
    EXPECT_TRUE(created) << created.error().message();
    return key;
  }
  Fields own_fields(const StoreKey& key) { return fields({{"own", key.secret()}, {"n", "0"}}); }

  // The call works, and gives what belongs to that session.
  void expect_own(SessionStore& store, const StoreKey& key, const std::string& n) {
    const auto loaded = timed([&] { return store.load(key); });
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
    ASSERT_TRUE(loaded->has_value());
    EXPECT_EQ((**loaded).fields.find("own"), key.secret());
    EXPECT_EQ((**loaded).fields.find("n"), n);
  }
  std::string stored_count(const StoreKey& key) {
    return probe->text({"HGET", redis_key(key), "n"});
  }

  static Changes one_more() {
    Changes changes;
    changes.increment.push_back({"n", 1});
    return changes;
  }

  // 64 threads work while `fault` is called again and again, each time after some of their calls
  // have succeeded; when it has ended, all must be well and every session what it must be.
  template <class Fault>
  void disturb_a_crowd(SessionStore& store, int faults, Fault fault) {
    Tally tally(options.operation_timeout, scheduling_margin);
    disturb_a_crowd(store, faults, tally, fault);
  }
  template <class Fault>
  void disturb_a_crowd(SessionStore& store, int faults, Tally& tally, Fault fault) {
    Random random;
    {
      Crowd crowd(store, tally, random.bits());
      for (int i = 0; i < faults; ++i) {
        wait_for_successes(tally, 200);
        fault(i, random);
      }
      wait_for_successes(tally, 200);
      crowd.settle();
    }
    for (const std::string& failure : tally.failures()) ADD_FAILURE() << failure;
  }

  // The crowd has recovered. Gives up when it does not.
  static void wait_for_successes(const Tally& tally, std::uint64_t count) {
    const std::uint64_t before = tally.successes();
    const auto until = SteadyClock::now() + std::chrono::seconds(30);
    while (tally.successes() < before + count) {
      if (SteadyClock::now() > until) FAIL() << "the store does not recover";
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  // Calls that no fault must make late have at least this much time on a loaded machine.
  static constexpr milliseconds short_timeout{250};

  RedisOptions options;
  std::unique_ptr<TcpProxy> proxy;
  StorePtr reference;  // past the proxy, and patient

 private:
  StorePtr make_reference() {
    RedisOptions plain;
    plain.clock = clock;
    plain.client_name = "reference";
    return connect_redis(server->unix_url(), patient(plain)).value();
  }
};

}  // namespace websession::testing
