// Who is asked where Redis is, as a list of plain calls.
#include "sentinels.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websession::redis {
namespace {

using Next = Sentinels::Next;

Place place(const std::string& host, const std::string& port = "26379") {
  return {.host = host, .port = port};
}
Error away() { return make_error(Errc::unavailable, "away"); }

std::vector<Reply> replies(std::string_view bytes) {
  std::vector<Reply> all;
  ReplyParser parser(65536);
  EXPECT_TRUE(parser.feed(bytes, all));
  return all;
}
std::string text(std::string_view word) {
  return "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
}
std::string list(const std::vector<std::string>& words) {
  std::string all = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) all += word;
  return all;
}
std::string sentinel(std::string_view host, std::string_view port) {
  return list({text("name"), text("x"), text("ip"), text(host), text("port"), text(port)});
}
const std::string subscribed = list({text("subscribe"), text("+switch-master"), ":1\r\n"});
std::vector<Reply> told(std::string_view host, std::string_view port,
                        const std::vector<std::string>& others = {}) {
  return replies(list({text(host), text(port)}) + list(others) + subscribed);
}

class SentinelsTest : public ::testing::Test {
 protected:
  Sentinels three{{place("s1"), place("s2"), place("s3")}, "mymaster", {}};
};

TEST_F(SentinelsTest, AskForTheNameAndListen) {
  EXPECT_EQ(three.question().size(), 3U);
  EXPECT_NE(three.question().bytes().find("mymaster"), std::string_view::npos);
  EXPECT_NE(three.question().bytes().find("+switch-master"), std::string_view::npos);
  const Sentinels with_password({place("s1")}, "m", {.password = "pw"});
  EXPECT_EQ(with_password.question().size(), 4U);
  EXPECT_EQ(with_password.question().name(0), "AUTH");
  const Sentinels with_user({place("s1")}, "m", {.user = "ada", .password = "pw"});
  EXPECT_NE(with_user.question().bytes().find("ada\r\n$2\r\npw"), std::string_view::npos);
}

TEST_F(SentinelsTest, WhoDoesNotAnswerIsAskedLastFromThenOn) {
  three.begin();
  EXPECT_EQ(three.asked(), place("s1"));
  EXPECT_FALSE(three.came({}, away()));
  ASSERT_EQ(three.next(), Next::ask);
  EXPECT_EQ(three.asked(), place("s2"));
  EXPECT_TRUE(three.came(told("10.0.0.1", "6379"), {}));
  ASSERT_EQ(three.next(), Next::connect);
  EXPECT_EQ(three.place(), place("10.0.0.1", "6379"));
  three.begin();
  EXPECT_EQ(three.asked(), place("s2"));
  EXPECT_FALSE(three.came({}, away()));
  EXPECT_EQ(three.asked(), place("s3"));
  EXPECT_FALSE(three.came({}, away()));
  EXPECT_EQ(three.asked(), place("s1"));
}

// A Sentinel that has lost sight of the others tells what is no longer so.
TEST_F(SentinelsTest, WhatIsNotSoIsAskedOfAnother) {
  three.begin();
  EXPECT_TRUE(three.came(told("old", "6379"), {}));
  three.disprove();
  three.begin();
  EXPECT_EQ(three.asked(), place("s2"));
  EXPECT_TRUE(three.came(told("new", "6379"), {}));
  EXPECT_EQ(three.place(), place("new", "6379"));
}

TEST_F(SentinelsTest, AllThatAreNamedAreRemembered) {
  three.begin();
  EXPECT_TRUE(three.came(told("p", "1",
                              {sentinel("10.0.0.2", "26379"), sentinel("s2", "26379"),
                               sentinel("::1", "26380"), sentinel("", "1"), sentinel("x", "0"),
                               sentinel(".x", "1"), sentinel("x", "65536"), sentinel("a b", "1")}),
                         {}));
  EXPECT_EQ(three.known(), (std::vector<Place>{place("s1"), place("s2"), place("s3"),
                                               place("10.0.0.2"), place("::1", "26380")}));
  for (int i = 0; i < 3; ++i) {
    three.begin();
    three.came({}, away());
  }
  EXPECT_EQ(three.asked(), place("10.0.0.2"));
  EXPECT_TRUE(three.came(told("p", "1", {sentinel("10.0.0.4", "26379")}), {}));
  EXPECT_EQ(three.known().front(), place("10.0.0.2"));
  EXPECT_EQ(three.known().size(), 5U) << "one that nobody names any more is forgotten";
}

