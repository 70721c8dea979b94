#include "websession/value.hpp"

#include <gtest/gtest.h>

#include <cfloat>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "random.hpp"

namespace websession {
namespace {

using nlohmann::json;

std::string text_of(const auto& value) { return encode_value(value).value(); }

template <class T>
void expect_round_trip(const T& value) {
  const std::string text = text_of(value);
  const Result<T> back = decode<T>(text);
  ASSERT_TRUE(back.has_value()) << text << ": " << back.error().message();
  EXPECT_EQ(*back, value) << text;
}

TEST(Value, NumbersAndBoolsAreTheirJsonText) {
  EXPECT_EQ(text_of(1), "1");
  EXPECT_EQ(text_of(-7L), "-7");
  EXPECT_EQ(text_of(true), "true");
  EXPECT_EQ(text_of(false), "false");
  EXPECT_EQ(text_of(0.5), "0.5");
  EXPECT_EQ(text_of(std::uint8_t{200}), "200");
  EXPECT_EQ(text_of(json{{"a", {1, nullptr}}}), R"({"a":[1,null]})");
}

TEST(Value, AStringIsStoredAsItIsUnlessItReadsAsJson) {
  EXPECT_EQ(text_of("Ada"), "Ada");
  EXPECT_EQ(text_of(""), "");
  EXPECT_EQ(text_of("10115 Berlin"), "10115 Berlin");
  EXPECT_EQ(text_of("10115"), R"("10115")");
  EXPECT_EQ(text_of("true"), R"("true")");
  EXPECT_EQ(text_of("null"), R"("null")");
  EXPECT_EQ(text_of(R"("x")"), R"("\"x\"")");
  EXPECT_EQ(text_of("{}"), R"("{}")");
  EXPECT_EQ(text_of(" 1 "), R"(" 1 ")");
  EXPECT_EQ(text_of("{broken"), "{broken");
  EXPECT_EQ(text_of("1e999"), "1e999") << "no finite number, so no JSON here";
  EXPECT_EQ(text_of("nan"), "nan");
  EXPECT_EQ(text_of("01"), "01");
  EXPECT_EQ(text_of(Text{"10115"}), "10115");
  EXPECT_EQ(text_of(json("10115")), R"("10115")") << "a JSON string is a string";
  EXPECT_EQ(text_of(json("Ada")), "Ada");
}

TEST(Value, ReadsAsJsonLooksAtTheWholeText) {
  EXPECT_TRUE(reads_as_json("1"));
  EXPECT_TRUE(reads_as_json("\t[1, 2]\r\n"));
  EXPECT_TRUE(reads_as_json("-0"));
  EXPECT_FALSE(reads_as_json(""));
  EXPECT_FALSE(reads_as_json(" "));
  EXPECT_FALSE(reads_as_json("1 2"));
  EXPECT_FALSE(reads_as_json(std::string_view("1\0", 2)));
  EXPECT_FALSE(reads_as_json(std::string_view("1\0garbage", 9)));
  EXPECT_FALSE(reads_as_json(std::string_view("\0", 1)));
  EXPECT_FALSE(
      reads_as_json("\xef\xbb\xbf"
                    "1"))
      << "a byte order mark";
  EXPECT_FALSE(reads_as_json("1e400"));
  EXPECT_FALSE(reads_as_json("[1e400]"));
  EXPECT_FALSE(reads_as_json("\"\xff\"")) << "not UTF-8";
  EXPECT_FALSE(reads_as_json("NaN"));
  EXPECT_FALSE(reads_as_json("1 // comment"));
  EXPECT_TRUE(reads_as_json(std::string(128, '[') + std::string(128, ']')));
  EXPECT_FALSE(reads_as_json(std::string(129, '[') + std::string(129, ']')));
  EXPECT_FALSE(reads_as_json(std::string(1'000'000, '['))) << "and no stack overflow";
}

TEST(Value, IntegersAreExactOrAnError) {
  EXPECT_EQ(decode<int>("1.0").value(), 1);
  EXPECT_EQ(decode<int>("1e3").value(), 1000);
  EXPECT_EQ(decode<int>("-0").value(), 0);
  EXPECT_EQ(decode<unsigned>("-0.0").value(), 0U);
  EXPECT_EQ(decode<int>("0.00e-7").value(), 0);
  EXPECT_EQ(decode<int>("12300e-2").value(), 123);
  EXPECT_EQ(decode<std::int64_t>("9007199254740993.0").value(), 9007199254740993);
  EXPECT_EQ(decode<std::int64_t>("9.223372036854775807e18").value(), INT64_MAX);
  EXPECT_EQ(decode<std::uint64_t>("18446744073709551615").value(), UINT64_MAX);
  EXPECT_FALSE(decode<int>("1.5"));
  EXPECT_FALSE(decode<int>("1.00000000000000000001")) << "rounding would lose it";
  EXPECT_FALSE(decode<int>("2147483648"));
  EXPECT_FALSE(decode<std::int8_t>("128"));
  EXPECT_FALSE(decode<unsigned>("-1"));
  EXPECT_FALSE(decode<std::int64_t>("9223372036854775808"));
  EXPECT_FALSE(decode<std::uint64_t>("18446744073709551616"));
  EXPECT_FALSE(decode<int>("1e-999999999999999999999"));
  EXPECT_FALSE(decode<int>("1e999999999999999999999"));
  EXPECT_FALSE(decode<int>("true")) << "a bool is no number";
  EXPECT_FALSE(decode<bool>("1").has_value()) << "a number is no bool";
  EXPECT_FALSE(decode<int>(R"("1")")) << "a string is no number";
  EXPECT_FALSE(decode<int>(""));
  EXPECT_FALSE(decode<int>("x"));
  EXPECT_FALSE(decode<int>("0x10"));
}

TEST(Value, FloatsAreNotNarrowed) {
  EXPECT_EQ(decode<double>("0.1").value(), 0.1);
  EXPECT_EQ(decode<double>("1").value(), 1.0);
  EXPECT_EQ(decode<double>("9007199254740992").value(), 9007199254740992.0);
  EXPECT_FALSE(decode<double>("9007199254740993")) << "no double holds it";
  EXPECT_EQ(decode<double>("-9007199254740994").value(), -9007199254740994.0);
  EXPECT_EQ(decode<float>("0.5").value(), 0.5F);
  EXPECT_FALSE(decode<float>("0.1")) << "that is another number as a float";
  EXPECT_FALSE(decode<float>("1e300"));
  EXPECT_FALSE(decode<double>("1e-400"));
  EXPECT_FALSE(decode<double>("true"));
  EXPECT_FALSE(encode_value(std::nan("")));
  EXPECT_FALSE(encode_value(std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(encode_value(-std::numeric_limits<float>::infinity()));
}

TEST(Value, EveryNumberSurvives) {
  testing::Random random;
  for (const std::int64_t n : {INT64_MIN, INT64_MAX, std::int64_t{0}}) expect_round_trip(n);
  expect_round_trip(UINT64_MAX);
  for (const double d : {0.0, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 1e22, 0.1, -1e-7}) {
    expect_round_trip(d);
  }
  EXPECT_TRUE(std::signbit(decode<double>(text_of(-0.0)).value()));
  expect_round_trip(FLT_MAX);
  expect_round_trip(0.1F);
  for (int i = 0; i < 20'000; ++i) {
    expect_round_trip(static_cast<std::int64_t>(random.bits()));
    expect_round_trip(random.bits());
    double d = 0;
    const std::uint64_t bits = random.bits();
    std::memcpy(&d, &bits, sizeof d);
    if (std::isfinite(d)) expect_round_trip(d);
  }
}

TEST(Value, StringsReadAnythingAsItsStoredText) {
  EXPECT_EQ(decode<std::string>("1").value(), "1");
  EXPECT_EQ(decode<std::string>("[1]").value(), "[1]");
  EXPECT_EQ(decode<std::string>(R"("1")").value(), "1");
  EXPECT_EQ(decode<Text>(R"("1")").value().bytes, R"("1")");
}

// Every byte string up to three long survives set and get.
#ifdef __SANITIZE_ADDRESS__
constexpr int third_step = 17;  // for what a sanitizer can find, some will do
#else
constexpr int third_step = 1;
#endif

TEST(Value, EveryShortStringSurvives) {
  std::string text;
  const auto check = [&] {
    const Result<std::string> stored = encode_value(text);
    ASSERT_TRUE(stored);
    ASSERT_EQ(decode<std::string>(*stored).value(), text);
  };
  check();
  for (int a = 0; a < 256; ++a) {
    text.assign(1, static_cast<char>(a));
    check();
    for (int b = 0; b < 256; ++b) {
      text.assign({static_cast<char>(a), static_cast<char>(b)});
      check();
      text.push_back('\0');
      for (int c = 0; c < 256; c += third_step) {
        text[2] = static_cast<char>(c);
        check();
      }
    }
  }
}

TEST(Value, RandomStringsSurvive) {
  testing::Random random;
  for (int i = 0; i < 50'000; ++i) {
    const std::string text = i % 2 == 0
                                 ? random.bytes(random.below(40))
                                 : random.text(random.below(12), "{}[]\",:0123e.-+tfn \\u\n");
    ASSERT_EQ(decode<std::string>(text_of(text)).value(), text);
    ASSERT_EQ(decode<std::string>(text_of(text_of(text))).value(), text_of(text));
  }
}

TEST(Value, JsonValuesAreCheckedInDepth) {
  EXPECT_FALSE(encode_value(json{{"a", {1, std::nan("")}}}));
  EXPECT_FALSE(encode_value(json{"\xff"})) << "invalid UTF-8 inside a value";
  EXPECT_FALSE(encode_value(json::binary({1, 2})));
  EXPECT_FALSE(encode_value(json(json::value_t::discarded)));
  json deep = 1;
  for (int i = 0; i < 128; ++i) deep = json::array({deep});
  expect_round_trip(deep);
  EXPECT_FALSE(encode_value(json::array({deep})));
  json hollow = json::array();
  for (int i = 1; i < 128; ++i) hollow = json::array({hollow});
  expect_round_trip(hollow);
  EXPECT_FALSE(encode_value(json::array({hollow})));
  EXPECT_FALSE(encode_value(json("\xff")));
  expect_round_trip(json{{"k", {1, 2.5, "x", true, nullptr}}});
  EXPECT_EQ(decode<json>("Ada").value(), json("Ada"));
  EXPECT_EQ(decode<json>(R"("1")").value(), json("1"));
  EXPECT_FALSE(decode<json>("\xff"));
}

TEST(Value, CharacterArraysAreStrings) {
  const char buffer[8] = "ab";
  EXPECT_EQ(text_of(buffer), "ab");
  const char full[2] = {'a', 'b'};
  EXPECT_EQ(text_of(full), "ab");
}

// What would be taken for something else does not compile.
static_assert(Value<bool> && Value<int> && Value<std::string> && Value<char[4]> && Value<Text>);
static_assert(!Value<const char*> && !Value<char*> && !Value<int*>);
static_assert(!Value<char> && !Value<wchar_t> && !Value<long double>);

// What has a counterpart in JSON is a value, as exact as the rest.

TEST(Value, NullAndOptional) {
  EXPECT_EQ(text_of(nullptr), "null");
  EXPECT_TRUE(decode<std::nullptr_t>(" null "));
  EXPECT_FALSE(decode<std::nullptr_t>("0"));
  EXPECT_EQ(text_of(std::optional<int>()), "null");
  EXPECT_EQ(text_of(std::optional<int>(7)), "7");
  EXPECT_EQ(text_of(std::optional<std::string>("Ada")), "Ada") << "as the string itself";
  EXPECT_EQ(text_of(std::optional<std::string>("null")), R"("null")");
  for (const std::optional<std::string>& value :
       {std::optional<std::string>(), std::optional<std::string>("null"),
        std::optional<std::string>("Ada"), std::optional<std::string>("7")}) {
    expect_round_trip(value);
  }
  expect_round_trip(std::optional<bool>(false));
  expect_round_trip(std::vector<std::optional<bool>>{true, {}, false});
  EXPECT_FALSE(decode<std::optional<int>>("5e9").has_value()) << "not narrowed";
  EXPECT_EQ(decode<std::optional<int>>("null").value(), std::nullopt);
}

TEST(Value, VectorsAndMaps) {
  EXPECT_EQ(text_of(std::vector<std::string>{"Ada", "10115", "a\"b"}), R"(["Ada","10115","a\"b"])");
  EXPECT_EQ(text_of(std::vector<bool>{true, false}), "[true,false]");
  EXPECT_EQ(text_of(std::vector<int>()), "[]");
  EXPECT_EQ(text_of(std::map<std::string, std::optional<double>>{{"a", 0.5}, {"b", {}}}),
            R"({"a":0.5,"b":null})");
  expect_round_trip(std::vector<int>{1, -2, 3});
  expect_round_trip(std::vector<bool>{true, false});
  expect_round_trip(std::vector<std::string>{"", "]", ",", "\"", "\\", "{\"a\":[", "\xc3\xa4"});
  expect_round_trip(std::vector<std::vector<std::string>>{{}, {"a", "b"}, {""}});
  expect_round_trip(std::map<std::string, std::vector<int>>{{"", {}}, {"a:b,c", {1}}, {"\"", {2}}});
  expect_round_trip(std::unordered_map<std::string, std::uint64_t>{{"max", UINT64_MAX}});
  expect_round_trip(std::vector<json>{1, nullptr, "a", {{"b", {1, 2}}}});
  EXPECT_EQ(decode<std::vector<int>>(" [ 1 , 2.0 ] ").value(), (std::vector<int>{1, 2}));
  EXPECT_EQ((decode<std::map<std::string, int>>("\t{ \"a\" : 1 }").value().at("a")), 1);
  for (const char* text : {"[5e9]", "[1.5]", "[true]", "[\"1\"]", "[null]", "{}", "1", "[1", "x"}) {
    EXPECT_FALSE(decode<std::vector<int>>(text)) << text << ": exact or an error";
  }
  EXPECT_FALSE(decode<std::vector<std::string>>("[1]")) << "a number is no string";
  EXPECT_FALSE((decode<std::map<std::string, int>>("[1]")));
  EXPECT_FALSE(encode_value(std::vector<std::string>{"\xff"}));
  EXPECT_FALSE(encode_value(std::vector<double>{std::nan("")}));
  json deep = 1;
  for (int i = 0; i < 128; ++i) deep = json::array({deep});
  EXPECT_TRUE(encode_value(deep));
  EXPECT_FALSE(encode_value(std::vector<json>{deep})) << "it could not be read back";
}

struct Preferences {
  std::string theme;
  std::vector<int> pages;
  friend bool operator==(const Preferences&, const Preferences&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Preferences, theme, pages)

enum class Plan { free, paid };
NLOHMANN_JSON_SERIALIZE_ENUM(Plan, {{Plan::free, "free"}, {Plan::paid, "paid"}})

TEST(Value, TypesWithToJsonAndFromJson) {
  EXPECT_EQ(text_of(Preferences{"dark", {1}}), R"({"pages":[1],"theme":"dark"})");
  EXPECT_EQ(text_of(Plan::paid), "paid") << "a string, in the form of strings";
  expect_round_trip(Preferences{"dark", {1, 2}});
  expect_round_trip(Plan::paid);
  expect_round_trip(std::vector<Preferences>{{"a", {}}, {"b", {3}}});
  expect_round_trip(std::map<std::string, std::optional<Plan>>{{"a", Plan::paid}, {"b", {}}});
  for (const char* text : {"{}", "1", "dark", R"({"theme":1,"pages":[]})"}) {
    const Result<Preferences> value = decode<Preferences>(text);
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code, Errc::invalid_argument);
    EXPECT_EQ(value.error().detail.find("dark"), std::string::npos) << "no value in an error";
  }
  EXPECT_FALSE(encode_value(Preferences{"\xff", {}}));
}

// Looks like what nlohmann's own functions take, and has one of its own.
struct Bag {
  using value_type = int;
  std::vector<int> items;
};
void to_json(json& tree, const Bag& bag) { tree = bag.items.size(); }
static_assert(Value<Bag>);

enum class Bare { one };
static_assert(!Value<Bare> && !Value<nlohmann::ordered_json> && !Value<std::pair<int, int>>);
static_assert(!Value<std::chrono::system_clock::time_point> && !Value<std::chrono::seconds>);
static_assert(!Value<std::vector<const char*>> && !Value<std::map<int, int>>);
static_assert(!Value<std::optional<std::optional<int>>> && !Value<std::vector<Text>>);
static_assert(Value<std::vector<std::string_view>>);
static_assert(!ReadableValue<std::vector<std::string_view>>, "it would dangle");

}  // namespace
}  // namespace websession
