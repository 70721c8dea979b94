// What one session may have of its own, over Redis.
#include "aliases.hpp"
#include "lifetimes.hpp"

#include <gtest/gtest.h>

#include <string>

#include "redis_fixture.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/redis_json_store.hpp"

namespace websession::testing {
namespace {

class RedisLifetimes : public RedisTest {};

TEST_F(RedisLifetimes, OfSessions) { Lifetimes(connect(), clock).all(); }

TEST_F(RedisLifetimes, OfEncryptedSessions) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  encryption.countable = {"n"};
  const auto store = EncryptedStore::make(connect(), encryption).value();
  Lifetimes(store, clock).all();
  Aliases(store).all();
}

TEST_F(RedisLifetimes, EndByAnotherName) { Aliases(connect()).all(); }

TEST_F(RedisLifetimes, OfSessionsInJson) {
  RedisJsonOptions options;
  options.redis.clock = clock;
  options.redis = patient(options.redis);
  Lifetimes(connect_redis_json(server->url(), options).value(), clock).all();
}

}  // namespace
}  // namespace websession::testing
