// RedisStore on a real Redis: connecting, what a request costs, and secrets.
#include "websession/redis_store.hpp"

#include <gtest/gtest.h>
#include <netdb.h>

#include "redis_fixture.hpp"
#include "redis_store_impl.hpp"
#include "socket_transport.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

class RedisStoreTest : public RedisTest {
 protected:
  std::string at(const std::string& credentials, const std::string& path = "") {
    return "redis://" + credentials + "127.0.0.1:" + std::to_string(server->port()) + path;
  }
  void expect_works(const Result<StorePtr>& store) {
    ASSERT_TRUE(store) << store.error().message();
    const StoreKey key = fresh_key();
    const Fields some{{"@created", "1"}, {"a", "1"}};
    const Result<void> created = (*store)->create(key, some, minute);
    ASSERT_TRUE(created) << created.error().message();
    EXPECT_EQ((*store)->load(key).value()->fields, some);
  }
};

TEST_F(RedisStoreTest, ConnectsByTcpAndByUnixSocket) {
  expect_works(connect_redis(server->url(), patient()));
  expect_works(connect_redis(server->unix_url(), patient()));
  addrinfo* found = nullptr;  // a bare container knows no names, not even this one
  if (::getaddrinfo("localhost", nullptr, nullptr, &found) == 0) {
    ::freeaddrinfo(found);
    expect_works(connect_redis("redis://localhost:" + std::to_string(server->port()), patient()));
  }
}

TEST_F(RedisStoreTest, SelectsTheDatabase) {
  expect_works(connect_redis(at("", "/3"), patient()));
  EXPECT_TRUE(probe->keys("").empty());
  probe->text({"SELECT", "3"});
  EXPECT_EQ(probe->keys("").size(), 1U);
  expect_works(connect_redis(server->unix_url() + "?db=3", patient()));
  EXPECT_EQ(probe->keys("").size(), 2U);
  const auto none = connect_redis(at("", "/99"), patient());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::rejected);
  EXPECT_NE(none.error().detail.find("database 99"), std::string::npos) << none.error().detail;
}

TEST_F(RedisStoreTest, LogsInAsAnAclUser) {
  probe->text({"ACL", "SETUSER", "shop", "on", ">p@ss:w/rd", "~sid_*", "+@all"});
  expect_works(connect_redis(at("shop:p%40ss%3Aw%2Frd@"), patient()));
}

TEST_F(RedisStoreTest, AMissingRightSaysWhatToDo) {
  probe->text({"ACL", "SETUSER", "weak", "on", ">pw", "~sid_*", "+ping", "+hgetall", "+pttl"});
  const auto store = connect_redis(at("weak:pw@"), patient()).value();
  const Result<void> created = store->create(fresh_key(), fields(), minute);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::rejected);
  EXPECT_NE(created.error().detail.find("docs/operations.md"), std::string::npos);
}

// P5
TEST_F(RedisStoreTest, AWrongPasswordIsRejectedWithoutShowingIt) {
  probe->text({"ACL", "SETUSER", "shop", "on", ">right", "~*", "+@all"});
  for (const char* credentials : {"shop:wrong-secret@", "nobody:wrong-secret@"}) {
    const auto store = connect_redis(at(credentials), patient());
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::rejected) << store.error().message();
    EXPECT_EQ(store.error().message().find("secret"), std::string::npos);
  }
  const auto unneeded = connect_redis(at(":secret@"), patient());
  ASSERT_FALSE(unneeded);
  EXPECT_EQ(unneeded.error().code, Errc::rejected);
  EXPECT_NE(unneeded.error().detail.find("no password set"), std::string::npos);
  probe->text({"CONFIG", "SET", "requirepass", "hunter2"});
  const auto missing = connect_redis(server->url(), patient());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::rejected);
  EXPECT_NE(missing.error().detail.find("wants a password"), std::string::npos);
  expect_works(connect_redis(at(":hunter2@"), patient()));
}

