// One table of cases for all adapters, over HTTP: each against a small server of each framework
// (sites/). What is one framework's own is in a file of its name.
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "reserved_port.hpp"
#include "sites/site.hpp"
#include "websession/adapters/exchange.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {

// For the names of the cases.
void PrintTo(const SiteKind* kind, std::ostream* out) { *out << kind->name; }

namespace {

using ::httplib::Headers;
using Response = ::httplib::Result;

class AdapterCases : public ::testing::TestWithParam<const SiteKind*> {
 protected:
  AdapterCases() { start({}); }
  void start(const SessionOptions& options) { site = GetParam()->make({store, options}); }

  // `deeds`: see Deeds.
  [[nodiscard]] Response get(const std::string& deeds, Headers headers = {},
                             const std::string& path = "/") const {
    headers.emplace("X-Do", deeds);
    return ::httplib::Client("127.0.0.1", site->port()).Get(path, headers);
  }
  [[nodiscard]] Response get_with(const std::string& cookie, const std::string& deeds,
                                  const std::string& path = "/") const {
    return get(deeds, {{"Cookie", cookie}}, path);
  }
  // The session's line among those of Set-Cookie; empty: there is none.
  static std::string set_cookie(const Response& response) {
    std::string found;
    const auto [first, last] = response->headers.equal_range("Set-Cookie");
    for (auto header = first; header != last; ++header) {
      const std::string& line = header->second;
      if (!line.starts_with("sid=")) continue;
      EXPECT_EQ(found, "") << "two of them";
      found = line;
    }
    return found;
  }
  // That of a new session, in which `deeds` were done.
  [[nodiscard]] std::string visitor(const std::string& deeds = "set") const {
    const std::string line = set_cookie(get(deeds));
    EXPECT_NE(line, "");
    return line.substr(0, line.find(';'));
  }
  void fail_call(std::size_t n, Error error = make_error(Errc::unavailable, "down at 10.0.0.7")) {
    store->fail_call(n, std::move(error));
  }
  static void expect_nothing_of_the_handler(const Response& response) {
    EXPECT_EQ(response->body.find(half_an_answer), std::string::npos);
    EXPECT_FALSE(response->has_header("X-Handler"));
    EXPECT_FALSE(response->has_header("Set-Cookie"));
  }

  const std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  const std::shared_ptr<FaultStore> store = std::make_shared<FaultStore>(memory);
  std::unique_ptr<Site> site;
};

TEST_P(AdapterCases, KeepsAVisitorsSession) {
  const auto first = get("count");
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, "1");
  EXPECT_EQ(first->get_header_value("X-Handler"), "1");
  EXPECT_EQ(first->get_header_value("Cache-Control"), "no-store");
  const std::string line = set_cookie(first);
  for (const char* part :
       {"; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=", "; Expires="}) {
    EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  }
  const auto second = get_with(line.substr(0, line.find(';')), "count");
  EXPECT_EQ(second->body, "2");
  EXPECT_EQ(set_cookie(second), "");
  EXPECT_EQ(get("count")->body, "1") << "a second visitor";
}

TEST_P(AdapterCases, AVisitorWhoStoresNothingGetsNoCookie) {
  const auto response = get("");
  EXPECT_EQ(response->body, "0");
  EXPECT_EQ(set_cookie(response), "");
  EXPECT_FALSE(response->has_header("Cache-Control"));
  EXPECT_EQ(memory->size(), 0U);
}

TEST_P(AdapterCases, NoStoreReplacesWhatTheHandlerSetAndOtherCookiesStay) {
  const auto response = get("set cache=public");
  EXPECT_EQ(response->get_header_value_count("Cache-Control"), 1U);
  EXPECT_EQ(response->get_header_value("Cache-Control"), "no-store");
  EXPECT_EQ(response->get_header_value_count("Set-Cookie"), 2U);
}

TEST_P(AdapterCases, CachesAreToldWithoutUndoingWhatTheHandlerSaid) {
  const std::string cookie = visitor();
  const auto vary = [&](const std::string& deeds) {
    const auto response = get_with(cookie, deeds);
    EXPECT_EQ(response->get_header_value_count("Vary"), 1U);
    return response->get_header_value("Vary");
  };
  EXPECT_EQ(vary("vary=Accept-Encoding"), "Accept-Encoding, Cookie");
  EXPECT_EQ(vary("vary=accept,COOKIE"), "accept,COOKIE");
  EXPECT_EQ(vary("vary=*"), "*");
  const auto plain = get_with(cookie, "");
  EXPECT_EQ(plain->get_header_value("Vary"), "Cookie");
  EXPECT_EQ(plain->get_header_value("Cache-Control"), "private");
  const auto chosen = get_with(cookie, "cache=public");
  EXPECT_EQ(chosen->get_header_value_count("Cache-Control"), 1U);
  EXPECT_EQ(chosen->get_header_value("Cache-Control"), "public");
  EXPECT_EQ(get("")->get_header_value("Vary"), "Cookie");
}

