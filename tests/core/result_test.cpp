#include "websession/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace websession {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return make_error(Errc::invalid_argument, "odd");
  return n / 2;
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = half(4);
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(*good, 2);
  EXPECT_EQ(good.value(), 2);
  EXPECT_EQ(good.value_or(7), 2);
  const Result<int> bad = half(3);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::invalid_argument);
  EXPECT_EQ(bad.value_or(7), 7);
}

TEST(Result, ValueThrowsTheErrorWhenThereIsNone) {
  try {
    (void)half(3).value();
    FAIL() << "no exception";
  } catch (const Exception& e) {
    EXPECT_EQ(e.error().code, Errc::invalid_argument);
    EXPECT_STREQ(e.what(), "invalid argument: odd");
  }
  const Result<void> failed = make_error(Errc::timeout, "late");
  EXPECT_THROW(failed.value(), Exception);
  EXPECT_NO_THROW(Result<void>().value());
}

TEST(Result, CarriesMoveOnlyValues) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  EXPECT_EQ(**result, 5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

// A temporary Result gives its value away, so that a loop over a part of it does not dangle.
TEST(Result, ATemporaryCanBeLoopedOver) {
  struct Parts {
    std::vector<std::string> words;
  };
  const auto make = [] {
    return Result<Parts>(Parts{{"a long word that lives on the heap", "b"}});
  };
  std::string all;
  for (const std::string& word : make().value().words) all += word;
  for (const std::string& word : (*make()).words) all += word;
  EXPECT_EQ(all.size(), 2 * (34U + 1U));
}

TEST(Error, SaysWhetherTheWriteMayHaveBeenApplied) {
  Error error = make_error(Errc::timeout, "no answer");
  EXPECT_EQ(error.message(), "timeout: no answer");
  error.maybe_applied = true;
  EXPECT_EQ(error.message(), "timeout: no answer (the write may have been applied)");
}

TEST(Error, EveryCodeHasItsWord) {
  for (int code = 1; code <= static_cast<int>(Errc::gone); ++code) {
    const std::error_code ec = static_cast<Errc>(code);
    EXPECT_NE(ec.message(), "unknown error") << code;
    EXPECT_STREQ(ec.category().name(), "websession");
  }
}

}  // namespace
}  // namespace websession
