// The form of an encrypted value, and what becomes of one that was meddled with.
#include "sealed_value.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base64.hpp"
#include "random.hpp"

namespace websession::internal {
namespace {

using testing::Random;

KeyRing key_ring(std::vector<std::string> secrets) {
  return KeyRing::make(std::move(secrets)).value();
}

const std::string old_secret(32, 'o');
const std::string new_secret(32, 'n');
const StoreKey session("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
const WallTime end(std::chrono::milliseconds(1'700'000'000'000));
constexpr std::size_t payload_at = sealed_prefix.size() + key_id_length + 1;

std::string seal(std::vector<std::string> secrets, const StoreKey& key, std::string_view attribute,
                 std::string_view value) {
  const SealingKeys keys(key_ring(std::move(secrets)));
  return SessionCipher(keys, key).seal({attribute, value}).value();
}

Result<std::string> open(std::vector<std::string> secrets, const StoreKey& key,
                         std::string_view attribute, std::string_view text) {
  const SealingKeys keys(key_ring(std::move(secrets)));
  return SessionCipher(keys, key).open({attribute, text});
}

::testing::AssertionResult is_corrupt(const Result<std::string>& opened) {
  if (opened) return ::testing::AssertionFailure() << "it gave a value";
  if (opened.error().code != Errc::corrupt) {
    return ::testing::AssertionFailure() << opened.error().message();
  }
  return ::testing::AssertionSuccess();
}

TEST(SealedValue, OpensToWhatWasSealed) {
  Random random;
  const SealingKeys keys(key_ring({new_secret}));
  SessionCipher cipher(keys, session);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string value = random.bytes(size);
    const std::string text = cipher.seal({"a", value}).value();
    EXPECT_EQ(text.size(), sealed_bytes(size));
    EXPECT_EQ(cipher.open({"a", text}).value(), value) << size << " bytes";
  }
  const std::string large = random.bytes(std::size_t{1} << 20U);
  EXPECT_EQ(cipher.open({"", cipher.seal({"", large}).value()}).value(), large);
}

// Made with another implementation (the crypto module of Node.js), by what the header says.
TEST(SealedValue, HasTheFormThatIsDocumented) {
  const SealingKeys keys(key_ring({std::string(32, 's')}));
  SessionCipher cipher(keys, StoreKey("key"));
  const std::string text = "enc2.kCvxIDcZ.AAECAwQFBgcICQoLOgrtBbN0ROHVZz-WGO0LNqNTgNN1KEW1nYqgxg";
  const std::string ends = "enc2.kCvxIDcZ.AAECAwQFBgcICQoLOgrtBbN0ROHVZz-WG33j4p1czPgvU3Io7N9alg";
  EXPECT_EQ(cipher.open({"name", text}).value(), "Ada Lovelace");
  EXPECT_EQ(cipher.open({"name", ends, end}).value(), "Ada Lovelace");
  EXPECT_EQ(cipher.seal({"name", "x"}).value().substr(0, payload_at), text.substr(0, payload_at));
  EXPECT_EQ(cipher.seal_alike({"@code", "Ada Lovelace", end}).value(),
            "enc2.kCvxIDcZ.fn0nuID0Ndb5Rr1kdukPvuC_lQwxbewrVkv2r8ptf2EqpMpPavcD7Q");
}

TEST(SealedValue, IsSealedWithAFreshNonceEachTime) {
  const SealingKeys keys(key_ring({new_secret}));
  SessionCipher cipher(keys, session);
  std::set<std::string> nonces;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = cipher.seal({"a", "the same"}).value();
    nonces.insert(decode_base64(text.substr(payload_at)).value().substr(0, nonce_bytes));
  }
  EXPECT_EQ(nonces.size(), 1000U);
}

TEST(SealedValue, HoldsNeitherTheValueNorASecret) {
  const std::string text = seal({new_secret}, session, "a", "a value that is quite long");
  EXPECT_EQ(text.find("value"), std::string::npos);
  EXPECT_EQ(decode_base64(text.substr(payload_at)).value().find("value"), std::string::npos);
  EXPECT_EQ(text.find(encode_base64(new_secret).substr(0, key_id_length)), std::string::npos);
}

TEST(SealedValue, EveryAlteredByteIsRefused) {
  const std::string text = seal({new_secret}, session, "a", "42");
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int by = 1; by < 256; ++by) {
      std::string altered = text;
      altered[i] = static_cast<char>(static_cast<unsigned char>(altered[i]) ^ by);
      ASSERT_TRUE(is_corrupt(open({new_secret}, session, "a", altered)))
          << "byte " << i << " changed by " << by;
    }
  }
}

TEST(SealedValue, EveryFlippedBitOfWhatItEncodesIsRefused) {
  const std::string text = seal({new_secret}, session, "a", "42");
  const std::string bytes = decode_base64(text.substr(payload_at)).value();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string altered = bytes;
    altered[bit / 8] =
        static_cast<char>(static_cast<unsigned char>(altered[bit / 8]) ^ (1U << (bit % 8)));
    ASSERT_TRUE(is_corrupt(
        open({new_secret}, session, "a", text.substr(0, payload_at) + encode_base64(altered))))
        << "bit " << bit;
  }
}

TEST(SealedValue, EveryPartOfOneIsRefused) {
  const std::string text = seal({new_secret}, session, "a", "some value");
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text.substr(0, size)))) << size;
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text.substr(text.size() - size))))
        << "the last " << size;
  }
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text + "A")));
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text + "AAAA")));
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text + "=")));
}

