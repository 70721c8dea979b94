// The end of a process that is still serving from Redis.
#include <gtest/gtest.h>

#include "certificates.hpp"
#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"
#include "workers_at_exit.hpp"

namespace websession::testing {
namespace {

WorkersAtExit workers;

// A process of its own, whose main began after the static objects were made.
class ExitRedisTest : public RedisTest {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    RedisTest::SetUp();
  }
  std::vector<std::string> server_options() override { return {"--tls-auth-clients", "no"}; }
  std::optional<RedisTls> server_tls() override {
    return RedisTls{identity.certificate_file, identity.key_file, authority.certificate_file()};
  }

  [[nodiscard]] static SessionManager manager_of(const std::string& url, TlsOptions tls = {}) {
    RedisOptions options;
    options.tls = std::move(tls);
    options.connect_timeout = std::chrono::seconds(20);
    options.operation_timeout = std::chrono::seconds(20);
    return SessionManager::make(RedisStore::connect_later(url, options).value()).value();
  }

  Authority authority;
  Identity identity = authority.issue_for_localhost();
};

TEST_F(ExitRedisTest, WorkersServeUntilAStaticObjectJoinsThem) {
  EXPECT_EXIT(workers.serve_and_exit(manager_of(server->url())), ::testing::ExitedWithCode(0), "");
}

TEST_F(ExitRedisTest, WorkersSpeakTlsUntilAStaticObjectJoinsThem) {
  const TlsOptions tls{.ca_file = authority.certificate_file()};
  EXPECT_EXIT(workers.serve_and_exit(manager_of(server->tls_url(), tls)),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace websession::testing
