// A site with Express, express-session and connect-redis, and a service in C++, on the same
// sessions.
#include <gtest/gtest.h>
#include <httplib.h>

#include <string>
#include <thread>

#include "base64.hpp"
#include "digest.hpp"
#include "node_test.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

class ConnectRedis : public NodeTest {
 protected:
  ConnectRedis() : NodeTest("connect_redis.mjs") {}

  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    port = std::stoi(ready_line.substr(ready_line.find(' ') + 1));
    manager = SessionManager::make(RedisJsonStore::connect(server->url(), site_options()).value(),
                                   options())
                  .value();
  }

  // The same as the site gives to express-session.
  static RedisJsonOptions site_options() {
    RedisJsonOptions with_express;
    with_express.cookie.max_age = std::chrono::hours(1);
    with_express.cookie.same_site = SameSite::lax;
    with_express.redis.operation_timeout = patience;
    return with_express;
  }

  // A request of a visitor with this cookie (of the form name=value).
  json get(const std::string& path, const std::string& cookie) {
    httplib::Client client("127.0.0.1", port);
    const auto response = client.Get(path, {{"Cookie", cookie}});
    EXPECT_TRUE(response && response->status == 200) << path;
    return response ? json::parse(response->body) : json();
  }
  json post(const std::string& path, const std::string& cookie, const json& body = json::object()) {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(std::chrono::seconds(60));
    const auto response = client.Post(path, {{"Cookie", cookie}}, body.dump(), "application/json");
    EXPECT_TRUE(response && response->status == 200) << path;
    return response ? json::parse(response->body) : json();
  }
  struct Visitor {
    std::string cookie;
    SessionId id;
  };
  Visitor log_in(const json& attributes) {
    httplib::Client client("127.0.0.1", port);
    const auto response = client.Post("/login", attributes.dump(), "application/json");
    const std::string set_cookie = response->get_header_value("Set-Cookie");
    const std::string id = json::parse(response->body)["id"];
    return {set_cookie.substr(0, set_cookie.find(';')), SessionId::parse(id).value()};
  }
  json attributes_in_express(const std::string& cookie) {
    json attributes = get("/session", cookie)["attributes"];
    attributes.erase("__websession");  // a member like any other there
    return attributes;
  }

  // As express-session signs: "s:", the id, '.', base64 of the HMAC, percent-encoded.
  static std::string cookie_of(const SessionId& id) {
    const std::string signature = internal::encode_base64(
        internal::hmac_sha256(secret, id.secret()), internal::Base64::standard);
    std::string cookie = "connect.sid=s%3A" + id.secret() + ".";
    for (const char c : signature) {
      if (c == '+') {
        cookie += "%2B";
      } else if (c == '/') {
        cookie += "%2F";
      } else {
        cookie += c;
      }
    }
    return cookie;
  }
  [[nodiscard]] Session find(const SessionId& id) const {
    return manager->find(id).value().value();
  }
  std::string text_of(const SessionId& id) { return probe->text({"GET", "sess:" + id.secret()}); }
  // The cookie object to the byte.
  static std::string cookie_object(const std::string& text) {
    return text.substr(0, text.find('}') + 1);
  }
  void count_in_turn(const Visitor& visitor);

  static constexpr std::string_view secret = "a secret that both services know";
  int port = 0;
  std::optional<SessionManager> manager;
};

void ConnectRedis::count_in_turn(const Visitor& visitor) {
  for (int count = find(visitor.id).value("count", 0); count < 20;) {
    EXPECT_EQ(post("/count", visitor.cookie), ++count);
    EXPECT_EQ(find(visitor.id).increment("count").value(), ++count);
    EXPECT_EQ(post("/count", visitor.cookie), ++count);
    Session session = find(visitor.id);
    session.set("count", session.value("count", 0) + 1);
    EXPECT_EQ(manager->save(session).value(), Status::updated);
    ++count;
  }
  EXPECT_EQ(attributes_in_express(visitor.cookie)["count"], find(visitor.id).value("count", 0));
}

TEST_F(ConnectRedis, CppReadsAndChangesWhatExpressMade) {
  const json made = {{"user", "Ada"},         {"count", 0},
                     {"zip", "10115"},        {"flag", true},
                     {"yes", "true"},         {"empty", ""},
                     {"looks", R"({"a":1})"}, {"price", 1.5},
                     {"none", nullptr},       {"cart", {{{"sku", "A-1"}, {"count", 2}}}}};
  const Visitor visitor = log_in(made);
  const std::string before = text_of(visitor.id);

  Session session = find(visitor.id);
  EXPECT_EQ(session.value("user", ""), "Ada");
  EXPECT_EQ(session.get<int>("count").value(), 0);
  EXPECT_EQ(session.value("zip", ""), "10115");
  EXPECT_EQ(session.get<bool>("flag").value(), true);
  EXPECT_EQ(session.value("yes", ""), "true");
  EXPECT_EQ(session.get<std::string>("empty").value(), "");
  EXPECT_EQ(session.value("looks", ""), R"({"a":1})");
  EXPECT_EQ(session.get<double>("price").value(), 1.5);
  EXPECT_EQ(session.get<json>("cart").value(), made["cart"]);
  EXPECT_FALSE(session.contains("cookie"));

  session.set("zip", "00501");
  session.set("city", "Берлин \"Mitte\"\n");
  session.set("admin", false);
  session.remove("yes");
  ASSERT_EQ(manager->save(session).value(), Status::updated);
  json expected = made;
  expected["zip"] = "00501";
  expected["city"] = "Берлин \"Mitte\"\n";
  expected["admin"] = false;
  expected.erase("yes");
  EXPECT_EQ(attributes_in_express(visitor.cookie), expected);
  EXPECT_EQ(cookie_object(text_of(visitor.id)), cookie_object(before));
  count_in_turn(visitor);
}

