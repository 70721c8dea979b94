// Hashed ids, as those see them who read the server; and the way there, on a Redis.
#include <gtest/gtest.h>

#include "id_rollout.hpp"
#include "redis_fixture.hpp"
#include "session_keys.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using internal::key_of;
using internal::KeyForm;
using Status = Commit::Status;

class RedisIdStorage : public RedisTest {
 protected:
  SessionManager manager(IdStorage storage) {
    SessionOptions options;
    options.clock = clock;
    options.id_storage = storage;
    return SessionManager::make(connect(), options).value();
  }
  IdRollout rollout() { return {connect(), clock}; }
};

// The attack: logins from a dump or from MONITOR.
TEST_F(RedisIdStorage, NoIdReachesTheServer) {
  const SessionManager m = manager(IdStorage::hashed);
  RedisProbe monitor(*server);
  ASSERT_EQ(monitor.text({"MONITOR"}), "OK");

  Session session = m.open({}).value();
  session.set("a", 1);
  ASSERT_EQ(m.commit(session).value().status, Status::created);
  const SessionId first = *session.id();
  const std::string first_cookie = "sid=" + first.secret();
  session = m.open({first_cookie, false}).value();
  ASSERT_TRUE(session.increment("a"));
  session.set("b", 2);
  ASSERT_EQ(m.commit(session).value().status, Status::updated);
  session.regenerate();
  ASSERT_EQ(m.commit(session).value().status, Status::regenerated);
  const SessionId second = *session.id();
  ASSERT_FALSE(m.open({first_cookie, false}).value().is_new()) << "within the grace";

  const std::string first_key = "sid_" + key_of(first, KeyForm::hashed).secret();
  const std::string second_key = "sid_" + key_of(second, KeyForm::hashed).secret();
  EXPECT_EQ(probe->integer({"EXISTS", first_key, second_key}), 2);
  EXPECT_EQ(probe->integer({"DBSIZE"}), 2);
  EXPECT_NE(probe->text({"GET", first_key})
                .find(" same " + std::to_string(second_key.size()) + ":" + second_key + "\n"),
            std::string::npos);
  ASSERT_TRUE(m.erase(second).value());

  probe->text({"ECHO", "the end"});
  int lines = 0;
  bool keys_were_shown = false;
  for (std::string line; line.find("the end") == std::string::npos; ++lines) {
    line = monitor.next_line();
    EXPECT_EQ(line.find(first.secret()), std::string::npos) << line;
    EXPECT_EQ(line.find(second.secret()), std::string::npos) << line;
    keys_were_shown = keys_were_shown || line.find(second_key) != std::string::npos;
  }
  EXPECT_TRUE(keys_were_shown);
  EXPECT_GT(lines, 8);
}

TEST_F(RedisIdStorage, AMovedSessionKeepsItsFieldsAndItsTimeToLive) {
  const SessionManager before = manager(IdStorage::plain);
  Session session = before.open({}).value();
  session.set("a", 1);
  session.set("code", "x", milliseconds(60'000));
  ASSERT_TRUE(before.commit(session));
  const SessionId id = *session.id();
  const std::string plain_key = "sid_" + id.secret();
  const std::string hashed_key = "sid_" + key_of(id, KeyForm::hashed).secret();
  const auto fields = probe->hash(plain_key);
  ASSERT_EQ(probe->integer({"PEXPIRE", plain_key, "1000000"}), 1);

  ASSERT_FALSE(manager(IdStorage::hashed).find(id).value()->is_new());
  EXPECT_EQ(probe->integer({"EXISTS", plain_key}), 0);
  EXPECT_EQ(probe->hash(hashed_key), fields);
  EXPECT_LE(probe->integer({"PTTL", hashed_key}), 1'000'000) << "moving renews nothing";
  EXPECT_GT(probe->integer({"PTTL", hashed_key}), 900'000);
}

TEST_F(RedisIdStorage, NobodyIsLoggedOutByARollout) { rollout().nobody_is_logged_out(); }
TEST_F(RedisIdStorage, NoUpdateIsLostInARollout) { rollout().no_update_is_lost(); }
TEST_F(RedisIdStorage, AnErasedSessionStaysGoneInARollout) {
  rollout().an_erased_session_stays_gone();
}
TEST_F(RedisIdStorage, ARegeneratedSessionHasOneWritableIdInARollout) {
  rollout().a_regenerated_session_has_one_writable_id();
}
TEST_F(RedisIdStorage, ARegenerationKeepsWhatOthersWroteInARollout) {
  rollout().a_regeneration_keeps_what_others_wrote();
}

}  // namespace
}  // namespace websession::testing
