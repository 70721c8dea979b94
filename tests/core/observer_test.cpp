// What an observer is told of each step of a session's life, and what it cannot find out.
#include "websession/observer.hpp"
#include "forwarding_store.hpp"
#include "requests.hpp"
#include "websession/store_decorator.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/fault_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using Kind = SessionEvent::Kind;
using Status = Commit::Status;
using Words = std::vector<std::string>;

// Writes down what it is told.
class Recorder final : public Observer {
 public:
  using Observer::Observer;
  struct Call {
    StoreVerb verb;
    std::string label;
    std::chrono::nanoseconds latency;
    std::string error;
  };
  struct Event {
    Kind kind;
    std::string label;
    std::string previous;
  };

  std::vector<Event> events{};
  std::vector<Call> calls{};
  Words warnings{};

  // The kinds since it was last asked.
  Words take() {
    Words kinds;
    for (const Event& event : events) kinds.emplace_back(to_text(event.kind));
    events.clear();
    return kinds;
  }

 protected:
  void on_session(const SessionEvent& event) override {
    events.push_back({event.kind, label(event.session), label(event.previous)});
  }
  void on_store_call(const StoreCall& call) override {
    calls.push_back({call.verb, label(call.session), call.latency,
                     call.error == nullptr ? "" : call.error->message()});
  }
  void on_warning(const Warning& warning) override { warnings.emplace_back(warning.text); }
};

// A store on which each call takes some time.
class SlowStore final : public StoreDecorator {
 public:
  SlowStore(std::shared_ptr<SessionStore> inner, std::shared_ptr<ManualClock> clock)
      : StoreDecorator(std::move(inner)), clock_(std::move(clock)) {}

  Result<std::optional<Record>> load(const StoreKey& key) override {
    clock_->advance(milliseconds(1));
    return StoreDecorator::load(key);
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    clock_->advance(milliseconds(2));
    return StoreDecorator::create(key, fields, lifetime);
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    clock_->advance(milliseconds(3));
    return StoreDecorator::update(key, changes, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    clock_->advance(milliseconds(4));
    return StoreDecorator::rekey(from, to, changes, lifetime, grace);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    clock_->advance(milliseconds(5));
    return StoreDecorator::erase(key, grace);
  }

 private:
  std::shared_ptr<ManualClock> clock_;
};

class Observed : public ::testing::Test {
 protected:
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<FaultStore> store =
      std::make_shared<FaultStore>(std::make_shared<MemoryStore>(clock));
  std::shared_ptr<Recorder> observer = std::make_shared<Recorder>();

