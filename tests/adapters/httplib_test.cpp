// The cpp-httplib adapter over a real server on a free port of 127.0.0.1.
#include "websession/adapters/httplib.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "listening.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::adapters::httplib {
namespace {

using websession::testing::FaultStore;
using websession::testing::Listening;

class HttplibTest : public ::testing::Test {
 protected:
  template <class Handler>
  void handle(Handler handler, Options options = {}) {
    server.Get("/", with_session(manager, handler, options));
  }
  void listen() {
    listening.emplace(server);
    port = listening->port();
  }
  ::httplib::Result get(const ::httplib::Headers& headers = {}) const {
    return ::httplib::Client("127.0.0.1", port).Get("/", headers);
  }
  static std::string cookie_of(const ::httplib::Result& response) {
    const std::string header = response->get_header_value("Set-Cookie");
    return header.substr(0, header.find(';'));
  }

  std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  std::shared_ptr<FaultStore> store = std::make_shared<FaultStore>(memory);
  SessionManager manager = SessionManager::make(store).value();
  ::httplib::Server server;
  int port = 0;
  std::optional<Listening> listening;
};

void count(const Request&, Response& res, Session& session) {
  res.set_content(std::to_string(session.increment("count").value()), "text/plain");
}

TEST_F(HttplibTest, KeepsAVisitorsSession) {
  handle(count);
  listen();
  const auto first = get();
  EXPECT_EQ(first->body, "1");
  EXPECT_EQ(first->get_header_value_count("Set-Cookie"), 1U);
  EXPECT_EQ(first->get_header_value("Cache-Control"), "no-store");
  const auto second = get({{"Cookie", cookie_of(first)}});
  EXPECT_EQ(second->body, "2");
  EXPECT_EQ(second->get_header_value_count("Set-Cookie"), 0U);
  EXPECT_EQ(get()->body, "1") << "a second visitor";
}

TEST_F(HttplibTest, AVisitorWhoStoresNothingGetsNoCookie) {
  handle([](const Request&, Response& res, Session&) { res.set_content("hi", "text/plain"); });
  listen();
  const auto response = get();
  EXPECT_EQ(response->body, "hi");
  EXPECT_FALSE(response->has_header("Set-Cookie"));
  EXPECT_FALSE(response->has_header("Cache-Control"));
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(HttplibTest, NoStoreReplacesWhatTheHandlerSet) {
  handle([](const Request&, Response& res, Session& session) {
    session.set("a", 1);
    res.set_header("cache-control", "public, max-age=3600");
    res.set_header("Set-Cookie", "theme=dark");
  });
  listen();
  const auto response = get();
  EXPECT_EQ(response->get_header_value_count("Cache-Control"), 1U);
  EXPECT_EQ(response->get_header_value("Cache-Control"), "no-store");
  EXPECT_EQ(response->get_header_value_count("Set-Cookie"), 2U) << "other cookies stay";
}

TEST_F(HttplibTest, CachesAreToldWithoutUndoingWhatTheHandlerSaid) {
  handle([](const Request& req, Response& res, Session& session) {
    (void)session.value("a", 0);
    if (req.has_header("X-Cache")) res.set_header("cache-control", "public, max-age=60");
    if (req.has_header("X-Vary")) res.set_header("vary", req.get_header_value("X-Vary"));
    if (req.has_header("X-Set")) session.set("a", 1);
  });
  listen();
  const std::string cookie = cookie_of(get({{"X-Set", "1"}}));
  const auto vary = [&](const std::string& set) {
    const auto response = get({{"Cookie", cookie}, {"X-Vary", set}});
    EXPECT_EQ(response->get_header_value_count("Vary"), 1U);
    return response->get_header_value("Vary");
  };
  EXPECT_EQ(vary("Accept-Encoding"), "Accept-Encoding, Cookie");
  EXPECT_EQ(vary("accept, COOKIE"), "accept, COOKIE");
  EXPECT_EQ(vary("*"), "*");
  const auto plain = get({{"Cookie", cookie}});
  EXPECT_EQ(plain->get_header_value("Vary"), "Cookie");
  EXPECT_EQ(plain->get_header_value("Cache-Control"), "private");
  const auto chosen = get({{"Cookie", cookie}, {"X-Cache", "1"}});
  EXPECT_EQ(chosen->get_header_value_count("Cache-Control"), 1U);
  EXPECT_EQ(chosen->get_header_value("Cache-Control"), "public, max-age=60");
  EXPECT_EQ(get()->get_header_value("Vary"), "Cookie");
}

// P4
TEST_F(HttplibTest, AForgedOrMalformedCookieGivesAFreshSession) {
  handle(count);
  listen();
  for (const std::string& value :
       {std::string(32, 'f'), std::string("short"), std::string(3000, 'a'),
        std::string("%0d%0aSet-Cookie:%20x=1"), std::string("\"quoted\"")}) {
    const auto response = get({{"Cookie", "sid=" + value}});
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "1");
    EXPECT_NE(cookie_of(response), "sid=" + value);
  }
}

TEST_F(HttplibTest, SeveralCookieLinesAreOneList) {
  handle(count);
  listen();
  const std::string cookie = cookie_of(get());
  EXPECT_EQ(get({{"Cookie", "a=1"}, {"Cookie", cookie}, {"Cookie", "b=2"}})->body, "2");
}

TEST_F(HttplibTest, AHandlerThatThrowsCommitsNothing) {
  handle([](const Request& req, Response& res, Session& session) {
    session.set("a", session.value("a", 0) + 1);
    if (req.has_header("X-Throw")) throw std::runtime_error("handler");
    res.set_content(std::to_string(session.value("a", 0)), "text/plain");
  });
  listen();
  const std::string cookie = cookie_of(get());
  const auto failed = get({{"Cookie", cookie}, {"X-Throw", "1"}});
  EXPECT_EQ(failed->status, 500);
  EXPECT_FALSE(failed->has_header("Set-Cookie"));
  EXPECT_EQ(get({{"Cookie", cookie}})->body, "2");
}

// P9
TEST_F(HttplibTest, AnOutageIs503AndTheHandlersBodyIsDiscarded) {
  server.set_default_headers({{"X-Frame-Options", "DENY"}});
  handle([](const Request&, Response& res, Session& session) {
    session.set("a", session.value("a", 0) + 1);
    res.set_header("X-Handler", "1");
    res.set_content("the handler's answer", "text/html");
  });
  listen();
  const std::string cookie = cookie_of(get());
  for (std::size_t n = 1; n <= 2; ++n) {  // at load, at commit
    store->fail_call(n, make_error(Errc::unavailable, "down"));
    const auto response = get({{"Cookie", cookie}});
    EXPECT_EQ(response->status, 503);
    EXPECT_EQ(response->body.find("the handler's answer"), std::string::npos);
    EXPECT_FALSE(response->has_header("X-Handler"));
    EXPECT_FALSE(response->has_header("Set-Cookie"));
    EXPECT_EQ(response->get_header_value("X-Frame-Options"), "DENY") << "the server's own stay";
    EXPECT_EQ(response->get_header_value("Vary"), "Cookie");
  }
  EXPECT_EQ(get({{"Cookie", cookie}})->status, 200) << "no logout";
}

TEST_F(HttplibTest, AStreamedResponseThatIsDiscardedIsReleased) {
  int released = 0;
  handle([&](const Request&, Response& res, Session& session) {
    session.set("a", 1);
    res.set_content_provider(
        3, "text/plain",
        [](std::size_t, std::size_t, ::httplib::DataSink& sink) { return sink.write("abc", 3); },
        [&](bool) { ++released; });
  });
  listen();
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(get()->status, 503);
  EXPECT_EQ(released, 1);
  EXPECT_EQ(get()->body, "abc");
}

TEST_F(HttplibTest, TheHookAnswersAnOutage) {
  Options options;
  options.on_error = [](const Error& error, const Request&, Response& res) {
    res.status = 418;
    res.set_content(error.detail, "text/plain");
  };
  handle(count, options);
  listen();
  store->fail_all(make_error(Errc::unavailable, "down"));
  const auto response = get();
  EXPECT_EQ(response->status, 418);
  EXPECT_EQ(response->body, "down");
}

TEST_F(HttplibTest, GoneSendsTheResponseWithoutACookieUnlessTheHookDecides) {
  const auto erasing = [&](const Request&, Response& res, Session& session) {
    if (session.id() != nullptr) {
      EXPECT_TRUE(manager.erase(*session.id()).value());
    }
    session.set("a", 1 + session.value("a", 0));
    res.set_content("the handler's answer", "text/plain");
  };
  Options options;
  options.on_gone = [](const Request&, Response& res) { res.status = 409; };
  handle(erasing);
  server.Get("/hook", with_session(manager, erasing, options));
  listen();
  const auto gone = get({{"Cookie", cookie_of(get())}});
  EXPECT_EQ(gone->status, 200);
  EXPECT_EQ(gone->body, "the handler's answer");
  EXPECT_FALSE(gone->has_header("Set-Cookie"));
  const std::string cookie = cookie_of(get());
  EXPECT_EQ(::httplib::Client("127.0.0.1", port).Get("/hook", {{"Cookie", cookie}})->status, 409);
  EXPECT_EQ(memory->size(), 0U);
}

// README's own idiom: `increment(…).value()`, while the store is away or the session has ended.
class HttplibThrow : public HttplibTest {
 protected:
  void handle_increments(const Options& options = {}) {
    handle(
        [this](const Request& req, Response& res, Session& session) {
          res.set_header("X-Handler", "1");
          res.set_content("half of an answer", "text/html");
          if (req.has_header("X-End")) {
            EXPECT_TRUE(manager.erase(*session.id()).value());
          }
          res.set_content(std::to_string(session.increment("count").value()), "text/plain");
        },
        options);
    listen();
    cookie = cookie_of(get());
  }
  static void expect_nothing_of_the_handler(const ::httplib::Result& response) {
    EXPECT_EQ(response->body.find("half"), std::string::npos);
    for (const char* name : {"X-Handler", "Set-Cookie", "EXCEPTION_WHAT"}) {
      EXPECT_FALSE(response->has_header(name)) << name;
    }
  }
  std::string cookie;
};

TEST_F(HttplibThrow, AnOutageIs503AndTellsNothing) {
  handle_increments();
  store->fail_call(2, make_error(Errc::unavailable, "OOM at 10.0.0.7"));
  const auto response = get({{"Cookie", cookie}});
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->body, http_text(make_error(Errc::unavailable, "")));
  expect_nothing_of_the_handler(response);
  EXPECT_EQ(get({{"Cookie", cookie}})->body, "2") << "no logout";
}

