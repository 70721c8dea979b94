#include "resp.hpp"

#include <gtest/gtest.h>

#include "random.hpp"

namespace websession::redis {
namespace {

constexpr std::size_t limit = 4096;

std::vector<Reply> parse(std::string_view bytes, std::size_t piece = std::string_view::npos,
                         std::size_t bytes_max = limit) {
  ReplyParser parser(bytes_max);
  std::vector<Reply> replies;
  while (!bytes.empty()) {
    const std::string_view some = bytes.substr(0, piece);
    EXPECT_TRUE(parser.feed(some, replies));
    bytes.remove_prefix(some.size());
  }
  return replies;
}

bool is_corrupt(std::string_view bytes) {
  ReplyParser parser(limit);
  std::vector<Reply> replies;
  const Result<void> fed = parser.feed(bytes, replies);
  return !fed && fed.error().code == Errc::corrupt;
}

TEST(AppendCommand, WritesRespArrays) {
  std::string out;
  append_command(out, {"SET", "", std::string_view("a\0\r\n", 4)});
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na" + std::string(1, '\0') + "\r\n\r\n");
}

TEST(ReplyParser, KnowsAllTypes) {
  const std::vector<Reply> replies = parse("+OK\r\n-ERR no\r\n:-42\r\n");
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].type(), Reply::Type::status);
  EXPECT_EQ(replies[0].text(), "OK");
  EXPECT_EQ(replies[1].type(), Reply::Type::error);
  EXPECT_EQ(replies[1].text(), "ERR no");
  EXPECT_EQ(replies[2].type(), Reply::Type::integer);
  EXPECT_EQ(replies[2].integer(), -42);
  const std::vector<Reply> more =
      parse(std::string("$3\r\na\0b\r\n", 9) + "$-1\r\n*2\r\n$1\r\nx\r\n:7\r\n*0\r\n$0\r\n\r\n");
  ASSERT_EQ(more.size(), 5U);
  EXPECT_EQ(more[0].text(), std::string("a\0b", 3));
  EXPECT_EQ(more[1].type(), Reply::Type::nil);
  ASSERT_EQ(more[2].elements().size(), 2U);
  EXPECT_EQ(more[2].elements()[0].text, "x");
  EXPECT_EQ(more[2].elements()[1].integer, 7);
  EXPECT_EQ(more[3].type(), Reply::Type::array);
  EXPECT_EQ(more[4].type(), Reply::Type::string);
}

TEST(ReplyParser, MayBeCutAtEveryByte) {
  const std::string bytes = "*5\r\n$1\r\na\r\n$2\r\nbc\r\n:1\r\n$-1\r\n+x\r\n:5\r\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const std::vector<Reply> replies = parse(bytes, piece);
    ASSERT_EQ(replies.size(), 2U) << "pieces of " << piece;
    EXPECT_EQ(replies[0].elements()[1].text, "bc");
    EXPECT_EQ(replies[1].integer(), 5);
  }
}

TEST(ReplyParser, GarbageIsCorrupt) {
  for (const char* bytes : {"HTTP/1.1 200 OK\r\n", "!x\r\n", ":x\r\n", "$x\r\n", "*x\r\n",
                            "$-2\r\n", "*-5\r\n", "\r\n"}) {
    EXPECT_TRUE(is_corrupt(bytes)) << bytes;
  }
}

// Were the elements allocated, this would take 30 GB.
TEST(ReplyParser, HugeClaimsAllocateNothing) {
  EXPECT_TRUE(parse("*400000000\r\n:1\r\n").empty());
  EXPECT_TRUE(parse("*60000\r\n:1\r\n").empty());
}

TEST(ReplyParser, AnArrayOfTooManyIsReadAndNotKept) {
  std::string many = "*70000\r\n";
  for (int i = 0; i < 70'000; ++i) many += i % 7 == 0 ? ":1\r\n" : "$1\r\nx\r\n";
  const std::vector<Reply> replies = parse(many + "+next\r\n", 1000, 64 * 1024);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].type(), Reply::Type::oversized);
  EXPECT_EQ(replies[1].text(), "next");
}

