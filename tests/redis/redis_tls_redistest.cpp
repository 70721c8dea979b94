// The store over TLS: what works, whom it trusts, and what it says when it does not.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "certificates.hpp"
#include "endpoint.hpp"
#include "fork_support.hpp"
#include "random.hpp"
#include "redis_fixture.hpp"
#include "redis_store_impl.hpp"
#include "temporary_folder.hpp"
#include "wait_for.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;

// What a loaded machine may add to a deadline before a thread runs again.
constexpr milliseconds scheduling_margin{2000};

class RedisTlsTest : public RedisTest {
 protected:
  // Which versions the server speaks, and whether it asks for certificates.
  [[nodiscard]] virtual std::string protocols() const { return "TLSv1.2 TLSv1.3"; }
  [[nodiscard]] virtual std::string auth_clients() const { return "no"; }

  std::vector<std::string> server_options() override {
    return {"--tls-auth-clients", auth_clients(), "--tls-protocols", protocols()};
  }
  std::optional<RedisTls> server_tls() override { return files_of(identity); }

  [[nodiscard]] RedisTls files_of(const Identity& server_identity) const {
    return {server_identity.certificate_file, server_identity.key_file,
            authority.certificate_file()};
  }
  [[nodiscard]] RedisOptions trusting() const {
    RedisOptions options;
    options.tls.ca_file = authority.certificate_file();
    options.connect_timeout = std::chrono::seconds(20);
    options.operation_timeout = std::chrono::seconds(20);
    return options;
  }
  [[nodiscard]] std::string connections_so_far() {
    const std::string info = probe->text({"INFO", "stats"});
    const std::string name = "total_connections_received:";
    const std::size_t begin = info.find(name) + name.size();
    return info.substr(begin, info.find('\r', begin) - begin);
  }
  void expect_works(const Result<StorePtr>& store) {
    ASSERT_TRUE(store) << store.error().message();
    const StoreKey from = fresh_key();
    const StoreKey to = fresh_key();
    ASSERT_TRUE((*store)->create(from, {{"@created", "1"}, {"n", "1"}}, minute));
    Changes changes;
    changes.increment.push_back({"n", 1});
    ASSERT_TRUE((*store)->update(from, changes, minute));
    ASSERT_TRUE((*store)->rekey(from, to, {}, minute, {}));
    EXPECT_EQ((*store)->load(to).value()->fields.find("n"), "2");
    EXPECT_TRUE((*store)->erase(to).value());
  }
  static void expect_rejected(const Result<StorePtr>& store, const std::string& advice) {
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::rejected) << store.error().message();
    EXPECT_NE(store.error().detail.find(advice), std::string::npos) << store.error().detail;
  }

  Authority authority;
  Identity identity = authority.issue_for_localhost();
};

// Counts the attempts to connect.
class Attempts final : public redis::Connector {
 public:
  explicit Attempts(std::shared_ptr<redis::Connector> inner) : inner_(std::move(inner)) {}
  Result<std::unique_ptr<redis::Transport>> connect(SteadyTime deadline) override {
    ++count;
    return inner_->connect(deadline);
  }
  int count = 0;

 private:
  std::shared_ptr<redis::Connector> inner_;
};

class RedisOverTls : public RedisTlsTest {};

TEST_F(RedisOverTls, TakesTheUrlAndTheOptionsThatItNeeds) {
  expect_works(connect_redis(server->tls_url(), trusting()));
  expect_works(connect_redis(server->tls_url() + "/3", trusting()));
  RedisOptions by_name = trusting();
  by_name.tls.server_name = "localhost";
  expect_works(connect_redis(server->tls_url(), by_name));
  RedisOptions by_folder = trusting();
  by_folder.tls.ca_file.clear();
  by_folder.tls.ca_folder = authority.certificate_folder();
  expect_works(connect_redis(server->tls_url(), by_folder));
  probe->text({"CONFIG", "SET", "requirepass", "hunter2"});
  const std::string port = server->tls_url().substr(server->tls_url().rfind(':'));
  expect_works(connect_redis("rediss://:hunter2@127.0.0.1" + port, trusting()));
}