TEST_F(HttplibThrow, TheHookAnswersAnOutage) {
  Options options;
  options.on_error = [](const Error& error, const Request&, Response& res) {
    res.status = error.code == Errc::timeout ? 418 : 500;
  };
  handle_increments(options);
  store->fail_call(2, make_error(Errc::timeout, "late"));
  const auto response = get({{"Cookie", cookie}});
  EXPECT_EQ(response->status, 418);
  expect_nothing_of_the_handler(response);
}

TEST_F(HttplibThrow, GoneIsAPlainAnswer) {
  Options options;
  options.on_error = [](const Error&, const Request&, Response& res) { res.status = 500; };
  handle_increments(options);
  const auto response = get({{"Cookie", cookie}, {"X-End", "1"}});
  EXPECT_EQ(response->status, 409);
  EXPECT_EQ(response->body, http_text(make_error(Errc::gone, "")));
  expect_nothing_of_the_handler(response);
}

TEST_F(HttplibThrow, TheHookAnswersGone) {
  Options options;
  options.on_gone = [](const Request&, Response& res) { res.set_redirect("/", 303); };
  handle_increments(options);
  const auto response = get({{"Cookie", cookie}, {"X-End", "1"}});
  EXPECT_EQ(response->status, 303);
  expect_nothing_of_the_handler(response);
}

