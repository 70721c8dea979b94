// How late a timer comes on a loop that has much to do with Redis: what a host's other work on that
// loop would feel. Prints a table; asserts nothing.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "certificates.hpp"
#include "redis_server.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/redis_store.hpp"

namespace websession::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds period{1};
constexpr int in_flight = 64;
constexpr std::size_t megabyte = 1'000'000;

// Asks for one session again and again.
class Loads {
 public:
  Loads(AsyncSessionStore& store, const StoreKey& key) : store_(store), key_(key) {}
  void begin() {
    for (int i = 0; i < in_flight; ++i) {
      calls_.push_back(std::make_unique<std::optional<AsyncCall>>());
      next(*calls_.back());
    }
  }
  void stop() { goes_on_ = false; }
  [[nodiscard]] bool has_ended() const { return running_ == 0; }
  long answered = 0;
  long failed = 0;

 private:
  void next(std::optional<AsyncCall>& call) {
    ++running_;
    call.emplace(0);
    store_.load(key_, *call, [this, &call](Result<std::optional<Record>> record) {
      --running_;
      ++(record.has_value() ? answered : failed);
      if (goes_on_) next(call);
    });
  }

  AsyncSessionStore& store_;
  const StoreKey key_;
  std::vector<std::unique_ptr<std::optional<AsyncCall>>> calls_{};
  int running_ = 0;
  bool goes_on_ = true;
};

// Lets the loop work for a while, and measures how late its timer is. `meanwhile`: once every 20
// ms.
void measure(const char* name, EpollReactor& loop, Loads* loads, milliseconds time,
             const std::function<void()>& meanwhile = {}) {
  std::vector<microseconds> late;
  SteadyTime due;
  std::unique_ptr<Timer> timer;
  timer = loop.timer([&] {
    late.push_back(std::chrono::duration_cast<microseconds>(SteadyClock::now() - due));
    due = SteadyClock::now() + period;
    timer->arm(due);
  });
  due = SteadyClock::now() + period;
  timer->arm(due);
  if (loads != nullptr) loop.post([loads] { loads->begin(); });
  auto next = SteadyClock::now();
  for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;) {
    loop.run_once();
    if (!meanwhile || SteadyClock::now() < next) continue;
    next = SteadyClock::now() + milliseconds(20);
    std::thread(meanwhile).detach();
  }
  timer.reset();
  if (loads != nullptr) {
    loads->stop();
    while (!loads->has_ended()) loop.run_once(milliseconds(10));
  }
  std::sort(late.begin(), late.end());
  const auto at = [&](double share) {
    return static_cast<long>(
        late[static_cast<std::size_t>(share * static_cast<double>(late.size() - 1))].count());
  };
  std::printf("%-44s %8ld %8ld %8ld us   %8ld answered, %8ld failed\n", name, at(0.5), at(0.99),
              at(1), loads != nullptr ? loads->answered : 0, loads != nullptr ? loads->failed : 0);
}

StoreKey store_session(const testing::RedisServer& server, std::size_t bytes) {
  RedisOptions options;
  options.record_bytes_max = 4 * megabyte;
  const auto store = RedisStore::connect(server.unix_url(), options).value();
  const StoreKey key(SessionId::generate().value());
  std::vector<std::string> names;
  const std::string value(4000, 'x');
  for (std::size_t i = 0; i * value.size() < bytes; ++i) names.push_back("a" + std::to_string(i));
  std::vector<Field> fields{{created_field, "1700000000000"}};
  for (const std::string& name : names) fields.push_back({name, value});
  store->create(key, Fields(fields), {std::chrono::hours(1)}).value();
  return key;
}

void run() {
  testing::Authority authority;
  const testing::Identity identity = authority.issue_for_localhost();
  testing::RedisServer server({"--tls-auth-clients", "no"},
                              testing::RedisTls{identity.certificate_file, identity.key_file,
                                                authority.certificate_file()});
  const StoreKey small = store_session(server, 0);
  const StoreKey large = store_session(server, megabyte);
  const auto loop = EpollReactor::make().value();
  RedisOptions options;
  options.record_bytes_max = 4 * megabyte;
  const auto connect = [&](const std::string& url) {
    return AsyncRedisStore::connect_later(url, {loop}, options).value();
  };
  const milliseconds time{2000};

  std::printf("%-44s %8s %8s %8s\n", "a timer of 1 ms is late by", "p50", "p99", "most");
  measure("an idle loop", *loop, nullptr, time);
  {
    const auto store = connect(server.url());
    Loads loads(*store, small);
    measure("64 sessions in flight", *loop, &loads, time);
  }
  {
    const auto store = connect(server.url());
    Loads loads(*store, large);
    measure("64 sessions of 1 MB in flight", *loop, &loads, time);
  }
  options.tls.ca_file = authority.certificate_file();
  {
    const auto store = connect(server.tls_url());
    Loads loads(*store, large);
    measure("the same over TLS", *loop, &loads, time);
  }
  {
    const auto store = connect(server.tls_url());
    Loads loads(*store, small);
    measure("a TLS handshake each 20 ms", *loop, &loads, time, [&server] {
      testing::RedisProbe(server).text({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    });
  }
  options.tls = {};
  server.pause();
  {
    const auto store = connect(server.url());
    Loads loads(*store, small);
    measure("a Redis that has stopped", *loop, &loads, time);
  }
  server.resume();
  server.stop();
  {
    const auto store = connect(server.url());
    Loads loads(*store, small);
    measure("a Redis that refuses connections", *loop, &loads, time);
  }
  {
    // No name: a resolver that gives no answer is asked on a thread of its own.
    const auto store = connect("redis://no-such-host.invalid");
    Loads loads(*store, small);
    measure("a host that is not found", *loop, &loads, time);
  }
}

}  // namespace
}  // namespace websession::bench

int main() { websession::bench::run(); }
