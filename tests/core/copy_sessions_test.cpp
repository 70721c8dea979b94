#include "websession/copy_sessions.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "encrypted_harness.hpp"
#include "moves.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/key_placement.hpp"
#include "websession/memory_store.hpp"
#include "websession/store_decorator.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr Lifetime minute{minutes(1)};

Fields session(std::string_view value) { return {{"@created", "1700000000000"}, {"a", value}}; }

class CopySessions : public ::testing::Test {
 protected:
  Result<CopyProgress> copy(const CopyOptions& options = {}) {
    return copy_sessions(*from, *to, options);
  }
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<SessionStore> from = std::make_shared<MemoryStore>(clock);
  std::shared_ptr<SessionStore> to = std::make_shared<MemoryStore>(clock);
};

TEST_F(CopySessions, KeepsWhatTheyAre) {
  SessionOptions options;
  options.clock = clock;
  Moves(from, to, options).all();
}

TEST_F(CopySessions, SealsThemAnew) {
  EncryptionOptions old_keys;
  old_keys.keys = key_ring({std::string(32, 'o')});
  EncryptionOptions new_keys;
  new_keys.keys = key_ring({std::string(32, 'n')});
  SessionOptions options;
  options.clock = clock;
  Moves(EncryptedStore::make(from, old_keys).value(), EncryptedStore::make(to, new_keys).value(),
        options)
      .all();
}

TEST_F(CopySessions, GivesThemWhatTheyHadLeft) {
  const StoreKey key("k");
  ASSERT_TRUE(from->create(key, session("1"), minute));
  clock->advance(std::chrono::seconds(40));
  ASSERT_TRUE(copy());
  EXPECT_EQ(to->load(key).value()->remaining, std::chrono::seconds(20));
  // A longer life there is cut, too.
  ASSERT_TRUE(from->update(key, {}, {minutes(5)}));
  ASSERT_TRUE(to->update(key, {}, {minutes(50)}));
  EXPECT_EQ(copy()->replaced, 1U);
  EXPECT_EQ(to->load(key).value()->remaining, minutes(5));
  EXPECT_EQ(copy()->unchanged, 1U);
}

TEST_F(CopySessions, WhatIsInTheTargetAloneEndsOrStaysAsIsAsked) {
  const StoreKey key("k");
  ASSERT_TRUE(from->create(StoreKey("other"), session("1"), minute));
  ASSERT_TRUE(to->create(key, session("1"), minute));
  CopyOptions keeping;
  keeping.remove_ended = false;
  EXPECT_EQ(copy(keeping)->ended, 0U);
  EXPECT_TRUE(*to->load(key));
  EXPECT_EQ(copy()->ended, 1U);
  EXPECT_FALSE(*to->load(key));
}

TEST_F(CopySessions, ASessionThatHasEndedInTheTargetStaysSo) {
  const StoreKey key("k");
  ASSERT_TRUE(from->create(key, session("1"), minute));
  ASSERT_TRUE(copy());
  ASSERT_TRUE(to->erase(key, {minutes(1), false}).value());
  const Result<CopyProgress> again = copy();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->copied, 0U);
  EXPECT_TRUE(to->load(key).value()->is_over());
}

TEST_F(CopySessions, WhatTheTargetDoesNotTakeIsCountedAndLeftOut) {
  to = std::make_shared<MemoryStore>(MemoryOptions{.bytes_max = 4096, .clock = clock});
  const StoreKey large("large");
  ASSERT_TRUE(from->create(large, session("1"), minute));
  ASSERT_TRUE(copy());
  Changes grows;
  grows.set.push_back({"a", std::string(8192, 'x')});
  ASSERT_TRUE(from->update(large, grows, minute));
  ASSERT_TRUE(from->create(StoreKey("small"), session("1"), minute));
  const Result<CopyProgress> progress = copy();
  ASSERT_TRUE(progress) << progress.error().message();
  EXPECT_EQ(progress->refused, 1U);
  EXPECT_EQ(progress->copied, 1U);
  EXPECT_FALSE(*to->load(large)) << "what was copied of it before is of yesterday";
}

// As Express makes them, when it is told to.
class WithoutEnd final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<std::optional<Record>> load(const StoreKey& key) override {
    auto record = inner().load(key);
    if (record.has_value() && *record) (*record)->remaining = milliseconds(0);
    return record;
  }
};

