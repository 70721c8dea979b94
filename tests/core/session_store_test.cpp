// The part that all stores share. What it does to sessions is in the conformance suite.
#include "websession/session_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "random.hpp"

namespace websession {
namespace {

TEST(ParseInteger, TakesCanonicalIntegersOnly) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-1"), -1);
  EXPECT_EQ(parse_integer("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse_integer("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "1e0", "x", "1x",
                           "9223372036854775808", "-9223372036854775809"}) {
    EXPECT_FALSE(parse_integer(text)) << '"' << text << '"';
  }
}

TEST(Changes, EmptyMeansOnlyARenewal) {
  EXPECT_TRUE(Changes().empty());
  Changes reaps;
  reaps.reap.emplace_back("a");
  EXPECT_TRUE(reaps.empty());
  Changes clears;
  clears.clear = true;
  EXPECT_FALSE(clears.empty());
  Changes expects;
  expects.expect.push_back({"a", {}});
  EXPECT_FALSE(expects.empty());
}

TEST(Apply, LeavesItsInputAlone) {
  const Fields before{{"a", "1"}};
  Changes changes;
  changes.set.push_back({"a", "2"});
  const Applied applied = apply(before, changes, WallTime()).value();
  EXPECT_EQ(applied.fields.find("a"), "2");
  EXPECT_EQ(before.find("a"), "1");
}

TEST(Apply, ErrorsNameTheFieldAndNotItsValue) {
  const Fields before{{"count", "secret"}};
  Changes changes;
  changes.increment.push_back({"count", 1});
  const Result<Applied> applied = apply(before, changes, WallTime());
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().detail.find("count"), std::string::npos);
  EXPECT_EQ(applied.error().detail.find("secret"), std::string::npos);
}

TEST(Apply, SharesWhatItDoesNotChange) {
  const Fields before{{"a", "1"}, {"b", "2", WallTime(std::chrono::milliseconds(10))}};
  Changes changes;
  changes.expect.push_back({"a", {"1"}});
  const Applied same = apply(before, changes, WallTime()).value();
  EXPECT_EQ(same.fields.find("a")->data(), before.find("a")->data());
  const Applied reaped = apply(before, changes, WallTime(std::chrono::milliseconds(10))).value();
  EXPECT_FALSE(reaped.fields.contains("b"));
}

TEST(Validate, NamesANameThatIsChangedTwice) {
  Changes changes;
  changes.set.push_back({"b", "1"});
  changes.set.push_back({"a", "1"});
  changes.remove.emplace_back("c");
  EXPECT_TRUE(validate(changes, {std::chrono::milliseconds(1)}));
  changes.increment.push_back({"a", 1});
  const Result<void> twice = validate(changes, {std::chrono::milliseconds(1)});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::invalid_argument);
  EXPECT_NE(twice.error().detail.find("\"a\""), std::string::npos);
}

// Random changes against the same rules, written down as plainly as can be.
class ApplyModel : public ::testing::Test {
 protected:
  struct Kept {
    std::string value;
    std::optional<WallTime> deadline;
  };
  using Map = std::map<std::string, Kept>;

  // nullopt: conflict.
  static std::optional<Map> model(Map fields, const Changes& changes, WallTime now) {
    std::erase_if(fields,
                  [now](const auto& e) { return e.second.deadline && *e.second.deadline <= now; });
    for (const auto& expect : changes.expect) {
      const auto found = fields.find(expect.name);
      const bool holds =
          found == fields.end()
              ? expect.any_of.empty()
              : std::count(expect.any_of.begin(), expect.any_of.end(), found->second.value) > 0;
      if (!holds) return std::nullopt;
    }
    if (changes.clear) std::erase_if(fields, [](const auto& e) { return e.first[0] != '@'; });
    for (const auto& increment : changes.increment) {
      Kept& kept = fields[increment.name];
      const std::int64_t before = kept.value.empty() ? 0 : std::stoll(kept.value);
      kept.value = std::to_string(before + increment.by);
    }
    for (const auto& set : changes.set) fields[set.name] = {set.value, set.deadline};
    for (const auto& name : changes.remove) fields.erase(name);
    return fields;
  }

  std::optional<WallTime> deadline() {
    if (random_.below(3) != 0) return std::nullopt;
    return WallTime(std::chrono::milliseconds(random_.below(20)));
  }

  Changes changes() {
    Changes changes;
    changes.clear = random_.below(5) == 0;
    for (const char* name : {"@x", "a", "b", "c", "d", "e", "f"}) {
      const std::string value = std::to_string(random_.below(4));
      switch (random_.below(8)) {
        case 0:
          changes.set.push_back({name, value, deadline()});
          break;
        case 1:
          changes.remove.emplace_back(name);
          break;
        case 2:
          if (name[0] != '@') changes.increment.push_back({name, 7});
          break;
        case 3:
          if (random_.below(3) == 0) changes.expect.push_back({name, {value, "1"}});
          break;
        default:
          break;
      }
    }
    std::reverse(changes.set.begin(), changes.set.end());
    return changes;
  }

  testing::Random random_;
};

TEST_F(ApplyModel, AgreesWithApply) {
  for (int round = 0; round < 3000; ++round) {
    Map before;
    for (const char* name : {"@x", "a", "b", "c", "d", "e"}) {
      if (random_.below(2) == 0) before[name] = {std::to_string(random_.below(4)), deadline()};
    }
    std::vector<Field> fields;
    for (const auto& [name, kept] : before) fields.push_back({name, kept.value, kept.deadline});
    const WallTime now(std::chrono::milliseconds(random_.below(20)));
    const Changes made = changes();
    const std::optional<Map> expected = model(before, made, now);
    const Applied applied = apply(Fields(fields), made, now).value();
    if (!expected) {
      ASSERT_EQ(applied.outcome.status, Outcome::Status::conflict);
      continue;
    }
    ASSERT_EQ(applied.outcome.status, Outcome::Status::applied);
    ASSERT_EQ(applied.outcome.counters.size(), made.increment.size());
    Map after;
    for (const Field& field : applied.fields) {
      after[std::string(field.name)] = {std::string(field.value), field.deadline};
    }
    ASSERT_EQ(after.size(), expected->size()) << "round " << round;
    for (const auto& [name, kept] : *expected) {
      EXPECT_EQ(after[name].value, kept.value) << name << " in round " << round;
      EXPECT_EQ(after[name].deadline, kept.deadline) << name << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace websession