TEST_F(RedisOverTls, FilesThatHaveBeenReplacedAreReadOnRequest) {
  const TemporaryFolder folder("tls");
  const std::string ca_file = folder.path() + "/ca.crt";
  std::filesystem::copy_file(authority.certificate_file(), ca_file);
  RedisOptions options = trusting();
  options.tls.ca_file = ca_file;
  options.tls.reloader = std::make_shared<TlsReloader>();
  EXPECT_TRUE(options.tls.reloader->reload()) << "nothing to do yet";
  const auto store = connect_redis(server->tls_url(), options).value();
  const auto works = [&] { return store->load(fresh_key()).has_value(); };
  const auto disconnect = [&] {
    probe->integer({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  };

  Authority next;
  const Identity renewed = next.issue_for_localhost();
  ASSERT_EQ(probe->text({"CONFIG", "SET", "tls-cert-file", renewed.certificate_file, "tls-key-file",
                         renewed.key_file, "tls-ca-cert-file", next.certificate_file()}),
            "OK");
  EXPECT_TRUE(works()) << "a connection that is there goes on";
  std::filesystem::copy_file(next.certificate_file(), ca_file,
                             std::filesystem::copy_options::overwrite_existing);
  disconnect();
  EXPECT_FALSE(works()) << "nobody has asked for it";
  ASSERT_TRUE(options.tls.reloader->reload());
  wait_for("the new files", works);

  std::filesystem::remove(ca_file);
  const Result<void> failed = options.tls.reloader->reload();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::invalid_argument);
  EXPECT_NE(failed.error().detail.find("tls.ca_file"), std::string::npos);
  disconnect();
  wait_for("the files that it has", works);
}

// Tickets of TLS 1.3 come after the handshake, unasked.
TEST_F(RedisOverTls, KeepsItsConnection) {
  const auto store = connect_redis(server->tls_url(), trusting());
  const std::string before = connections_so_far();
  for (int i = 0; i < 10; ++i) expect_works(store);
  EXPECT_EQ(connections_so_far(), before);
}

// Everybody's values are their own, small ones and those of many records.
TEST_F(RedisOverTls, ManyThreadsShareIt) {
  const auto store = connect_redis(server->tls_url(), trusting()).value();
  const std::string pattern = Random().bytes(1024);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      const StoreKey key = fresh_key();
      std::string value;
      for (int i = 0; i < 20; ++i) {
        value.clear();
        const std::size_t size = i % 4 == 0 ? 100'000 : 10;
        while (value.size() < size) value += std::to_string(t) + pattern;
        Changes changes;
        changes.set.push_back({"v", value});
        if (i == 0) {
          ASSERT_TRUE(store->create(key, {{"@created", "1"}, {"v", value}}, minute));
        } else {
          const auto updated = store->update(key, changes, minute);
          ASSERT_TRUE(updated) << updated.error().message();
        }
        const auto loaded = store->load(key);
        ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
        ASSERT_TRUE((*loaded)->fields.find("v") == value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(RedisOverTls, AServerThatCannotProveWhoItIsIsRejectedAtOnce) {
  RedisOptions stranger = trusting();
  stranger.tls.ca_file.clear();  // the system's CAs
  expect_rejected(connect_redis(server->tls_url(), stranger), "tls.ca_file");
  RedisOptions elsewhere = trusting();
  elsewhere.tls.server_name = "redis.example";
  expect_rejected(connect_redis(server->tls_url(), elsewhere), "\"redis.example\"");

  const auto attempts = std::make_shared<Attempts>(
      redis::make_connector(redis::make_endpoint(server->tls_url(), elsewhere, "p", {}).value())());
  const auto store = redis::make_store([attempts] { return attempts; }, {}, trusting());
  const Result<void> created = store->create(fresh_key(), fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected);
  EXPECT_FALSE(created.error().maybe_applied);
  EXPECT_EQ(attempts->count, 1) << "trying again would not help";

  stranger.tls.verify_peer = false;
  expect_works(connect_redis(server->tls_url(), stranger));
}

TEST_F(RedisOverTls, AnExpiredCertificateIsRejected) {
  const RedisServer expired(
      server_options(), files_of(authority.issue(
                            {{"IP:127.0.0.1"}, -std::chrono::hours(2), -std::chrono::hours(1)})));
  expect_rejected(connect_redis(expired.tls_url(), trusting()), "has expired");
}

TEST_F(RedisOverTls, PlainTextToThePortForTlsSaysWhatToDo) {
  std::string url = server->tls_url();
  url.erase(url.find("ss:") + 1, 1);
  for (int i = 0; i < 10; ++i) {
    const auto store = connect_redis(url);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::unavailable) << store.error().message();
    EXPECT_NE(store.error().detail.find("use rediss://"), std::string::npos)
        << store.error().detail;
  }
}

// A plain Redis answers to what it takes for a command, or waits for the end of the line.
TEST_F(RedisOverTls, TlsToAPlainPortSaysWhatToDoByTheDeadline) {
  std::string url = server->url();
  url.insert(url.find(':'), "s");
  for (int i = 0; i < 10; ++i) {
    RedisOptions options = trusting();
    options.connect_timeout = milliseconds(100);
    const auto start = SteadyClock::now();
    const auto store = connect_redis(url, options);
    EXPECT_LT(SteadyClock::now() - start, options.connect_timeout + scheduling_margin) << "P7";
    ASSERT_FALSE(store);
    EXPECT_TRUE(store.error().code == Errc::rejected || store.error().code == Errc::timeout)
        << store.error().message();
    EXPECT_NE(store.error().detail.find("use redis://"), std::string::npos) << store.error().detail;
  }
}

TEST_F(RedisOverTls, ARestartGoesUnnoticed) {
  const auto store = connect_redis(server->tls_url(), trusting()).value();
  for (int i = 0; i < 3; ++i) {
    const Result<void> created = store->create(fresh_key(), fields(), minute);
    ASSERT_TRUE(created) << created.error().message();
    server->stop();
    server->start();
  }
}

// P7, P8
TEST_F(RedisOverTls, AServerThatStallsCostsTheDeadline) {
  RedisOptions options = trusting();
  options.operation_timeout = milliseconds(100);
  const auto store = connect_redis(server->tls_url(), options).value();
  const StoreKey key = fresh_key();
  server->pause();
  const auto start = SteadyClock::now();
  const Result<void> created = store->create(key, fields(), minute);
  EXPECT_LT(SteadyClock::now() - start, options.operation_timeout + scheduling_margin);
  server->resume();
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::timeout);
  EXPECT_TRUE(created.error().maybe_applied);
}

// The parent's connection lives on, unharmed by what its children do and how they end.
TEST_F(RedisOverTls, AChildOfAForkConnectsAnew) {
  if (!child_may_allocate) GTEST_SKIP() << child_may_hang;
  RedisOptions options = trusting();
  options.connections = 1;
  const auto store = connect_redis(server->tls_url(), options).value();
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "0"}}), minute));
  const std::string before = connections_so_far();
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!done) EXPECT_TRUE(store->load(key).has_value());
    });
  }
  Changes changes;
  changes.increment.push_back({"n", 1});
  for (int i = 1; i <= 5; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::alarm(60);  // a child that hangs dies
      const auto updated = store->update(key, changes, minute);
      const auto loaded = store->load(key);
      ::_exit(updated.has_value() && loaded.has_value() && loaded->has_value() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the child failed";
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->load(key).value()->fields.find("n"), "5");
  EXPECT_EQ(std::stoi(connections_so_far()), std::stoi(before) + 5) << "one for each child";
}

