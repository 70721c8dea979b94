// A session's fields as columns, and back.
#include "columns.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "random.hpp"
#include "websession/session_store.hpp"

namespace websession::sql {
namespace {

using std::chrono::milliseconds;

ColumnViews views(const Columns& columns) {
  return {columns.created_at, columns.principal, columns.label,
          columns.data,       columns.bytes,     columns.until};
}
Result<Fields> of_data(std::string_view data) {
  ColumnViews columns;
  columns.data = data;
  return fields_of(columns);
}
WallTime at(std::int64_t ms) { return WallTime(milliseconds(ms)); }

TEST(Columns, ShowWhatPeopleLookFor) {
  const Columns columns = columns_of({{"@created", "1700000000000"},
                                      {"@user", "ada"},
                                      {"@label", "Firefox"},
                                      {"count", "1"},
                                      {"name", "Zoë \"x\"\n"},
                                      {"@csrf", "t"},
                                      {"code", "42", at(5)}});
  EXPECT_EQ(columns.created_at, 1'700'000'000'000);
  EXPECT_EQ(columns.principal, "ada");
  EXPECT_EQ(columns.label, "Firefox");
  EXPECT_EQ(columns.data, R"({"@csrf":"t","code":"42","count":"1","name":"Zoë \"x\"\u000a"})");
  EXPECT_EQ(columns.until, R"({"code":5})");
  EXPECT_EQ(columns.bytes, std::nullopt);
}

TEST(Columns, WhatJsonCannotHoldIsKeptApart) {
  const Fields fields{{"@created", "1"},
                      {"nul", std::string_view("a\0b", 3)},
                      {"latin", "\xe9", at(7)},
                      {"\xff", "x"},
                      {"@label", "\xff"}};
  const Columns columns = columns_of(fields);
  EXPECT_EQ(columns.data, "{}");
  EXPECT_EQ(columns.label, std::nullopt);
  EXPECT_EQ(columns.bytes, R"({"QGxhYmVs":["/w"],"bGF0aW4":["6Q",7],"bnVs":["YQBi"],"/w":["eA"]})");
  EXPECT_EQ(fields_of(views(columns)).value(), fields);
}

TEST(Columns, EveryShortTextComesBack) {
  for (int first = 0; first < 256; ++first) {
    for (int second = -1; second < 256; ++second) {
      std::string text(1, static_cast<char>(first));
      if (second >= 0) text += static_cast<char>(second);
      const Fields fields{{"@created", "1"}, {text, "v"}, {"v", text}};
      if (text.starts_with('@')) continue;
      ASSERT_EQ(fields_of(views(columns_of(fields))).value(), fields) << first << ' ' << second;
    }
  }
}

TEST(Columns, RandomFieldsComeBack) {
  testing::Random random;
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 12; ++i) {
      std::string text;
      for (std::size_t size = random.below(20); size > 0; --size) {
        text += random.below(3) == 0 ? static_cast<char>(random.below(256))
                                     : static_cast<char>('a' + random.below(4));
      }
      texts.push_back((i % 2 == 0 ? "n" : "") + text);
    }
    std::vector<Field> all{{"@created", "5"}};
    for (std::size_t i = 0; i < texts.size(); i += 2) {
      Field field{texts[i], texts[i + 1]};
      if (random.below(3) == 0) field.deadline = at(static_cast<std::int64_t>(random.below(9)));
      all.push_back(field);
    }
    const Fields fields(all);
    ASSERT_EQ(fields_of(views(columns_of(fields))).value(), fields);
  }
}

// Somebody has edited a row.
TEST(Columns, OtherKindsOfValuesAreTheirText) {
  const Fields fields =
      of_data(R"( {"n": 12, "f": 1.5, "t": true, "z": null, "a": [1, {"b":2}], "s": "x"} )")
          .value();
  EXPECT_EQ(fields.find("n"), "12");
  EXPECT_EQ(fields.find("f"), "1.5");
  EXPECT_EQ(fields.find("t"), "true");
  EXPECT_EQ(fields.find("z"), "null");
  EXPECT_EQ(fields.find("a"), R"([1,{"b":2}])");
  EXPECT_EQ(fields.find("s"), "x");
}

TEST(Columns, NothingInDataPassesForAColumn) {
  ColumnViews columns;
  columns.created_at = 5;
  columns.principal = "ada";
  columns.data = R"({"@created":"1","@user":"bob"})";
  const Fields fields = fields_of(columns).value();
  EXPECT_EQ(fields.find("@created"), "5");
  EXPECT_EQ(fields.find("@user"), "ada");
  columns.principal.reset();
  EXPECT_FALSE(fields_of(columns)->contains("@user"));
}

TEST(Columns, WhatIsNoneIsCorrupt) {
  for (const std::string_view data :
       {"", "null", "[]", "\"x\"", "{", "{\"a\":}", "{\"a\":\"\\ud800\"}", "{}{}", "1"}) {
    const Result<Fields> fields = of_data(data);
    ASSERT_FALSE(fields) << data;
    EXPECT_EQ(fields.error().code, Errc::corrupt) << data;
  }
  EXPECT_FALSE(of_data("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"));
  for (const std::string_view bytes :
       {"", "[]", R"({"!":["YQ"]})", R"({"YQ":"YQ"})", R"({"YQ":[]})", R"({"YQ":[1]})",
        R"({"YQ":["!"]})", R"({"YQ":["YQ","x"]})", R"({"YQ":["YQ",1,2]})"}) {
    ColumnViews columns;
    columns.data = "{}";
    columns.bytes = bytes;
    EXPECT_FALSE(fields_of(columns)) << bytes;
  }
  for (const std::string_view until : {"", "[]", R"({"a":"x"})", R"({"a":1.5})"}) {
    ColumnViews columns;
    columns.data = R"({"a":"1"})";
    columns.until = until;
    EXPECT_FALSE(fields_of(columns)) << until;
  }
}

}  // namespace
}  // namespace websession::sql
