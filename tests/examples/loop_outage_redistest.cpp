// 200 visitors who keep their connections to a counter of one thread while Redis stops for ten
// seconds.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "child_process.hpp"
#include "redis_server.hpp"
#include "websession/async/epoll_reactor.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

// Of one request, with what a loaded machine may add: half a second for each call of the store.
constexpr milliseconds answered_within{4000};

// Asks for one page again and again, on one connection, as soon as the last answer is there.
class Visitor {
 public:
  Visitor(EpollReactor& loop, int port, std::string path) : loop_(loop), path_(std::move(path)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    watch_ = loop_.watch(socket_, [this](unsigned) { read(); }).value();
    watch_->want(Reactor::readable);
  }
  ~Visitor() {
    watch_.reset();
    ::close(socket_);
  }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  void ask() {
    since_ = SteadyClock::now();
    is_waiting_ = true;
    const std::string request = "GET " + path_ +
                                " HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n" +
                                (cookie_.empty() ? "" : "Cookie: " + cookie_ + "\r\n") + "\r\n";
    ASSERT_EQ(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
  }
  [[nodiscard]] bool is_waiting() const { return is_waiting_; }
  void stop() { goes_on_ = false; }

  int answered = 0;
  int counted = 0;  // as answers said
  int failed = 0;   // and nobody knows whether those have counted
  std::int64_t views = 0;
  milliseconds slowest{0};

 private:
  void read() {
    std::array<char, 4096> buffer;
    const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    ASSERT_GT(size, 0) << "the server has hung up";
    text_.append(buffer.data(), static_cast<std::size_t>(size));
    const std::size_t head = text_.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const std::size_t body = std::stoul(header("Content-Length"));
    if (text_.size() < head + 4 + body) return;
    take(text_.substr(head + 4, body));
    text_.erase(0, head + 4 + body);
    if (goes_on_) ask();
  }
  std::string header(const std::string& name) const {
    const std::size_t at = text_.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    return text_.substr(begin, text_.find("\r\n", begin) - begin);
  }
  void take(const std::string& body) {
    is_waiting_ = false;
    ++answered;
    slowest =
        std::max(slowest, std::chrono::duration_cast<milliseconds>(SteadyClock::now() - since_));
    const std::string set = header("Set-Cookie");
    if (!text_.starts_with("HTTP/1.1 200 ")) {
      EXPECT_TRUE(text_.starts_with("HTTP/1.1 503 ")) << text_.substr(0, 20);
      EXPECT_TRUE(set.empty()) << "an outage is not a logout";
      ++failed;
      return;
    }
    if (!set.empty()) {
      EXPECT_TRUE(cookie_.empty()) << "the visitor has another session now";
      cookie_ = set.substr(0, set.find(';'));
    }
    ++counted;
    const std::size_t at = body.find("\"views\":");
    if (at == std::string::npos) return;  // /health
    const std::int64_t now = std::stoll(body.substr(at + 8));
    EXPECT_GT(now, views);
    views = now;
    EXPECT_GE(views, counted);
    EXPECT_LE(views, counted + failed);
  }

  EpollReactor& loop_;
  const std::string path_;
  int socket_ = -1;
  std::unique_ptr<Watch> watch_{};
  std::string cookie_{};
  std::string text_{};
  SteadyClock::time_point since_{};
  bool is_waiting_ = false;
  bool goes_on_ = true;
};

std::vector<std::string> counters() {
  std::vector<std::string> programs;
  std::istringstream list(WEBSESSION_COUNTERS);
  for (std::string program; std::getline(list, program, ',');) programs.push_back(program);
  return programs;
}

class CounterOfOneThread : public ::testing::TestWithParam<std::string> {};

TEST_P(CounterOfOneThread, ServesTwoHundredVisitorsThroughAnOutageOfTenSeconds) {
  if (!redis_server_is_installed()) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") FAIL() << "redis-server is not installed";
    GTEST_SKIP() << "redis-server is not installed";
  }
  RedisServer redis;
  ChildProcess counter({GetParam(), "--store", redis.url(), "--port", "0"});
  const std::string line = counter.read_line();
  const std::string_view before = "Listening on http://127.0.0.1:";
  ASSERT_TRUE(line.starts_with(before)) << line;
  const int port = std::stoi(line.substr(before.size()));

  const auto loop = EpollReactor::make().value();
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < 200; ++i) {
    visitors.push_back(std::make_unique<Visitor>(*loop, port, "/count"));
  }
  Visitor health(*loop, port, "/health");
  const auto run_for = [&](milliseconds time) {
    for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;) {
      loop->run_once(milliseconds(50));
    }
  };
  const auto all = [&](const auto& is_so) {
    return std::all_of(visitors.begin(), visitors.end(),
                       [&](const auto& visitor) { return is_so(*visitor); });
  };
  for (const auto& visitor : visitors) visitor->ask();
  health.ask();
  const auto begun = [](const Visitor& visitor) { return visitor.counted > 0; };
  for (const auto end = SteadyClock::now() + seconds(60); !all(begun);) {
    ASSERT_LT(SteadyClock::now(), end) << "not all are served";
    run_for(milliseconds(50));
  }
  // What the first requests waited for is their turn to be accepted, one connection a turn of the
  // loop: with a slow build (sanitizers) that takes seconds, and no outage is to blame.
  for (const auto& visitor : visitors) {
    visitor->failed = 0;
    visitor->slowest = milliseconds(0);
  }
  health.slowest = milliseconds(0);

  redis.pause();
  const int healthy_before = health.counted;
  run_for(seconds(10));
  EXPECT_TRUE(all([](const Visitor& visitor) { return visitor.failed > 0; }));
  EXPECT_GT(health.counted - healthy_before, 100) << "throughout";
  redis.resume();

  std::vector<int> counted;
  for (const auto& visitor : visitors) counted.push_back(visitor->counted);
  const auto recovered = [&] {
    for (std::size_t i = 0; i < visitors.size(); ++i) {
      if (visitors[i]->counted <= counted[i]) return false;
    }
    return true;
  };
  for (const auto end = SteadyClock::now() + seconds(20); !recovered();) {
    ASSERT_LT(SteadyClock::now(), end) << "it does not recover";
    run_for(milliseconds(50));
  }
  for (const auto& visitor : visitors) visitor->stop();
  health.stop();
  const auto waits = [](const Visitor& visitor) { return visitor.is_waiting(); };
  for (const auto end = SteadyClock::now() + seconds(10);
       waits(health) || !all(std::not_fn(waits));) {
    ASSERT_LT(SteadyClock::now(), end) << "not answered";
    run_for(milliseconds(10));
  }
  milliseconds slowest{0};
  for (const auto& visitor : visitors) slowest = std::max(slowest, visitor->slowest);
  EXPECT_LT(slowest, answered_within) << "P7";
  EXPECT_LT(health.slowest, milliseconds(2000));
  EXPECT_EQ(health.failed, 0);
  std::cout << "the slowest answer took " << slowest.count() << " ms, of /health "
            << health.slowest.count() << " ms\n";
}

INSTANTIATE_TEST_SUITE_P(Is, CounterOfOneThread, ::testing::ValuesIn(counters()),
                         [](const auto& program) {
                           return program.param.substr(program.param.rfind('/') + 1);
                         });

}  // namespace
}  // namespace websession::testing
