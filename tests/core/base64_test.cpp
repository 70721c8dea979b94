#include "base64.hpp"

#include <gtest/gtest.h>

#include <set>

#include "random.hpp"

namespace websession::internal {
namespace {

// RFC 4648, section 10, without the padding.
TEST(Base64, EncodesAsTheRfcSays) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg");
  EXPECT_EQ(encode_base64("fo"), "Zm8");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("foob"), "Zm9vYg");
  EXPECT_EQ(encode_base64("fooba"), "Zm9vYmE");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
}

TEST(Base64, HasTwoAlphabets) {
  const std::string bytes = "\xfb\xff\xfe";
  EXPECT_EQ(encode_base64(bytes, Base64::url), "-__-");
  EXPECT_EQ(encode_base64(bytes, Base64::standard), "+//+");
  EXPECT_EQ(decode_base64("-__-", Base64::url), bytes);
  EXPECT_EQ(decode_base64("+//+", Base64::standard), bytes);
  EXPECT_EQ(decode_base64("+//+", Base64::url), std::nullopt);
  EXPECT_EQ(decode_base64("-__-", Base64::standard), std::nullopt);
}

// Of all texts of two characters exactly 256 are the form of a byte, and each is of another one.
TEST(Base64, EachTextHasOneForm) {
  std::set<std::string> decoded;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b)};
      const auto bytes = decode_base64(text);
      if (!bytes) continue;
      EXPECT_EQ(encode_base64(*bytes), text);
      EXPECT_TRUE(decoded.insert(*bytes).second);
    }
  }
  EXPECT_EQ(decoded.size(), 256U);
}

TEST(Base64, RefusesWhatItDoesNotMake) {
  for (const char* text : {"Z", "Zg=", "Zg==", "Zm9vY", "Zm 9v", "Zh", "Zm9"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

TEST(Base64, RandomBytesSurvive) {
  testing::Random random;
  for (int i = 0; i < 2'000; ++i) {
    const std::string bytes = random.bytes(random.below(100));
    for (const Base64 alphabet : {Base64::url, Base64::standard}) {
      ASSERT_EQ(decode_base64(encode_base64(bytes, alphabet), alphabet), bytes);
    }
  }
}

}  // namespace
}  // namespace websession::internal