TEST_F(ConnectRedis, ExpressAcceptsWhatCppMade) {
  const Session made = manager->create(Fields{{"user", "Grace"}, {"zip", "\"10115\""}}).value();
  const Visitor visitor{cookie_of(*made.id()), *made.id()};
  EXPECT_EQ(get("/session", visitor.cookie)["id"], made.id()->secret());
  EXPECT_EQ(attributes_in_express(visitor.cookie), (json{{"user", "Grace"}, {"zip", "10115"}}));

  post("/set", visitor.cookie, {{"city", "Arlington"}, {"list", {1, "2", nullptr}}});
  const Session seen = find(visitor.id);
  EXPECT_EQ(seen.value("city", ""), "Arlington");
  EXPECT_EQ(seen.get<json>("list").value(), (json{1, "2", nullptr}));
  EXPECT_EQ(seen.value("user", ""), "Grace");
  const json text = json::parse(text_of(visitor.id));
  EXPECT_EQ(text["cookie"]["originalMaxAge"], 3'600'000);
  EXPECT_EQ(text["cookie"]["sameSite"], "lax");
  EXPECT_TRUE(text["__websession"].contains("@created")) << "Express keeps it";
  count_in_turn(visitor);
}

TEST_F(ConnectRedis, OursIsKeptByExpress) {
  const Visitor visitor = log_in({{"user", "Ada"}});
  Session session = find(visitor.id);
  session.set("code", "123456", std::chrono::minutes(5));
  ASSERT_TRUE(manager->save(session));
  const json before = json::parse(text_of(visitor.id))["__websession"];
  EXPECT_TRUE(before["until"].contains("code"));
  post("/set", visitor.cookie, {{"a", 1}});
  EXPECT_EQ(json::parse(text_of(visitor.id))["__websession"], before);
}

// A request that changes nothing there leaves our text as it is: Express only renews.
TEST_F(ConnectRedis, ExpressRenewsWithoutWriting) {
  const Session made = manager->create(Fields{{"user", "Grace"}}).value();
  const std::string before = text_of(*made.id());
  probe->integer({"EXPIRE", "sess:" + made.id()->secret(), "100"});
  get("/session", cookie_of(*made.id()));
  EXPECT_EQ(text_of(*made.id()), before);
  EXPECT_GT(probe->integer({"TTL", "sess:" + made.id()->secret()}), 3500);
}

TEST_F(ConnectRedis, LoggingOutOnEitherSideEndsIt) {
  const Visitor first = log_in({{"user", "Ada"}});
  ASSERT_TRUE(manager->find(first.id).value().has_value());
  post("/logout", first.cookie);
  EXPECT_FALSE(manager->find(first.id).value().has_value());

  const Visitor second = log_in({{"user", "Ada"}});
  Session session = find(second.id);
  session.invalidate();
  EXPECT_EQ(manager->save(session).value(), Status::erased);
  EXPECT_EQ(attributes_in_express(second.cookie), json::object());
  EXPECT_NE(get("/session", second.cookie)["id"], second.id.secret());
}

TEST_F(ConnectRedis, ANewIdOfEitherSideIsKnownToTheOther) {
  const Visitor visitor = log_in({{"user", "Ada"}});
  Session session = find(visitor.id);
  session.set("admin", true);
  session.regenerate();
  ASSERT_EQ(manager->save(session).value(), Status::regenerated);
  EXPECT_EQ(attributes_in_express(cookie_of(*session.id())),
            (json{{"user", "Ada"}, {"admin", true}}));
  EXPECT_EQ(attributes_in_express(visitor.cookie), json::object()) << "unknown there at once";
  const Session old = find(visitor.id);
  EXPECT_EQ(old.value("user", ""), "Ada") << "readable here for the grace";
  EXPECT_FALSE(old.contains("admin"));
  EXPECT_EQ(old.value("admin", false), false);

  httplib::Client client("127.0.0.1", port);
  const auto response = client.Post("/login", {{"Cookie", cookie_of(*session.id())}},
                                    R"({"user":"Ada"})", "application/json");
  ASSERT_TRUE(response);
  EXPECT_FALSE(manager->find(*session.id()).value().has_value());
  const std::string id = json::parse(response->body)["id"];
  EXPECT_EQ(find(SessionId::parse(id).value()).value("user", ""), "Ada");
}

// What the header warns of: Express writes without looking.
TEST_F(ConnectRedis, ExpressOverwritesWhatChangesWhileItsRequestRuns) {
  const Visitor visitor = log_in({{"user", "Ada"}, {"count", 0}});
  std::jthread slow([&] { post("/hold", visitor.cookie, {{"step", 1}}); });
  EXPECT_EQ(node->read_line(), "held");
  EXPECT_EQ(find(visitor.id).increment("count").value(), 1);
  post("/release", "");
  slow.join();
  EXPECT_EQ(attributes_in_express(visitor.cookie),
            (json{{"user", "Ada"}, {"count", 0}, {"step", 1}}));

  std::jthread late([&] { post("/hold", visitor.cookie, {{"step", 2}}); });
  EXPECT_EQ(node->read_line(), "held");
  EXPECT_TRUE(manager->erase(visitor.id).value());
  post("/release", "");
  late.join();
  EXPECT_EQ(find(visitor.id).value("step", 0), 2) << "it has come back";
}

}  // namespace
}  // namespace websession::testing