  SessionManager manager(std::shared_ptr<Observer> with, std::shared_ptr<SessionStore> on) {
    SessionOptions options;
    options.clock = clock;
    options.observer = std::move(with);
    return SessionManager::make(std::move(on), options).value();
  }
  SessionManager manager() { return manager(observer, store); }
  // A stored session with a = 1; gives its Cookie header.
  static std::string stored(const SessionManager& manager) {
    const Fields fields{{"a", "1"}};
    return "sid=" + manager.create(fields).value().id()->secret();
  }
};

TEST_F(Observed, AVisitorWhoStoresNothingIsNoEvent) {
  const SessionManager m = manager();
  Session session = open_session(m, "theme=dark");
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(observer->take(), Words());
  EXPECT_TRUE(observer->calls.empty());
}

TEST_F(Observed, EachStepOfALifeIsTold) {
  const SessionManager m = manager();
  Session session = open_session(m, "");
  session.set("a", 1);
  ASSERT_EQ(m.commit(session)->status, Status::created);
  EXPECT_EQ(observer->take(), Words({"created"}));
  std::string cookie = "sid=" + session.id()->secret();

  session = open_session(m, cookie);
  EXPECT_EQ(m.commit(session)->status, Status::unchanged);
  EXPECT_EQ(observer->take(), Words({"loaded"}));

  clock->advance(minutes(5));
  session = open_session(m, cookie);
  EXPECT_EQ(m.commit(session)->status, Status::renewed);
  EXPECT_EQ(observer->take(), Words({"loaded", "renewed"}));

  session.set("a", 2);
  EXPECT_EQ(m.commit(session)->status, Status::updated);
  EXPECT_EQ(session.increment("a").value(), 3);
  EXPECT_TRUE(session.compare_and_set("a", 3, 4).value());
  EXPECT_EQ(observer->take(), Words({"updated", "updated", "updated"}));
  EXPECT_FALSE(session.compare_and_set("a", 3, 4).value());
  EXPECT_FALSE(session.consume("a", 3).value());
  EXPECT_EQ(observer->take(), Words({"conflict", "conflict"}));

  session.regenerate();
  EXPECT_EQ(m.commit(session)->status, Status::regenerated);
  EXPECT_EQ(observer->take(), Words({"regenerated"}));
  Session frozen = open_session(m, cookie);
  frozen.set("a", 9);
  EXPECT_EQ(m.commit(frozen)->status, Status::gone);
  EXPECT_EQ(observer->take(), Words({"loaded", "gone"})) << "no call of the store told it";

  session.invalidate();
  EXPECT_EQ(m.commit(session)->status, Status::erased);
  EXPECT_EQ(observer->take(), Words({"erased"}));
  cookie = "sid=" + std::string(32, 'u');
  EXPECT_TRUE(open_session(m, cookie).is_new());
  EXPECT_EQ(observer->take(), Words({"not_found"}));
}

TEST_F(Observed, WhatComesTooLateIsGone) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  std::vector<Session> late;
  for (int i = 0; i < 3; ++i) late.push_back(open_session(m, cookie));
  ASSERT_TRUE(m.erase(*late[0].id()).value());
  observer->take();
  late[0].set("a", 2);
  EXPECT_EQ(m.commit(late[0])->status, Status::gone);
  EXPECT_EQ(late[1].increment("a").error().code, Errc::gone);
  late[2].regenerate();
  EXPECT_EQ(m.commit(late[2])->status, Status::gone);
  EXPECT_EQ(observer->take(), Words({"gone", "gone", "gone"}));
  EXPECT_FALSE(m.erase(*late[0].id()).value());
  EXPECT_EQ(observer->take(), Words()) << "there was nothing to erase";
}

TEST_F(Observed, RefusedCookiesAreToldAndNotMoreThanAFew) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  observer->take();
  EXPECT_FALSE(open_session(m, "sid=short; sid=" + std::string(31, 'a') + "*; " + cookie).is_new());
  EXPECT_EQ(observer->take(), Words({"cookie_malformed", "cookie_malformed", "loaded"}));
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += "sid=;";
  EXPECT_TRUE(open_session(m, flood + cookie).is_new());
  for (const Recorder::Event& event : observer->events) EXPECT_EQ(event.label, "");
  EXPECT_EQ(observer->take(), Words(16, "cookie_malformed"));
}

// P5
TEST_F(Observed, ALabelTellsSessionsApartAndGivesNoIdAway) {
  const SessionManager m = manager();
  Session session = open_session(m, "");
  session.set("a", 1);
  ASSERT_TRUE(m.commit(session));
  const std::string old_id = session.id()->secret();
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  const std::string new_id = session.id()->secret();
  ASSERT_EQ(observer->events.size(), 2U);
  const std::string old_label = observer->events[0].label;
  const std::string new_label = observer->events[1].label;
  EXPECT_EQ(observer->events[1].previous, old_label) << "so that a log can be followed";
  EXPECT_NE(old_label, new_label);
  ASSERT_EQ(observer->calls.size(), 2U);
  EXPECT_EQ(observer->calls[0].label, old_label);
  for (const std::string& label : {old_label, new_label}) {
    EXPECT_EQ(label.size(), 12U);
    EXPECT_EQ(label.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
              std::string::npos);
    EXPECT_EQ(old_id.find(label), std::string::npos);
    EXPECT_EQ(new_id.find(label), std::string::npos);
  }
}

// P5
TEST_F(Observed, LabelsAgreeWhereTheSaltDoes) {
  const auto label_by = [&](std::shared_ptr<Recorder> by) {
    const SessionManager m = manager(by, store);
    EXPECT_TRUE(open_session(m, "sid=" + std::string(32, 'u')).is_new());
    return by->events.at(0).label;
  };
  const std::string salt(32, 's');
  const std::string label = label_by(std::make_shared<Recorder>(salt));
  EXPECT_EQ(label_by(std::make_shared<Recorder>(salt)), label) << "another server";
  EXPECT_NE(label_by(std::make_shared<Recorder>(std::string(32, 't'))), label);
  const std::string random = label_by(std::make_shared<Recorder>());
  EXPECT_NE(label_by(std::make_shared<Recorder>()), random) << "no salt: one of its own";
  EXPECT_EQ(label_by(std::make_shared<Recorder>("")).size(), 12U);
}

