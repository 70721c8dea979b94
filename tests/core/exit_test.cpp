// The end of a process that is still serving.
#include <gtest/gtest.h>

#include <string>

#include "websession/websession.hpp"
#include "workers_at_exit.hpp"

namespace websession {
namespace {

testing::WorkersAtExit workers;

// A process of its own, whose main began after the static objects were made.
class ExitTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

SessionManager manager_of(std::shared_ptr<SessionStore> store, SessionOptions options = {}) {
  return SessionManager::make(std::move(store), std::move(options)).value();
}

KeyRing keys() { return KeyRing::make({std::string(32, 'k')}).value(); }

TEST_F(ExitTest, WorkersServeUntilAStaticObjectJoinsThem) {
  EXPECT_EXIT(workers.serve_and_exit(manager_of(std::make_shared<MemoryStore>())),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(ExitTest, WorkersSignHashAndEncryptUntilAStaticObjectJoinsThem) {
  const auto encrypted = [] {
    return EncryptedStore::make(std::make_shared<MemoryStore>(), {.keys = keys()}).value();
  };
  EXPECT_EXIT(workers.serve_and_exit(manager_of(
                  encrypted(), {.signing = {keys()}, .id_storage = IdStorage::hashed_only})),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace websession
