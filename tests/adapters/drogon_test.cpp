// What is Drogon's own; the rest is in adapter_cases_test.cpp. A program of its own, as a process
// has one application.
#include "websession/adapters/drogon.hpp"

#include <drogon/drogon.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "reserved_port.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

using adapters::drogon::HttpRequestPtr;
using adapters::drogon::HttpResponsePtr;
using adapters::drogon::session_of;
using adapters::drogon::SessionMiddleware;
using adapters::drogon::Sessions;
using adapters::drogon::with_session;
using drogon::app;
using drogon::HttpResponse;
using drogon::Task;

const auto memory = std::make_shared<MemoryStore>();
const auto store = std::make_shared<FaultStore>(memory);

HttpResponsePtr text(const std::string& body) {
  HttpResponsePtr response = HttpResponse::newHttpResponse();
  response->setBody(body);
  return response;
}

class DrogonTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::promise<void> begun;
    const Sessions sessions([&](const AsyncSessionStore::Reactors& loops) {
      begun.set_value();
      return AsyncSessionManager::make(immediate(store, loops).value()).value();
    });
    app().registerMiddleware(std::make_shared<SessionMiddleware>(sessions));
    app().registerHandler("/middleware",
                          [](HttpRequestPtr req) -> Task<HttpResponsePtr> {
                            AsyncSession session = session_of(req);
                            session.set("n", session.value("n", 0) + 1);
                            if (!req->getHeader("X-Throw").empty())
                              throw std::runtime_error("handler");
                            co_return text(std::to_string(session.value("n", 0)));
                          },
                          {SessionMiddleware::classTypeName()});
    app().registerHandler("/outside", [](HttpRequestPtr req) -> Task<HttpResponsePtr> {
      try {
        static_cast<void>(session_of(req));
      } catch (const Exception& exception) {
        co_return text(exception.error().detail);
      }
      co_return text("there is one");
    });
    app().registerHandler(
        "/missing",
        with_session(sessions,
                     [](HttpRequestPtr req, AsyncSession session) -> Task<HttpResponsePtr> {
                       session.set("seen", 1);
                       co_return HttpResponse::newNotFoundResponse(req);
                     }));
    static const HttpResponsePtr kept = text("the same for all");
    app().registerHandler("/kept", with_session(sessions,
                                                [](HttpRequestPtr req,
                                                   AsyncSession session) -> Task<HttpResponsePtr> {
                                                  if (!req->getHeader("X-Set").empty())
                                                    session.set("seen", 1);
                                                  co_return kept;
                                                }));
    // One that is sent by the system, from where it lies.
    std::ofstream(file) << std::string(300'000, 'f');
    static const HttpResponsePtr kept_file = HttpResponse::newFileResponse(file);
    app().registerHandler("/file", with_session(sessions,
                                                [](HttpRequestPtr req,
                                                   AsyncSession session) -> Task<HttpResponsePtr> {
                                                  if (!req->getHeader("X-Set").empty())
                                                    session.set("seen", 1);
                                                  co_return kept_file;
                                                }));
    // One that Drogon is to keep.
    app().registerHandler(
        "/cached",
        with_session(sessions, [](HttpRequestPtr, AsyncSession session) -> Task<HttpResponsePtr> {
          session.set("seen", 1);
          HttpResponsePtr response = HttpResponse::newFileResponse(file);
          response->setExpiredTime(30);
          co_return response;
        }));
    reserved = reserve_port(port);
    app().setThreadNum(2).setLogLevel(trantor::Logger::kFatal);
    app().addListener("127.0.0.1", static_cast<std::uint16_t>(port)).disableSigtermHandling();
    thread = std::thread([] { app().run(); });
    begun.get_future().get();
    while (!get("/nowhere")) std::this_thread::yield();  // it listens a little later
  }
  static void TearDownTestSuite() {
    app().quit();
    thread.join();
    ::close(reserved);
    ::unlink(file.c_str());
  }
  static httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) {
    return httplib::Client("127.0.0.1", port).Get(path, headers);
  }
  static std::string cookie_of(const httplib::Result& response) {
    const std::string line = response->get_header_value("Set-Cookie");
    return line.substr(0, line.find(';'));
  }

  static inline const std::string file =
      "/tmp/websession_drogon_test." + std::to_string(::getpid());
  static inline int port = 0;
  static inline int reserved = -1;
  static inline std::thread thread;
};

TEST_F(DrogonTest, TheMiddlewareGivesEveryRequestASession) {
  const auto first = get("/middleware");
  EXPECT_EQ(first->body, "1");
  const std::string cookie = cookie_of(first);
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}})->body, "2");
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}, {"X-Throw", "1"}})->status, 500);
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}})->body, "3") << "nothing was committed";
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}})->status, 503) << "at open";
  store->fail_call(2, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}})->status, 503) << "at commit";
  EXPECT_EQ(get("/middleware", {{"Cookie", cookie}})->body, "4");
  EXPECT_NE(get("/outside")->body.find("SessionMiddleware"), std::string::npos);
}

// Drogon's page of a 404 is one object for all requests of a thread, and an application may keep
// responses, too: nobody must find another one's cookie on it.
TEST_F(DrogonTest, AResponseOfEverybodysGetsNobodysCookie) {
  for (int i = 0; i < 4; ++i) {
    const auto missing = get("/missing");
    EXPECT_EQ(missing->status, 404);
    EXPECT_NE(cookie_of(missing), "");
    EXPECT_FALSE(get("/nowhere")->has_header("Set-Cookie"));
    EXPECT_NE(cookie_of(get("/kept", {{"X-Set", "1"}})), "");
    const auto plain = get("/kept");
    EXPECT_EQ(plain->body, "the same for all");
    EXPECT_FALSE(plain->has_header("Set-Cookie"));
    EXPECT_EQ(plain->get_header_value_count("Vary"), 1U);
    EXPECT_NE(cookie_of(get("/file", {{"X-Set", "1"}})), "");
    const auto file_of_all = get("/file");
    EXPECT_EQ(file_of_all->body.size(), 300'000U);
    EXPECT_FALSE(file_of_all->has_header("Set-Cookie"));
    EXPECT_NE(cookie_of(get("/cached")), cookie_of(get("/cached")));
  }
}

}  // namespace
}  // namespace websession::testing
