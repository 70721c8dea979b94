// Cookies that are signed, and those that only look so.
#include "websession/signed_cookie.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "random.hpp"
#include "websession/cookie.hpp"

namespace websession::testing {
namespace {

const std::string newer(32, 'n');
const std::string older(32, 'o');
const std::string unknown(32, 'u');
constexpr auto both_formats = {CookieFormat::websession, CookieFormat::express};

CookieSigner signer(const std::vector<std::string>& secrets, CookieFormat format,
                    const std::string& name = "sid", const IdFormat& ids = {}) {
  return CookieSigner::make(name, {KeyRing::make(secrets, 1).value(), format}, ids).value();
}
SessionId id_of(const std::string& text, const IdFormat& ids = {}) {
  return SessionId::parse(text, ids).value();
}
bool accepts(const CookieSigner& signer, const std::string& value) {
  return signer.verify(value).has_value();
}

// Computed with Node's crypto, so that the form stays what it is.
TEST(SignedCookie, HasItsForm) {
  const SessionId id = id_of("abcdefghijklmnopqrstuvwxyz012345");
  const std::string value =
      "abcdefghijklmnopqrstuvwxyz012345.SpjffjrMpiAqMDDIwa4laFifYhge9pZPctWPrEGWuuQ";
  const auto ours = signer({"0123456789abcdef0123456789abcdef"}, CookieFormat::websession);
  EXPECT_EQ(ours.sign(id), value);
  EXPECT_TRUE(ours.verify(value) == id);
}

// The value that Express makes (tests/interop asks it itself).
TEST(SignedCookie, HasTheFormOfExpress) {
  const SessionId id = id_of("abcdefghijklmnopqrstuvwxyz01234L");
  const std::string value =
      "s%3Aabcdefghijklmnopqrstuvwxyz01234L.RRKxaODa%2FrV0F2FzEh6DEkqdXnx7lq20OimrXKvI%2BFo";
  const auto express = signer({"keyboard cat"}, CookieFormat::express);
  EXPECT_EQ(express.sign(id), value);
  EXPECT_TRUE(express.verify(value) == id);
}

TEST(SignedCookie, OfExpressMayBeEncodedInLowerCaseOrNotAtAll) {
  const auto express = signer({"keyboard cat"}, CookieFormat::express);
  const std::string id = "abcdefghijklmnopqrstuvwxyz01234L";
  const std::string text = id + ".RRKxaODa/rV0F2FzEh6DEkqdXnx7lq20OimrXKvI+Fo";
  EXPECT_TRUE(accepts(express, "s:" + text));
  const std::string encoded = id + ".RRKxaODa%2frV0F2FzEh6DEkqdXnx7lq20OimrXKvI%2bFo";
  EXPECT_TRUE(accepts(express, "s%3a" + encoded));

  const std::string half = id + ".RRKxaODa%2FrV0F2FzEh6DEkqdXnx7lq20OimrXKvI+Fo";
  for (const std::string& value :
       {text, encoded, "s:" + half, "s%3A" + half, "S%3A" + encoded, "%73%3A" + encoded,
        "s%253A" + encoded, "s%3A%61" + encoded.substr(1), "s%3" + encoded, "s%3G" + encoded,
        "s%3A" + encoded + "%", "s%3A" + encoded + "%3", "s%3A" + encoded + "%00", "j%3A" + encoded,
        "s%3As%3A" + encoded, "s% 3A" + encoded, "s%+3A" + encoded}) {
    EXPECT_FALSE(accepts(express, value)) << value;
  }
}

TEST(SignedCookie, HasOneFormOnly) {
  const SessionId id = id_of("abcdefghijklmnopqrstuvwxyz01234L");
  for (const CookieFormat format : both_formats) {
    const auto one = signer({"keyboard cat", older}, format);
    const std::string value = one.sign(id);
    ASSERT_TRUE(accepts(one, value));
    for (const std::string& longer : {value + "A", value + "=", value + ".", value + "\n",
                                      " " + value, "A" + value, value + "." + value}) {
      EXPECT_FALSE(accepts(one, longer)) << longer;
    }
    // The last digit has two spare bits: three others would decode to the same bytes.
    for (int byte = 0; byte < 256; ++byte) {
      for (const std::size_t at : {value.size() - 1, value.size() - 2, std::size_t{5}}) {
        std::string bent = value;
        bent[at] = static_cast<char>(byte);
        EXPECT_EQ(accepts(one, bent), bent == value) << "byte " << byte << " at " << at;
      }
    }
  }
}

// The attack: a short signature is guessed sooner than a whole one.
TEST(SignedCookie, TruncatedSignature) {
  for (const CookieFormat format : both_formats) {
    const auto one = signer({newer}, format);
    const std::string value = one.sign(SessionId::generate().value());
    for (std::size_t size = 0; size < value.size(); ++size) {
      EXPECT_FALSE(accepts(one, value.substr(0, size))) << size;
    }
    const std::string without = value.substr(0, value.find('.'));
    EXPECT_FALSE(accepts(one, without + "."));
    EXPECT_FALSE(accepts(one, without + "." + std::string(43, '=')));
  }
}

TEST(SignedCookie, SignatureByAnUnknownKey) {
  const SessionId id = SessionId::generate().value();
  for (const CookieFormat format : both_formats) {
    const auto one = signer({newer, older}, format);
    EXPECT_FALSE(accepts(one, signer({unknown}, format).sign(id)));
    EXPECT_FALSE(accepts(one, signer({newer + "x"}, format).sign(id)));
    EXPECT_TRUE(accepts(one, signer({older}, format).sign(id)));
  }
}

TEST(SignedCookie, SignatureOfAnotherId) {
  const SessionId mine = SessionId::generate().value();
  const SessionId yours = SessionId::generate().value();
  for (const CookieFormat format : both_formats) {
    const auto one = signer({newer}, format);
    const std::string signature = one.sign(mine).substr(one.sign(mine).find('.'));
    const std::string other = one.sign(yours);
    EXPECT_FALSE(accepts(one, other.substr(0, other.find('.')) + signature));
  }
}

// One secret for several cookies, formats and purposes: none passes for another.
TEST(SignedCookie, SignatureForAnotherPurpose) {
  const SessionId id = SessionId::generate().value();
  const auto ours = signer({newer}, CookieFormat::websession);
  const auto express = signer({newer}, CookieFormat::express);
  EXPECT_FALSE(accepts(ours, signer({newer}, CookieFormat::websession, "other").sign(id)));
  EXPECT_FALSE(accepts(ours, express.sign(id)));
  EXPECT_FALSE(accepts(express, ours.sign(id)));
  EXPECT_FALSE(accepts(express, "s%3A" + ours.sign(id)));
}

TEST(SignedCookie, KeysRotate) {
  const SessionId id = SessionId::generate().value();
  for (const CookieFormat format : both_formats) {
    const std::string old_cookie = signer({older}, format).sign(id);
    const auto both = signer({newer, older}, format);
    EXPECT_TRUE(both.verify(old_cookie) == id);
    const std::string new_cookie = both.sign(id);
    EXPECT_NE(new_cookie, old_cookie);
    const auto only_new = signer({newer}, format);
    EXPECT_TRUE(only_new.verify(new_cookie) == id);
    EXPECT_FALSE(accepts(only_new, old_cookie));
  }
}

TEST(SignedCookie, CarriesEveryIdThatAFormatAllows) {
  Random random;
  const IdFormat wide{16, 256, "!#$%&'()*+./<=>?@[]^`{|}~"};
  const std::string characters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" + wide.other_characters;
  for (const CookieFormat format : both_formats) {
    const auto one = signer({newer}, format, "sid", wide);
    for (int i = 0; i < 300; ++i) {
      const SessionId id = id_of(random.text(16 + random.below(241), characters), wide);
      const std::string value = one.sign(id);
      ASSERT_TRUE(one.verify(value) == id) << value;
      SetCookie cookie;
      cookie.name = "sid";
      cookie.value = value;
      ASSERT_TRUE(serialize(cookie)) << value;
      ASSERT_FALSE(accepts(signer({newer}, format), value)) << "an id of another form";
    }
  }
}

TEST(SignedCookie, AnyBytesAreTaken) {
  Random random;
  for (const CookieFormat format : both_formats) {
    const auto one = signer({newer}, format);
    for (int i = 0; i < 5'000; ++i) {
      EXPECT_FALSE(accepts(one, random.bytes(random.below(200))));
      EXPECT_FALSE(accepts(one, random.text(random.below(300), "s:%3A2Fab.+/")));
    }
    EXPECT_FALSE(accepts(one, std::string(1'000'000, '%')));
  }
}

TEST(SignedCookie, WrongOptionsAreRefused) {
  const CookieSigning good{KeyRing::make({newer}).value(), CookieFormat::express};
  EXPECT_EQ(CookieSigner::make("sid", {}).error().code, Errc::invalid_argument);
  EXPECT_EQ(CookieSigner::make(std::string(4000, 'n'), good).error().code, Errc::invalid_argument);
  EXPECT_FALSE(CookieSigner::make("sid", good, {1, 1, ""}));
  // The longest name that is allowed leaves room for the longest id.
  const IdFormat wide{16, 256, "+"};
  std::string name;
  while (CookieSigner::make(name + "n", good, wide)) name += 'n';
  SetCookie cookie;
  cookie.value =
      signer({newer}, CookieFormat::express, name, wide).sign(id_of(std::string(256, '+'), wide));
  cookie.name = name;
  EXPECT_TRUE(serialize(cookie));
  EXPECT_GT(name.size(), 3000U);
}

}  // namespace
}  // namespace websession::testing
