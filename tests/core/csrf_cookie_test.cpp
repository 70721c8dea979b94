// CSRF tokens that need no session, each guarantee with the attack that it stops.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "encrypted_harness.hpp"
#include "faulty_memory.hpp"
#include "requests.hpp"
#include "websession/csrf.hpp"

namespace websession::testing {
namespace {

class CsrfCookieTest : public ::testing::Test, protected FaultyMemory {
 protected:
  static CookieOptions host_cookie() {
    CookieOptions cookie;
    cookie.name = "__Host-sid";
    cookie.secure = Secure::always;
    return cookie;
  }
  static CsrfCookie made(std::vector<std::string> secrets = {std::string(32, 'k')},
                         const CookieOptions& cookie = {}) {
    return CsrfCookie::make(key_ring(std::move(secrets)), cookie).value();
  }
  SessionManager make_manager(Outage on_outage = Outage::fail) {
    SessionOptions options;
    options.clock = clock;
    options.on_outage = on_outage;
    return SessionManager::make(store, options).value();
  }

  // What a browser sends back.
  static std::string pair_of(const CsrfCookie::Token& token) {
    const std::string& header = token.headers.at(1).value;
    return header.substr(0, header.find(';'));
  }
  // A page as a visitor with these cookies loads it: its token, and the cookies afterwards.
  struct Page {
    std::string token;
    std::string cookies;
  };
  Page load_page(const std::string& cookies = "") {
    Session session = open_session(manager, cookies);
    CsrfCookie::Token token = csrf.token(session, cookies).value();
    EXPECT_EQ(token.headers.at(0).name, "Cache-Control") << "the page is this visitor's";
    std::string after = cookies;
    if (token.headers.size() > 1) after += (after.empty() ? "" : "; ") + pair_of(token);
    EXPECT_FALSE(testing::sends_cookie(manager.commit(session).value()));
    return {token.text, after};
  }
  bool valid(const Page& page) {
    return csrf.valid(open_session(manager, page.cookies), page.cookies, page.token);
  }

