// Replies as results, and commands as bytes. What they do is tested on a real Redis.
#include "json_operations.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace websession::redis {
namespace {

using Type = Reply::Type;
using std::chrono::milliseconds;

const Reply::Element nil{};
Reply::Element text(std::string_view value) { return {Type::string, 0, value}; }
Reply array(std::initializer_list<Reply::Element> elements) {
  return Reply({Type::array, 0, {}}, std::span(elements.begin(), elements.size()));
}
Reply integer(std::int64_t value) { return Reply({Type::integer, value, {}}); }
Reply error(std::string_view value) { return Reply({Type::error, 0, value}); }

template <class T>
Errc code_of(const Result<T>& result) {
  return result.has_value() ? Errc() : static_cast<Errc>(result.error().code.value());
}

TEST(JsonOperations, AMarkIsKeptWhereExpressDoesNotLook) {
  const JsonKeys keys("sess:", StoreKey("abc"));
  EXPECT_EQ(keys.text, "sess:abc");
  EXPECT_EQ(keys.mark, "frozen:sess:abc");
}

TEST(JsonOperations, CreateTellsWhenAKeyIsTaken) {
  EXPECT_TRUE(decode_json_create(integer(1)));
  EXPECT_EQ(code_of(decode_json_create(integer(0))), Errc::key_exists);
  EXPECT_EQ(code_of(decode_json_create(error("OOM command not allowed"))), Errc::rejected);
  EXPECT_FALSE(decode_json_create(error("OOM command not allowed")).error().maybe_applied);
  EXPECT_EQ(code_of(decode_json_create(Reply())), Errc::corrupt);
}

TEST(JsonOperations, WhatTheKeysHold) {
  const Held none = decode_held(array({nil, nil})).value();
  EXPECT_FALSE(none.text || none.mark || none.new_text || none.new_mark);
  const Held all = decode_held(array({text("a"), text("b"), text("c"), text("d")})).value();
  EXPECT_EQ(all.text, "a");
  EXPECT_EQ(all.mark, "b");
  EXPECT_EQ(all.new_text, "c");
  EXPECT_EQ(all.new_mark, "d");
  for (const Reply& bad : {array({}), array({nil}), array({nil, nil, nil}),
                           array({nil, nil, nil, nil, nil}), integer(1), Reply(),
                           array({nil, {Type::integer, 1, {}}}), Reply({Type::oversized, 0, {}})}) {
    EXPECT_EQ(code_of(decode_held(bad)), Errc::corrupt);
  }
  EXPECT_EQ(code_of(decode_held(error("LOADING Redis is loading"))), Errc::unavailable);
}

TEST(JsonOperations, TheTimeLeft) {
  EXPECT_EQ(decode_left(integer(5)).value(), milliseconds(5));
  EXPECT_EQ(decode_left(integer(-1)).value(), milliseconds(0)) << "a renewal is due";
  EXPECT_EQ(decode_left(integer(-2)).value(), std::nullopt);
  EXPECT_EQ(code_of(decode_left(Reply())), Errc::corrupt);
  EXPECT_EQ(code_of(decode_left(error("NOPERM no"))), Errc::rejected);
}

TEST(JsonOperations, ASwapIsAppliedOrTellsWhatIsThere) {
  EXPECT_FALSE(decode_swap(integer(1)).value().has_value());
  EXPECT_EQ(decode_swap(array({text("new"), nil})).value()->text, "new");
  EXPECT_TRUE(decode_swap(error("NOPERM no")).error().maybe_applied);
  EXPECT_EQ(code_of(decode_swap(Reply())), Errc::corrupt);
}

TEST(JsonOperations, AMarkTellsItsSuccessor) {
  const StoreKey to("next");
  const std::string stored = head_of({.is_frozen = true, .successor = to}) + "{\"a\":\n1}";
  const JsonMark frozen = parse_json_mark(stored).value();
  EXPECT_TRUE(frozen.is_frozen);
  EXPECT_FALSE(frozen.passed);
  EXPECT_EQ(frozen.successor, to);
  EXPECT_EQ(frozen.text, "{\"a\":\n1}");
  const JsonMark passed = parse_json_mark(head_of({.passed = true, .successor = to})).value();
  EXPECT_FALSE(passed.is_frozen);
  EXPECT_TRUE(passed.passed);
  EXPECT_EQ(passed.successor, to);
  EXPECT_EQ(parse_json_mark(head_of({})).value().successor, std::nullopt);
  for (const char* bad : {"", "{}", "next\n{}", "over same next", "over next\n", "same next\n"}) {
    EXPECT_EQ(code_of(parse_json_mark(bad)), Errc::corrupt) << bad;
  }
}

TEST(JsonOperations, AnEraseEndsOrIsLedOn) {
  const auto erased = [](std::string_view mark) {
    return decode_json_erase(Reply({Type::string, 0, mark})).value();
  };
  EXPECT_EQ(erased("frozen same next\n{}").successor, StoreKey("next"));
  EXPECT_EQ(erased("over same next\n").successor, StoreKey("next"));
  EXPECT_EQ(erased("over other next\n").successor, std::nullopt);
  EXPECT_EQ(erased("over same \n").successor, std::nullopt);
  EXPECT_FALSE(erased("over other next\n").any);
  EXPECT_TRUE(decode_json_erase(integer(2))->any);
  EXPECT_FALSE(decode_json_erase(integer(0))->any);
  EXPECT_EQ(code_of(decode_json_erase(Reply())), Errc::corrupt);
}

}  // namespace
}  // namespace websession::redis
