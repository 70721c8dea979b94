// What is cpp-httplib's own; the rest is in adapter_cases_test.cpp.
#include "websession/adapters/httplib.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

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
  void handle(Handler handler) {
    server.Get("/", with_session(manager, handler));
  }
  void listen() {
    listening.emplace(server);
    port = listening->port();
  }
  [[nodiscard]] ::httplib::Result get() const {
    return ::httplib::Client("127.0.0.1", port).Get("/");
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

TEST_F(HttplibTest, WhatTheServerSetsOnEveryResponseStaysOnAnError) {
  server.set_default_headers({{"X-Frame-Options", "DENY"}});
  handle(count);
  listen();
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  const auto response = get();
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->get_header_value("X-Frame-Options"), "DENY");
}

TEST_F(HttplibTest, AHandlerMayReadTheBodyPieceByPiece) {
  server.Post("/upload",
              with_session(manager, [](const Request&, Response& res,
                                       const ::httplib::ContentReader& read, Session& session) {
                std::size_t bytes = 0;
                read([&](const char*, std::size_t size) {
                  bytes += size;
                  return true;
                });
                session.set("uploaded", bytes);
                res.set_content(std::to_string(bytes), "text/plain");
              }));
  listen();
  const std::string body(1'000'000, 'x');
  const auto response =
      ::httplib::Client("127.0.0.1", port).Post("/upload", body, "application/octet-stream");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "1000000");
  EXPECT_NE(response->get_header_value("Set-Cookie").find("sid="), std::string::npos);
}

TEST_F(HttplibTest, AnErrorTellsNothingOfItself) {
  handle(count);
  listen();
  store->fail_call(1, make_error(Errc::unavailable, "OOM at 10.0.0.7"));
  const auto response = get();
  EXPECT_EQ(response->body, http_text(make_error(Errc::unavailable, "")));
  EXPECT_FALSE(response->has_header("EXCEPTION_WHAT"));
}

TEST_F(HttplibTest, AStreamedResponseThatIsDiscardedIsReleased) {
  // The server may release the second one when the test is over.
  const auto released = std::make_shared<std::atomic<int>>(0);
  handle([released](const Request&, Response& res, Session& session) {
    session.set("a", 1);
    res.set_content_provider(
        3, "text/plain",
        [](std::size_t, std::size_t, ::httplib::DataSink& sink) { return sink.write("abc", 3); },
        [released](bool) { ++*released; });
  });
  listen();
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(get()->status, 503);
  EXPECT_EQ(*released, 1);
  EXPECT_EQ(get()->body, "abc");
}

