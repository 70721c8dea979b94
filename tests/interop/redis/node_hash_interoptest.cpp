// A service in Node that keeps plain hashes, and one in C++, on the same sessions.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "node_test.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

class NodeHash : public NodeTest {
 protected:
  json ask(const json& command) {
    node->write_line(command.dump());
    return json::parse(node->read_line());
  }
  json node_get(const SessionId& id) { return ask({{"command", "get"}, {"id", id.secret()}}); }
  void node_set(const SessionId& id, const json& attributes) {
    ask({{"command", "set"}, {"id", id.secret()}, {"attributes", attributes}});
  }
  int node_count(const SessionId& id) {
    return ask({{"command", "count"}, {"id", id.secret()}}).get<int>();
  }
  SessionId node_create(const json& attributes) {
    const json id = ask({{"command", "create"}, {"attributes", attributes}});
    return SessionId::parse(id.get<std::string>()).value();
  }

  SessionManager manager(bool adopts) {
    RedisOptions redis;
    redis.adopt_foreign_hashes = adopts;
    redis.operation_timeout = patience;
    return SessionManager::make(RedisStore::connect(server->url(), redis).value(), options())
        .value();
  }
  static Session find(const SessionManager& m, const SessionId& id) {
    return m.find(id).value().value();
  }
  // Each adds to the count in turn.
  void count_in_turn(const SessionManager& m, const SessionId& id, int start);
};

void NodeHash::count_in_turn(const SessionManager& m, const SessionId& id, int start) {
  for (int count = start; count < start + 20;) {
    EXPECT_EQ(node_count(id), ++count);
    EXPECT_EQ(find(m, id).increment("count").value(), ++count);
    EXPECT_EQ(node_count(id), ++count);
    Session session = find(m, id);  // read, add, write, as Node does
    EXPECT_EQ(session.value("count", 0), count);
    session.set("count", ++count);
    EXPECT_EQ(m.save(session).value(), Commit::Status::updated);
  }
  EXPECT_EQ(node_get(id)["count"], std::to_string(start + 20));
}

// What holds whether the C++ service adopts foreign hashes or not.
class NodeHashEitherWay : public NodeHash, public ::testing::WithParamInterface<bool> {};

TEST_P(NodeHashEitherWay, BothCountInTurn) {
  const SessionManager m = manager(GetParam());
  const Session made = m.create().value();
  count_in_turn(m, *made.id(), 0);
}

