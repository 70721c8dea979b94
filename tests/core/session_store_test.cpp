// The part that all stores share. What it does to sessions is in the conformance suite.
#include "websession/session_store.hpp"

#include <gtest/gtest.h>

namespace websession {
namespace {

TEST(ParseInteger, TakesCanonicalIntegersOnly) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-1"), -1);
  EXPECT_EQ(parse_integer("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse_integer("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "1e0", "x", "1x",
                           "9223372036854775808", "-9223372036854775809"}) {
    EXPECT_FALSE(parse_integer(text)) << '"' << text << '"';
  }
}

TEST(Changes, EmptyMeansOnlyARenewal) {
  EXPECT_TRUE(Changes().empty());
  Changes reaps;
  reaps.reap.emplace_back("a");
  EXPECT_TRUE(reaps.empty());
  Changes clears;
  clears.clear = true;
  EXPECT_FALSE(clears.empty());
  Changes expects;
  expects.expect.push_back({"a", {}});
  EXPECT_FALSE(expects.empty());
}

TEST(Apply, LeavesItsInputAlone) {
  const Fields before{{"a", "1"}};
  Changes changes;
  changes.set.push_back({"a", "2"});
  const Applied applied = apply(before, changes, WallTime()).value();
  EXPECT_EQ(applied.fields.find("a"), "2");
  EXPECT_EQ(before.find("a"), "1");
}

TEST(Apply, ErrorsNameTheFieldAndNotItsValue) {
  const Fields before{{"count", "secret"}};
  Changes changes;
  changes.increment.push_back({"count", 1});
  const Result<Applied> applied = apply(before, changes, WallTime());
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().detail.find("count"), std::string::npos);
  EXPECT_EQ(applied.error().detail.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace websession