TEST_F(CopySessions, OneWithoutAnEndGetsTheOneThatIsAskedFor) {
  const StoreKey key("k");
  ASSERT_TRUE(from->create(key, session("1"), {minutes(600)}));
  from = std::make_shared<WithoutEnd>(from);
  ASSERT_TRUE(copy());
  EXPECT_EQ(to->load(key).value()->remaining, minutes(30));
  CopyOptions longer;
  longer.ttl_if_none = minutes(60);
  clock->advance(minutes(10));
  EXPECT_EQ(copy(longer)->copied, 0U);
  longer.ttl_if_none = milliseconds(0);
  EXPECT_EQ(copy(longer).error().code, Errc::invalid_argument);
}

TEST_F(CopySessions, AnEmptyStoreDoesNotEmptyTheOther) {
  const StoreKey key("k");
  ASSERT_TRUE(to->create(key, session("1"), minute));
  const Result<CopyProgress> progress = copy();
  ASSERT_FALSE(progress);
  EXPECT_EQ(progress.error().code, Errc::invalid_argument);
  EXPECT_NE(progress.error().detail.find("remove_ended"), std::string::npos);
  EXPECT_TRUE(*to->load(key));
  ASSERT_TRUE(to->erase(key).value());
  EXPECT_TRUE(copy()) << "there is nothing to lose";
}

TEST_F(CopySessions, AProgressThatIsDoneBeginsAnew) {
  ASSERT_TRUE(from->create(StoreKey("a"), session("1"), minute));
  CopyOptions options;
  options.after = copy().value();
  EXPECT_TRUE(options.after.is_done);
  ASSERT_TRUE(from->create(StoreKey("b"), session("1"), minute));
  const CopyProgress again = copy(options).value();
  EXPECT_EQ(again.copied, 1U);
  EXPECT_EQ(again.unchanged, 1U);
}

// What the library keeps in both belongs to both.
TEST_F(CopySessions, BesideOtherSessionsWhatIsKeptIsNotReplaced) {
  const StoreKey alias("4:alias");
  const StoreKey count("3:count");
  ASSERT_TRUE(from->create(alias, session("ada"), minute));
  ASSERT_TRUE(to->create(alias, {{"@created", "1700000000000"}, {"b", "bob"}}, minute));
  ASSERT_TRUE(from->create(count, session("1"), minute));
  ASSERT_TRUE(to->create(count, session("5"), minute));
  CopyOptions keeping;
  keeping.remove_ended = false;
  ASSERT_TRUE(copy(keeping));
  EXPECT_EQ(to->load(alias).value()->fields.find("a"), "ada");
  EXPECT_EQ(to->load(alias).value()->fields.find("b"), "bob");
  EXPECT_EQ(to->load(count).value()->fields.find("a"), "5");
  ASSERT_TRUE(copy());
  EXPECT_FALSE(to->load(alias).value()->fields.contains("b"));
  EXPECT_EQ(to->load(count).value()->fields.find("a"), "1");
}

// Other programs' keys are in a directory, too, as in a Redis.
class WithForeignKeys final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  int erased = 0;
  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (key.secret() == "foreign") return std::optional<Record>();
    return inner().load(key);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    ++erased;
    return inner().erase(key, grace);
  }
};

TEST_F(CopySessions, WhatIsNoSessionThereIsLeftAlone) {
  ASSERT_TRUE(from->create(StoreKey("k"), session("1"), minute));
  ASSERT_TRUE(to->create(StoreKey("foreign"), session("1"), minute));
  const auto foreign = std::make_shared<WithForeignKeys>(to);
  to = foreign;
  EXPECT_EQ(copy()->ended, 0U);
  EXPECT_EQ(foreign->erased, 0);
}

TEST_F(CopySessions, WhatCannotBeReadThereIsMadeAnew) {
  const StoreKey key("k");
  ASSERT_TRUE(from->create(key, session("1"), minute));
  const auto sealed = [&](char secret) {
    EncryptionOptions options;
    options.keys = key_ring({std::string(32, secret)});
    return EncryptedStore::make(to, options).value();
  };
  ASSERT_TRUE(copy_sessions(*from, *sealed('o')));
  const Result<CopyProgress> progress = copy_sessions(*from, *sealed('n'));
  ASSERT_TRUE(progress) << progress.error().message();
  EXPECT_EQ(progress->copied, 1U);
  EXPECT_EQ(sealed('n')->load(key).value()->fields.find("a"), "1");
}

TEST_F(CopySessions, AFullTargetIsAnError) {
  to = std::make_shared<MemoryStore>(MemoryOptions{.sessions_max = 2, .clock = clock});
  for (int i = 0; i < 3; ++i) {
    const Fields fields{{"@created", "1700000000000"}, {"@user", "ada"}};
    ASSERT_TRUE(from->create(StoreKey("k" + std::to_string(i)), fields, {minutes(1), "ada"}));
    const Fields other{{"@created", "1700000000000"}};
    ASSERT_TRUE(from->create(StoreKey("o" + std::to_string(i)), other, minute));
  }
  const Result<CopyProgress> progress = copy();
  ASSERT_FALSE(progress);
  EXPECT_EQ(progress.error().code, Errc::overloaded);
}