TEST_F(Observed, EveryCallOfTheStoreIsToldWithItsLatency) {
  const SessionManager m = manager(observer, std::make_shared<SlowStore>(store, clock));
  Session session = open_session(m, stored(m));
  session.set("a", 2);
  ASSERT_TRUE(m.commit(session));
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  session.invalidate();
  ASSERT_TRUE(m.commit(session));
  Words calls;
  for (const Recorder::Call& call : observer->calls) {
    calls.push_back(std::string(to_text(call.verb)) + " " + std::to_string(call.latency.count()));
    EXPECT_EQ(call.error, "");
    EXPECT_EQ(call.label.size(), 12U);
  }
  EXPECT_EQ(calls, Words({"create 2000000", "load 1000000", "update 3000000", "rekey 4000000",
                          "erase 5000000"}));
}

TEST_F(Observed, EveryFailedCallIsToldWithItsError) {
  const SessionManager m = manager();
  const std::string cookie = stored(m);
  const Error down = make_error(Errc::timeout, "late");
  Session session = open_session(m, cookie);
  observer->take();
  observer->calls.clear();
  store->fail_all(down);
  EXPECT_FALSE(m.open({cookie, false}));
  EXPECT_FALSE(m.create({}));
  EXPECT_FALSE(session.increment("a"));
  session.regenerate();
  EXPECT_FALSE(m.commit(session));
  EXPECT_FALSE(m.erase(*session.id()).has_value());
  Words verbs;
  for (const Recorder::Call& call : observer->calls) {
    verbs.emplace_back(to_text(call.verb));
    EXPECT_EQ(call.error, down.message());
  }
  EXPECT_EQ(verbs, Words({"load", "create", "update", "rekey", "erase"}));
  EXPECT_EQ(observer->take(), Words()) << "nothing is known to have happened to a session";
}

TEST_F(Observed, AnObserverThatThrowsBreaksNoRequest) {
  class Broken final : public Observer {
   protected:
    void on_session(const SessionEvent&) override { throw std::runtime_error("the disk is full"); }
    void on_store_call(const StoreCall&) override { throw 7; }
  };
  const SessionManager m = manager(std::make_shared<Broken>(), store);
  Session session = open_session(m, "sid=malformed");
  session.set("a", 1);
  const Result<Commit> commit = m.commit(session);
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->headers.size(), 3U) << "the cookie is sent";
  EXPECT_EQ(open_session(m, "sid=" + session.id()->secret()).value("a", 0), 1);
}

TEST_F(Observed, AListTellsEachOfThem) {
  const auto other = std::make_shared<Recorder>();
  const auto list =
      std::make_shared<ObserverList>(std::vector<std::shared_ptr<Observer>>{observer, other});
  const SessionManager m = manager(list, store);
  stored(m);
  list->tell(Warning{"look"});
  for (const auto& each : {observer, other}) {
    EXPECT_EQ(each->calls.size(), 1U);
    EXPECT_EQ(each->take(), Words({"created"}));
    EXPECT_EQ(each->warnings, Words({"look"}));
  }
}

TEST(SessionEventKind, EachHasAWordOfItsOwn) {
  Words words;
  for (int i = 0; i <= static_cast<int>(Kind::cookie_bad_signature); ++i) {
    words.emplace_back(to_text(static_cast<Kind>(i)));
    EXPECT_NE(words.back(), "unknown");
    for (std::size_t j = 0; j + 1 < words.size(); ++j) EXPECT_NE(words[j], words.back());
  }
  EXPECT_EQ(to_text(static_cast<Kind>(words.size())), "unknown") << "a kind beyond the last one";
}

// A warning is given after the session was made, and its cookie must reach the visitor.
TEST_F(Observed, AWarningThatThrowsLosesNoCookie) {
  class Throwing final : public Observer {
    void on_warning(const Warning&) override { throw std::runtime_error("the log is full"); }
  };
  SessionOptions options;
  options.cookie.secure = Secure::always;
  options.observer = std::make_shared<Throwing>();
  const SessionManager m = SessionManager::make(store, options).value();
  Session session = open_session(m);
  session.set("a", 1);
  const Commit commit = m.commit(session).value();
  EXPECT_EQ(commit.status, Commit::Status::created);
  EXPECT_EQ(commit.headers.size(), 3U);
}

