// How a session's id travels: cookies, Authorization: Bearer, a header of one's choice.
#include "websession/transport.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/memory_store.hpp"
#include "websession/observer.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/fault_store.hpp"

namespace websession::testing {
namespace {

const char* const token_header = "X-Session-Token";

std::string value_of(const std::vector<Header>& headers, const std::string& name) {
  for (const Header& header : headers) {
    if (header.name == name) return header.value;
  }
  return "(none)";
}

class TransportTest : public ::testing::Test {
 protected:
  static SessionOptions options(bool cookie, bool bearer, const std::string& header) {
    SessionOptions options;
    options.transport = {cookie, bearer, header};
    return options;
  }
  SessionManager manager(const SessionOptions& with) {
    return SessionManager::make(store, with).value();
  }
  // Of a session that holds a=`value`.
  std::string token(const SessionManager& sessions, int value) {
    Session session = sessions.open({}).value();
    session.use_token();
    session.set("a", value);
    return value_of(sessions.commit(session).value().headers, token_header);
  }
  static Session by_bearer(const SessionManager& sessions, const std::string& authorization,
                           const std::string& cookie = "") {
    RequestInfo request{cookie};
    request.authorization = authorization;
    return sessions.open(request).value();
  }

  const std::shared_ptr<FaultStore> store =
      std::make_shared<FaultStore>(std::make_shared<MemoryStore>());
};

TEST_F(TransportTest, OptionsThatCannotWorkAreRefused) {
  struct Row {
    TransportOptions transport;
    const char* field;
  };
  for (const Row& row : {
           Row{{false, false, ""}, "transport: "},
           Row{{true, false, "X Session"}, "transport.header"},
           Row{{true, false, "cookie"}, "transport.header"},
           Row{{true, true, "authorization"}, "transport.header"},
           Row{{true, true, "", ""}, "transport.response_header"},
           Row{{true, true, "", "set-cookie"}, "transport.response_header"},
           Row{{true, true, "", "A\r\nB"}, "transport.response_header"},
       }) {
    SessionOptions options;
    options.transport = row.transport;
    const auto made = SessionManager::make(store, options);
    ASSERT_FALSE(made) << row.field;
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    EXPECT_NE(made.error().detail.find(row.field), std::string::npos) << made.error().detail;
  }
}

// RFC 6750 §2.1, RFC 9110 §11.
TEST_F(TransportTest, BearerIsReadAsItIsWritten) {
  const SessionManager sessions = manager(options(true, true, ""));
  const std::string id = token(sessions, 1);
  for (const std::string& authorization : std::vector<std::string>{
           "Bearer " + id, "bearer " + id, "BEARER   " + id + " ", " Bearer\t" + id}) {
    const Session session = by_bearer(sessions, authorization);
    EXPECT_EQ(session.value("a", 0), 1) << authorization;
    EXPECT_EQ(session.transport(), Transport::bearer);
  }
  for (const std::string& authorization : std::vector<std::string>{
           "Bearer" + id, "Bearer", "Bearer " + id + ", Bearer " + id, "Bearer " + id + "x",
           "Bearer token=" + id, "Basic " + id, id, std::string("Bearer \0", 8), std::string()}) {
    const Session session = by_bearer(sessions, authorization);
    EXPECT_TRUE(session.is_new()) << authorization;
  }
}

TEST_F(TransportTest, TheFirstThatIsThereCounts) {
  const SessionManager sessions = manager(options(true, true, "X-Session"));
  const std::string bearer = token(sessions, 1);
  const std::string header = token(sessions, 2);
  Session browser = open_session(sessions);
  browser.set("a", 3);
  const std::string cookie = cookie_of(sessions.commit(browser).value());
  struct Row {
    std::string authorization;
    std::string header;
    std::string cookie;
    int value;
    Transport by;
  };
  for (const Row& row : {
           Row{"Bearer " + bearer, header, cookie, 1, Transport::bearer},
           Row{"", header, cookie, 2, Transport::header},
           Row{"", " " + header + " ", "", 2, Transport::header},
           Row{"Basic YTpi", header, cookie, 2, Transport::header},
           Row{"Basic YTpi", "  ", cookie, 3, Transport::cookie},
           Row{"Bearer nonsense", header, cookie, 0, Transport::bearer},
           Row{"Bearer", "", cookie, 0, Transport::bearer},
           Row{"", "nonsense", cookie, 0, Transport::header},
           Row{"", "", "", 0, Transport::none},
       }) {
    RequestInfo request{row.cookie};
    request.authorization = row.authorization;
    request.session_header = row.header;
    const Session session = sessions.open(request).value();
    EXPECT_EQ(session.value("a", 0), row.value) << row.authorization << '|' << row.header;
    EXPECT_EQ(session.transport(), row.by) << row.authorization << '|' << row.header;
  }
}

TEST_F(TransportTest, WhatIsNotSwitchedOnIsNotThere) {
  const SessionManager all = manager(options(true, true, "X-Session"));
  const std::string id = token(all, 1);
  const auto opened = [&](const SessionManager& sessions) {
    RequestInfo request;
    const std::string cookie = "sid=" + id;
    const std::string authorization = "Bearer " + id;
    request.cookie_header = cookie;
    request.authorization = authorization;
    request.session_header = id;
    return sessions.open(request).value().transport();
  };
  EXPECT_EQ(opened(manager(SessionOptions())), Transport::cookie);
  EXPECT_EQ(opened(manager(options(false, false, "X-Session"))), Transport::header);
  EXPECT_EQ(opened(manager(options(false, true, ""))), Transport::bearer);
}

TEST_F(TransportTest, ANewIdGoesOutAsTheRequestCame) {
  const SessionManager sessions = manager(options(true, true, ""));
  const auto changed = [&](Session session) {
    session.set("a", 1);
    session.regenerate();
    return sessions.commit(session).value();
  };
  const Commit visitor = changed(open_session(sessions));
  EXPECT_TRUE(sends_cookie(visitor));
  EXPECT_EQ(value_of(visitor.headers, token_header), "(none)");
  const Commit browser = changed(open_session(sessions, cookie_of(visitor)));
  EXPECT_TRUE(sends_cookie(browser));
  EXPECT_EQ(value_of(browser.headers, token_header), "(none)") << "scripts could read it";

  const Commit client = changed(by_bearer(sessions, "Bearer " + token(sessions, 1)));
  EXPECT_FALSE(sends_cookie(client));
  EXPECT_EQ(client.cookie, std::nullopt);
  EXPECT_EQ(value_of(client.headers, "Cache-Control"), "no-store");
  const std::string next = value_of(client.headers, token_header);
  EXPECT_EQ(by_bearer(sessions, "Bearer " + next).value("a", 0), 1);
  // One whose session is over gets a new one in the same way.
  const Commit stale = changed(by_bearer(sessions, "Bearer " + std::string(32, 'x')));
  EXPECT_FALSE(sends_cookie(stale));
  EXPECT_NE(value_of(stale.headers, token_header), "(none)");

  const SessionManager without_cookies = manager(options(false, true, ""));
  Session first = without_cookies.open({}).value();
  first.set("a", 1);
  const Commit commit = without_cookies.commit(first).value();
  EXPECT_FALSE(sends_cookie(commit));
  EXPECT_NE(value_of(commit.headers, token_header), "(none)");
}

// What is not new is not sent: a header could be read by scripts that cannot read the cookie.
TEST_F(TransportTest, OnlyACookieIsSentAgain) {
  SessionOptions rolling = options(true, true, "");
  rolling.cookie.rolling = true;
  const SessionManager sessions = manager(rolling);
  const auto change = [&](Session session) {
    session.set("b", 1);
    session.set_timeouts(std::chrono::minutes(5), std::chrono::hours(1));
    session.set_persistent(false);
    return sessions.commit(session).value();
  };
  const Commit client = change(by_bearer(sessions, "Bearer " + token(sessions, 1)));
  EXPECT_EQ(value_of(client.headers, token_header), "(none)");
  EXPECT_FALSE(sends_cookie(client));

  Session browser = open_session(sessions);
  browser.set("a", 1);
  Session session = open_session(sessions, cookie_of(sessions.commit(browser).value()));
  session.use_token();
  const Commit commit = change(std::move(session));
  EXPECT_EQ(commit.status, Commit::Status::updated);
  EXPECT_EQ(value_of(commit.headers, token_header), "(none)");
  EXPECT_TRUE(sends_cookie(commit));
}

TEST_F(TransportTest, AnEndTakesACookieAwayAndNoToken) {
  const SessionManager sessions = manager(options(true, true, ""));
  Session client = by_bearer(sessions, "Bearer " + token(sessions, 1), "sid=whatever");
  client.invalidate();
  const Commit bye = sessions.commit(client).value();
  EXPECT_EQ(bye.status, Commit::Status::erased);
  EXPECT_FALSE(sends_cookie(bye)) << "the cookie beside it was not looked at";
  Session stale = by_bearer(sessions, "Bearer nonsense");
  stale.invalidate();
  EXPECT_FALSE(sends_cookie(sessions.commit(stale).value()));

  // Also when the commit had failed before, and in the middle of an outage.
  client = by_bearer(sessions, "Bearer " + token(sessions, 1));
  client.sign_out();
  client.set("large", std::string(100'000, 'x'));
  EXPECT_FALSE(sessions.commit(client));
  const Commit after = sessions.commit(client).value();
  EXPECT_EQ(after.status, Commit::Status::erased);
  EXPECT_FALSE(sends_cookie(after));
}

TEST_F(TransportTest, CachesAreToldOfAllThatCounts) {
  struct Row {
    bool cookie;
    bool bearer;
    const char* header;
    const char* vary;
  };
  for (const Row& row :
       {Row{true, false, "", "Cookie"}, Row{false, true, "", "Authorization"},
        Row{true, true, "X-S", "Authorization, X-S, Cookie"}, Row{false, false, "X-S", "X-S"}}) {
    const SessionManager sessions = manager(options(row.cookie, row.bearer, row.header));
    Session session = sessions.open({}).value();
    EXPECT_EQ(value_of(sessions.commit(session).value().headers, "Vary"), row.vary);
    EXPECT_EQ(value_of(sessions.cache_headers({}), "Vary"), row.vary);
  }
  const SessionManager sessions = manager(options(true, true, ""));
  RequestInfo request;
  request.authorization = "Bearer x";
  EXPECT_EQ(value_of(sessions.cache_headers(request), "Cache-Control"), "private");
  request.authorization = "Basic x";
  EXPECT_EQ(value_of(sessions.cache_headers(request), "Cache-Control"), "(none)");
}

TEST_F(TransportTest, AnOutageIsNoLogout) {
  SessionOptions by_token = options(true, true, "");
  const std::string id = token(manager(by_token), 1);
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  RequestInfo request;
  const std::string authorization = "Bearer " + id;
  request.authorization = authorization;
  EXPECT_EQ(manager(by_token).open(request).error().code, Errc::unavailable);
  by_token.on_outage = Outage::anonymous;
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  Session session = manager(by_token).open(request).value();
  EXPECT_TRUE(session.degraded());
  EXPECT_EQ(value_of(manager(by_token).commit(session).value().headers, token_header), "(none)");
}

TEST_F(TransportTest, UseTokenNeedsAWayBack) {
  const SessionManager sessions = manager(SessionOptions());
  Session session = sessions.open({}).value();
  session.set("a", 1);
  session.use_token();
  const auto commit = sessions.commit(session);
  ASSERT_FALSE(commit);
  EXPECT_NE(commit.error().detail.find("transport.bearer"), std::string::npos);
}

// A wrong token is told as a wrong cookie is, and no event shows it.
TEST_F(TransportTest, AWrongTokenIsTold) {
  struct Seen final : Observer {
    std::vector<SessionEvent::Kind> kinds;
    int warnings = 0;
    void on_session(const SessionEvent& event) override { kinds.push_back(event.kind); }
    void on_warning(const Warning& warning) override {
      ++warnings;
      EXPECT_NE(warning.text.find("plain http"), std::string_view::npos);
    }
  };
  const auto seen = std::make_shared<Seen>();
  SessionOptions watched = options(true, true, "");
  watched.observer = seen;
  by_bearer(manager(watched), "Bearer nonsense");
  watched.signing.keys = KeyRing::make({std::string(32, 'k')}).value();
  by_bearer(manager(watched), "Bearer nonsense");
  using Kind = SessionEvent::Kind;
  EXPECT_EQ(seen->kinds, (std::vector<Kind>{Kind::cookie_malformed, Kind::cookie_bad_signature}));
  const SessionManager sessions = manager(watched);
  token(sessions, 1);
  token(sessions, 2);
  EXPECT_EQ(seen->warnings, 1) << "an id over plain http, said once";
}

}  // namespace
}  // namespace websession::testing
