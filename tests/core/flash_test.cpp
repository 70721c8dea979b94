// Flash messages: shown once, whatever happens at the same time.
#include "websession/flash.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "random.hpp"
#include "session_races.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using Flashes = std::vector<Flash>;

class FlashMessages : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager manager = make_manager();
  SessionId id = store_session(manager);

  SessionManager make_manager() {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(store, options).value();
  }
  Session load() { return load_session(manager, id); }
  void add(const Flashes& flashes) {
    Session session = load();
    for (const Flash& flash : flashes) add_flash(session, flash.kind, flash.text);
    ASSERT_EQ(manager.save(session).value(), Commit::Status::updated);
  }
  Flashes take() {
    Session session = load();
    return take_flashes(session).value();
  }
};

TEST_F(FlashMessages, AreShownOnceInOrder) {
  const Flashes added{{"notice", "Saved."}, {"error", "But not all."}, {"notice", "Try again."}};
  add(added);
  EXPECT_EQ(take(), added);
  EXPECT_EQ(take(), Flashes());
}

TEST_F(FlashMessages, OrderHoldsAcrossRequestsAndClocks) {
  add({{"notice", "1"}, {"notice", "2"}});
  add({{"notice", "3"}});
  clock->advance(milliseconds(-5000));  // a server whose clock is behind
  add({{"notice", "4"}, {"notice", "5"}});
  clock->advance(milliseconds(60'000));
  add({{"notice", "6"}});
  std::string order;
  for (const Flash& flash : take()) order += flash.text;
  EXPECT_EQ(order, "123456");
}

TEST_F(FlashMessages, AnyTextComesBack) {
  Random random;
  std::vector<std::string> texts{"",     ":",     "a:b", "123",
                                 "true", "\"x\"", "{}",  std::string(1, '\0')};
  for (int i = 0; i < 8; ++i) texts.push_back(random.bytes(random.below(1025)));
  Flashes added;
  for (const std::string& text : texts) added.push_back({"A-z_0", text});
  add(added);
  EXPECT_EQ(take(), added);
}

// Post, redirect, get; and a page that shows at once what it has to say.
TEST_F(FlashMessages, WhatThisRequestAddsCanBeTakenAtOnce) {
  add({{"notice", "before"}});
  Session session = load();
  add_flash(session, "notice", "now");
  EXPECT_EQ(take_flashes(session).value(), (Flashes{{"notice", "before"}, {"notice", "now"}}));
  EXPECT_EQ(take_flashes(session).value(), Flashes());
  EXPECT_EQ(manager.save(session).value(), Commit::Status::unchanged) << "it was never stored";
  EXPECT_EQ(take(), Flashes());
}

TEST_F(FlashMessages, AMessageOfANewSessionRidesOnTheCommit) {
  Session session = manager.open({}).value();
  const std::size_t calls = store->calls();
  add_flash(session, "notice", "Welcome.");
  EXPECT_EQ(store->calls(), calls);
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::created);
  id = *session.id();
  EXPECT_EQ(take(), (Flashes{{"notice", "Welcome."}}));
}

TEST_F(FlashMessages, TakenFromANewSessionTheyMakeNoSession) {
  Session session = manager.open({}).value();
  add_flash(session, "notice", "Hello.");
  EXPECT_EQ(take_flashes(session).value().size(), 1U);
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::unchanged);
  EXPECT_TRUE(session.is_new());
}

TEST_F(FlashMessages, WhatTheyCost) {
  Session none = load();
  std::size_t calls = store->calls();
  EXPECT_EQ(take_flashes(none).value(), Flashes());
  EXPECT_EQ(manager.save(none).value(), Commit::Status::unchanged);
  EXPECT_EQ(store->calls(), calls) << "nothing, when there is none";

  add({{"notice", "1"}, {"notice", "2"}, {"notice", "3"}});
  Session session = load();
  calls = store->calls();
  EXPECT_EQ(take_flashes(session).value().size(), 3U);
  EXPECT_EQ(manager.save(session).value(), Commit::Status::unchanged);
  EXPECT_EQ(store->calls() - calls, 1U);
}

// Two tabs load at once.
TEST_F(FlashMessages, OfTwoPagesOneShowsThem) {
  add({{"notice", "1"}, {"notice", "2"}});
  Session one = load();
  Session two = load();
  EXPECT_EQ(take_flashes(one).value().size(), 2U);
  EXPECT_EQ(take_flashes(two).value(), Flashes());
  EXPECT_EQ(take_flashes(two).value(), Flashes());
}

TEST_F(FlashMessages, APageThatSawMoreShowsTheRest) {
  add({{"notice", "1"}});
  Session one = load();
  add({{"notice", "2"}});
  Session two = load();
  EXPECT_EQ(take_flashes(one).value(), (Flashes{{"notice", "1"}}));
  EXPECT_EQ(take_flashes(two).value(), (Flashes{{"notice", "2"}}));
}