// The server has prepared a part of the handler's response, or a compressed one, when a hook
// answers in its place.
template <class Server>
void answer_anew(const SessionManager& manager, FaultStore& store) {
  AdapterOptions<Request, Response> hooks;
  hooks.on_gone = [](const Request&, Response& res) { res.set_redirect("/", 303); };
  hooks.on_error = [](const Error&, const Request& req, Response& res) {
    res.status = 502;
    if (req.has_header("X-Stream")) {
      res.set_content_provider(4, "text/plain", [](std::size_t, std::size_t, auto& sink) {
        return sink.write("late", 4);
      });
    } else {
      res.set_content("hook", "text/plain");
    }
  };
  Server server;
  ServerSessions sessions(server, manager, hooks);
  server.Get("/", [&](const Request& req, Response& res) {
    Session& session = sessions.of(req);
    session.set("n", session.value("n", 0) + 1);
    const std::string text(1000, 'x');
    if (req.has_header("X-Streams")) {
      res.set_content_provider(1000, "text/plain",
                               [text](std::size_t at, std::size_t size, auto& sink) {
                                 return sink.write(text.data() + at, size);
                               });
    } else {
      res.set_content(text, "text/plain");
    }
    if (req.has_header("X-Gone")) (void)manager.erase(*session.id());
  });
  const Listening listening(server);
  ::httplib::Client client("127.0.0.1", listening.port());
  client.set_keep_alive(true);
  const std::string line = client.Get("/")->get_header_value("Set-Cookie");
  const std::string cookie = line.substr(0, line.find(';'));
  for (const char* kind : {"X-Streams", "X-Whole"}) {
    for (const ::httplib::Headers& asked : {::httplib::Headers{{"Range", "bytes=0-9"}},
                                            {{"Range", "bytes=0-9,20-29"}},
                                            {{"Accept-Encoding", "gzip"}}}) {
      ::httplib::Headers headers = asked;
      headers.emplace(kind, "1");
      const auto fails = [&](::httplib::Headers all) {
        all.emplace("Cookie", cookie);
        store.fail_call(2, make_error(Errc::unavailable, "down"));
        return client.Get("/", all);
      };
      const auto failed = fails(headers);
      EXPECT_EQ(failed->status, 502);
      EXPECT_EQ(failed->body, "hook");
      EXPECT_FALSE(failed->has_header("Content-Encoding"));
      EXPECT_FALSE(failed->has_header("Content-Range"));
      headers.emplace("X-Stream", "1");
      const auto streamed = fails(headers);
      EXPECT_EQ(streamed->status, 502);
      EXPECT_EQ(streamed->body, http_text(make_error(Errc::unavailable, "")));

      ::httplib::Headers ends = headers;
      const std::string own = client.Get("/")->get_header_value("Set-Cookie");
      ends.emplace("Cookie", own.substr(0, own.find(';')));
      ends.emplace("X-Gone", "1");
      const auto gone = client.Get("/", ends);
      EXPECT_EQ(gone->status, 303);
      EXPECT_EQ(gone->get_header_value("Location"), "/");
      EXPECT_EQ(gone->body, "");
      EXPECT_FALSE(gone->has_header("Content-Encoding"));
    }
  }
}

// For a version that has what it needs: this distribution's has not.
template <class Server>
void serve_all(const SessionManager& manager, FaultStore& store) {
  if constexpr (requires(Server & server) { server.set_pre_request_handler({}); }) {
    Server server;
    ServerSessions sessions(server, manager);
    server.Get("/", [&](const Request& req, Response& res) {
      Session& session = sessions.of(req);
      session.set("n", session.value("n", 0) + 1);
      if (req.has_header("X-Throw")) throw std::runtime_error("handler");
      if (req.has_header("X-Count")) (void)session.increment("count").value();
      res.set_content(std::to_string(session.value("n", 0)), "text/plain");
    });
    const Listening listening(server);
    const auto get = [&](const std::string& path, const ::httplib::Headers& headers) {
      return ::httplib::Client("127.0.0.1", listening.port()).Get(path, headers);
    };
    const auto first = get("/", {});
    EXPECT_EQ(first->body, "1");
    const std::string line = first->get_header_value("Set-Cookie");
    const std::string cookie = line.substr(0, line.find(';'));
    EXPECT_EQ(get("/", {{"Cookie", cookie}})->body, "2");
    EXPECT_EQ(get("/", {{"Cookie", cookie}, {"X-Throw", "1"}})->status, 500);
    EXPECT_EQ(get("/", {{"Cookie", cookie}})->body, "3") << "nothing was committed";
    EXPECT_EQ(get("/nowhere", {{"Cookie", cookie}})->status, 404);
    store.fail_call(1, make_error(Errc::unavailable, "down"));
    EXPECT_EQ(get("/", {{"Cookie", cookie}})->status, 503) << "at open";
    for (const char* header : {"X-Commit", "X-Count"}) {
      store.fail_call(2, make_error(Errc::unavailable, "down"));
      const auto failed = get("/", {{"Cookie", cookie}, {header, "1"}});
      EXPECT_EQ(failed->status, 503) << header;
      EXPECT_EQ(failed->body, http_text(make_error(Errc::unavailable, ""))) << header;
    }
    EXPECT_EQ(get("/", {{"Cookie", cookie}})->body, "4");
    answer_anew<Server>(manager, store);
  } else {
    GTEST_SKIP() << "cpp-httplib " << CPPHTTPLIB_VERSION << " has no pre-request handler";
  }
}
TEST_F(HttplibTest, AWholeServerHasSessions) { serve_all<::httplib::Server>(manager, *store); }

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