TEST_F(RedisStoreTest, NamesItsConnection) {
  const auto store = connect();
  EXPECT_NE(probe->text({"CLIENT", "LIST"}).find("name=websession"), std::string::npos);
  RedisOptions options;
  options.client_name = "shop-1";
  const auto other = connect(options);
  EXPECT_NE(probe->text({"CLIENT", "LIST"}).find("name=shop-1"), std::string::npos);
}

TEST_F(RedisStoreTest, WrongOptionsAndUrlsAreRefused) {
  EXPECT_EQ(connect_redis("localhost:6379").error().code, Errc::invalid_argument);
  const auto refused = [&](const std::string& field, auto spoil) {
    RedisOptions options;
    spoil(options);
    const auto store = connect_redis(server->url(), options);
    ASSERT_FALSE(store) << field;
    EXPECT_EQ(store.error().code, Errc::invalid_argument);
    EXPECT_TRUE(store.error().detail.starts_with(field)) << store.error().detail;
  };
  refused("prefix", [](RedisOptions& o) { o.prefix = ""; });
  refused("connect_timeout", [](RedisOptions& o) { o.connect_timeout = milliseconds(0); });
  refused("operation_timeout", [](RedisOptions& o) { o.operation_timeout = milliseconds(-1); });
  refused("operation_timeout",
          [](RedisOptions& o) { o.operation_timeout = std::chrono::hours(1); });
  refused("pending_max", [](RedisOptions& o) { o.pending_max = 0; });
  refused("record_bytes_max", [](RedisOptions& o) { o.record_bytes_max = 1; });
  refused("client_name", [](RedisOptions& o) { o.client_name = "a b"; });
  refused("client_name", [](RedisOptions& o) { o.client_name = "a\r\nFLUSHALL"; });
}

TEST_F(RedisStoreTest, KnowsScriptsThatTheServerHasForgotten) {
  const auto store = connect();
  expect_works(store);
  probe->text({"SCRIPT", "FLUSH"});
  expect_works(store);
}

TEST_F(RedisStoreTest, AKeyOfAnotherTypeIsLeftAlone) {
  const auto store = connect();
  const StoreKey key = fresh_key();
  probe->text({"SET", redis_key(key), "x"});
  EXPECT_EQ(store->load(key).error().code, Errc::corrupt);
  EXPECT_EQ(store->update(key, {}, minute)->status, Outcome::Status::gone);
  EXPECT_EQ(store->erase(key).error().code, Errc::corrupt);
  EXPECT_EQ(store->create(key, fields(), minute).error().code, Errc::key_exists);
  EXPECT_EQ(probe->text({"GET", redis_key(key)}), "x");
}

// P6: what a request costs, as the server sees it.
TEST_F(RedisStoreTest, MonitorSeesOneRoundTripToLoadAndAtMostOneToCommit) {
  SessionOptions options;
  options.clock = clock;
  const SessionManager m = SessionManager::make(connect(), options).value();
  Session first = m.open({}).value();
  first.set("count", 1);
  ASSERT_TRUE(m.commit(first));
  const std::string cookie = "sid=" + first.id()->secret();

  RedisProbe monitor(*server);
  ASSERT_EQ(monitor.text({"MONITOR"}), "OK");
  // The commands between two ECHOs of the probe, those inside a script left out.
  int marks = 0;
  const auto commands_of = [&](const std::function<void()>& act) {
    act();
    const std::string mark = "mark" + std::to_string(++marks);
    probe->text({"ECHO", mark});
    std::vector<std::string> commands;
    while (true) {
      const std::string line = monitor.next_line();
      if (line.find(mark) != std::string::npos) return commands;
      if (line.find(" lua] ") != std::string::npos) continue;
      const std::size_t begin = line.find("] \"") + 3;
      commands.push_back(line.substr(begin, line.find('"', begin) - begin));
    }
  };
  using Commands = std::vector<std::string>;
  const auto request = [&](const std::function<void(Session&)>& handler) {
    return commands_of([&] {
      Session session = m.open({cookie, false}).value();
      handler(session);
      ASSERT_TRUE(m.commit(session));
    });
  };
  EXPECT_EQ(request([](Session&) {}), (Commands{"HGETALL", "PTTL"}));
  EXPECT_EQ(request([](Session& s) { s.set("a", 1); }), (Commands{"HGETALL", "PTTL", "EVALSHA"}));
  EXPECT_EQ(request([](Session& s) { (void)s.increment("count"); }),
            (Commands{"HGETALL", "PTTL", "EVALSHA"}));
  EXPECT_EQ(commands_of([&] {
              Session visitor = m.open({"other=1", false}).value();
              EXPECT_EQ(visitor.value("count", 0), 0);
              ASSERT_TRUE(m.commit(visitor));
            }),
            Commands{});
  EXPECT_EQ(commands_of([&] {
              (void)m.open({"sid=" + std::string(3000, 'x'), false});
            }),
            Commands{})
      << "P4: a malformed id never reaches the store";
}

