#include "slots.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "random.hpp"

namespace websession::redis {
namespace {

// Of the specification, and as a server has given them (CLUSTER KEYSLOT; redis_slots_redistest).
TEST(Slots, AreThoseOfACluster) {
  EXPECT_EQ(slot_of("123456789"), 0x31c3 % 16'384);
  EXPECT_EQ(slot_of("foo"), 12'182);
  EXPECT_EQ(slot_of(""), 0);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar")) << "an empty tag is none";
  EXPECT_NE(slot_of("foo{bar"), slot_of("bar"));
}

TEST(Slots, AnIdIsDrawnIntoEachOfThem) {
  for (std::size_t slot = 0; slot < slots_count; ++slot) {
    const std::string text = draw_id("sid_", static_cast<Slot>(slot)).value().secret();
    EXPECT_EQ(text.size(), 32U);
    ASSERT_EQ(slot_of("sid_" + text), slot) << text;
  }
}

// What is not free is 14 bits of 192.
TEST(Slots, AllThatFitsIsDrawn) {
  testing::Random random;
  const auto slot = static_cast<Slot>(random.below(slots_count));
  std::map<char, int> first;
  std::set<std::string> ids;
  std::set<std::string> tails;
  constexpr int draws = 20'000;
  for (int i = 0; i < draws; ++i) {
    const std::string text = draw_id("sid_", slot).value().secret();
    ++first[text.front()];
    ids.insert(text);
    tails.insert(text.substr(29));
  }
  EXPECT_EQ(ids.size(), std::size_t{draws});
  EXPECT_EQ(first.size(), 64U);
  for (const auto& [character, count] : first) EXPECT_NEAR(count, draws / 64, 120) << character;
  // Each head has another set of 8 to 23 tails.
  EXPECT_GT(tails.size(), 5'000U);
}

TEST(Slots, EachHasATagOfItsOwn) {
  std::set<std::string> tags;
  for (std::size_t slot = 0; slot < slots_count; ++slot) {
    const std::string tag = tag_of(static_cast<Slot>(slot));
    EXPECT_EQ(tag.size(), 3U);
    EXPECT_EQ(slot_of(tag), slot);
    EXPECT_EQ(slot_of("sid_2:{" + tag + "}anything"), slot);
    tags.insert(tag);
  }
  EXPECT_EQ(tags.size(), slots_count);
}

}  // namespace
}  // namespace websession::redis
