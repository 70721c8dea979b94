// Stores in Redis, on the engine that is tested: lanes, or with WEBSESSION_TEST_ENGINE=loop an
// event loop. ctest runs what is common to both on each.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "loop_store.hpp"
#include "websession/async/redis_json_store.hpp"
#include "websession/async/redis_store.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/redis_store.hpp"

namespace websession::testing {

using StorePtr = std::shared_ptr<SessionStore>;

inline bool on_a_loop() {
  const char* engine = std::getenv("WEBSESSION_TEST_ENGINE");
  return engine != nullptr && std::string_view(engine) == "loop";
}

// `Blocking` and `Async` are the two kinds of one store.
template <class Blocking, class Async, class Options>
Result<StorePtr> connect_later_as(std::string_view url, Options options) {
  if (!on_a_loop()) {
    auto store = Blocking::connect_later(url, std::move(options));
    if (!store) return std::move(store).error();
    return StorePtr(*std::move(store));
  }
  auto thread = std::make_unique<IoThread>(IoThread::start().value());
  auto store = Async::connect_later(url, {thread->reactor()}, std::move(options));
  if (!store) return std::move(store).error();
  return StorePtr(std::make_shared<LoopStore>(std::move(thread), *std::move(store)));
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