// Counts the calls to a real transport.
class Spy final : public redis::Connector {
 public:
  explicit Spy(const RedisServer& server)
      : inner_(redis::make_socket_connector(
            {.host = "127.0.0.1", .port = std::to_string(server.port())})) {}

  Result<std::unique_ptr<redis::Transport>> connect(SteadyTime deadline) override {
    Result<std::unique_ptr<redis::Transport>> transport = inner_->connect(deadline);
    if (!transport) return transport;
    return std::unique_ptr<redis::Transport>(new Counted(*this, *std::move(transport)));
  }
  int writes = 0;
  int reads = 0;

 private:
  class Counted final : public redis::Transport {
   public:
    Counted(Spy& spy, std::unique_ptr<redis::Transport> inner)
        : spy_(spy), inner_(std::move(inner)) {}
    Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) override {
      ++spy_.writes;
      return inner_->write_some(bytes, deadline);
    }
    Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) override {
      ++spy_.reads;
      return inner_->read_some(buffer, deadline);
    }
    Result<std::size_t> read_ready(std::span<char> buffer) override {
      Result<std::size_t> received = inner_->read_ready(buffer);
      if (received && *received > 0) ++spy_.reads;
      return received;
    }
    [[nodiscard]] bool is_stale() const noexcept override { return inner_->is_stale(); }
    [[nodiscard]] bool has_ended() const noexcept override { return inner_->has_ended(); }
    void shut_down() noexcept override { inner_->shut_down(); }
    void disown() noexcept override { inner_->disown(); }

   private:
    Spy& spy_;
    std::unique_ptr<redis::Transport> inner_;
  };
  std::unique_ptr<redis::Connector> inner_;
};

TEST_F(RedisStoreTest, ARoundTripIsOneWriteAndOneRead) {
  const auto spy = std::make_shared<Spy>(*server);
  const auto store = redis::make_store([spy] { return spy; }, {}, {});
  const StoreKey key = fresh_key();
  ASSERT_TRUE(store->create(key, fields({{"n", "1"}}), minute));
  Changes changes;
  changes.set.push_back({"a", "1"});
  ASSERT_TRUE(store->update(key, changes, minute));
  const auto cost = [&](const auto& act) {
    const int writes = spy->writes;
    const int reads = spy->reads;
    act();
    return std::pair(spy->writes - writes, spy->reads - reads);
  };
  const std::pair once(1, 1);
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->load(key).has_value()); }), once);
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->update(key, changes, minute)); }), once);
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->update(key, {}, minute)); }), once);
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->create(fresh_key(), fields(), minute)); }), once);
  (void)store->rekey(fresh_key(), fresh_key(), {}, minute, {});  // the server learns the script
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->rekey(key, fresh_key(), {}, minute, {})); }), once);
  (void)store->erase(key);
  EXPECT_EQ(cost([&] { EXPECT_TRUE(store->erase(key).has_value()); }), once);
}

}  // namespace
}  // namespace websession::testing
