#include "websession/fields.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "random.hpp"

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

TEST(Fields, KeepsDeadlinesOfSomeFieldsOnly) {
  const WallTime first = WallTime::min();
  const Fields fields{
      {"a", "1"}, {"b", "2", at(5)}, {"c", "3"}, {"d", "4", at(-7)}, {"e", "5", first}};
  EXPECT_TRUE(fields.has_deadlines());
  EXPECT_FALSE(fields[0].deadline);
  EXPECT_EQ(fields[1].deadline, at(5));
  EXPECT_FALSE(fields[2].deadline);
  EXPECT_EQ(fields.find_field("d")->deadline, at(-7));
  ASSERT_TRUE(fields[4].deadline) << "the earliest time there is must not read as none";
  EXPECT_LT(*fields[4].deadline, at(-1'000'000));
  EXPECT_EQ(fields.find("e"), "5");
  EXPECT_FALSE((Fields{{"a", "1"}}).has_deadlines());
  EXPECT_FALSE(Fields().has_deadlines());
}

TEST(Fields, AssignsAndMoves) {
  Fields a{{"a", "1"}};
  Fields b{{"b", "2"}};
  const Fields& same = a;
  a = same;
  EXPECT_EQ(a.find("a"), "1");
  a = b;
  EXPECT_EQ(a, b);
  b = std::move(a);
  EXPECT_EQ(b.find("b"), "2");
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): a moved-from set is empty
  a = Fields{{"c", "3"}};
  EXPECT_EQ(a.find("c"), "3");
}

TEST(Fields, TakesOneSmallBlock) {
  EXPECT_EQ(Fields().block_bytes(), 0U);
  // 8 bytes a field and 12 for all, besides names and values.
  EXPECT_EQ((Fields{{"a", "1"}, {"bc", "23"}}).block_bytes(), 12U + 2 * 8 + 6);
  EXPECT_EQ((Fields{{"a", "1", at(1)}, {"bc", "23"}}).block_bytes(), 12U + 2 * 16 + 6);
}

// Sets of random names, in order or not, against a map.
TEST(Fields, HoldsWhatItWasGiven) {
  testing::Random random;
  for (int round = 0; round < 500; ++round) {
    std::map<std::string, Field> expected;
    std::vector<std::string> texts;
    std::vector<Field> given;
    const std::size_t count = random.below(12);
    for (std::size_t i = 0; i < count; ++i) {
      texts.push_back(random.text(random.below(4), "ab@"));
      texts.push_back(random.bytes(random.below(40)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      Field field{texts[2 * i], texts[2 * i + 1], {}};
      if (random.below(3) == 0) field.deadline = at(static_cast<int>(random.below(1000)));
      given.push_back(field);
      expected[texts[2 * i]] = field;
    }
    const Fields fields(given);
    ASSERT_EQ(fields.size(), expected.size());
    std::size_t i = 0;
    for (const auto& [name, field] : expected) {
      EXPECT_EQ(fields[i].name, name);
      EXPECT_EQ(fields[i].value, field.value);
      EXPECT_EQ(fields[i].deadline, field.deadline);
      EXPECT_EQ(fields.find(name), field.value);
      ++i;
    }
    EXPECT_FALSE(fields.find("no such name"));
  }
}

TEST(Fields, ComparesNamesValuesAndDeadlines) {
  EXPECT_EQ((Fields{{"a", "1"}, {"b", "2"}}), (Fields{{"b", "2"}, {"a", "1"}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == (Fields{{"a", "2"}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == (Fields{{"a", "1", at(1)}}));
  EXPECT_FALSE((Fields{{"a", "1"}}) == Fields());
}

}  // namespace
}  // namespace websession