// GCM would accept a shorter tag if it were asked to: one of four bytes can be guessed.
TEST(SealedValue, ATruncatedTagIsRefused) {
  for (const std::string value : {"", "1", "a value of some length"}) {
    const std::string text = seal({new_secret}, session, "a", value);
    const std::string bytes = decode_base64(text.substr(payload_at)).value();
    for (std::size_t cut = 1; cut <= tag_bytes; ++cut) {
      const std::string shorter = encode_base64(bytes.substr(0, bytes.size() - cut));
      EXPECT_TRUE(
          is_corrupt(open({new_secret}, session, "a", text.substr(0, payload_at) + shorter)))
          << cut << " bytes of the tag are missing";
    }
  }
}

TEST(SealedValue, IsRefusedInAnotherPlace) {
  const std::string text = seal({new_secret}, session, "role", "admin");
  const StoreKey other("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "name", text)));
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "", text)));
  EXPECT_TRUE(is_corrupt(open({new_secret}, session, "Role", text)));
  EXPECT_TRUE(is_corrupt(open({new_secret}, other, "role", text)));
  // Where the key ends and the name begins is part of it.
  const std::string moved = seal({new_secret}, StoreKey("ab"), "c", "1");
  EXPECT_TRUE(is_corrupt(open({new_secret}, StoreKey("a"), "bc", moved)));
  EXPECT_TRUE(is_corrupt(open({new_secret}, StoreKey("abc"), "", moved)));
}

TEST(SealedValue, IsRefusedWithAnotherDeadline) {
  const SealingKeys keys(key_ring({new_secret}));
  SessionCipher cipher(keys, session);
  const std::string lasting = cipher.seal({"role", "admin"}).value();
  const std::string ending = cipher.seal({"role", "admin", end}).value();
  EXPECT_EQ(cipher.open({"role", lasting}).value(), "admin");
  EXPECT_EQ(cipher.open({"role", ending, end}).value(), "admin");
  EXPECT_TRUE(is_corrupt(cipher.open({"role", ending}))) << "it was taken away";
  EXPECT_TRUE(is_corrupt(cipher.open({"role", ending, end + std::chrono::milliseconds(1)})));
  EXPECT_TRUE(is_corrupt(cipher.open({"role", lasting, end}))) << "it was added";
  EXPECT_TRUE(is_corrupt(cipher.open({"role", lasting, WallTime()})));
}

TEST(SealedValue, WhatIsSealedAlikeIsTheSameTextAtTheSamePlaceOnly) {
  const SealingKeys keys(key_ring({new_secret, old_secret}));
  SessionCipher cipher(keys, session);
  SessionCipher elsewhere(keys, StoreKey("another"));
  const Field field{"@csrf", "a secret", end};
  const std::string text = cipher.seal_alike(field).value();
  EXPECT_EQ(SessionCipher(keys, session).seal_alike(field).value(), text);
  EXPECT_EQ(cipher.open({field.name, text, end}).value(), "a secret");
  const std::vector<std::string> each = cipher.seal_alike_with_each(field).value();
  ASSERT_EQ(each.size(), 2U);
  EXPECT_EQ(each[0], text);
  EXPECT_EQ(cipher.open({field.name, each[1], end}).value(), "a secret");
  // No nonce twice for different values, names, deadlines, keys and sessions.
  std::set<std::string> nonces;
  const auto add = [&nonces](const std::string& sealed) {
    nonces.insert(decode_base64(sealed.substr(payload_at)).value().substr(0, nonce_bytes));
  };
  add(text);
  add(each[1]);
  add(cipher.seal_alike({"@csrf", "a secret"}).value());
  add(cipher.seal_alike({"@csrf", "A secret", end}).value());
  add(cipher.seal_alike({"@csr", "fa secret", end}).value());
  add(elsewhere.seal_alike(field).value());
  EXPECT_EQ(nonces.size(), 6U);
}

TEST(SealedValue, OldSecretsOfTheRingOpenAndTheFirstOneSeals) {
  const std::string old_text = seal({old_secret}, session, "a", "old");
  EXPECT_EQ(open({new_secret, old_secret}, session, "a", old_text).value(), "old");
  const std::string text = seal({new_secret, old_secret}, session, "a", "new");
  EXPECT_EQ(open({new_secret}, session, "a", text).value(), "new");
  EXPECT_NE(text.substr(0, payload_at), old_text.substr(0, payload_at));
}

TEST(SealedValue, ASecretThatIsNotInTheRingIsToldApart) {
  const Result<std::string> unknown =
      open({new_secret}, session, "a", seal({old_secret}, session, "a", "1"));
  ASSERT_TRUE(is_corrupt(unknown));
  EXPECT_NE(unknown.error().detail.find("not in EncryptionOptions::keys"), std::string::npos);

  // A key id that is put in place of the right one helps nobody.
  const std::string by_old = seal({old_secret}, session, "a", "1");
  const std::string by_new = seal({new_secret}, session, "a", "1");
  EXPECT_TRUE(is_corrupt(open({new_secret, old_secret}, session, "a",
                              by_new.substr(0, payload_at) + by_old.substr(payload_at))));
}

TEST(SealedValue, WhatWasNeverSealedIsRefused) {
  Random random;
  for (const std::string_view text : {"", "1", "Ada", "{}", "enc2", "enc2.", "enc2.AAAAAAAA",
                                      "enc2.AAAAAAAA.", "ENC2.AAAAAAAA."}) {
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", text))) << text;
  }
  const std::string head = seal({new_secret}, session, "a", "1").substr(0, payload_at);
  for (int i = 0; i < 1000; ++i) {
    const std::string bytes = random.bytes(random.below(64));
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", bytes)));
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", head + bytes)));
    EXPECT_TRUE(is_corrupt(open({new_secret}, session, "a", head + encode_base64(bytes))));
  }
}

}  // namespace
}  // namespace websession::internal
