// Replies as results. What the commands do is tested on a real Redis.
#include "answers.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace websession::redis {
namespace {

using Type = Reply::Type;

const Layout layout{"sid_", false};
const Layout adopting{"sid_", true};
const WallTime now{std::chrono::milliseconds(1000)};

Reply text(std::string_view value) { return Reply({Type::string, 0, value}); }
Reply integer(std::int64_t value) { return Reply({Type::integer, value, {}}); }
Reply error(std::string_view value) { return Reply({Type::error, 0, value}); }
Reply array(std::initializer_list<Reply::Element> elements) {
  return Reply({Type::array, 0, {}}, std::span(elements.begin(), elements.size()));
}
Reply hash(std::initializer_list<std::string_view> words) {
  std::vector<Reply::Element> elements;
  for (const std::string_view word : words) elements.push_back({Type::string, 0, word});
  return Reply({Type::array, 0, {}}, elements);
}

Result<std::optional<Loaded>> load(Reply flat, Reply ttl, const Layout& with = layout) {
  const std::array<Reply, 2> replies{std::move(flat), std::move(ttl)};
  return decode_load(with, replies, now);
}

TEST(DecodeLoad, SortsOutTheHash) {
  const Loaded loaded = load(hash({"a", "1", "@created", "5", "@until.b", "1001:2:", "@until.c",
                                   "1000:3", "d", "plain", "@until.d", "7:timed", "e", "plain",
                                   "@until.e", "1001:timed", "@until.gone", "-7:"}),
                             integer(500))
                            .value()
                            .value();
  EXPECT_EQ(loaded.record.fields, (Fields{{"a", "1"},
                                          {"@created", "5"},
                                          {"b", "2:", WallTime(std::chrono::milliseconds(1001))},
                                          {"d", "plain"},
                                          {"e", "plain"}}))
      << "in both forms, the one without a deadline counts";
  EXPECT_EQ(loaded.record.remaining.count(), 500);
  EXPECT_EQ(loaded.record.expired, (std::vector<std::string>{"c", "d", "gone"}));
  EXPECT_FALSE(loaded.record.frozen);
}

Result<std::optional<Loaded>> load_mark(Reply got, Reply time, const Layout& with = layout) {
  const std::array<Reply, 2> replies{std::move(got), std::move(time)};
  return decode_mark(with, replies, now);
}
const std::initializer_list<std::string_view> at_seven = {"7", "999"};  // 7 s and 999 µs

TEST(DecodeMark, AFrozenOneHoldsTheOldStateAndItsSuccessor) {
  const Loaded loaded = load_mark(text("@frozen 1 7500 same 8:sid_next\n8:1:@created51:2:a\n\n"
                                       "8:6:@until.b1000:x"),
                                  hash(at_seven))
                            .value()
                            .value();
  EXPECT_TRUE(loaded.record.frozen);
  EXPECT_EQ(loaded.successor, "sid_next");
  EXPECT_EQ(loaded.record.fields, (Fields{{"@created", "5"}, {"a", "\n\n"}}));
  EXPECT_EQ(loaded.record.remaining.count(), 500);
}

TEST(DecodeMark, OneThatIsOverHoldsNothing) {
  for (const char* mark : {"@over 1 7500 same 8:sid_next\n", "@over 1 7500 other 0:\n"}) {
    const Loaded loaded = load_mark(text(mark), hash(at_seven)).value().value();
    EXPECT_TRUE(loaded.record.is_over()) << mark;
    EXPECT_EQ(loaded.successor, "") << "nothing hangs on it";
  }
}

// A late PEXPIRE may have lengthened the key's life.
TEST(DecodeMark, TheEndThatIsWrittenInItCounts) {
  EXPECT_FALSE(load_mark(text("@over 1 7000 other 0:\n"), hash(at_seven)).value().has_value());
  EXPECT_TRUE(load_mark(text("@over 1 7001 other 0:\n"), hash(at_seven)).value().has_value());
  EXPECT_FALSE(load_mark(Reply(), hash(at_seven)).value().has_value()) << "it has just ended";
}

TEST(DecodeMark, WhatIsNoneIsCorrupt) {
  for (const std::string_view bad :
       {"", "x", "{\"a\":1}", "@over", "@over 1 7500 other 0:", "@over 2 7500 other 0:\n",
        "@over 1 x other 0:\n", "@over 1 7500 other 9:\n", "@over 1 7500 other -1:\n",
        "@ended 1 7500 other 0:\n", "@frozen 1 7500 same 1:x\n1:1:a",
        "@frozen 1 7500 same 1:x\n1:9223372036854775807:ab", "@frozen 1 7500 same 1:x\n1",
        "@frozen 1 7500 same 1:x\n", "@frozen 1 7500 same 1:x\n8:1:@createdx",
        "@frozen 1 7500 same 1:x\n8:1:@created58:1:@created5"}) {
    const auto loaded = load_mark(text(bad), hash(at_seven));
    ASSERT_FALSE(loaded.has_value()) << bad;
    EXPECT_EQ(loaded.error().code, Errc::corrupt) << bad;
  }
  const char* over = "@over 1 7500 other 0:\n";
  EXPECT_FALSE(load_mark(text(over), hash({})).has_value());
  EXPECT_FALSE(load_mark(text(over), hash({"x", "1"})).has_value());
  EXPECT_FALSE(load_mark(text(over), hash({"-1", "0"})).has_value());
  EXPECT_FALSE(load_mark(text(over), text("7")).has_value());
  EXPECT_EQ(load_mark(error("WRONGTYPE x"), hash(at_seven)).error().code, Errc::corrupt);
  EXPECT_EQ(load_mark(text("@over 1 7500 other 0:\n"), error("NOPERM x")).error().code,
            Errc::rejected);
}

// A reply has a limit, which a session of nearly that size exceeds as a mark.
TEST(DecodeMark, OneThatIsTooLargeToReadIsOver) {
  EXPECT_TRUE(load_mark(Reply({Type::oversized, 0, {}}), hash(at_seven)).value()->record.is_over());
}

TEST(DecodeLoad, AbsentIsAValue) {
  EXPECT_FALSE(load(hash({}), integer(-2)).value().has_value());
  EXPECT_FALSE(load(hash({"@created", "5"}), integer(-2)).value().has_value())
      << "it expired between the two commands";
}

TEST(DecodeLoad, WhatCannotBeASessionIsCorrupt) {
  const auto corrupt = [](const Result<std::optional<Loaded>>& result) {
    return !result.has_value() && result.error().code == Errc::corrupt;
  };
  EXPECT_TRUE(corrupt(load(hash({"@created", "5"}), integer(-1)))) << "immortal";
  EXPECT_TRUE(corrupt(load(hash({"@created", "x"}), integer(5))));
  for (const char* bad : {"", "x", "7", ":x", "x:7", "7 :x"}) {
    EXPECT_TRUE(corrupt(load(hash({"@created", "5", "@until.a", bad}), integer(5)))) << bad;
  }
  EXPECT_TRUE(corrupt(load(Reply({Type::oversized, 0, {}}), integer(5))));
  EXPECT_TRUE(corrupt(load(text("x"), integer(5))));
  EXPECT_TRUE(corrupt(load(hash({}), text("x"))));
  EXPECT_TRUE(corrupt(load(array({{Type::integer, 1, {}}, {Type::integer, 2, {}}}), integer(5))));
  EXPECT_TRUE(corrupt(load(error("WRONGTYPE x"), integer(5))));
}

// Redis never says so; whoever does could make an attribute outlive its deadline.
TEST(DecodeLoad, AHashThatNamesAFieldTwiceIsCorrupt) {
  const auto code = [](std::initializer_list<std::string_view> words) {
    return load(hash(words), integer(5)).error().code;
  };
  EXPECT_EQ(code({"@created", "5", "a", "1", "a", "2", "@until.a", "7:"}), Errc::corrupt);
  EXPECT_EQ(code({"@created", "5", "@created", "5"}), Errc::corrupt);
  EXPECT_EQ(code({"@created", "5", "@until.a", "7:", "@until.a", "2000:"}), Errc::corrupt);
}

TEST(DecodeLoad, ANameWithoutAValueIsCorrupt) {
  EXPECT_EQ(load(hash({"@created", "5", "a"}), integer(5)).error().code, Errc::corrupt);
}

TEST(DecodeLoad, ForeignHashesAreSessionsOnlyWhenAdopted) {
  EXPECT_FALSE(load(hash({"a", "1"}), integer(500)).value().has_value());
  EXPECT_FALSE(load(hash({"a", "1"}), integer(-1)).value().has_value());
  EXPECT_EQ(load(hash({"a", "1"}), integer(500), adopting).value().value().record.remaining.count(),
            500);
  EXPECT_EQ(load(hash({"a", "1"}), integer(-1), adopting).value().value().record.remaining.count(),
            0)
      << "so that a renewal is due, which sets a time to live";
}

TEST(DecodeChange, GivesOutcomesAndErrors) {
  Changes counts;
  counts.increment.push_back({"n", 1});
  const Outcome outcome =
      decode_change(hash({"applied", "-9223372036854775808"}), counts).value().outcome;
  EXPECT_EQ(outcome.counters, std::vector<std::int64_t>{INT64_MIN});
  EXPECT_EQ(decode_change(hash({"gone"}), counts).value().outcome.status, Outcome::Status::gone);
  EXPECT_EQ(decode_change(hash({"conflict"}), counts).value().outcome.status,
            Outcome::Status::conflict);
  EXPECT_EQ(decode_change(hash({"principal", "ada"}), counts).value().former, "ada");
  EXPECT_EQ(decode_change(hash({"principal"}), counts).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(hash({"key_exists"}), counts).error().code, Errc::key_exists);
  EXPECT_EQ(decode_change(hash({"not_integer"}), counts).error().code, Errc::invalid_argument);
  EXPECT_EQ(decode_change(hash({"overflow"}), counts).error().code, Errc::invalid_argument);
  EXPECT_EQ(decode_change(hash({"applied"}), counts).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(hash({"?"}), counts).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(hash({}), counts).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(integer(1), counts).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(integer(1), {}).value().outcome.status, Outcome::Status::applied);
  EXPECT_EQ(decode_change(integer(0), {}).value().outcome.status, Outcome::Status::gone);
  EXPECT_EQ(decode_change(integer(7), {}).error().code, Errc::corrupt);
  EXPECT_EQ(decode_change(hash({"applied", "x"}), counts).error().code, Errc::corrupt)
      << "a counter that is no number is not taken for 0";
  EXPECT_EQ(decode_change(error("OOM x"), counts).error().code, Errc::rejected);
}

// "applied", "gone", the error; "asks the script" when the shortcut does not know.
template <class... Answers>
std::string by_shortcut(Way way, Answers... answers) {
  Replies replies(way);
  (replies.push_back(std::move(answers)), ...);
  const auto told = decode_shortcut(replies);
  if (!told.result) return told.maybe_written ? "has written, asks the script" : "asks the script";
  if (!*told.result) return told.result->error().code.message();
  return (*told.result)->outcome.status == Outcome::Status::gone ? "gone" : "applied";
}
const std::string corrupt = make_error_code(Errc::corrupt).message();

TEST(DecodeShortcut, WhatHsetexHasNotWrittenIsForTheScriptToTell) {
  const auto of = [](auto... answers) { return by_shortcut(Way::guarded, std::move(answers)...); };
  const auto wrong_type = [] { return error("WRONGTYPE Operation against a key"); };
  EXPECT_EQ(of(integer(1)), "applied");
  EXPECT_EQ(of(integer(0)), "asks the script");
  EXPECT_EQ(of(wrong_type()), "gone");
  EXPECT_EQ(of(error("OOM x")), "asks the script");
  EXPECT_EQ(of(text("x")), corrupt);
  EXPECT_EQ(of(integer(2)), corrupt);
  // With a renewal before it.
  EXPECT_EQ(of(integer(1), integer(1)), "applied");
  EXPECT_EQ(of(integer(0), integer(1)), "applied") << "it lives longer already";
  EXPECT_EQ(of(integer(1), integer(0)), "asks the script");
  EXPECT_EQ(of(integer(1), wrong_type()), "gone");
  EXPECT_EQ(of(error("NOPERM x"), integer(0)), "asks the script");
  EXPECT_EQ(of(error("NOPERM x"), integer(1)), "has written, asks the script");
}

TEST(DecodeShortcut, OneArrayHoldsWhatATransactionGave) {
  const auto of = [](const std::vector<Reply::Element>& answers) {
    return by_shortcut(Way::transaction, Reply({Type::array, 0, {}}, answers));
  };
  const auto number = [](std::int64_t value) { return Reply::Element{Type::integer, value, {}}; };
  const Reply::Element wrong_type{Type::error, 0, "WRONGTYPE Operation against a key"};
  EXPECT_EQ(of({number(0), number(0)}), "applied");
  EXPECT_EQ(of({number(1), number(1)}), "gone") << "HSET had made it";
  EXPECT_EQ(of({wrong_type, number(0)}), "gone");
  EXPECT_EQ(of({number(0)}), corrupt);
  EXPECT_EQ(of({number(0), wrong_type}), corrupt);
  EXPECT_EQ(by_shortcut(Way::transaction, error("EXECABORT x")), "asks the script");
}

TEST(DecodeOthers, GiveWhatTheScriptsSay) {
  EXPECT_TRUE(decode_create(integer(1)));
  EXPECT_EQ(decode_create(integer(0)).error().code, Errc::key_exists);
  EXPECT_EQ(decode_create(text("x")).error().code, Errc::corrupt);
  EXPECT_EQ(decode_create(integer(7)).error().code, Errc::corrupt);
  EXPECT_TRUE(decode_erase(integer(2)).value().any);
  EXPECT_FALSE(decode_erase(integer(0)).value().any);
  EXPECT_EQ(decode_erase(hash({"sid_next"})).value().successor, "sid_next");
  const Erased asks = decode_erase(hash({"", "ada", "bob"})).value();
  EXPECT_FALSE(asks.successor);
  EXPECT_EQ(asks.principals, (std::vector<std::string>{"ada", "bob"}));
  EXPECT_EQ(decode_erase(hash({"sid_next", "ada"})).value().principals.size(), 1U);
  EXPECT_FALSE(decode_erase(array({})));
  EXPECT_FALSE(decode_erase(hash({""})));
  EXPECT_FALSE(decode_erase(text("sid_next")));
  const std::array<Reply, 2> last{integer(1), Reply()};
  EXPECT_TRUE(decode_successor(last).value().exists);
  EXPECT_FALSE(decode_successor(last).value().successor);
}

// The number of words comes first, and a server counts.
TEST(AppendUpdate, CountsItsWordsInEachForm) {
  const StoreKey key("id");
  const Lifetime lifetime{std::chrono::milliseconds(60'000)};
  const auto called = [&](const Changes& changes, CallBy by = CallBy::hash) {
    std::string out;
    append_update(out, by, layout, key, changes, lifetime, {}, now);
    return out;
  };
  const auto command = [](std::initializer_list<std::string_view> words) {
    std::string out;
    append_command(out, words);
    return out;
  };
  EXPECT_EQ(called({}), command({"EVALSHA", scripts().set.sha1(), "1", "sid_id", "60000", "59999",
                                 "1000", "0", "0", "0", "0"}));
  Changes changes;
  changes.set = {{"a", "1"}, {"b", "2", WallTime(std::chrono::milliseconds(7))}};
  changes.remove = {"c"};
  EXPECT_EQ(called(changes), command({"EVALSHA", scripts().set.sha1(), "1", "sid_id", "60000",
                                      "59999", "1000", "0", "0", "0", "4", "c", "@until.c",
                                      "@until.a", "b", "a", "1", "@until.b", "7:2"}));
  Changes count;
  count.increment = {{"n", -2}};
  EXPECT_EQ(called(count), command({"EVALSHA", scripts().count.sha1(), "1", "sid_id", "60000",
                                    "59999", "1000", "0", "n", "-2"}));
  changes.increment = count.increment;
  changes.expect = {{"e", {"x", "y"}}, {"f", {}}};
  changes.reap = {"r"};
  EXPECT_EQ(called(changes, CallBy::source), command({"EVAL",
                                                      scripts().update.source(),
                                                      "1",
                                                      "sid_id",
                                                      "1000",
                                                      "60000",
                                                      "59999",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "0",
                                                      "",
                                                      "2",
                                                      "e",
                                                      "2",
                                                      "x",
                                                      "y",
                                                      "f",
                                                      "0",
                                                      "1",
                                                      "n",
                                                      "-2",
                                                      "-9223372036854775806",
                                                      "2",
                                                      "a",
                                                      "1",
                                                      "@until.b",
                                                      "7:2",
                                                      "1",
                                                      "c",
                                                      "1",
                                                      "r"}));
}

// What a script has to add up is said to it, and nothing else: adding up costs.
TEST(AppendUpdate, SmallWritesAreNotAddedUp) {
  const auto called = [](const Changes& changes) {
    std::string out;
    append_update(out, CallBy::hash, layout, StoreKey("id"), changes,
                  {std::chrono::milliseconds(60'000)}, {}, now);
    return out;
  };
  Changes changes;
  changes.bytes_max = 1000;
  changes.attributes_max = 10;
  const auto script = [&](const Changes& some) {
    const std::string out = called(some);
    if (out.find(scripts().count.sha1()) != std::string::npos) return "count";
    return out.find(scripts().set.sha1()) != std::string::npos ? "set" : "update";
  };
  const auto bound = [&](std::size_t bytes) {
    Changes sets = changes;
    sets.set = {{"a", std::string(bytes - 1, 'x')}, {"@csrf", std::string(2000, 'x')}};
    EXPECT_STREQ(script(sets), "set");
    return called(sets).find("$4\r\n1000\r\n$2\r\n10\r\n") != std::string::npos;
  };
  EXPECT_FALSE(bound(99));
  EXPECT_TRUE(bound(100));
  Changes counts = changes;
  counts.increment = {{std::string(79, 'n'), 1}};
  EXPECT_STREQ(script(counts), "count");
  counts.increment = {{std::string(80, 'n'), 1}};
  EXPECT_STREQ(script(counts), "update");
  changes.attributes_max = 0;
  Changes any = changes;
  any.set = {{"a", ""}};
  EXPECT_NE(called(any).find("$4\r\n1000\r\n$4\r\n1000\r\n"), std::string::npos)
      << "without a bound of attributes each counts";
}

TEST(Scripts, AreNamedByTheirSha1) {
  EXPECT_EQ(Script("return 1").sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  EXPECT_NE(scripts().update.sha1(), scripts().rekey.sha1());
}

}  // namespace
}  // namespace websession::redis