TEST_P(NodeHashEitherWay, NodeSeesWhatCppWrote) {
  const SessionManager m = manager(GetParam());
  Session session = m.create().value();
  session.set("count", 42);
  session.set("negative", -7);
  session.set("price", 1.5);
  session.set("name", "Ada Lovelace, comtesse d'été");
  session.set("flag", true);
  session.set("empty", "");
  session.set("cart", json{{"sku", 1}});
  // Strings that read as something else: quoted, unless stored as plain text.
  session.set("zip", "10115");
  session.set("plain_zip", Text{"10115"});
  session.set("yes", "true");
  session.set("looks", R"({"a":1})");
  session.set("plain_looks", Text{R"({"a":1})"});
  ASSERT_TRUE(m.save(session));
  json seen = node_get(*session.id());
  EXPECT_TRUE(seen.erase("@created"));
  EXPECT_EQ(seen, (json{{"count", "42"},
                        {"negative", "-7"},
                        {"price", "1.5"},
                        {"name", "Ada Lovelace, comtesse d'été"},
                        {"flag", "true"},
                        {"empty", ""},
                        {"cart", R"({"sku":1})"},
                        {"zip", "\"10115\""},
                        {"plain_zip", "10115"},
                        {"yes", "\"true\""},
                        {"looks", R"("{\"a\":1}")"},
                        {"plain_looks", R"({"a":1})"}}));
}

TEST_P(NodeHashEitherWay, CppSeesWhatNodeWrote) {
  const SessionManager m = manager(GetParam());
  const Session made = m.create(Fields{{"gone", "1"}}).value();
  const SessionId& id = *made.id();
  node_set(id, {{"count", "42"},
                {"price", "1.5"},
                {"name", "Ada Lovelace, comtesse d'été"},
                {"zip", "10115"},
                {"flag", "true"},
                {"empty", ""},
                {"looks", R"({"a":1})"}});
  ask({{"command", "remove"}, {"id", id.secret()}, {"name", "gone"}});

  Session session = find(m, id);
  EXPECT_EQ(session.get<int>("count").value(), 42);
  EXPECT_EQ(session.get<double>("price").value(), 1.5);
  EXPECT_EQ(session.value("name", ""), "Ada Lovelace, comtesse d'été");
  EXPECT_EQ(session.value("zip", ""), "10115");
  EXPECT_EQ(session.get<bool>("flag").value(), true);
  EXPECT_EQ(session.value("flag", ""), "true");
  EXPECT_EQ(session.get<std::string>("empty").value(), "");
  EXPECT_EQ(session.value("looks", ""), R"({"a":1})");
  EXPECT_EQ(session.get<json>("looks").value(), (json{{"a", 1}}));
  EXPECT_FALSE(session.contains("gone"));

  EXPECT_TRUE(session.compare_and_set("zip", "10115", "10117").value()) << "either form matches";
  EXPECT_TRUE(session.consume("looks", R"({"a":1})").value());
  const json seen = node_get(id);
  EXPECT_EQ(seen["zip"], "\"10117\"");
  EXPECT_FALSE(seen.contains("looks"));
  EXPECT_EQ(seen["flag"], "true") << "what nobody changed stays as Node wrote it";
}

INSTANTIATE_TEST_SUITE_P(Adopting, NodeHashEitherWay, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "on" : "off"; });

const json attributes_of_node = {{"count", "0"}, {"zip", "10115"},  {"flag", "true"},
                                 {"empty", ""},  {"name", "Grace"}, {"looks", R"({"a":1})"}};

TEST_F(NodeHash, WithoutAdoptingItsHashesAreNoSessions) {
  const SessionManager m = manager(false);
  const SessionId id = node_create(attributes_of_node);
  EXPECT_FALSE(m.find(id).value().has_value());
  Session fresh = m.open({"sid=" + id.secret()}).value();
  EXPECT_TRUE(fresh.is_new());
  fresh.set("count", 1);
  ASSERT_EQ(m.commit(fresh)->status, Commit::Status::created);
  EXPECT_NE(*fresh.id(), id);
  EXPECT_FALSE(m.erase(id).value());
  EXPECT_EQ(node_get(id), attributes_of_node) << "it is left alone";
}

TEST_F(NodeHash, WithAdoptingItsHashesAreSessions) {
  const SessionManager m = manager(true);
  const SessionId id = node_create(attributes_of_node);
  const std::string key = "sid_" + id.secret();
  EXPECT_LE(probe->integer({"TTL", key}), 900);
  Session session = m.open({"sid=" + id.secret()}).value();
  ASSERT_FALSE(session.is_new());
  EXPECT_EQ(session.names(),
            (std::vector<std::string>{"count", "empty", "flag", "looks", "name", "zip"}));
  EXPECT_EQ(session.value("zip", ""), "10115");
  EXPECT_EQ(m.commit(session)->status, Commit::Status::renewed);
  EXPECT_GT(probe->integer({"TTL", key}), 900) << "by the timeouts of the C++ service from now on";

  json seen = node_get(id);
  EXPECT_TRUE(seen.erase("@created"));
  EXPECT_EQ(seen, attributes_of_node);
  count_in_turn(m, id, 0);
  EXPECT_TRUE(m.erase(id).value());
  EXPECT_EQ(probe->text({"TYPE", key}), "string") << "a mark, which Node cannot write to";
}

}  // namespace
}  // namespace websession::testing
