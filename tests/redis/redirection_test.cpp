// What nodes of a Cluster say of where keys are.
#include "cluster/redirection.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace websession::redis {
namespace {

using Kind = Redirection::Kind;

const Place asked{.host = "10.0.0.9", .port = "7000"};

std::vector<Reply> replies(std::string_view bytes) {
  std::vector<Reply> all;
  ReplyParser parser(65536);
  EXPECT_TRUE(parser.feed(bytes, all));
  return all;
}
Redirection redirection(const std::string& bytes) { return redirection_of(replies(bytes), asked); }

TEST(Redirections, TellTheSlotAndThePlace) {
  const Redirection moved = redirection("-MOVED 3999 127.0.0.1:6381\r\n");
  EXPECT_EQ(moved.kind, Kind::moved);
  EXPECT_EQ(moved.slot, 3999);
  EXPECT_EQ(moved.place.display(), "127.0.0.1:6381");
  const Redirection ask = redirection("-ASK 16383 db-2.example:1\r\n");
  EXPECT_EQ(ask.kind, Kind::ask);
  EXPECT_EQ(ask.slot, 16'383);
  EXPECT_EQ(ask.place.display(), "db-2.example:1");
  EXPECT_EQ(redirection("-MOVED 0 ::1:6381\r\n").place.display(), "[::1]:6381");
}

TEST(Redirections, WithoutAHostMeanTheSameHost) {
  EXPECT_EQ(redirection("-MOVED 1 :6381\r\n").place.display(), "10.0.0.9:6381");
  EXPECT_EQ(redirection("-MOVED 1 ?:6381\r\n").kind, Kind::down) << "that is not known yet";
}

TEST(Redirections, AnyReplyCounts) {
  EXPECT_EQ(redirection(":1\r\n-ASK 1 h:2\r\n").kind, Kind::ask);
  EXPECT_EQ(redirection("-ERR x\r\n-MOVED 1 h:2\r\n").kind, Kind::moved);
  EXPECT_EQ(redirection("*1\r\n$9\r\nMOVED 1 h\r\n:5\r\n").kind, Kind::none);
}

TEST(Redirections, ThatLeadNowhereWait) {
  for (const char* text :
       {"-MOVED\r\n", "-MOVED \r\n", "-MOVED 1\r\n", "-MOVED 1 \r\n", "-MOVED 1 h\r\n",
        "-MOVED 1 h:\r\n", "-MOVED 1 h:0\r\n", "-MOVED 1 h:65536\r\n", "-MOVED 16384 h:1\r\n",
        "-MOVED -1 h:1\r\n", "-MOVED x h:1\r\n", "-ASK 1 .h:1\r\n", "-MOVED 1:2 h\r\n"}) {
    EXPECT_EQ(redirection(text).kind, Kind::down) << text;
  }
}

TEST(Redirections, OtherErrors) {
  EXPECT_EQ(redirection("-TRYAGAIN Multiple keys\r\n").kind, Kind::again);
  for (const char* text : {"-CLUSTERDOWN Hash slot not served\r\n", "-LOADING x\r\n",
                           "-READONLY x\r\n", "-MASTERDOWN x\r\n"}) {
    EXPECT_EQ(redirection(text).kind, Kind::down) << text;
  }
  for (const char* text :
       {"-ERR MOVED 1 h:2\r\n", "-NOPERM x\r\n", "-WRONGTYPE x\r\n", "+OK\r\n"}) {
    EXPECT_EQ(redirection(text).kind, Kind::none) << text;
  }
}

TEST(Asking, StandsBeforeEachCommand) {
  const auto two = [](std::string& out) {
    append_command(out, {"GET", "\r\n*1\r\n$4\r\nPING"});
    append_command(out, {"PTTL", ""});
  };
  std::string expected;
  append_command(expected, {"ASKING"});
  append_command(expected, {"GET", "\r\n*1\r\n$4\r\nPING"});
  append_command(expected, {"ASKING"});
  append_command(expected, {"PTTL", ""});
  std::string out = "before";
  append_asking(out, two);
  EXPECT_EQ(out, "before" + expected);
}

TEST(Asking, ItsRepliesAreDropped) {
  Replies all(Way::guarded);
  for (Reply& reply : replies("+OK\r\n:7\r\n-NOPERM asking\r\n:8\r\n")) {
    all.push_back(std::move(reply));
  }
  const Replies kept = without_asking(std::move(all));
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept.way(), Way::guarded);
  EXPECT_EQ(kept[0].integer(), 7);
  EXPECT_EQ(kept[1].text(), "NOPERM asking");
}

std::string text(std::string_view word) {
  return "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
}
Result<std::vector<SlotRange>> decoded(const std::string& bytes) {
  return decode_slots(replies(bytes)[0], asked);
}

// As 7.0 sends them: with the id and a list of other names of each node.
TEST(SlotRanges, NameThePrimaries) {
  const std::string of_seven =
      "*2\r\n"
      "*4\r\n:0\r\n:99\r\n"
      "*4\r\n" +
      text("h1") + ":7001\r\n" + text("id1") + "*2\r\n" + text("hostname") + text("x") + "*4\r\n" +
      text("h2") + ":7002\r\n" + text("id2") +
      "*0\r\n"
      "*3\r\n:100\r\n:16383\r\n"
      "*3\r\n$-1\r\n:7003\r\n" +
      text("id3");
  const auto ranges = decoded(of_seven);
  ASSERT_TRUE(ranges) << ranges.error().message();
  ASSERT_EQ(ranges->size(), 2U);
  EXPECT_EQ((*ranges)[0].first, 0);
  EXPECT_EQ((*ranges)[0].last, 99);
  EXPECT_EQ((*ranges)[0].place.display(), "h1:7001");
  EXPECT_EQ((*ranges)[1].last, 16'383);
  EXPECT_EQ((*ranges)[1].place.display(), "10.0.0.9:7003") << "null: whoever says so";
}

TEST(SlotRanges, NonsenseIsRefused) {
  for (const std::string& bytes :
       {std::string("*1\r\n:1\r\n"), std::string("*1\r\n*2\r\n:0\r\n:1\r\n"),
        "*1\r\n*3\r\n:1\r\n:0\r\n*2\r\n" + text("h") + ":1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n" + text("h") + ":1\r\n",
        "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n" + text("h") + ":1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n" + text("h") + ":0\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n" + text("a b") + ":1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n" + text("h"), std::string(":1\r\n")}) {
    const auto ranges = decoded(bytes);
    ASSERT_FALSE(ranges) << bytes;
    EXPECT_EQ(ranges.error().code, Errc::corrupt) << bytes;
  }
}

TEST(SlotRanges, ErrorsSayWhatToDo) {
  const auto none = decoded("-ERR This instance has cluster support disabled\r\n");
  EXPECT_EQ(none.error().code, Errc::rejected);
  EXPECT_NE(none.error().detail.find("redis://"), std::string::npos) << none.error().detail;
  EXPECT_EQ(decoded("-NOPERM x 'cluster|slots'\r\n").error().code, Errc::rejected);
  EXPECT_EQ(decoded("*0\r\n").error().code, Errc::unavailable);
}

}  // namespace
}  // namespace websession::redis