TEST(ReplyParser, ArraysInAnArrayLieFlat) {
  const std::vector<Reply> replies =
      parse("*4\r\n:0\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n*0\r\n*-1\r\n");
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].type(), Reply::Type::array);
  const auto elements = replies[0].elements();
  ASSERT_EQ(elements.size(), 7U);
  EXPECT_EQ(elements[1].type, Reply::Type::array);
  EXPECT_EQ(elements[1].integer, 2);
  EXPECT_EQ(elements[2].integer, 1);
  EXPECT_EQ(elements[3].type, Reply::Type::array);
  EXPECT_EQ(elements[3].integer, 1);
  EXPECT_EQ(elements[4].text, "x");
  EXPECT_EQ(elements[5].type, Reply::Type::array);
  EXPECT_EQ(elements[5].integer, 0);
  EXPECT_EQ(elements[6].type, Reply::Type::nil);
}

TEST(ReplyParser, ViewsSurviveMoves) {
  std::vector<Reply> replies = parse("*2\r\n$1\r\na\r\n$2\r\nbc\r\n$3\r\nxyz\r\n");
  ASSERT_EQ(replies.size(), 2U);
  const Reply array = std::move(replies[0]);
  const Reply text = std::move(replies[1]);
  replies.clear();
  EXPECT_EQ(array.elements()[0].text, "a");
  EXPECT_EQ(array.elements()[1].text, "bc");
  EXPECT_EQ(text.text(), "xyz");
}

TEST(ReplyParser, AReplyOverTheLimitIsReadAndNotKept) {
  const std::string big = "$5000\r\n" + std::string(5000, 'x') + "\r\n";
  std::vector<Reply> replies = parse(big + ":1\r\n");
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].type(), Reply::Type::oversized);
  EXPECT_EQ(replies[1].integer(), 1) << "the next one is fine";
  std::string many = "*100\r\n";
  for (int i = 0; i < 100; ++i) many += "$50\r\n" + std::string(50, 'x') + "\r\n";
  replies = parse(many + "$4\r\ngood\r\n", 17);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].type(), Reply::Type::oversized);
  EXPECT_TRUE(replies[0].elements().empty());
  EXPECT_EQ(replies[1].text(), "good");
}

// P7: a reply that never ends keeps nobody.
TEST(ReplyParser, AReplyWithoutAnEndIsCorrupt) {
  for (const auto& [head, part] :
       {std::pair("$100000000\r\n", "xxxx"), {"*2147483647\r\n", ":1\r\n"}, {"+", "xxxx"}}) {
    ReplyParser parser(limit);
    std::vector<Reply> replies;
    ASSERT_TRUE(parser.feed(head, replies));
    std::string piece;
    while (piece.size() < 1024) piece += part;
    std::size_t fed = 0;
    while (parser.feed(piece, replies)) {
      fed += piece.size();
      ASSERT_LE(fed, 16 * limit) << "it goes on reading: " << head;
    }
    EXPECT_TRUE(replies.empty());
  }
}

// Many small replies are no large one, however they are cut.
TEST(ReplyParser, ManyRepliesHaveNoLimit) {
  ReplyParser parser(limit);
  std::vector<Reply> replies;
  std::string piece;
  while (piece.size() < limit) piece += "$10\r\n0123456789\r\n";
  for (std::size_t cut = 0; cut < 400; ++cut) {
    ASSERT_TRUE(parser.feed(std::string_view(piece).substr(0, cut), replies));
    ASSERT_TRUE(parser.feed(std::string_view(piece).substr(cut), replies));
  }
}

TEST(ReplyParser, RandomBytesNeverCrashIt) {
  testing::Random random;
  for (int i = 0; i < 20'000; ++i) {
    ReplyParser parser(limit);
    std::vector<Reply> replies;
    const std::string bytes = i % 2 == 0
                                  ? random.bytes(random.below(64))
                                  : random.text(random.below(64), "*$+-:0123456789\r\n\r\nx");
    (void)parser.feed(bytes, replies);
    EXPECT_LE(replies.size(), bytes.size());
  }
}

}  // namespace
}  // namespace websession::redis
