// The part that all adapters share, over a response without a framework.
#include "websession/adapters/with_session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <vector>

#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::adapters {
namespace {

using websession::testing::FaultStore;

struct FakeRequest {
  std::map<std::string, std::string> headers;
};
struct FakeResponse {
  std::vector<Header> headers;
};

struct FakeExchange {
  AdapterOptions<FakeRequest, FakeResponse> options{};
  FakeRequest request{};
  bool tls = false;
  bool is_passive = false;
  std::vector<Header> headers{};
  std::vector<Error> errors{};
  int gone = 0;

  std::string header(const char* name, const char*) { return request.headers[name]; }
  [[nodiscard]] bool https() const { return tls; }
  [[nodiscard]] bool passive() const { return is_passive; }
  void put(const Header& header) { headers.push_back(header); }
  [[nodiscard]] bool sends_cookie() const { return sends("Set-Cookie", Header::Mode::append); }
  [[nodiscard]] bool tells_caches() const { return sends("Vary", Header::Mode::merge); }
  [[nodiscard]] bool sends(const std::string& name, Header::Mode mode) const {
    return std::any_of(headers.begin(), headers.end(), [&](const Header& header) {
      return header.name == name && header.mode == mode;
    });
  }
  void fail(const Error& error) { errors.push_back(error); }
  void session_gone() { ++gone; }
};

class WithSession : public ::testing::Test {
 protected:
  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  std::shared_ptr<FaultStore> store = std::make_shared<FaultStore>(memory);
  SessionManager manager = SessionManager::make(store).value();
  FakeExchange exchange;

