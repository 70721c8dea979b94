#include "websession/fields.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace websession {
namespace {

WallTime at(int ms) { return WallTime(std::chrono::milliseconds(ms)); }

TEST(Fields, FindsByName) {
  const Fields fields{{"b", "2"}, {"a", "1"}, {"", "empty name"}, {"c", ""}};
  EXPECT_EQ(fields.size(), 4U);
  EXPECT_EQ(fields.find("a"), "1");
  EXPECT_EQ(fields.find("b"), "2");
  EXPECT_EQ(fields.find("c"), "");
  EXPECT_EQ(fields.find(""), "empty name");
  EXPECT_FALSE(fields.find("d"));
  EXPECT_FALSE(fields.find("A"));
  EXPECT_TRUE(fields.contains("c"));
}

TEST(Fields, EmptyHasNothing) {
  const Fields fields;
  EXPECT_TRUE(fields.empty());
  EXPECT_FALSE(fields.find(""));
  EXPECT_EQ(fields.begin(), fields.end());
  EXPECT_EQ(fields, Fields(std::vector<Field>()));
}

TEST(Fields, IteratesInTheOrderOfNames) {
  const Fields fields{{"b", "2", at(5)}, {"c", "3"}, {"a", "1"}};
  std::string all;
  for (const Field& field : fields) all += std::string(field.name) + std::string(field.value);
  EXPECT_EQ(all, "a1b2c3");
  EXPECT_EQ(fields[1].deadline, at(5));
  EXPECT_FALSE(fields[0].deadline);
}

TEST(Fields, TheLastOfEqualNamesCounts) {
  const Fields fields{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"a", "4"}};
  EXPECT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields.find("a"), "4");
}

TEST(Fields, HoldsAnyBytes) {
  const std::string name("n\0\xff", 3);
  const std::string value("\0\0", 2);
  const Fields fields{{name, value}};
  EXPECT_EQ(fields.find(name), value);
  EXPECT_FALSE(fields.find("n"));
}

TEST(Fields, CopiesAreSnapshotsOfTheSameBlock) {
  Fields copy;
  {
    const std::string value = "a value that is too long for a small string";
    const Fields fields{{"a", value}};
    copy = fields;
    EXPECT_EQ(copy.find("a")->data(), fields.find("a")->data());
  }
  EXPECT_EQ(copy.find("a"), "a value that is too long for a small string");
}

TEST(Fields, ComparesNamesValuesAndDeadlines) {
  EXPECT_EQ((Fields{{"a", "1"}, {"b", "2"}}), (Fields{{"b", "2"}, {"a", "1"}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == (Fields{{"a", "2"}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == (Fields{{"a", "1", at(1)}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == Fields());
}

}  // namespace
}  // namespace websession