  SessionManager manager = make_manager();
  CsrfCookie csrf = made();
};

TEST_F(CsrfCookieTest, APageForRobotsStoresNothing) {
  const Page page = load_page();
  EXPECT_TRUE(valid(page));
  EXPECT_EQ(store->calls(), 0U);
  EXPECT_EQ(page.token.size(), 86U);
  EXPECT_EQ(page.cookies.substr(0, 9), "sid-csrf=");
  EXPECT_TRUE(valid(page)) << "as often as a form is sent";
}

TEST_F(CsrfCookieTest, TheCookieIsSentOnce) {
  const Page page = load_page();
  const Page again = load_page(page.cookies);
  EXPECT_EQ(again.cookies, page.cookies);
  EXPECT_NE(again.token, page.token) << "masked anew";
  EXPECT_TRUE(valid(again));
  EXPECT_TRUE(valid({page.token, again.cookies}));
}

TEST_F(CsrfCookieTest, TheCookieIsLikeTheSessions) {
  Session session = manager.open({"", true}).value();
  const std::vector<Header> headers = csrf.token(session, "").value().headers;
  ASSERT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers[1].name, "Set-Cookie");
  const std::string text = headers[1].value;
  EXPECT_EQ(text.substr(text.find(';')), "; Path=/; HttpOnly; Secure; SameSite=Lax");
  EXPECT_EQ(headers[0].value, "no-store");
  EXPECT_EQ(headers[0].mode, Header::Mode::replace);
  const CsrfCookie host = made({std::string(32, 'k')}, host_cookie());
  Session plain = open_session(manager);
  const std::string hosts = host.token(plain, "").value().headers.at(1).value;
  EXPECT_TRUE(hosts.starts_with("__Host-sid-csrf=")) << hosts;
  EXPECT_NE(hosts.find("; Secure"), std::string::npos);
}

// Attack: the attacker's own token in a form that the victim sends.
TEST_F(CsrfCookieTest, ATokenIsOfItsCookieOnly) {
  const Page victim = load_page();
  const Page attacker = load_page();
  EXPECT_FALSE(valid({attacker.token, victim.cookies}));
  EXPECT_FALSE(valid({attacker.token, ""}));
  EXPECT_FALSE(valid({victim.token, "sid-csrf="}));
}

// Attack (naive double submit): whoever plants a cookie knows what belongs into the form.
TEST_F(CsrfCookieTest, ACookieOfOnesOwnMakesNoToken) {
  const std::string value(43, 'A');
  const std::string cookies = "sid-csrf=" + value;
  for (const std::string& token : {value, value + value, std::string(86, 'A'), std::string()}) {
    EXPECT_FALSE(valid({token, cookies})) << token;
  }
  EXPECT_FALSE(valid({load_page().token, cookies}));
}

TEST_F(CsrfCookieTest, NothingElseIsValid) {
  const Page page = load_page();
  for (std::size_t i = 0; i < page.token.size(); ++i) {
    std::string altered = page.token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(valid({altered, page.cookies})) << i;
    EXPECT_FALSE(valid({page.token.substr(0, i), page.cookies}));
  }
  EXPECT_FALSE(valid({page.token + "A", page.cookies}));
  EXPECT_FALSE(valid({page.token, page.cookies + "A"}));
  EXPECT_FALSE(valid({page.token, page.cookies.substr(0, page.cookies.size() - 1)}));
  // For another cookie, or with another secret.
  const std::string renamed = "sid2-csrf=" + page.cookies.substr(9);
  CookieOptions other;
  other.name = "sid2";
  EXPECT_FALSE(
      made({std::string(32, 'k')}, other).valid(open_session(manager), renamed, page.token));
  EXPECT_FALSE(made({std::string(32, 'x')}).valid(open_session(manager), page.cookies, page.token));
}

TEST_F(CsrfCookieTest, SecretsRotateWithoutEndingTokens) {
  const Page page = load_page();
  csrf = made({std::string(32, 'n'), std::string(32, 'k')});
  EXPECT_TRUE(valid(page));
  const Page renewed = load_page(page.cookies);
  EXPECT_TRUE(valid(renewed));
  csrf = made({std::string(32, 'n')});
  EXPECT_FALSE(valid(page));
  EXPECT_TRUE(valid(renewed));
}

TEST_F(CsrfCookieTest, EachTokenIsMaskedAnew) {
  const Page page = load_page();
  std::set<std::string> halves;
  for (int i = 0; i < 100; ++i) {
    const std::string token = load_page(page.cookies).token;
    halves.insert(token.substr(0, 42));
    halves.insert(token.substr(43));
  }
  EXPECT_EQ(halves.size(), 200U);
}

// A planted cookie does not end the visitor's own, and of __Host- names there is one.
TEST_F(CsrfCookieTest, OfSeveralCookiesEachCountsUnlessItsNameAllowsOne) {
  const Page page = load_page();
  const std::string planted = "sid-csrf=" + std::string(43, 'A');
  EXPECT_TRUE(valid({page.token, planted + "; " + page.cookies}));
  const CsrfCookie host = made({std::string(32, 'k')}, host_cookie());
  Session session = open_session(manager);
  const CsrfCookie::Token token = host.token(session, "").value();
  const std::string own = pair_of(token);
  EXPECT_TRUE(host.valid(session, own, token.text));
  EXPECT_FALSE(
      host.valid(session, "__Host-sid-csrf=" + std::string(43, 'A') + "; " + own, token.text));
}

// With a session

TEST_F(CsrfCookieTest, ASessionGetsTokensOfItsOwn) {
  Session session = manager.create().value();
  const CsrfCookie::Token token = csrf.token(session, "").value();
  EXPECT_EQ(token.headers.size(), 1U) << "no cookie";
  EXPECT_TRUE(csrf_valid(session, token.text));
  EXPECT_TRUE(csrf.valid(session, "", token.text));
  // One that the commit makes.
  Session fresh = open_session(manager);
  fresh.set("cart", "tea");
  const CsrfCookie::Token with_it = csrf.token(fresh, "").value();
  EXPECT_EQ(with_it.headers.size(), 1U);
  ASSERT_TRUE(manager.commit(fresh));
  EXPECT_TRUE(csrf.valid(load_session(manager, *fresh.id()), "", with_it.text));
}

// The page was loaded first; its second form still works.
TEST_F(CsrfCookieTest, ATokenFromBeforeTheSessionIsValidUntilTheSignIn) {
  const Page page = load_page();
  Session session = open_session(manager, page.cookies);
  EXPECT_TRUE(csrf.valid(session, page.cookies, page.token));
  session.set("cart", "tea");
  const std::string cookies = cookie_of(manager.commit(session).value()) + "; " + page.cookies;
  EXPECT_TRUE(valid({page.token, cookies}));

  session = open_session(manager, cookies);
  session.sign_in("ada");
  EXPECT_FALSE(csrf.valid(session, page.cookies, page.token)) << "from the sign-in on";
  const std::string signed_in = cookie_of(manager.commit(session).value()) + "; " + page.cookies;
  EXPECT_FALSE(valid({page.token, signed_in}));
  const Page own = load_page(signed_in);
  EXPECT_TRUE(valid(own));
  EXPECT_FALSE(valid({own.token, page.cookies})) << "nor the other way round";
}

TEST_F(CsrfCookieTest, AnEndedSessionGetsTokensOfTheCookie) {
  Session session = manager.create().value();
  const std::string token = csrf.token(session, "").value().text;
  session.invalidate();
  const CsrfCookie::Token after = csrf.token(session, "").value();
  ASSERT_EQ(after.headers.size(), 2U);
  EXPECT_FALSE(csrf.valid(session, "", token));
}

TEST_F(CsrfCookieTest, AnOutageDoesNotConcernIt) {
  manager = make_manager(Outage::anonymous);
  const Page page = load_page();
  store->fail_all(make_error(Errc::unavailable, "told to"));
  const std::string cookies = "sid=" + std::string(32, 'a') + "; " + page.cookies;
  EXPECT_TRUE(open_session(manager, cookies).degraded());
  EXPECT_TRUE(valid({page.token, cookies}));
  EXPECT_TRUE(valid(load_page(cookies)));
}

TEST_F(CsrfCookieTest, RefusesBadOptions) {
  EXPECT_EQ(CsrfCookie::make({}, {}).error().code, Errc::invalid_argument);
  CookieOptions bad;
  bad.name = "__Host-sid";  // without Secure::always
  EXPECT_EQ(CsrfCookie::make(key_ring({std::string(32, 'k')}), bad).error().code,
            Errc::invalid_argument);
}

}  // namespace
}  // namespace websession::testing