TEST_F(SentinelsTest, NoMoreThanSoManyAreRemembered) {
  std::vector<std::string> many;
  many.reserve(500);
  for (int i = 1; i <= 500; ++i) many.push_back(sentinel("10.0.0.2", std::to_string(i)));
  three.begin();
  EXPECT_TRUE(three.came(told("p", "1", many), {}));
  EXPECT_EQ(three.known().size(), 32U);
}

TEST_F(SentinelsTest, WhileNoneAnswersRedisIsSoughtWhereItWas) {
  three.begin();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(three.came({}, away()));
  ASSERT_EQ(three.next(), Next::failed) << "nobody has ever told";
  EXPECT_EQ(three.error().code, Errc::unavailable);
  EXPECT_NE(three.error().detail.find("away"), std::string::npos);
  three.begin();
  EXPECT_TRUE(three.came(told("p", "1"), {}));
  three.begin();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(three.came({}, away()));
  ASSERT_EQ(three.next(), Next::connect);
  EXPECT_EQ(three.place(), place("p", "1"));
}

TEST_F(SentinelsTest, SayWhatIsToBeMended) {
  struct Case {
    const char* answer;
    std::string_view advice;
  };
  const std::string rest = "-NOAUTH x\r\n" + subscribed;
  for (const auto& [answer, advice] :
       {Case{"*-1\r\n", "'#'"}, Case{"-NOAUTH Authentication required.\r\n", "sentinel.password"},
        Case{"-NOPERM x\r\n", "docs/operations.md"},
        Case{"-ERR unknown command 'SENTINEL'\r\n", "redis://"}}) {
    Sentinels one({place("s1"), place("s2")}, "m", {});
    one.begin();
    EXPECT_FALSE(one.came(replies(answer + rest), {}));
    EXPECT_FALSE(one.came({}, away())) << "which says less";
    ASSERT_EQ(one.next(), Next::failed);
    EXPECT_EQ(one.error().code, Errc::rejected) << answer;
    EXPECT_NE(one.error().detail.find(advice), std::string::npos) << one.error().detail;
  }
  for (const auto& [answer, advice] : {Case{"-WRONGPASS x\r\n", "refused"},
                                       Case{"-ERR AUTH called without any\r\n", "no password"},
                                       Case{"-ERR Client sent AUTH\r\n", "no password"}}) {
    Sentinels one({place("s1")}, "m", {.password = "secret"});
    one.begin();
    EXPECT_FALSE(one.came(replies(answer + ("*-1\r\n" + rest)), {}));
    ASSERT_EQ(one.next(), Next::failed);
    EXPECT_EQ(one.error().code, Errc::rejected) << answer;
    EXPECT_NE(one.error().detail.find(advice), std::string::npos) << one.error().detail;
    EXPECT_EQ(one.error().detail.find("secret"), std::string::npos) << "P5";
  }
}

TEST_F(SentinelsTest, WhatIsNoPlaceIsNoAnswer) {
  for (const std::string& answer :
       {list({text("h"), text("0")}), list({text(""), text("1")}), list({text("h")}),
        list({text("h"), text("1"), text("2")}), list({text("h\n"), text("1")}),
        list({text(std::string(254, 'h')), text("1")}), std::string(":1\r\n"), text("h:1"),
        std::string("*2\r\n*1\r\n:1\r\n:2\r\n")}) {
    Sentinels one({place("s1")}, "m", {});
    one.begin();
    EXPECT_FALSE(one.came(replies(answer + "*0\r\n" + subscribed), {})) << answer;
    ASSERT_EQ(one.next(), Next::failed);
    EXPECT_EQ(one.error().code, Errc::corrupt);
  }
}

TEST_F(SentinelsTest, OnlyTheirOwnMoveIsHeard) {
  const auto message = [](std::string_view channel, std::string_view words) {
    return replies(list({text("message"), text(channel), text(words)}));
  };
  EXPECT_TRUE(three.tells_of_move(message("+switch-master", "mymaster a 1 b 2").front()));
  EXPECT_FALSE(three.tells_of_move(message("+switch-master", "mymaster2 a 1 b 2").front()));
  EXPECT_FALSE(three.tells_of_move(message("+sdown", "mymaster a 1 b 2").front()));
  EXPECT_FALSE(three.tells_of_move(replies(subscribed).front()));
  EXPECT_FALSE(three.tells_of_move(replies("+OK\r\n").front()));
}

}  // namespace
}  // namespace websession::redis
