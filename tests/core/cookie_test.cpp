#include "websession/cookie.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "random.hpp"

namespace websession {
namespace {

using std::chrono::seconds;

WallTime unix_time(std::int64_t s) { return WallTime(seconds(s)); }

TEST(ParseCookies, KeepsTheOrderAndTheBytes) {
  const std::vector<Cookie> cookies = parse_cookies("a=1; b=x=y;c=;  d = \"q\" ;a=2");
  ASSERT_EQ(cookies.size(), 5U);
  EXPECT_EQ(cookies[0].name, "a");
  EXPECT_EQ(cookies[1].value, "x=y");
  EXPECT_EQ(cookies[2].value, "");
  EXPECT_EQ(cookies[3].name, "d");
  EXPECT_EQ(cookies[3].value, "\"q\"") << "quotes belong to the value";
  EXPECT_EQ(cookies[4].value, "2");
}

TEST(ParseCookies, PassesOverWhatIsNoCookie) {
  EXPECT_TRUE(parse_cookies("").empty());
  EXPECT_TRUE(parse_cookies(";;; ;").empty());
  EXPECT_TRUE(parse_cookies("novalue; =noname; = ").empty());
  EXPECT_EQ(parse_cookies("=x; a=1").size(), 1U);
}

TEST(ParseCookies, NeverFails) {
  testing::Random random;
  for (int i = 0; i < 20'000; ++i) {
    const std::string header = random.bytes(random.below(60));
    for (const Cookie& cookie : parse_cookies(header)) {
      EXPECT_FALSE(cookie.name.empty());
      EXPECT_EQ(cookie.value.find(';'), std::string::npos);
    }
  }
  EXPECT_EQ(parse_cookies(std::string(1'000'000, ';')).size(), 0U);
}

TEST(FindCookies, GivesAllOfAName) {
  using Values = std::vector<std::string_view>;
  EXPECT_EQ(find_cookies("sid=1; SID=2; sid=3; xsid=4", "sid"), (Values{"1", "3"}));
  EXPECT_TRUE(find_cookies("a=1", "sid").empty());
}

SetCookie cookie() {
  SetCookie cookie;
  cookie.name = "sid";
  cookie.value = "abc";
  return cookie;
}

TEST(Serialize, WritesWhatIsSet) {
  EXPECT_EQ(serialize(cookie()).value(), "sid=abc");
  SetCookie full = cookie();
  full.path = "/app";
  full.domain = "example.com";
  full.max_age = seconds(43200);
  full.expires = unix_time(784111777);
  full.same_site = SameSite::strict;
  full.secure = true;
  full.http_only = true;
  full.partitioned = true;
  EXPECT_EQ(serialize(full).value(),
            "sid=abc; Path=/app; Domain=example.com; Max-Age=43200; "
            "Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Secure; SameSite=Strict; "
            "Partitioned");
}

TEST(Serialize, WritesDatesOfManyYears) {
  const auto expires = [](std::int64_t s) {
    SetCookie with = cookie();
    with.expires = unix_time(s);
    const std::string text = serialize(with).value();
    return text.substr(text.find("Expires=") + 8);
  };
  EXPECT_EQ(expires(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(expires(951782399), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(expires(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(expires(4102444800), "Fri, 01 Jan 2100 00:00:00 GMT");
  EXPECT_EQ(expires(-5), "Thu, 01 Jan 1970 00:00:00 GMT");
}

// Browsers strip the blanks around a path, and would keep the cookie under another one.
TEST(Serialize, RefusesAPathWithABlankOrAQuote) {
  for (const char* path : {"/a ", "/a b", "/ ", "/\"a\"", "/a\""}) {
    SetCookie cookie{"sid", "x"};
    cookie.path = path;
    EXPECT_FALSE(serialize(cookie)) << path;
  }
}

// Header injection: what could end the header or the cookie is refused in every part.
TEST(Serialize, RefusesWhatAHeaderCannotCarry) {
  const std::vector<std::function<void(SetCookie&, char)>> parts = {
      [](SetCookie& c, char byte) { c.name = std::string("a") + byte + "b"; },
      [](SetCookie& c, char byte) { c.value = std::string("a") + byte + "b"; },
      [](SetCookie& c, char byte) { c.path = std::string("/a") + byte + "b"; },
      [](SetCookie& c, char byte) { c.domain = std::string("a") + byte + "b"; },
  };
  for (const auto& put : parts) {
    for (int byte = 0; byte < 256; ++byte) {
      const bool control = byte < 0x20 || byte == 0x7f;
      if (!control && byte != ';') continue;
      SetCookie bad = cookie();
      put(bad, static_cast<char>(byte));
      const Result<std::string> text = serialize(bad);
      ASSERT_FALSE(text) << "byte " << byte;
      EXPECT_EQ(text.error().code, Errc::invalid_argument);
    }
  }
}

TEST(Serialize, RefusesWhatIsNoTokenOrNoCookieValue) {
  for (const char* name : {"", "a b", "a=b", "a,b", "\"a\"", "a/b", "ä"}) {
    SetCookie bad = cookie();
    bad.name = name;
    EXPECT_FALSE(serialize(bad)) << name;
  }
  for (const char* value : {"a b", "a,b", "a\"b", "a\\b", "ä"}) {
    SetCookie bad = cookie();
    bad.value = value;
    EXPECT_FALSE(serialize(bad)) << value;
  }
}

TEST(Serialize, RefusesWhatBrowsersDropForItsSize) {
  SetCookie c = cookie();
  c.value = std::string(4096 - c.name.size(), 'x');
  EXPECT_TRUE(serialize(c));
  c.value += 'x';
  const Result<std::string> text = serialize(c);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::too_large);
  SetCookie path = cookie();
  path.path = "/" + std::string(1024, 'p');
  EXPECT_FALSE(serialize(path));
}

TEST(Serialize, RandomPartsNeverBreakOut) {
  testing::Random random;
  for (int i = 0; i < 20'000; ++i) {
    SetCookie c;
    c.name = random.bytes(1 + random.below(3));
    c.value = random.bytes(random.below(6));
    c.path = "/" + random.bytes(random.below(3));
    const Result<std::string> text = serialize(c);
    if (!text) continue;
    EXPECT_EQ(text->find_first_of(std::string("\r\n\0", 3)), std::string::npos);
    const std::string pair = text->substr(0, text->find(';'));
    const std::vector<Cookie> back = parse_cookies(pair);
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].name, c.name);
    EXPECT_EQ(back[0].value, c.value);
  }
}

TEST(CookieOptions, DefaultsAreValid) { EXPECT_TRUE(validate(CookieOptions())); }

struct BadOptions {
  std::function<void(CookieOptions&)> spoil;
  std::string field;
};

TEST(CookieOptions, WrongOnesAreRefusedByName) {
  const std::vector<BadOptions> all = {
      {[](CookieOptions& o) { o.name = ""; }, "cookie.name"},
      {[](CookieOptions& o) { o.name = "a b"; }, "cookie.name"},
      {[](CookieOptions& o) { o.name = "a\r\nb"; }, "cookie.name"},
      {[](CookieOptions& o) { o.name = std::string(4000, 'n'); }, "cookie.name"},
      {[](CookieOptions& o) { o.path = ""; }, "cookie.path"},
      {[](CookieOptions& o) { o.path = "app"; }, "cookie.path"},
      {[](CookieOptions& o) { o.path = "/;x"; }, "cookie.path"},
      {[](CookieOptions& o) { o.path = "/my app"; }, "cookie.path"},
      {[](CookieOptions& o) { o.path = "/app "; }, "cookie.path"},
      {[](CookieOptions& o) { o.path = "/\"app\""; }, "cookie.path"},
      {[](CookieOptions& o) { o.domain = "a b"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "."; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = ".."; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "-"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "a..b"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "..a.b"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "example.com."; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "bad-.abc"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.domain = "-bad.abc"; }, "cookie.domain"},
      {[](CookieOptions& o) { o.name = "__Http-sid"; }, "cookie.secure"},
      {[](CookieOptions& o) {
         o.name = "__http-sid";
         o.secure = Secure::always;
         o.http_only = false;
       },
       "cookie.http_only"},
      {[](CookieOptions& o) {
         o.name = "__Host-Http-sid";
         o.secure = Secure::always;
         o.http_only = false;
       },
       "cookie.http_only"},
      {[](CookieOptions& o) {
         o.name = "__Host-Http-sid";
         o.secure = Secure::always;
         o.domain = "example.com";
       },
       "cookie.domain"},
      {[](CookieOptions& o) { o.name = "__Secure-sid"; }, "cookie.secure"},
      {[](CookieOptions& o) { o.name = "__host-sid"; }, "cookie.secure"},
      {[](CookieOptions& o) { o.same_site = SameSite::none; }, "cookie.secure"},
      {[](CookieOptions& o) { o.partitioned = true; }, "cookie.secure"},
      {[](CookieOptions& o) {
         o.same_site = SameSite::none;
         o.secure = Secure::never;
       },
       "cookie.secure"},
      {[](CookieOptions& o) {
         o.name = "__Host-sid";
         o.secure = Secure::always;
         o.path = "/app";
       },
       "cookie.path"},
      {[](CookieOptions& o) {
         o.name = "__Host-sid";
         o.secure = Secure::always;
         o.domain = "example.com";
       },
       "cookie.domain"},
  };
  for (const BadOptions& bad : all) {
    CookieOptions options;
    bad.spoil(options);
    const Result<void> valid = validate(options);
    ASSERT_FALSE(valid) << bad.field;
    EXPECT_EQ(valid.error().code, Errc::invalid_argument);
    EXPECT_TRUE(valid.error().detail.starts_with(bad.field)) << valid.error().detail;
  }
}

TEST(CookieOptions, DomainsThatBrowsersTakeAreValid) {
  for (const char* domain : {"example.com", ".example.com", "localhost", "a-b.example.com",
                             "my_app.example.com", "127.0.0.1", "xn--bcher-kva.example", "A.B"}) {
    CookieOptions options;
    options.domain = domain;
    EXPECT_TRUE(validate(options)) << domain;
  }
}

TEST(CookieOptions, PrefixesWithSecureAlwaysAreValid) {
  CookieOptions options;
  options.secure = Secure::always;
  for (const char* name : {"__Host-sid", "__Host-Http-sid", "__Http-sid"}) {
    options.name = name;
    EXPECT_TRUE(validate(options)) << name;
  }
  options.name = "__Secure-sid";
  options.domain = "example.com";
  options.path = "/app";
  options.same_site = SameSite::none;
  options.partitioned = true;
  EXPECT_TRUE(validate(options));
}

}  // namespace
}  // namespace websession