// P4
TEST_P(AdapterCases, AForgedOrMalformedCookieGivesAFreshSession) {
  for (const std::string& value :
       {std::string(32, 'f'), std::string("short"), std::string(3000, 'a'),
        std::string("%0d%0aSet-Cookie:%20x=1"), std::string("\"quoted\"")}) {
    const auto response = get_with("sid=" + value, "count");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "1");
    EXPECT_EQ(set_cookie(response).find("sid=" + value + ";"), std::string::npos);
  }
}

TEST_P(AdapterCases, SeveralCookieLinesAreOneList) {
  const std::string cookie = visitor();
  EXPECT_EQ(get("", {{"Cookie", "a=1"}, {"Cookie", cookie}, {"Cookie", "b=2"}})->body, "1");
  EXPECT_EQ(get_with("a=1; " + cookie + "; b=2", "")->body, "1");
}

TEST_P(AdapterCases, AHandlerThatThrowsCommitsNothing) {
  const std::string cookie = visitor();
  const auto failed = get_with(cookie, "set throw");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->status, 500);
  EXPECT_EQ(set_cookie(failed), "");
  EXPECT_EQ(get_with(cookie, "")->body, "1");
}

// P9
TEST_P(AdapterCases, AnOutageIs503AndNothingOfTheHandlersIsSent) {
  const std::string cookie = visitor();
  for (std::size_t n = 1; n <= 2; ++n) {  // at load, at commit
    fail_call(n);
    const auto response = get_with(cookie, "set");
    EXPECT_EQ(response->status, 503);
    EXPECT_EQ(response->body, adapters::http_text(make_error(Errc::unavailable, "")));
    EXPECT_EQ(response->get_header_value("Vary"), "Cookie");
    EXPECT_EQ(response->get_header_value("Cache-Control"), "private");
    expect_nothing_of_the_handler(response);
  }
  EXPECT_EQ(get_with(cookie, "")->body, "1") << "no logout";
}

TEST_P(AdapterCases, TheHookAnswersAnOutage) {
  const std::string cookie = visitor();
  for (std::size_t n = 1; n <= 2; ++n) {
    fail_call(n);
    const auto response = get_with(cookie, "set", "/hooks");
    EXPECT_EQ(response->status, 502);
    EXPECT_EQ(response->body, "down at 10.0.0.7");
    EXPECT_EQ(response->get_header_value("Vary"), "Cookie");
    expect_nothing_of_the_handler(response);
  }
}

// What Result::value() throws, or the error that a handler of callbacks passes on.
TEST_P(AdapterCases, AnErrorThatTheHandlerMeetsIsTheAnswer) {
  const std::string cookie = visitor();
  fail_call(2, make_error(Errc::timeout, "OOM at 10.0.0.7"));
  const auto response = get_with(cookie, "count set");
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->body, adapters::http_text(make_error(Errc::unavailable, "")));
  expect_nothing_of_the_handler(response);
  fail_call(2, make_error(Errc::timeout, "late"));
  const auto hooked = get_with(cookie, "count", "/hooks");
  EXPECT_EQ(hooked->status, 502);
  EXPECT_EQ(hooked->body, "late");
  const auto own = get_with(cookie, "set throw_ours");
  EXPECT_EQ(own->status, 503);
  expect_nothing_of_the_handler(own);
  EXPECT_EQ(get_with(cookie, "")->body, "1") << "nothing is committed";
}

TEST_P(AdapterCases, GoneSendsTheResponseWithoutACookieUnlessTheHookDecides) {
  const auto gone = get_with(visitor(), "end set");
  EXPECT_EQ(gone->status, 200);
  EXPECT_EQ(gone->body, "2");
  EXPECT_EQ(set_cookie(gone), "");
  const auto hooked = get_with(visitor(), "end set", "/hooks");
  EXPECT_EQ(hooked->status, 303);
  EXPECT_EQ(set_cookie(hooked), "");
  EXPECT_EQ(memory->size(), 0U);
}

TEST_P(AdapterCases, GoneThatTheHandlerMeetsIsAPlainAnswer) {
  const auto response = get_with(visitor(), "end count");
  EXPECT_EQ(response->status, 409);
  EXPECT_EQ(response->body, adapters::http_text(make_error(Errc::gone, "")));
  expect_nothing_of_the_handler(response);
  const auto hooked = get_with(visitor(), "end count", "/hooks");
  EXPECT_EQ(hooked->status, 303);
  expect_nothing_of_the_handler(hooked);
}