// Some sessions cannot be read.
class Unreadable final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (key.secret() == "broken") return make_error(Errc::corrupt, "broken");
    return inner().load(key);
  }
};

TEST_F(CopySessions, WhatCannotBeReadIsCountedAndLeftOut) {
  ASSERT_TRUE(from->create(StoreKey("broken"), session("1"), minute));
  ASSERT_TRUE(from->create(StoreKey("whole"), session("1"), minute));
  from = std::make_shared<Unreadable>(from);
  const Result<CopyProgress> progress = copy();
  ASSERT_TRUE(progress) << progress.error().message();
  EXPECT_EQ(progress->unreadable, 1U);
  EXPECT_EQ(progress->copied, 1U);
}

class NotListed final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  [[nodiscard]] SessionDirectory* directory() noexcept override { return nullptr; }
};
class Placed final : public StoreDecorator {
 public:
  Placed(std::shared_ptr<SessionStore> inner, std::string tag)
      : StoreDecorator(std::move(inner)), tag_(std::move(tag)) {}
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override {
    class InOnePlace final : public KeyPlacement {
     public:
      explicit InOnePlace(std::string tag) : tag_(std::move(tag)) {}
      [[nodiscard]] Result<SessionId> generate_beside(const SessionId&) const override {
        return SessionId::generate();
      }
      [[nodiscard]] std::string tag_of(const SessionId&) const override { return tag_; }

     private:
      const std::string tag_;
    };
    return std::make_shared<InOnePlace>(tag_);
  }

 private:
  const std::string tag_;
};

TEST_F(CopySessions, MistakesAreTold) {
  const auto advice = [&](const CopyOptions& options = {}) {
    const Result<CopyProgress> progress = copy(options);
    if (progress) return std::string("no error");
    EXPECT_EQ(progress.error().code, Errc::invalid_argument);
    return progress.error().detail;
  };
  const auto listed = to;
  CopyOptions without_page;
  without_page.page = 0;
  EXPECT_NE(advice(without_page).find("page"), std::string::npos);
  to = std::make_shared<NotListed>(listed);
  EXPECT_NE(advice().find("remove_ended"), std::string::npos);
  CopyOptions keeping;
  keeping.remove_ended = false;
  EXPECT_EQ(advice(keeping), "no error");
  std::swap(from, to);
  EXPECT_NE(advice().find("from"), std::string::npos);
  from = listed;
  to = listed;
  EXPECT_NE(advice().find("one store"), std::string::npos);
}

TEST_F(CopySessions, HashedIdsAreTakenWhereTheyAreFound) {
  ASSERT_TRUE(from->create(StoreKey("plain"), session("1"), minute));
  ASSERT_TRUE(from->create(StoreKey("2:hash"), session("1"), minute));
  const auto nowhere = to;
  const auto here = [&](const char* tag) { return std::make_shared<Placed>(nowhere, tag); };
  const auto elsewhere = from;
  const auto there = [&](const char* tag) { return std::make_shared<Placed>(elsewhere, tag); };
  to = here("{a}");
  const Result<CopyProgress> progress = copy();
  ASSERT_FALSE(progress);
  EXPECT_EQ(progress.error().code, Errc::invalid_argument);
  EXPECT_NE(progress.error().detail.find("{tag}"), std::string::npos);
  from = there("{b}");
  EXPECT_FALSE(copy()) << "another prefix";
  from = there("{a}");
  EXPECT_TRUE(copy()) << "the same one";
  from = there("");
  EXPECT_FALSE(copy());
  to = nowhere;
  EXPECT_TRUE(copy()) << "all in one slot";
}

TEST_F(CopySessions, AWrongSecretEmptiesNothing) {
  ASSERT_TRUE(from->create(StoreKey("broken"), session("1"), minute));
  ASSERT_TRUE(copy());
  ASSERT_TRUE(from->create(StoreKey("3:count"), session("1"), minute));
  from = std::make_shared<Unreadable>(from);
  const Result<CopyProgress> progress = copy();
  ASSERT_FALSE(progress);
  EXPECT_EQ(progress.error().code, Errc::invalid_argument);
  EXPECT_TRUE(*to->load(StoreKey("broken")));
}

}  // namespace
}  // namespace websession::testing
