// Requests that are under way while their visitor signs in, as a browser sends them to a real
// server: a poll, a second click on the login, another tab.
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "listening.hpp"
#include "redis_fixture.hpp"
#include "websession/adapters/httplib.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

// Where requests wait for the test.
class Gate {
 public:
  // Of a request: until the gate is opened.
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
    --waiting_;
  }
  void expect(int requests) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == requests; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool is_open_ = false;
};

// A site to sign in to. A request with "?hold=before" waits before its session is opened, and one
// with "?hold=inside" in its handler.
class Site {
 public:
  explicit Site(std::shared_ptr<SessionStore> store)
      : manager_(SessionManager::make(std::move(store)).value()) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(4); };
    server_.set_pre_routing_handler([this](const auto& request, auto&) {
      if (request.get_param_value("hold") == "before") gate_->pass();
      return httplib::Server::HandlerResponse::Unhandled;
    });
    page("/login", [](Session& session) {
      session.sign_in("ada");
      return std::string("welcome");
    });
    page("/cart", [](Session& session) {
      session.set("cart", 1);
      return std::string("stored");
    });
    page("/who", [](Session& session) {
      return session.ended() ? "ended" : std::string(session.principal().value_or("nobody"));
    });
    page("/count",
         [](Session& session) { return std::to_string(session.increment("views").value()); });
    listening_.emplace(server_);
  }

  struct Answer {
    int status = 0;
    std::string body{};
    std::string cookie{};  // empty: none was set
  };
  [[nodiscard]] Answer get(const std::string& path, const std::string& cookie) const {
    httplib::Client client("127.0.0.1", listening_->port());
    client.set_read_timeout(60);
    const auto response = client.Get(path, {{"Cookie", cookie}});
    if (!response) {
      ADD_FAILURE() << path << ": " << to_string(response.error());
      return {};
    }
    const std::string set = response->get_header_value("Set-Cookie");
    return {response->status, response->body, set.substr(0, set.find(';'))};
  }
  // Each test step has a gate of its own.
  Gate& new_gate() {
    gate_ = std::make_unique<Gate>();
    return *gate_;
  }

 private:
  template <class Handler>
  void page(const char* path, Handler handler) {
    server_.Get(path, adapters::httplib::with_session(
                          manager_, [this, handler](const httplib::Request& request,
                                                    httplib::Response& response, Session& session) {
                            if (request.get_param_value("hold") == "inside") gate_->pass();
                            response.set_content(handler(session), "text/plain");
                          }));
  }

  SessionManager manager_;
  std::unique_ptr<Gate> gate_ = std::make_unique<Gate>();
  httplib::Server server_;
  std::optional<Listening> listening_;
};

// What a browser has as its cookie: an answer that sets none leaves it as it is.
class Browser {
 public:
  explicit Browser(const Site& site) : site_(site) {}
  Site::Answer get(const std::string& path) {
    Site::Answer answer = site_.get(path, cookie_);
    heed(answer);
    return answer;
  }
  // With the cookie of now; the answer is heeded when the caller says so.
  [[nodiscard]] std::future<Site::Answer> begin(const std::string& path) const {
    return std::async(std::launch::async,
                      [&site = site_, path, cookie = cookie_] { return site.get(path, cookie); });
  }
  void heed(const Site::Answer& answer) {
    if (!answer.cookie.empty()) cookie_ = answer.cookie;
  }

 private:
  const Site& site_;
  std::string cookie_{};
};

class LateOverHttp : public RedisTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      site = std::make_unique<Site>(std::make_shared<MemoryStore>());
      return;
    }
    RedisTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      site = std::make_unique<Site>(RedisStore::connect(server->url(), patient({})).value());
    }
  }

  std::unique_ptr<Site> site;
};

// Polls that read, write, and count at once: none of them signs out.
TEST_P(LateOverHttp, APollDuringTheLoginSignsNobodyOut) {
  for (const std::string poll : {"/who", "/cart", "/count"}) {
    for (const std::string hold : {"before", "inside"}) {
      Browser browser(*site);
      browser.get("/cart");
      Gate& gate = site->new_gate();
      auto late = browser.begin(poll + "?hold=" + hold);
      gate.expect(1);
      EXPECT_EQ(browser.get("/login").body, "welcome");
      gate.open();
      const Site::Answer answer = late.get();
      EXPECT_EQ(answer.cookie, "") << poll << " " << hold;
      EXPECT_EQ(answer.status, poll == "/count" ? 409 : 200) << poll << " " << hold;
      browser.heed(answer);
      EXPECT_EQ(browser.get("/who").body, "ada") << poll << " " << hold;
    }
  }
}

// The browser drops the answer to the first click, or heeds both, in either order.
TEST_P(LateOverHttp, ADoubleClickOnTheLoginSignsIn) {
  for (const std::string hold : {"before", "inside"}) {
    for (const std::vector<int>& heeded : {std::vector<int>{0}, {1}, {0, 1}, {1, 0}}) {
      Browser browser(*site);
      browser.get("/cart");
      Gate& gate = site->new_gate();
      auto held = browser.begin("/login?hold=" + hold);
      gate.expect(1);
      auto other = browser.begin("/login");
      const std::vector<Site::Answer> answers{other.get(), (gate.open(), held.get())};
      for (const int which : heeded) browser.heed(answers.at(static_cast<std::size_t>(which)));
      EXPECT_EQ(browser.get("/who").body, "ada") << hold;
    }
  }
}

// Another tab was loading; loaded again it shows who has signed in.
TEST_P(LateOverHttp, ASecondTabIsSignedInAsWell) {
  for (const std::string hold : {"before", "inside"}) {
    Browser browser(*site);
    browser.get("/cart");
    Gate& gate = site->new_gate();
    auto tab = browser.begin("/who?hold=" + hold);
    gate.expect(1);
    browser.get("/login");
    gate.open();
    const Site::Answer answer = tab.get();
    EXPECT_EQ(answer.body, hold == "before" ? "ended" : "nobody");
    browser.heed(answer);
    EXPECT_EQ(browser.get("/count").body, "1");
    EXPECT_EQ(browser.get("/who").body, "ada");
  }
}

INSTANTIATE_TEST_SUITE_P(With, LateOverHttp, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Redis" : "Memory"; });

}  // namespace
}  // namespace websession::testing