// Whoever clicks on log out is logged out, whatever else the handler meets.
TEST_P(AdapterCases, LoggingOutHappensWhateverTheHandlerMeets) {
  for (const char* deeds : {"sign_out", "sign_out throw_ours", "sign_out throw"}) {
    const auto response = get_with(visitor(), deeds);
    ASSERT_TRUE(response);
    const bool tells = GetParam()->keeps_headers || response->status != 500;
    EXPECT_EQ(set_cookie(response).find("; Max-Age=0") != std::string::npos, tells) << deeds;
    EXPECT_EQ(memory->size(), 0U) << deeds;
  }
}

// P9: where the application prefers pages without the session to none at all.
TEST_P(AdapterCases, ADegradedResponseSendsNoCookieAndOneThatWritesFails) {
  SessionOptions options;
  options.on_outage = Outage::anonymous;
  start(options);
  const std::string cookie = visitor();
  store->fail_all(make_error(Errc::timeout, "late"));
  const auto degraded = get_with(cookie, "");
  EXPECT_EQ(degraded->status, 200);
  EXPECT_EQ(degraded->body, "0");
  EXPECT_EQ(set_cookie(degraded), "");
  const auto writes = get_with(cookie, "set");
  EXPECT_EQ(writes->status, 503);
  EXPECT_EQ(set_cookie(writes), "");
  store->recover();
  EXPECT_EQ(get_with(cookie, "")->body, "1");
}

TEST_P(AdapterCases, SecureFollowsTheProxyOnlyWhenItIsTrusted) {
  const auto is_secure = [&](const std::string& path, const Headers& headers) {
    return set_cookie(get("set", headers, path)).find("; Secure") != std::string::npos;
  };
  EXPECT_FALSE(is_secure("/", {{"X-Forwarded-Proto", "https"}}));
  EXPECT_TRUE(is_secure("/proxied", {{"X-Forwarded-Proto", "https"}}));
  EXPECT_FALSE(is_secure("/proxied", {{"X-Forwarded-Proto", "http"}}));
  EXPECT_FALSE(is_secure("/proxied", {}));
}

// Says it all at once, and gives what comes until the server hangs up.
std::string talk(int port, const std::string& bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = local_address(port);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
  std::string all;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fd);
  return all;
}

// Else whoever can have a page sent a body could have a request made of it.
TEST_P(AdapterCases, ABodyThatNobodyHasReadIsNotTheNextRequest) {
  const std::string cookie = visitor();
  const std::string hidden = "GET / HTTP/1.1\r\nHost: hidden\r\nX-Do: set\r\n\r\n";
  const std::string sized =
      "Content-Length: " + std::to_string(hidden.size()) + "\r\n\r\n" + hidden;
  std::ostringstream chunked;
  chunked << "Transfer-Encoding: chunked\r\n\r\n"
          << std::hex << hidden.size() << "\r\n"
          << hidden << "\r\n0\r\n\r\n";
  for (const std::string& body : {sized, chunked.str()}) {
    if (body == sized) fail_call(1);
    const std::string answers =
        talk(site->port(), "POST / HTTP/1.1\r\nHost: x\r\nX-Do: throw_ours\r\nCookie: " + cookie +
                               "\r\n" + body +
                               "GET /proxied HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = answers.find("HTTP/1.1 ", at)) != std::string::npos; ++at) {
      ++count;
    }
    EXPECT_LE(count, 2U) << answers;
  }
}

TEST_P(AdapterCases, ManyVisitorsAtOnceMeetTheirOwnSessions) {
  // A framework makes its own statics once for all of its threads. Debian's httplib was built
  // without ThreadSanitizer, which sees how only if nobody else is there yet.
  const std::string first = visitor("count");
  ASSERT_TRUE(get_with(first, "count"));
  std::vector<std::thread> visitors;
  for (int v = 0; v < 8; ++v) {
    visitors.emplace_back([this] {
      const std::string cookie = visitor("count");
      for (int n = 2; n <= 20; ++n) {
        const auto response = get_with(cookie, "count");
        ASSERT_TRUE(response);
        EXPECT_EQ(response->body, std::to_string(n));
      }
    });
  }
  for (std::thread& visitor : visitors) visitor.join();
  EXPECT_EQ(memory->size(), 9U);
}

constexpr const SiteKind* kinds[] = {WEBSESSION_SITES};
INSTANTIATE_TEST_SUITE_P(Over, AdapterCases, ::testing::ValuesIn(kinds),
                         [](const auto& site) { return std::string(site.param->name); });

}  // namespace
}  // namespace websession::testing
