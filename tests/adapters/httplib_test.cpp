// What is cpp-httplib's own; the rest is in adapter_cases_test.cpp.
#include "websession/adapters/httplib.hpp"

#include <gtest/gtest.h>

#include <optional>
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

TEST_F(HttplibTest, AnErrorTellsNothingOfItself) {
  handle(count);
  listen();
  store->fail_call(1, make_error(Errc::unavailable, "OOM at 10.0.0.7"));
  const auto response = get();
  EXPECT_EQ(response->body, http_text(make_error(Errc::unavailable, "")));
  EXPECT_FALSE(response->has_header("EXCEPTION_WHAT"));
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
