#include "websession/key_ring.hpp"

#include <gtest/gtest.h>

namespace websession {
namespace {

TEST(KeyRing, KeepsTheOrderOfItsSecrets) {
  const std::string newer(32, 'n');
  const std::string older(40, 'o');
  const KeyRing ring = KeyRing::make({newer, older}).value();
  EXPECT_EQ(ring.secrets(), (std::vector<std::string>{newer, older}));
  EXPECT_FALSE(ring.empty());
  EXPECT_TRUE(KeyRing().empty());
}

TEST(KeyRing, RefusesWhatCouldBeGuessed) {
  const std::string good(32, 'g');
  const std::string brief(31, 'b');
  for (const auto& secrets :
       {std::vector<std::string>{}, {brief}, {good, brief}, {good, good}, {good, ""}}) {
    const auto ring = KeyRing::make(secrets);
    ASSERT_FALSE(ring.has_value());
    EXPECT_EQ(ring.error().code, Errc::invalid_argument);
    EXPECT_EQ(ring.error().detail.find("bbb"), std::string::npos);
  }
}

TEST(KeyRing, TakesWhatAnotherProgramDictates) {
  EXPECT_TRUE(KeyRing::make({"keyboard cat"}, 1).has_value());
  EXPECT_FALSE(KeyRing::make({""}, 0).has_value());
}

}  // namespace
}  // namespace websession
