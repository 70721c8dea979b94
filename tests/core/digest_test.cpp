#include "digest.hpp"

#include <gtest/gtest.h>

#include <string>

namespace websession::internal {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(byte) >> 4U];
    text += digits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

// FIPS 180-4's example, and the empty text.
TEST(Digest, Sha256) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 4231, test case 2, and an empty key.
TEST(Digest, HmacSha256) {
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// RFC 5869, A.3: no salt and no info, the first 32 of its 42 bytes.
TEST(Digest, DerivedKeysAreHkdf) {
  EXPECT_EQ(hex(derive_key(std::string(22, '\x0b'), "")),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(Digest, EachPurposeHasAKeyOfItsOwn) {
  const std::string secret(32, 's');
  EXPECT_NE(derive_key(secret, "a"), derive_key(secret, "b"));
  EXPECT_NE(derive_key(secret, "a"), derive_key(std::string(32, 't'), "a"));
}

}  // namespace
}  // namespace websession::internal
