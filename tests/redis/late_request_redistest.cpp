// Requests that were under way while their session was replaced or ended, over Redis.
#include <gtest/gtest.h>

#include <string>

#include "late_requests.hpp"
#include "redis_fixture.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

class RedisLateRequests : public RedisTest {
 protected:
  SessionManager manager(std::shared_ptr<SessionStore> store, SessionOptions options = {}) {
    options.clock = clock;
    return SessionManager::make(std::move(store), options).value();
  }
};

TEST_F(RedisLateRequests, DoNoHarm) { expect_late_requests_do_no_harm(manager(connect())); }

TEST_F(RedisLateRequests, DoNoHarmWithHashedIds) {
  for (const IdStorage storage :
       {IdStorage::plain_and_hashed, IdStorage::hashed, IdStorage::hashed_only}) {
    SessionOptions options;
    options.id_storage = storage;
    expect_late_requests_do_no_harm(manager(connect(), options));
  }
}

TEST_F(RedisLateRequests, DoNoHarmToEncryptedSessions) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  encryption.countable = {"n"};
  expect_late_requests_do_no_harm(manager(EncryptedStore::make(connect(), encryption).value()));
}

TEST_F(RedisLateRequests, DoNoHarmToSessionsInJson) {
  RedisJsonOptions options;
  options.redis.clock = clock;
  options.redis = patient(options.redis);
  const auto store = connect_redis_json(server->url(), options).value();
  expect_late_requests_do_no_harm(manager(store), End::regenerate_twice);
}

// A key that lives on because a late request has renewed it is no mark beyond the end that is
// written in it.
TEST_F(RedisLateRequests, ALateRenewalLengthensNoMark) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields(), minute));
  ASSERT_TRUE(store->erase(key, {milliseconds(300)}).has_value());
  probe->text({"PEXPIRE", redis_key(key), "60000", "GT"});
  EXPECT_TRUE(store->load(key).value()->is_over());
  std::this_thread::sleep_for(milliseconds(350));  // Redis' own time is the subject
  EXPECT_EQ(probe->integer({"EXISTS", redis_key(key)}), 1);
  EXPECT_FALSE(store->load(key).value().has_value());
}

}  // namespace
}  // namespace websession::testing