  std::string stored() {
    with_session(manager, exchange, [](Session& session) { session.set("a", 1); });
    const std::string header = exchange.headers.at(0).value;
    exchange = {};
    exchange.request.headers["Cookie"] = header.substr(0, header.find(';'));
    return exchange.request.headers["Cookie"];
  }
};

TEST_F(WithSession, OpensBeforeAndCommitsAfter) {
  stored();
  with_session(manager, exchange, [](Session& session) {
    EXPECT_EQ(session.value("a", 0), 1);
    session.set("a", 2);
  });
  EXPECT_TRUE(exchange.errors.empty());
  with_session(manager, exchange, [](Session& session) { EXPECT_EQ(session.value("a", 0), 2); });
}

TEST_F(WithSession, AHandlerThatThrowsCommitsNothing) {
  stored();
  EXPECT_THROW(with_session(manager, exchange,
                            [](Session& session) {
                              session.set("a", 2);
                              throw std::runtime_error("handler");
                            }),
               std::runtime_error);
  EXPECT_FALSE(exchange.sends_cookie());
  EXPECT_TRUE(exchange.tells_caches()) << "the response may show what the session holds";
  with_session(manager, exchange, [](Session& session) { EXPECT_EQ(session.value("a", 0), 1); });
}

// P9: for every call of the request that can fail.
TEST_F(WithSession, AnOutageFailsTheResponse) {
  stored();
  for (std::size_t n = 1; n <= 2; ++n) {
    exchange.errors.clear();
    store->fail_call(n, make_error(Errc::unavailable, "down"));
    int handled = 0;
    with_session(manager, exchange, [&](Session& session) {
      ++handled;
      session.set("n", n);
    });
    EXPECT_EQ(handled, n == 1 ? 0 : 1);
    ASSERT_EQ(exchange.errors.size(), 1U);
    EXPECT_EQ(http_status(exchange.errors[0]), 503);
    EXPECT_FALSE(exchange.sends_cookie());
  }
}

// What Result::value() throws in a handler is an error of the session, and no bug of the handler's.
TEST_F(WithSession, WhatValueThrowsIsAnsweredLikeAnErrorOfTheCommit) {
  for (const Errc code : {Errc::unavailable, Errc::timeout, Errc::overloaded, Errc::rejected}) {
    exchange = {};
    stored();
    store->fail_call(2, make_error(code, "down"));
    with_session(manager, exchange, [](Session& session) {
      session.set("a", 2);
      (void)session.increment("views").value();
    });
    ASSERT_EQ(exchange.errors.size(), 1U);
    EXPECT_EQ(exchange.errors[0].code, code);
    EXPECT_EQ(http_status(exchange.errors[0]), 503);
    EXPECT_FALSE(exchange.sends_cookie());
    store->recover();
    with_session(manager, exchange, [](Session& session) {
      EXPECT_EQ(session.value("a", 0), 1) << "nothing is committed";
    });
  }
}

// Whoever clicks on log out is logged out, whatever else the handler meets.
TEST_F(WithSession, LoggingOutHappensWhateverTheHandlerThrows) {
  stored();
  with_session(manager, exchange, [](Session& session) {
    session.sign_out();
    throw Exception(make_error(Errc::timeout, "the handler's own store"));
  });
  ASSERT_EQ(exchange.errors.size(), 1U);
  EXPECT_EQ(http_status(exchange.errors[0]), 503);
  EXPECT_TRUE(exchange.sends_cookie()) << "the one that deletes it";
  EXPECT_EQ(memory->size(), 0U);

  exchange = {};
  stored();
  const auto throws = [](Session& session) {
    session.invalidate();
    throw std::runtime_error("handler");
  };
  EXPECT_THROW(with_session(manager, exchange, throws), std::runtime_error);
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(WithSession, AFailedCommitThatHasEndedTheSessionDeletesTheCookie) {
  stored();
  with_session(manager, exchange, [](Session& session) {
    session.set("too_much", std::string(70'000, 'x'));
    session.sign_out();
  });
  ASSERT_EQ(exchange.errors.size(), 1U);
  EXPECT_TRUE(exchange.sends_cookie());
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(WithSession, AHandlerThatThrowsGoneIsNoInternalError) {
  stored();
  with_session(manager, exchange, [&](Session& session) {
    ASSERT_TRUE(manager.erase(*session.id()).value());
    (void)session.increment("views").value();
  });
  ASSERT_EQ(exchange.errors.size(), 1U);
  EXPECT_EQ(exchange.errors[0].code, Errc::gone);
  EXPECT_EQ(http_status(exchange.errors[0]), 409);
  EXPECT_FALSE(exchange.sends_cookie());
  EXPECT_EQ(memory->size(), 0U);
}

// P9: where the application prefers pages without the session to none at all.
TEST_F(WithSession, ADegradedResponseSendsNoCookieAndOneThatWritesFails) {
  SessionOptions options;
  options.on_outage = Outage::anonymous;
  manager = SessionManager::make(store, options).value();
  stored();
  store->fail_all(make_error(Errc::timeout, "late"));
  with_session(manager, exchange, [](Session& session) {
    EXPECT_TRUE(session.degraded());
    EXPECT_EQ(session.value("a", 0), 0);
  });
  EXPECT_TRUE(exchange.errors.empty());
  EXPECT_FALSE(exchange.sends_cookie());
  with_session(manager, exchange, [](Session& session) { session.invalidate(); });
  ASSERT_EQ(exchange.errors.size(), 1U);
  EXPECT_EQ(http_status(exchange.errors[0]), 503);
  EXPECT_FALSE(exchange.sends_cookie());
  store->recover();
  with_session(manager, exchange, [](Session& session) { EXPECT_EQ(session.value("a", 0), 1); });
}

// What a streamed body needs of the session: a Session& would dangle by then.
TEST_F(WithSession, ASnapshotOutlivesTheHandler) {
  stored();
  std::function<std::string()> later;
  with_session(manager, exchange, [&](Session& session) {
    session.set("name", "Ada");
    session.set("tags", std::vector<int>{1, 2});
    session.remove("a");
    session.sign_in("ada");
    later = [snapshot = session.snapshot()] {
      EXPECT_EQ(snapshot.get<std::vector<int>>("tags").value(), (std::vector<int>{1, 2}));
      EXPECT_EQ(snapshot.get<int>("none").value(), std::nullopt);
      EXPECT_FALSE(snapshot.get<int>("name").has_value());
      EXPECT_FALSE(snapshot.get<bool>("name").has_value());
      EXPECT_FALSE(snapshot.contains("a"));
      EXPECT_EQ(snapshot.value("name", 7), 7);
      EXPECT_EQ(snapshot.attributes().size(), 2U);
      return snapshot.value("name", "Stranger") + "/" + *snapshot.principal();
    };
    session.set("name", "Bob");
  });
  EXPECT_EQ(later(), "Ada/ada");
}

TEST_F(WithSession, GoneSendsNoCookie) {
  stored();
  with_session(manager, exchange, [&](Session& session) {
    ASSERT_TRUE(manager.erase(*session.id()).value());
    session.set("a", 2);
  });
  EXPECT_EQ(exchange.gone, 1);
  EXPECT_FALSE(exchange.sends_cookie());
  EXPECT_EQ(memory->size(), 0U);
}

// However the response comes about, a cache must not give it to somebody else.
TEST_F(WithSession, EveryResponseSaysThatItDependsOnTheCookie) {
  using Mode = Header::Mode;
  const auto expect_private = [&](const char* what) {
    EXPECT_TRUE(exchange.sends("Vary", Mode::merge)) << what;
    EXPECT_TRUE(exchange.sends("Cache-Control", Mode::unless_set)) << what;
    const std::string cookie = exchange.request.headers["Cookie"];
    exchange = {};
    exchange.request.headers["Cookie"] = cookie;
  };
  const auto idle = [](Session&) {};
  stored();
  with_session(manager, exchange, idle);
  expect_private("a session");
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  with_session(manager, exchange, idle);
  expect_private("open failed");
  store->fail_call(2, make_error(Errc::unavailable, "down"));
  with_session(manager, exchange, [](Session& session) { session.set("a", 2); });
  expect_private("commit failed");
  store->fail_call(2, make_error(Errc::unavailable, "down"));
  with_session(manager, exchange, [](Session& session) { (void)session.increment("n").value(); });
  expect_private("the handler threw");
  with_session(manager, exchange, [&](Session& session) {
    ASSERT_TRUE(manager.erase(*session.id()).value());
    session.set("a", 2);
  });
  expect_private("gone");
  with_session(manager, exchange, idle);
  expect_private("not found");

  exchange = {};
  with_session(manager, exchange, idle);
  EXPECT_TRUE(exchange.sends("Vary", Mode::merge)) << "a visitor without a cookie";
  EXPECT_FALSE(exchange.sends("Cache-Control", Mode::unless_set)) << "all who have none see it";
}

TEST_F(WithSession, ForwardedProtoCountsOnlyWhenTrusted) {
  const auto is_secure = [&](bool trust, bool tls, const std::string& header) {
    exchange = {};
    exchange.options.trust_forwarded_proto = trust;
    exchange.tls = tls;
    if (!header.empty()) exchange.request.headers["X-Forwarded-Proto"] = header;
    with_session(manager, exchange, [](Session& session) { session.set("a", 1); });
    return exchange.headers.at(0).value.find("; Secure") != std::string::npos;
  };
  EXPECT_FALSE(is_secure(false, false, "https"));
  EXPECT_TRUE(is_secure(true, false, "https"));
  EXPECT_TRUE(is_secure(true, false, " HTTPS "));
  EXPECT_FALSE(is_secure(true, false, "http"));
  EXPECT_FALSE(is_secure(true, false, "https, http")) << "the nearest proxy has the last word";
  EXPECT_TRUE(is_secure(true, false, "http, https"));
  EXPECT_FALSE(is_secure(true, false, "httpsx"));
  EXPECT_FALSE(is_secure(true, false, "https\nhttp")) << "two lines that do not agree";
  EXPECT_FALSE(is_secure(true, false, "http\nhttps"));
  EXPECT_TRUE(is_secure(true, false, "https\nhttp, https"));
  EXPECT_FALSE(is_secure(true, false, ""));
  EXPECT_TRUE(is_secure(false, true, "http"));
}

TEST(ForwardedHttps, IsWhatTheNearestProxySays) {
  struct Row {
    ForwardedHeader header;
    const char* lines;
    bool https;
  };
  using enum ForwardedHeader;
  for (const Row& row : {
           Row{x_forwarded_ssl, "on", true},
           Row{x_forwarded_ssl, " ON ", true},
           Row{x_forwarded_ssl, "off", false},
           Row{x_forwarded_ssl, "https", false},
           Row{x_forwarded_ssl, "on, off", false},
           Row{x_forwarded_ssl, "on\noff", false},
           Row{cloudfront_forwarded_proto, "https", true},
           Row{cloudfront_forwarded_proto, "on", false},
           Row{x_forwarded_proto, "https,", false},
           Row{forwarded, "proto=https", true},
           Row{forwarded, "for=192.0.2.60;proto=https;by=203.0.113.43", true},
           Row{forwarded, "For=\"[2001:db8:cafe::17]:4711\" ; Proto = \"HTTPS\"", true},
           Row{forwarded, "proto=https, for=192.0.2.43;proto=http", false},
           Row{forwarded, "proto=http, for=192.0.2.43;proto=https", true},
           Row{forwarded, "proto=https;proto=http", false},
           Row{forwarded, "proto=https;proto=https", false},
           Row{forwarded, "for=192.0.2.43", false},
           Row{forwarded, "proto=https, for=192.0.2.43", false},
           Row{forwarded, "for=\"a;proto=https\"", false},
           Row{forwarded, "for=\"a, proto=https\"", false},
           Row{forwarded, "for=\"a\\\", proto=https", false},
           Row{forwarded, "xproto=https", false},
           Row{forwarded, "proto=httpsx", false},
           Row{forwarded, "proto", false},
           Row{forwarded, "proto=\"https", false},
           Row{forwarded, "https", false},
           Row{forwarded, "proto=https,", false},
           Row{forwarded, "proto=https\nproto=http", false},
           Row{forwarded, "", false},
       }) {
    EXPECT_EQ(forwarded_https(row.lines, row.header), row.https) << row.lines;
  }
}

TEST_F(WithSession, TheHeaderOfTheOptionsTellsHttps) {
  exchange.options.trust_forwarded_proto = true;
  exchange.options.forwarded_header = ForwardedHeader::forwarded;
  exchange.request.headers["Forwarded"] = "proto=https";
  with_session(manager, exchange, [](Session& session) { session.set("a", 1); });
  EXPECT_NE(exchange.headers.at(0).value.find("; Secure"), std::string::npos);
}

TEST_F(WithSession, APassiveRequestIsToldSo) {
  SessionOptions brief;
  brief.idle_timeout = std::chrono::minutes(1);
  const SessionManager other = SessionManager::make(store, brief).value();
  with_session(other, exchange, [](Session& session) { session.set("a", 1); });
  const std::string header = exchange.headers.at(0).value;
  for (const bool passive : {true, false}) {
    exchange = {};
    exchange.is_passive = passive;
    exchange.request.headers["Cookie"] = header.substr(0, header.find(';'));
    with_session(manager, exchange, [&](Session& session) {
      EXPECT_EQ(session.expires_in() > std::chrono::minutes(1), !passive);
    });
  }
}

TEST_F(WithSession, TokensComeByTheHeadersOfTheOptions) {
  SessionOptions options;
  options.transport = {false, true, "X-Session"};
  manager = SessionManager::make(store, options).value();
  with_session(manager, exchange, [](Session& session) { session.set("a", 1); });
  ASSERT_TRUE(exchange.sends("X-Session-Token", Header::Mode::replace));
  const std::string token = exchange.headers.at(0).value;
  for (const bool bearer : {true, false}) {
    exchange = {};
    exchange.request.headers[bearer ? "Authorization" : "X-Session"] =
        (bearer ? "Bearer " : "") + token;
    with_session(manager, exchange, [](Session& session) { EXPECT_EQ(session.value("a", 0), 1); });
  }
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  with_session(manager, exchange, [](Session&) {});
  ASSERT_EQ(exchange.errors.size(), 1U);
  EXPECT_TRUE(exchange.tells_caches());
}

TEST(HttpStatus, TellsAnOutageFromAMistake) {
  for (const Errc code : {Errc::unavailable, Errc::timeout, Errc::overloaded, Errc::rejected}) {
    EXPECT_EQ(http_status(make_error(code, "")), 503);
  }
  for (const Errc code : {Errc::corrupt, Errc::too_large, Errc::invalid_argument}) {
    EXPECT_EQ(http_status(make_error(code, "")), 500);
  }
}

}  // namespace
}  // namespace websession::adapters