TEST_F(HttplibTest, SecureFollowsTheProxyOnlyWhenItIsTrusted) {
  Options options;
  options.trust_forwarded_proto = true;
  handle(count);
  server.Get("/proxied", with_session(manager, count, options));
  listen();
  const ::httplib::Headers forwarded = {{"X-Forwarded-Proto", "https"}};
  const auto secure = [](const ::httplib::Result& response) {
    return response->get_header_value("Set-Cookie").find("; Secure") != std::string::npos;
  };
  EXPECT_FALSE(secure(get(forwarded)));
  EXPECT_TRUE(secure(::httplib::Client("127.0.0.1", port).Get("/proxied", forwarded)));
}

// A key and a certificate for it, made on the spot.
struct Certificate {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  X509* x509 = X509_new();

  Certificate() {
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_sign(x509, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
};

TEST(HttplibTls, HttpsOfTheServerItselfMakesTheCookieSecure) {
  const SessionManager manager = SessionManager::make(std::make_shared<MemoryStore>()).value();
  const Certificate certificate;
  ::httplib::SSLServer server(certificate.x509, certificate.key);
  ASSERT_TRUE(server.is_valid());
  server.Get("/", with_session(manager, count));
  const Listening listening(server);
  ::httplib::SSLClient client("127.0.0.1", listening.port());
  client.enable_server_certificate_verification(false);
  const auto response = client.Get("/");
  ASSERT_TRUE(response);
  EXPECT_NE(response->get_header_value("Set-Cookie").find("; Secure"), std::string::npos);
}

}  // namespace
}  // namespace websession::adapters::httplib