TEST_F(FlashMessages, RequestsThatAddAtTheSameTimeLoseNone) {
  Session one = load();
  Session two = load();
  add_flash(one, "notice", "one");
  add_flash(two, "notice", "two");
  ASSERT_TRUE(manager.save(one));
  ASSERT_TRUE(manager.save(two));
  EXPECT_EQ(take().size(), 2U);
}

TEST_F(FlashMessages, OfSixtyFourPagesAtOnceOneShowsEachMessage) {
  SessionRace(manager).flash_takers();
}

TEST_F(FlashMessages, NoneIsLostWhileOthersAreTaken) {
  SessionRace(manager).flash_adders_and_takers();
}

TEST_F(FlashMessages, TheOldestLeave) {
  Session session = load();
  for (int i = 0; i < 10; ++i) add_flash(session, "notice", std::to_string(i));
  ASSERT_TRUE(manager.save(session));
  for (int i = 10; i < 30; ++i) add_flash(session, "notice", std::to_string(i));
  ASSERT_TRUE(manager.save(session));
  const Flashes flashes = take();
  ASSERT_EQ(flashes.size(), 16U);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(flashes[static_cast<std::size_t>(i)].text, std::to_string(14 + i));
  }
}

TEST_F(FlashMessages, AKindIsFitForAClassName) {
  for (const std::string& kind :
       {std::string(), std::string("a b"), std::string("\"><script>"), std::string("a:b"),
        std::string("é"), std::string(33, 'k'), std::string(1, '\0')}) {
    Session session = load();
    add_flash(session, kind, "text");
    const Result<Commit::Status> saved = manager.save(session);
    ASSERT_FALSE(saved) << kind;
    EXPECT_EQ(saved.error().code, Errc::invalid_argument);
  }
  add({{std::string(32, 'k'), "text"}});
  EXPECT_EQ(take().size(), 1U);
}

TEST_F(FlashMessages, ATextIsNotLong) {
  Session session = load();
  add_flash(session, "notice", std::string(1025, 'x'));
  EXPECT_EQ(manager.save(session).error().code, Errc::too_large);
}

TEST_F(FlashMessages, HandlersDontTouchThem) {
  add({{"notice", "kept"}});
  Session session = load();
  EXPECT_TRUE(session.names().empty());
  session.set("a", 1);
  ASSERT_TRUE(manager.commit(session));
  add_flash(session, "notice", "kept, too");
  session.clear();
  EXPECT_TRUE(session.names().empty());
  session.regenerate();
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::regenerated);
  EXPECT_EQ(take(), Flashes()) << "the old id shows none: they are under the new one";
  id = *session.id();
  EXPECT_EQ(take(), (Flashes{{"notice", "kept"}, {"notice", "kept, too"}}));
}

TEST_F(FlashMessages, AnEndedSessionHasNone) {
  add({{"notice", "late"}});
  Session left_behind = load();
  Session session = load();
  session.invalidate();
  EXPECT_EQ(take_flashes(session).error().code, Errc::invalid_argument);
  ASSERT_TRUE(manager.save(session));
  EXPECT_EQ(take_flashes(left_behind).error().code, Errc::gone);
}

TEST_F(FlashMessages, AnOutageLeavesThem) {
  add({{"notice", "1"}, {"notice", "2"}});
  Session session = load();
  store->fail_call(1, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(take_flashes(session).error().code, Errc::unavailable);
  EXPECT_EQ(take().size(), 2U);
}

// What was taken is shown, though the rest could not be had.
TEST_F(FlashMessages, AnOutageInBetweenLosesNone) {
  add({{"notice", "1"}});
  Session early = load();
  add({{"notice", "2"}, {"notice", "3"}});
  Session session = load();
  ASSERT_EQ(take_flashes(early).value().size(), 1U);
  // All three at once do not go; then 1 (taken), 2, and 3 fails.
  store->fail_call(4, make_error(Errc::unavailable, "down"));
  EXPECT_EQ(take_flashes(session).value(), (Flashes{{"notice", "2"}}));
  EXPECT_EQ(take(), (Flashes{{"notice", "3"}}));
}

TEST_F(FlashMessages, WhatIsNoneOfOursLeavesSilently) {
  Changes changes;
  changes.set.push_back({"@flash.", "x"});
  changes.set.push_back({"@flash.ffffffffffff.z", "no colon"});
  ASSERT_TRUE(memory->update(StoreKey(id), changes, {milliseconds(1000)}));
  add({{"notice", "after"}});
  EXPECT_EQ(take(), (Flashes{{"notice", "after"}}));
  EXPECT_EQ(memory->load(StoreKey(id)).value()->fields.size(), 1U);
}

}  // namespace
}  // namespace websession::testing
