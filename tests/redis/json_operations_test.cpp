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
  return result ? Errc() : static_cast<Errc>(result.error().code.value());
}

TEST(JsonOperations, AFrozenRecordIsKeptWhereExpressDoesNotLook) {
  const JsonKeys keys("sess:", StoreKey("abc"));
  EXPECT_EQ(keys.text, "sess:abc");
  EXPECT_EQ(keys.frozen, "frozen:sess:abc");
}

TEST(JsonOperations, CreateIsOneSet) {
  std::string out;
  append_json_create(out, JsonKeys("s:", StoreKey("k")), "{}", {milliseconds(1500)});
  EXPECT_EQ(out,
            "*6\r\n$3\r\nSET\r\n$3\r\ns:k\r\n$2\r\n{}\r\n$2\r\nPX\r\n$4\r\n1500\r\n$2\r\nNX\r\n");
  EXPECT_TRUE(decode_json_create(Reply({Type::status, 0, "OK"})));
  EXPECT_EQ(code_of(decode_json_create(Reply())), Errc::key_exists);
  EXPECT_EQ(code_of(decode_json_create(error("OOM command not allowed"))), Errc::rejected);
  EXPECT_FALSE(decode_json_create(error("OOM command not allowed")).error().maybe_applied);
  EXPECT_EQ(code_of(decode_json_create(integer(1))), Errc::corrupt);
}

TEST(JsonOperations, WhatTheKeysHold) {
  const Held none = decode_held(array({nil, nil})).value();
  EXPECT_FALSE(none.text || none.frozen || none.moved_to);
  const Held all = decode_held(array({text("a"), text("b"), text("c")})).value();
  EXPECT_EQ(all.text, "a");
  EXPECT_EQ(all.frozen, "b");
  EXPECT_EQ(all.moved_to, "c");
  for (const Reply& bad :
       {array({}), array({nil}), array({nil, nil, nil, nil}), integer(1), Reply(),
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

TEST(JsonOperations, AFrozenRecordBeginsWithItsSuccessor) {
  const StoreKey to("next");
  const std::string stored = frozen_head(to) + "{\"a\":\n1}";
  const Result<FrozenRecord> record = parse_frozen(stored);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->successor, to);
  EXPECT_EQ(record->text, "{\"a\":\n1}");
  EXPECT_EQ(code_of(parse_frozen("{}")), Errc::corrupt);
  EXPECT_EQ(decode_json_erase(Reply({Type::string, 0, "next\n{}"}))->successor, to);
  EXPECT_TRUE(decode_json_erase(integer(2))->any);
  EXPECT_FALSE(decode_json_erase(integer(0))->any);
  EXPECT_EQ(code_of(decode_json_erase(Reply())), Errc::corrupt);
}

}  // namespace
}  // namespace websession::redis
