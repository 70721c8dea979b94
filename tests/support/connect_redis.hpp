// Stores in Redis, on the engine that is tested: lanes, or with WEBSESSION_TEST_ENGINE=loop an
// event loop, or that of another library by its name (host_loop.hpp). ctest runs what is common to
// all on each.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "host_loop.hpp"
#include "loop_store.hpp"
#include "websession/async/epoll_reactor.hpp"
#include "websession/async/redis_json_store.hpp"
#include "websession/async/redis_store.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/redis_store.hpp"

namespace websession::testing {

using StorePtr = std::shared_ptr<SessionStore>;

inline std::string_view tested_engine() {
  const char* engine = std::getenv("WEBSESSION_TEST_ENGINE");
  return engine != nullptr ? engine : "lanes";
}
// How many servers there are, and which: one, or with WEBSESSION_TEST_TOPOLOGY=sentinel one that a
// Sentinel names, or with =cluster the three of a Cluster.
inline std::string_view tested_topology() {
  const char* topology = std::getenv("WEBSESSION_TEST_TOPOLOGY");
  return topology != nullptr ? topology : "one";
}
inline bool on_a_loop() { return tested_engine() != "lanes"; }

// A thread that runs the loop, and its reactor.
inline std::pair<std::shared_ptr<void>, std::shared_ptr<Reactor>> start_loop() {
  if (tested_engine() == "loop") {
    const auto thread = std::make_shared<IoThread>(IoThread::start().value());
    return {thread, thread->reactor()};
  }
  const auto thread = std::make_shared<HostThread>(tested_engine());
  return {thread, thread->reactor()};
}

// `Blocking` and `Async` are the two kinds of one store.
template <class Blocking, class Async, class Options>
Result<StorePtr> connect_later_as(std::string_view url, Options options) {
  if (!on_a_loop()) {
    auto store = Blocking::connect_later(url, std::move(options));
    if (!store) return std::move(store).error();
    return StorePtr(*std::move(store));
  }
  const auto [thread, loop] = start_loop();
  auto store = Async::connect_later(url, {loop}, std::move(options));
  if (!store) return std::move(store).error();
  return StorePtr(std::make_shared<LoopStore>(thread, *std::move(store)));
}

// Connects, or says why it cannot.
inline Result<StorePtr> connected(Result<StorePtr> store) {
  if (!store) return store;
  const auto loaded = (*store)->load(StoreKey("nobody's"));
  if (!loaded.has_value()) return loaded.error();
  return store;
}

inline Result<StorePtr> connect_redis_later(std::string_view url, RedisOptions options = {}) {
  return connect_later_as<RedisStore, AsyncRedisStore>(url, std::move(options));
}
inline Result<StorePtr> connect_redis(std::string_view url, RedisOptions options = {}) {
  if (on_a_loop()) return connected(connect_redis_later(url, std::move(options)));
  auto store = RedisStore::connect(url, std::move(options));
  if (!store) return std::move(store).error();
  return StorePtr(*std::move(store));
}
inline Result<StorePtr> connect_redis_json(std::string_view url, RedisJsonOptions options = {}) {
  if (on_a_loop()) {
    return connected(
        connect_later_as<RedisJsonStore, AsyncRedisJsonStore>(url, std::move(options)));
  }
  auto store = RedisJsonStore::connect(url, std::move(options));
  if (!store) return std::move(store).error();
  return StorePtr(*std::move(store));
}

}  // namespace websession::testing