// What looks like absence and is a mistake of the program's.
TEST_F(Observed, AValueThatDoesNotFitIsTold) {
  class Mismatches final : public Observer {
   public:
    std::vector<std::string> told{};
    std::vector<std::string> warnings{};

   protected:
    void on_session(const SessionEvent& event) override {
      if (event.kind != Kind::value_mismatch) return;
      told.push_back(std::string(event.attribute) + (label(event.session).empty() ? "" : "!"));
    }
    void on_warning(const Warning& warning) override { warnings.emplace_back(warning.text); }
  };
  const auto mismatches = std::make_shared<Mismatches>();
  const std::vector<std::string>& warnings = mismatches->warnings;
  SessionOptions options;
  options.observer = mismatches;
  const SessionManager m = SessionManager::make(store, options).value();
  Session session = open_session(m);
  session.set("big", 5e9);
  session.set("name", "Ada");
  const std::string odd = "line\xc2\x85" + std::string(60, 'x');
  session.set(odd, "secret");
  EXPECT_EQ(session.value("big", 7), 7);
  EXPECT_EQ(mismatches->told, Words{"big"}) << "of no stored session";
  ASSERT_TRUE(m.commit(session));
  EXPECT_EQ(session.value("big", std::int64_t{7}), 5'000'000'000);
  EXPECT_EQ(session.value("big", 0.5), 5e9);
  EXPECT_EQ(session.value("name", "nobody"), "Ada");
  EXPECT_EQ(session.value("none", 7), 7) << "absent: that is what the fallback is for";
  EXPECT_EQ(mismatches->told, Words{"big"});
  EXPECT_EQ(session.value("name", 7), 7);
  EXPECT_EQ(session.value(odd, true), true);
  EXPECT_EQ(mismatches->told, (Words{"big", "name!", odd.substr(0, 40) + "!"}));
  ASSERT_EQ(warnings.size(), 1U) << "once";
  EXPECT_TRUE(warnings[0].starts_with("value(\"big\") ")) << warnings[0];
  EXPECT_EQ(warnings[0].find("5000000000"), std::string::npos) << "never the value";
}

// Those of the index are calls of the store as well, and what a list meets of an outage shows.
TEST_F(Observed, CallsOfTheIndexAreTold) {
  const SessionManager m = manager();
  Session session = open_session(m, "");
  session.sign_in("ada");
  ASSERT_TRUE(m.commit(session));
  session.regenerate();
  ASSERT_TRUE(m.commit(session));
  Session kept = open_session(m, "");
  kept.sign_in("ada");
  ASSERT_TRUE(m.commit(kept));
  kept.regenerate();  // the old id can be read, and must not be
  ASSERT_TRUE(m.commit(kept));
  observer->calls.clear();
  ASSERT_EQ(m.sign_out_everywhere("ada", &kept).value(), 1U);
  std::vector<StoreVerb> verbs;
  for (const Recorder::Call& call : observer->calls) verbs.push_back(call.verb);
  EXPECT_EQ(std::count(verbs.begin(), verbs.end(), StoreVerb::entries), 2);
  EXPECT_EQ(std::count(verbs.begin(), verbs.end(), StoreVerb::forget), 1);
  EXPECT_EQ(std::count(verbs.begin(), verbs.end(), StoreVerb::end_frozen), 1);
  observer->calls.clear();
  store->fail_call(1, make_error(Errc::timeout, "told to"));
  EXPECT_FALSE(m.sessions_of("ada"));
  ASSERT_EQ(observer->calls.size(), 1U);
  EXPECT_EQ(observer->calls[0].verb, StoreVerb::entries);
  EXPECT_EQ(observer->calls[0].label, "") << "a principal is no session";
  EXPECT_EQ(observer->calls[0].error, "timeout: told to");
}

// A store without an index has none when it is observed.
TEST_F(Observed, AnObservedStoreHasAnIndexIfTheStoreHas) {
  const auto none = std::make_shared<WithoutIndex>(store);
  const auto without = manager(observer, none).sessions_of("ada");
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, Errc::invalid_argument);
  EXPECT_TRUE(manager().sessions_of("ada"));
}

}  // namespace
}  // namespace websession::testing
