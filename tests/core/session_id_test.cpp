#include "websession/session_id.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <type_traits>

namespace websession {
namespace {

// P5
TEST(SessionId, Is192RandomBitsAsBase64url) {
  std::set<std::string> seen;
  std::array<std::set<char>, 32> at;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = SessionId::generate().value().secret();
    ASSERT_EQ(text.size(), 32U);
    EXPECT_TRUE(SessionId::parse(text)) << "an own id must be taken back";
    EXPECT_TRUE(seen.insert(text).second) << "the same id twice";
    for (std::size_t c = 0; c < text.size(); ++c) at[c].insert(text[c]);
  }
  // 2,000 draws of 64 characters miss one of them with a probability of 10^-12.
  for (const std::set<char>& characters : at) EXPECT_EQ(characters.size(), 64U);
}

TEST(SessionId, ParseTakesExactlyItsForm) {
  const std::string good(32, 'a');
  EXPECT_TRUE(SessionId::parse(good));
  EXPECT_TRUE(SessionId::parse("0123456789-_ABCDEFGHIJKLMNOPQRST"));
  EXPECT_FALSE(SessionId::parse(""));
  EXPECT_FALSE(SessionId::parse(good + "a"));
  EXPECT_FALSE(SessionId::parse(good.substr(1)));
  EXPECT_FALSE(SessionId::parse(std::string(10'000, 'a')));
  for (int byte = 0; byte < 256; ++byte) {
    std::string text = good;
    text[7] = static_cast<char>(byte);
    const bool base64url = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
    EXPECT_EQ(SessionId::parse(text).has_value(), base64url) << "byte " << byte;
  }
}

TEST(SessionId, FormIsConfigurable) {
  const IdFormat format{20, 40, ".~"};
  EXPECT_TRUE(SessionId::parse("0123456789.abcdef~0123", format));
  EXPECT_FALSE(SessionId::parse("0123456789!abcdef~0123", format));
  EXPECT_FALSE(SessionId::parse("0123456789", format));
  const IdFormat reckless{1, 10'000, ";\r\n:"};
  EXPECT_FALSE(SessionId::parse("a;b", reckless)) << "an id fits into a cookie, whatever is asked";
  EXPECT_FALSE(SessionId::parse("a\rb", reckless));
  EXPECT_FALSE(SessionId::parse("a:b", reckless));
  EXPECT_FALSE(SessionId::parse(std::string(257, 'a'), reckless));
}

TEST(SessionId, ComparesByContent) {
  const SessionId a = SessionId::parse(std::string(32, 'a')).value();
  const SessionId b = SessionId::parse(std::string(31, 'a') + "b").value();
  EXPECT_TRUE(a == a);
  EXPECT_FALSE(a == b);
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_FALSE(equal_in_constant_time("a", ""));
}

// P5: neither an id nor a key can get into a log by a stray operator<<.
template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(!Streamable<SessionId>);
static_assert(!Streamable<StoreKey>);
static_assert(!std::is_convertible_v<SessionId, std::string>);
static_assert(!std::is_convertible_v<std::string, SessionId>);

}  // namespace
}  // namespace websession
