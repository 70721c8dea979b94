// The text of a session as Express writes it: taken apart and put together.
#include "json_document.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "random.hpp"

namespace websession::redis {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view cookie = R"("cookie":{"originalMaxAge":null,"expires":null,"path":"/"})";

WallTime at(std::int64_t ms) { return WallTime(milliseconds(ms)); }

JsonDocument parsed(std::string_view text) { return parse_document(text).value(); }

Errc parse_error(std::string_view text) {
  const Result<JsonDocument> document = parse_document(text);
  return document ? Errc() : static_cast<Errc>(document.error().code.value());
}

// What express-session 1.19 and connect-redis 9 have written.
TEST(JsonDocument, ReadsASessionOfExpress) {
  const JsonDocument document =
      parsed(R"({"cookie":{"originalMaxAge":3600000,"expires":"2026-01-31T12:00:00.000Z",)"
             R"("httpOnly":true,"path":"/"},"user":"Ada","count":7,"zip":"10115","yes":true,)"
             R"("empty":"","looks":"{\"a\":1}","list":[1,{"b":"]}"}],"none":null,"e":1.5e+300})");
  EXPECT_EQ(document.fields, (Fields{{"user", "Ada"},
                                     {"count", "7"},
                                     {"zip", "\"10115\""},
                                     {"yes", "true"},
                                     {"empty", ""},
                                     {"looks", R"("{\"a\":1}")"},
                                     {"list", R"([1,{"b":"]}"}])"},
                                     {"none", "null"},
                                     {"e", "1.5e+300"}}));
  EXPECT_EQ(document.kept, R"("cookie":{"originalMaxAge":3600000,"expires":)"
                           R"("2026-01-31T12:00:00.000Z","httpOnly":true,"path":"/"})");
}

TEST(JsonDocument, WritesWhatExpressReads) {
  const std::string text = write_document(Fields{{"count", "7"},
                                                 {"user", "Ada \"the\" first"},
                                                 {"zip", "\"10115\""},
                                                 {"code", "x", at(2000)},
                                                 {"@created", "1700000000000"},
                                                 {"@user", "ada"}},
                                          cookie);
  EXPECT_EQ(text, "{" + std::string(cookie) +
                      R"(,"code":"x","count":7,"user":"Ada \"the\" first","zip":"10115",)"
                      R"("__websession":{"@created":1700000000000,"@user":"ada",)"
                      R"("until":{"code":2000}}})");
}

TEST(JsonDocument, KeepsTheCookieToTheByte) {
  const std::string odd =
      R"("cookie" : { "z" : 1.0, "originalMaxAge":null,"a":{"b":[1, 2]},"sameSite":"lax" })";
  const JsonDocument document = parsed("\n{ " + odd + R"( , "a" : 1 } )");
  EXPECT_EQ(document.kept,
            R"("cookie":{ "z" : 1.0, "originalMaxAge":null,"a":{"b":[1, 2]},"sameSite":"lax" })");
  const std::string text = write_document(document.fields, document.kept);
  EXPECT_NE(text.find(document.kept), std::string::npos);
  EXPECT_EQ(parsed(text).kept, document.kept);
}

TEST(JsonDocument, NumbersKeepTheirDigits) {
  for (const std::string number :
       {"0.1", "1.0", "-0", "1e21", "9007199254740993", "123456789012345678901234567890",
        "0.30000000000000004", "1E-7"}) {
    const JsonDocument document = parsed("{" + std::string(cookie) + ",\"n\":" + number + "}");
    EXPECT_EQ(document.fields.find("n"), number);
    EXPECT_EQ(write_document(document.fields, cookie),
              "{" + std::string(cookie) + ",\"n\":" + number + ",\"__websession\":{}}");
  }
}

// Names with '@' are the library's in C++, so they must not come from outside.
TEST(JsonDocument, MembersOfExpressThatLookLikeOursAreKeptAside) {
  const JsonDocument document =
      parsed(R"({"@user":"mallory",)" + std::string(cookie) + R"(,"@until.a":1,"a":1})");
  EXPECT_EQ(document.fields, (Fields{{"a", "1"}}));
  const json text = json::parse(write_document(document.fields, document.kept));
  EXPECT_EQ(text["@user"], "mallory");
  EXPECT_EQ(text["@until.a"], 1);
}

TEST(JsonDocument, NamesMayBeAnyText) {
  const JsonDocument document =
      parsed("{" + std::string(cookie) + R"(,"":1,"a\"b\\":2,"\u00e9\u0000":3,"€":4})");
  EXPECT_EQ(document.fields,
            (Fields{{"", "1"}, {"a\"b\\", "2"}, {std::string_view("é\0", 3), "3"}, {"€", "4"}}));
  EXPECT_EQ(parsed(write_document(document.fields, cookie)).fields, document.fields);
}

TEST(JsonDocument, TheLastOfTwoMembersCounts) {
  EXPECT_EQ(parsed("{" + std::string(cookie) + R"(,"a":1,"a":2})").fields, (Fields{{"a", "2"}}));
}

