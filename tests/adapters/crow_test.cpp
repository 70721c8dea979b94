// What is Crow's own; the rest is in adapter_cases_test.cpp.
#include "websession/adapters/crow.hpp"

#include <crow.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

using adapters::crow::Sessions;

TEST(CrowMiddleware, GivesEveryRequestASession) {
  const auto memory = std::make_shared<MemoryStore>();
  const auto store = std::make_shared<FaultStore>(memory);
  crow::App<Sessions> app(Sessions(SessionManager::make(store).value()));
  CROW_ROUTE(app, "/")
  ([&app](const crow::request& req) {
    Session& session = *app.get_context<Sessions>(req).session;
    session.set("n", session.value("n", 0) + 1);
    if (!req.get_header_value("X-Throw").empty()) throw std::runtime_error("handler");
    return std::to_string(session.value("n", 0));
  });
  app.loglevel(crow::LogLevel::Critical);
  std::thread thread(
      [&] { app.bindaddr("127.0.0.1").port(0).concurrency(2).signal_clear().run(); });
  app.wait_for_server_start();
  const auto get = [&](httplib::Headers headers) {
    return httplib::Client("127.0.0.1", app.port()).Get("/", headers);
  };
  const auto first = get({});
  EXPECT_EQ(first->body, "1");
  const std::string line = first->get_header_value("Set-Cookie");
  const std::string cookie = line.substr(0, line.find(';'));
  EXPECT_EQ(get({{"Cookie", cookie}})->body, "2");
  EXPECT_EQ(get({{"Cookie", cookie}, {"X-Throw", "1"}})->status, 500);
  EXPECT_EQ(get({{"Cookie", cookie}})->body, "3") << "nothing was committed";
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(get({{"Cookie", cookie}})->status, 503) << "at open";
  store->fail_call(2, make_error(Errc::unavailable, "down"));
  const auto failed = get({{"Cookie", cookie}});
  EXPECT_EQ(failed->status, 503) << "at commit";
  EXPECT_EQ(failed->body, adapters::http_text(make_error(Errc::unavailable, "")));
  EXPECT_EQ(get({{"Cookie", cookie}})->body, "4");
  app.stop();
  thread.join();
}

}  // namespace
}  // namespace websession::testing