class RedisTlsVersions : public RedisTlsTest, public ::testing::WithParamInterface<const char*> {
  [[nodiscard]] std::string protocols() const override { return GetParam(); }
  [[nodiscard]] std::string auth_clients() const override { return "yes"; }
};

INSTANTIATE_TEST_SUITE_P(Version, RedisTlsVersions, ::testing::Values("TLSv1.2", "TLSv1.3"),
                         [](const auto& tested) {
                           return std::string(tested.param) == "TLSv1.2" ? "Tls12" : "Tls13";
                         });

TEST_P(RedisTlsVersions, AClientProvesWhoItIs) {
  const auto with = [&](const Identity& client) {
    RedisOptions options = trusting();
    options.tls.certificate_file = client.certificate_file;
    options.tls.key_file = client.key_file;
    return options;
  };
  expect_works(connect_redis(server->tls_url(), with(authority.issue({}))));
  Authority stranger;
  const Identity unknown = stranger.issue({});
  const Identity expired = authority.issue({{}, -std::chrono::hours(2), -std::chrono::hours(1)});
  // Some of these are heard of only after the handshake, while the first bytes are on their way.
  for (int i = 0; i < 20; ++i) {
    expect_rejected(connect_redis(server->tls_url(), trusting()), "tls.certificate_file");
    for (const Identity& wrong : {unknown, expired}) {
      expect_rejected(connect_redis(server->tls_url(), with(wrong)),
                      "refused the client certificate");
    }
  }
}

}  // namespace
}  // namespace websession::testing