TEST(JsonDocument, WhatIsNoSessionOfExpressIsCorrupt) {
  const std::string head = "{" + std::string(cookie) + ",";
  for (const std::string& text :
       std::vector<std::string>{"",
                                " ",
                                "x",
                                "null",
                                "[]",
                                "\"{}\"",
                                "{",
                                "{}",
                                R"({"a":1})",
                                R"({"cookie":null})",
                                R"({"cookie":{}} x)",
                                head + "}",
                                head + R"("a":1e999})",
                                head + "\"a\":\"\xff\"}",
                                "\xef\xbb\xbf{" + std::string(cookie) + "}",
                                head + "\"a\":1}" + '\0',
                                head + R"("__websession":[]})",
                                head + R"("__websession":{"@created":"soon"}})",
                                head + R"("__websession":{"@created":1.5}})",
                                head + R"("__websession":{},"__websession":{}})",
                                head + R"("__websession":{"@user":"a","@user":"b"}})",
                                head + R"("__websession":{"until":1}})",
                                head + R"("__websession":{"until":{"@created":1}}})",
                                head + R"("__websession":{"until":{"a":"x"}}})",
                                head + R"("__websession":{"bytes":{"a":"x"}}})",
                                head + R"("__websession":{"bytes":[["YQ","*"]]}})",
                                head + R"("__websession":{"bytes":[["YQ"]]}})",
                                head + R"("__websession":{"bytes":[["Y29va2ll","YQ"]]}})",
                                head + R"("__websession":{"bytes":[["QGNyZWF0ZWQ","NQ"]]}})",
                                head + R"("__websession":{"bytes":[["YQ","YQ","1"]]}})"}) {
    EXPECT_EQ(parse_error(text), Errc::corrupt) << text;
  }
}

TEST(JsonDocument, DeepNestingNeedsNoStack) {
  const std::string head = "{" + std::string(cookie) + ",\"a\":";
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  const JsonDocument document = parsed(head + nested(128) + "}");
  EXPECT_EQ(document.fields.find("a"), nested(128));
  EXPECT_EQ(parsed(write_document(document.fields, cookie)).fields, document.fields);
  EXPECT_EQ(parse_error(head + nested(129) + "}"), Errc::corrupt);
  EXPECT_EQ(parse_error(head + nested(200'000) + "}"), Errc::corrupt);
  EXPECT_EQ(parse_error(R"({"cookie":{},"__websession":{"until":)" + nested(200'000) + "}}"),
            Errc::corrupt);
}

// Whatever is stored comes back byte for byte, whether JSON can hold it or not.
TEST(JsonDocument, EveryTextSurvives) {
  std::vector<std::string> texts = {"",      " ",        " 1",  "1 ",          "\"a\"",   "\"1\"",
                                    "01",    "-0",       "1.0", R"("\u0041")", "\"\"",    "{}",
                                    "{ }",   "[1, 2]",   "\n",  "\xff",        "tru",     "true",
                                    "null ", "\"\xff\"", "\"",  R"("\ud800")", "\"a\\\"", "1e999"};
  for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, static_cast<char>(i)));
  testing::Random random;
  for (int i = 0; i < 2000; ++i) texts.push_back(random.bytes(random.below(12)));
  for (int i = 0; i < 5000; ++i) {
    texts.push_back(random.text(1 + random.below(10), "{}[]\",:\\u0 1e-.tfn\n@a"));
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string& name = texts[texts.size() - 1 - i];
    if (!validate_names(Fields{{name, ""}}) || name.starts_with("@")) continue;
    const Fields fields{
        {name, texts[i], at(static_cast<std::int64_t>(i))}, {"@created", "5"}, {"@user", texts[i]}};
    const std::string text = write_document(fields, cookie);
    ASSERT_TRUE(json::accept(text)) << text;
    EXPECT_EQ(parsed(text).fields, fields) << text;
    EXPECT_EQ(parsed(text).kept, cookie);
  }
}

TEST(JsonDocument, ANewCookieLooksLikeThatOfExpress) {
  ExpressCookie plain;
  EXPECT_EQ(write_cookie(plain, at(0)),
            R"("cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"})");
  ExpressCookie full;
  full.path = "/shop";
  full.domain = "example.org";
  full.max_age = milliseconds(3'600'001);
  full.http_only = false;
  full.secure = true;
  full.same_site = SameSite::none;
  EXPECT_EQ(write_cookie(full, at(1'769'817'600'123)),
            R"("cookie":{"originalMaxAge":3600001,"expires":"2026-01-31T01:00:00.124Z",)"
            R"("secure":true,"httpOnly":false,"domain":"example.org","path":"/shop",)"
            R"("sameSite":"none"})");
}

TEST(JsonDocument, NamesThatExpressWouldDropAreRefused) {
  for (const std::string name : {"cookie", "__websession", "id", "save", "toString", "__proto__"}) {
    Changes set;
    set.set.push_back({name, "1"});
    Changes count;
    count.increment.push_back({name, 1});
    EXPECT_FALSE(validate_names(Fields{{name, "1"}})) << name;
    EXPECT_FALSE(validate_names(set)) << name;
    EXPECT_FALSE(validate_names(count)) << name;
  }
  EXPECT_TRUE(validate_names(Fields{{"ids", "1"}, {"@created", "1"}}));
}

}  // namespace
}  // namespace websession::redis
