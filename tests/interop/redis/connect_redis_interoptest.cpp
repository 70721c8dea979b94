// A site with Express, express-session and connect-redis, and a service in C++, on the same
// sessions.
#include <gtest/gtest.h>
#include <httplib.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "node_test.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/signed_cookie.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

class ConnectRedis : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    port = std::stoi(ready_line.substr(ready_line.find(' ') + 1));
    SessionOptions as_the_site = options();
    as_the_site.cookie.name = cookie_name;
    as_the_site.signing = signing();
    manager = SessionManager::make(RedisJsonStore::connect(server->url(), site_options()).value(),
                                   as_the_site)
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

  // A new one for each request, as some are held up while others run. Node may be slow on a loaded
  // machine.
  [[nodiscard]] httplib::Client site() const {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(std::chrono::seconds(60));
    return client;
  }
  // A request of a visitor with this cookie (of the form name=value).
  json get(const std::string& path, const std::string& cookie) {
    const auto response = site().Get(path, {{"Cookie", cookie}});
    EXPECT_TRUE(response && response->status == 200) << path;
    return response ? json::parse(response->body) : json();
  }
  json post(const std::string& path, const std::string& cookie, const json& body = json::object()) {
    const auto response = site().Post(path, {{"Cookie", cookie}}, body.dump(), "application/json");
    EXPECT_TRUE(response && response->status == 200) << path;
    return response ? json::parse(response->body) : json();
  }
  struct Visitor {
    std::string cookie;
    SessionId id;
  };
  Visitor log_in(const json& attributes) {
    const auto response = site().Post("/login", attributes.dump(), "application/json");
    if (!response) throw std::runtime_error("the site does not answer");
    const std::string set_cookie = response->get_header_value("Set-Cookie");
    const std::string id = json::parse(response->body)["id"];
    return {set_cookie.substr(0, set_cookie.find(';')), SessionId::parse(id).value()};
  }
  json attributes_in_express(const std::string& cookie) {
    json attributes = get("/session", cookie)["attributes"];
    attributes.erase("__websession");  // a member like any other there
    return attributes;
  }

  // Express signs with the secret that it is given, whatever its length.
  static CookieSigning signing() {
    return {KeyRing::make({"a secret that both services know"}, 1).value(), CookieFormat::express};
  }
  static std::string cookie_of(const SessionId& id) {
    return cookie_name + "=" + CookieSigner::make(cookie_name, signing()).value().sign(id);
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

  static inline const std::string cookie_name = "connect.sid";
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

// By the visitor's cookie alone, as a site that moves to C++ does it.
TEST_F(ConnectRedis, OneCookieServesBoth) {
  const Visitor visitor = log_in({{"user", "Ada"}});
  Session session = manager->open({visitor.cookie}).value();
  ASSERT_FALSE(session.is_new());
  EXPECT_EQ(session.value("user", ""), "Ada");
  session.set("step", 1);
  const Commit commit = manager->commit(session).value();
  EXPECT_EQ(commit.status, Status::updated);
  EXPECT_EQ(get("/session", visitor.cookie)["id"], visitor.id.secret());
  EXPECT_EQ(attributes_in_express(visitor.cookie), (json{{"user", "Ada"}, {"step", 1}}));

  Session fresh = manager->open({}).value();
  fresh.set("user", "Grace");
  const std::string set_cookie = manager->commit(fresh)->headers.at(0).value;
  const std::string cookie = set_cookie.substr(0, set_cookie.find(';'));
  EXPECT_EQ(get("/session", cookie)["id"], fresh.id()->secret());
  post("/set", cookie, {{"step", 2}});
  EXPECT_EQ(manager->open({cookie})->value("step", 0), 2);
}

// `@user` stays with the session whoever writes to it, and is no attribute in Express.
TEST_F(ConnectRedis, ASignInHereOutlivesWritesThere) {
  const Visitor visitor = log_in({{"cart", 1}});
  Session session = manager->open({visitor.cookie}).value();
  session.sign_in("ada", "Firefox");
  ASSERT_EQ(manager->commit(session)->status, Status::regenerated);
  const std::string cookie = cookie_of(*session.id());
  EXPECT_EQ(attributes_in_express(visitor.cookie), json::object()) << "the old id is unknown";
  post("/set", cookie, {{"cart", 2}});
  const Session again = manager->open({cookie}).value();
  EXPECT_EQ(again.principal(), "ada");
  EXPECT_EQ(again.value("cart", 0), 2);
  EXPECT_EQ(attributes_in_express(cookie), (json{{"cart", 2}}));
  post("/logout", cookie);
  EXPECT_FALSE(manager->open({cookie})->principal().has_value());
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

  const auto response = site().Post("/login", {{"Cookie", cookie_of(*session.id())}},
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
  EXPECT_FALSE(manager->find(visitor.id).value()) << "its mark counts, for ten seconds";
  probe->text({"DEL", "frozen:sess:" + visitor.id.secret()});
  EXPECT_EQ(find(visitor.id).value("step", 0), 2) << "then it has come back";
}

}  // namespace
}  // namespace websession::testing
