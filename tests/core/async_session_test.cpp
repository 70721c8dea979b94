// Sessions on a loop that the test drives: what an Op promises, whatever the store does and whoever
// stops waiting.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fake_reactor.hpp"
#include "handler.hpp"
#include "held_store.hpp"
#include "websession/async/encrypted_store.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/async/stores.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/memory_store.hpp"
#include "websession/observer.hpp"
#include "websession/one_time_code.hpp"
#include "websession/store_decorator.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// What was told, and how often.
template <class T>
struct Told {
  std::optional<Result<T>> result{};
  int times = 0;
};

// Starts the operation, and remembers what it gives.
template <class T>
std::shared_ptr<Told<T>> start(Op<T> op) {
  auto told = std::make_shared<Told<T>>();
  std::move(op).start([told](Result<T> result) {
    ++told->times;
    told->result.emplace(std::move(result));
  });
  return told;
}

std::string cookie_of(const Commit& commit) {
  for (const Header& header : commit.headers) {
    if (header.name == "Set-Cookie") return header.value.substr(0, header.value.find(';'));
  }
  return {};
}

class AsyncSessionTest : public ::testing::Test {
 protected:
  AsyncSessionTest() { options.clock = clock; }

  // On a store that the test answers for.
  void hold() {
    held = std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{loop});
    manager.emplace(AsyncSessionManager::make(held, options).value());
  }
  // On one that answers at once.
  void answer_at_once() {
    manager.emplace(AsyncSessionManager::make(immediate(memory, {loop}).value(), options).value());
  }
  template <class T>
  T done(Op<T> op) {
    const auto told = start(std::move(op));
    for (int i = 0; i < 50 && !told->result; ++i) {
      if (held && !held->held.empty()) held->answer();
      loop->turn();
    }
    EXPECT_EQ(told->times, 1);
    EXPECT_TRUE(told->result && told->result->has_value())
        << (told->result ? told->result->error().message() : "no answer");
    return *std::move(*told->result);
  }
  // A stored session's cookie.
  std::string stored() {
    AsyncSession session = done(manager->open({}));
    session.set("a", 1);
    return cookie_of(done(manager->commit(session)));
  }

  const std::shared_ptr<FakeReactor> loop = std::make_shared<FakeReactor>();
  const std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  const std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>(clock);
  std::shared_ptr<HeldStore> held;
  SessionOptions options;
  std::optional<AsyncSessionManager> manager;
};

// What the request's views show may be gone while the store is asked.
TEST_F(AsyncSessionTest, AClientWithoutCookiesHasItsDay) {
  options.transport = {true, true, "X-Session"};
  options.idle_timeout_max = std::chrono::hours(24);
  options.absolute_timeout_max = std::chrono::hours(48);
  for (const bool at_once : {true, false}) {
    held.reset();
    at_once ? answer_at_once() : hold();
    AsyncSession session = done(manager->open({}));
    session.use_token();
    session.sign_in("ada", "phone");
    session.set_alias("sid");
    session.set_timeouts(std::chrono::hours(24), std::chrono::hours(48));
    const Commit commit = done(manager->commit(session));
    ASSERT_EQ(commit.headers.at(0).name, "X-Session-Token");
    const auto open_by = [&](bool bearer, bool passive) {
      auto text =
          std::make_unique<std::string>((bearer ? "Bearer " : "") + commit.headers.at(0).value);
      RequestInfo request;
      (bearer ? request.authorization : request.session_header) = *text;
      request.passive = passive;
      auto opening = manager->open(request);
      text->assign(text->size(), 'x');
      text.reset();
      return done(std::move(opening));
    };
    EXPECT_EQ(open_by(true, false).transport(), Transport::bearer);
    session = open_by(false, false);
    EXPECT_EQ(session.transport(), Transport::header);
    EXPECT_EQ(session.principal(), "ada");
    EXPECT_EQ(session.expires_in(), std::chrono::hours(24));
    clock->advance(std::chrono::hours(4));
    EXPECT_EQ(open_by(true, true).expires_in(), std::chrono::hours(20)) << "a poll";
    session = open_by(true, false);
    EXPECT_FALSE(session.recently_authenticated(std::chrono::minutes(5)));
    session.reauthenticate();
    EXPECT_TRUE(session.recently_authenticated(std::chrono::minutes(5)));
    EXPECT_EQ(done(manager->commit(session)).status, Commit::Status::regenerated);
    EXPECT_EQ(session.expires_in(), std::chrono::hours(24));
    EXPECT_EQ(done(manager->sign_out_by("sid")), 1U);
    EXPECT_EQ(done(manager->sign_out_everywhere("ada")), 0U);
  }
}

TEST_F(AsyncSessionTest, DoesWhatTheBlockingOneDoes) {
  for (const bool at_once : {true, false}) {
    held.reset();
    at_once ? answer_at_once() : hold();
    const std::string cookie = stored();
    AsyncSession session = done(manager->open({cookie, true}));
    EXPECT_FALSE(session.is_new());
    EXPECT_EQ(session.value("a", 0), 1);
    EXPECT_EQ(done(session.increment("a", 2)), 3);
    EXPECT_TRUE(done(session.compare_and_set("a", 3, 4)));
    EXPECT_FALSE(done(session.consume("a", 3)));
    EXPECT_EQ(session.value("a", 0), 4);
    const std::string token = done(csrf_token(session));
    EXPECT_TRUE(csrf_valid(session, token));
    add_flash(session, "notice", "Saved.");
    EXPECT_EQ(done(take_flashes(session)), (std::vector<Flash>{{"notice", "Saved."}}));
    const auto codes = OneTimeCodes::make(KeyRing::make({std::string(32, 'k')}).value()).value();
    const std::string code = done(codes.issue(session, "login", "ada@example.org"));
    EXPECT_EQ(done(codes.verify(session, "login", code, "eve@example.org")).status,
              CodeCheck::Status::wrong);
    EXPECT_EQ(done(codes.verify(session, "login", code, "ada@example.org")).status,
              CodeCheck::Status::correct);
    const auto csrf =
        CsrfCookie::make(KeyRing::make({std::string(32, 'k')}).value(), options.cookie).value();
    EXPECT_TRUE(csrf.valid(session, cookie, done(csrf.token(session, cookie)).text));

    session.sign_in("ada", "Firefox");
    const Commit signed_in = done(manager->commit(session));
    EXPECT_EQ(signed_in.status, Commit::Status::regenerated);
    EXPECT_NE(cookie_of(signed_in), cookie);
    const auto listed = done(manager->sessions_of("ada", &session));
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_TRUE(listed.front().is_current);
    EXPECT_EQ(done(manager->sign_out_everywhere("ada", &session)), 0U);
    EXPECT_TRUE(done(manager->erase_one("ada", listed.front().handle)));
    EXPECT_EQ(done(manager->save(done(manager->create({})))), Commit::Status::unchanged);
    EXPECT_FALSE(done(manager->find(SessionId::generate().value())).has_value());
    EXPECT_FALSE(done(manager->erase(SessionId::generate().value())));
    session.set("too", "late");
    EXPECT_EQ(done(manager->commit(session)).status, Commit::Status::gone);
    AsyncSession fresh = done(manager->open({}));
    fresh.set("a", 1);
    fresh.set("@bad", 1);
    const auto refused = start(manager->commit(fresh));
    loop->turns(2);
    ASSERT_FALSE(*refused->result);
    EXPECT_EQ(refused->result->error().code, Errc::invalid_argument);
    EXPECT_EQ(done(manager->abandon(fresh)).status, Commit::Status::unchanged);
    EXPECT_EQ(manager->cache_headers({cookie, true}).size(),
              SessionManager::make(memory, options).value().cache_headers({cookie, true}).size());
  }
}

TEST_F(AsyncSessionTest, NothingHappensBeforeTheStartAndNothingIsToldInsideOfIt) {
  for (const bool at_once : {true, false}) {
    held.reset();
    at_once ? answer_at_once() : hold();
    auto op = manager->open({});
    loop->turns(2);
    const auto told = start(std::move(op));
    EXPECT_EQ(told->times, 0);
    loop->turns(2);
    EXPECT_EQ(told->times, 1);
  }
}

TEST_F(AsyncSessionTest, StartedElsewhereItRunsOnTheFirstLoop) {
  answer_at_once();
  loop->is_here = false;
  const auto told = start(manager->open({}));
  EXPECT_EQ(told->times, 0);
  loop->is_here = true;
  loop->turns(3);
  EXPECT_EQ(told->times, 1);
}

TEST_F(AsyncSessionTest, RunsOnTheLoopThatIsHere) {
  const auto other = std::make_shared<FakeReactor>();
  other->is_here = false;
  held = std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{other, loop});
  manager.emplace(AsyncSessionManager::make(held, options).value());
  const auto told = start(manager->open({}));
  EXPECT_FALSE(other->call_posted());
  loop->turns(2);
  EXPECT_EQ(told->times, 1);
}

TEST_F(AsyncSessionTest, ResumesElsewhereIfAsked) {
  answer_at_once();
  const auto other = std::make_shared<FakeReactor>();
  const auto told = start(manager->open({}).resume_on(other));
  loop->turns(3);
  EXPECT_EQ(told->times, 0);
  other->turns(1);
  EXPECT_EQ(told->times, 1);
}

TEST_F(AsyncSessionTest, WaitingOnTheLoopItselfIsAnError) {
  answer_at_once();
  const Result<AsyncSession> waited = manager->open({}).wait();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::invalid_argument);
}

TEST_F(AsyncSessionTest, OneOperationAtATime) {
  hold();
  AsyncSession session = done(manager->open({stored(), true}));
  session.set("a", 2);
  const auto first = start(manager->commit(session));
  const auto second = start(manager->commit(session));
  const auto third = start(session.increment("n"));
  session.set("b", 1);  // fails, and the next commit says so
  loop->turns(2);
  ASSERT_FALSE(*second->result);
  EXPECT_EQ(second->result->error().code, Errc::invalid_argument);
  ASSERT_FALSE(*third->result);
  EXPECT_EQ(third->result->error().code, Errc::invalid_argument);
  held->answer();
  ASSERT_TRUE(*first->result);
  const auto fourth = start(manager->commit(session));
  loop->turns(2);
  ASSERT_FALSE(*fourth->result);
  EXPECT_EQ(fourth->result->error().code, Errc::invalid_argument);
}

TEST_F(AsyncSessionTest, AStopEndsWhatHasNotWritten) {
  hold();
  const std::string cookie = stored();
  const int calls = held->calls;
  StopSource before;
  before.request_stop();
  const auto never_begun = start(manager->open({cookie, true}).stop_on(before.token()));
  loop->turns(2);
  ASSERT_FALSE(*never_begun->result);
  EXPECT_EQ(never_begun->result->error().code, Errc::canceled);
  EXPECT_EQ(held->calls, calls);

  StopSource source;
  const auto reading = start(manager->open({cookie, true}).stop_on(source.token()));
  source.request_stop();
  EXPECT_EQ(reading->times, 0) << "inside of it";
  loop->turns(2);
  ASSERT_TRUE(reading->result);
  ASSERT_FALSE(*reading->result);
  EXPECT_EQ(reading->result->error().code, Errc::canceled);
  EXPECT_FALSE(reading->result->error().maybe_applied);
  EXPECT_EQ(held->stops, 1);
}

TEST_F(AsyncSessionTest, AStoreThatKnowsNoStopsAnswersInItsTime) {
  hold();
  held->answers_stops = false;
  const std::string cookie = stored();
  StopSource source;
  const auto reading = start(manager->open({cookie, true}).stop_on(source.token()));
  source.request_stop();
  loop->turns(2);
  EXPECT_EQ(reading->times, 0);
  held->answer();
  EXPECT_EQ(reading->times, 1);
}

// Half a sign-in is worse than one that nobody waits for: each stop leaves all of it, or nothing.
TEST_F(AsyncSessionTest, AStopNeverCutsASignInInTwo) {
  options.max_sessions_per_principal = 1;
  for (int answered_before = 0;; ++answered_before) {
    hold();
    const std::string cookie = stored();
    AsyncSession session = done(manager->open({cookie, true}));
    const SessionId id = *session.id();
    session.sign_in("ada" + std::to_string(answered_before));
    StopSource source;
    const auto told = start(manager->commit(session).stop_on(source.token()));
    for (int i = 0; i < answered_before && !told->result; ++i) {
      held->answer();
      loop->turn();
    }
    if (told->result) break;  // every step has been tried
    const std::string verb = held->held.front().verb;
    source.request_stop();
    for (int i = 0; i < 50 && !told->result; ++i) {
      loop->turn();
      if (!held->held.empty() && !told->result) held->answer();
    }
    ASSERT_EQ(told->times, 1) << verb;
    const auto old_one = done(manager->find(id));
    if (*told->result) {
      EXPECT_FALSE(old_one && !old_one->ended()) << "the id from before is worth something";
      EXPECT_EQ(session.principal(), "ada" + std::to_string(answered_before));
    } else {
      EXPECT_EQ(told->result->error().code, Errc::canceled) << verb;
      ASSERT_TRUE(old_one);
      EXPECT_FALSE(old_one->principal());
    }
  }
}

TEST_F(AsyncSessionTest, ADeadlineOfItsOwnIsKept) {
  hold();
  const std::string cookie = stored();
  const auto late = start(manager->open({cookie, true}).by(clock->steady()));
  loop->turns(2);
  ASSERT_FALSE(*late->result);
  EXPECT_EQ(late->result->error().code, Errc::timeout);

  const auto told = start(manager->open({cookie, true}).by(clock->steady() + milliseconds(70)));
  ASSERT_EQ(held->held.size(), 1U);
  EXPECT_EQ(held->held.front().timeout, std::chrono::nanoseconds(milliseconds(70)));
  held->answer();
  EXPECT_TRUE(*told->result);
}

// What is asked after the deadline is not asked any more.
TEST_F(AsyncSessionTest, AWholeOperationHasOneDeadline) {
  options.operation_timeout = milliseconds(100);
  hold();
  const std::string first = stored();
  const std::string cookies = "sid=" + std::string(32, 'A') + "; " + first;
  const auto told = start(manager->open({cookies, true}));
  clock->advance(milliseconds(101));
  held->answer();
  loop->turns(2);
  ASSERT_FALSE(*told->result);
  EXPECT_EQ(told->result->error().code, Errc::timeout);
}

TEST_F(AsyncSessionTest, WhoeverIsGoneIsNotTold) {
  hold();
  const std::string cookie = stored();
  bool resumed = false;
  const auto handle = [](const AsyncSessionManager& with, std::string brought,
                         bool& went_on) -> Handler {
    auto opened = with.open({brought, true});
    const Result<AsyncSession> session = co_await std::move(opened);
    went_on = true;
  };
  Handler gone = handle(*manager, cookie, resumed);
  gone.handle.destroy();
  held->answer();
  loop->turns(2);
  EXPECT_FALSE(resumed);

  Handler there = handle(*manager, cookie, resumed);
  held->answer();
  EXPECT_TRUE(resumed);
  EXPECT_TRUE(there.handle.done());
  there.handle.destroy();
}

// The form that everybody writes.
TEST_F(AsyncSessionTest, TemporariesOfAllKindsMayBeAwaited) {
  answer_at_once();
  bool done_with_it = false;
  const auto handle = [](const AsyncSessionManager& with, bool& all) -> Handler {
    const Fields fields{{"a", std::string(80, 'v')}};  // g++ 12 takes no braces there
    Result<AsyncSession> session = co_await with.open({std::string(64, 'x'), true});
    session->set("name", std::string(100, 'n'));
    Result<Commit> commit = co_await with.commit(*session);
    EXPECT_TRUE(commit);
    EXPECT_TRUE(
        (co_await session->compare_and_set("name", std::string(100, 'n'), std::string(90, 'm')))
            .value());
    EXPECT_EQ((co_await with.sessions_of(std::string(60, 'p')))->size(), 0U);
    const Result<AsyncSession> made = co_await with.create(fields);
    EXPECT_TRUE(made);
    all = true;
  };
  Handler running = handle(*manager, done_with_it);
  for (int i = 0; i < 20; ++i) loop->turn();
  EXPECT_TRUE(done_with_it);
  running.handle.destroy();
}

TEST_F(AsyncSessionTest, ASessionOutlivesItsHandlerAndItsManager) {
  hold();
  std::optional<AsyncSession> session = done(manager->open({stored(), true}));
  session->set("a", 7);
  const auto told = start(manager->commit(*session));
  session.reset();
  held->answer();
  ASSERT_TRUE(*told->result);

  session = done(manager->open({stored(), true}));
  manager.reset();
  const std::weak_ptr<HeldStore> store = held;
  held.reset();
  EXPECT_TRUE(store.expired()) << "a session does not keep the store";
  const auto orphan = start(session->increment("a"));
  EXPECT_EQ(orphan->times, 0);
  loop->turns(2);
  ASSERT_FALSE(*orphan->result);
  EXPECT_EQ(orphan->result->error().code, Errc::unavailable);
}

// A loop that ends drops what is in flight, and with it goes all that belongs to it.
TEST_F(AsyncSessionTest, ALoopThatEndsTakesAllAlong) {
  const auto counted = std::make_shared<int>(0);
  {
    const auto mine = std::make_shared<FakeReactor>();
    auto store = std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{mine});
    const auto with = AsyncSessionManager::make(store, options).value();
    with.open({"sid=" + std::string(32, 'A'), true}).start([counted](const auto&) {
      ADD_FAILURE() << "nobody is to be told";
    });
    EXPECT_EQ(counted.use_count(), 2);
    store->held.clear();
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST_F(AsyncSessionTest, WhatAStoreThrowsIsAnError) {
  class Throwing final : public StoreDecorator {
   public:
    using StoreDecorator::StoreDecorator;
    Result<std::optional<Record>> load(const StoreKey& /*key*/) override {
      throw std::runtime_error("broken");
    }
  };
  const auto store = std::make_shared<Throwing>(memory);
  manager.emplace(AsyncSessionManager::make(immediate(store, {loop}).value(), options).value());
  const auto told = start(manager->open({"sid=" + std::string(32, 'A'), true}));
  loop->turns(2);
  ASSERT_TRUE(told->result);
  ASSERT_FALSE(*told->result);
  EXPECT_EQ(told->result->error().code, Errc::unavailable);
  EXPECT_NE(told->result->error().detail.find("broken"), std::string::npos);
}

class Heard final : public Observer {
 public:
  void on_store_call(const StoreCall& call) override { calls.push_back(call.verb); }
  void on_session(const SessionEvent& event) override { events.push_back(event.kind); }
  std::vector<StoreVerb> calls;
  std::vector<SessionEvent::Kind> events;
};

TEST_F(AsyncSessionTest, AnObserverHearsTheSame) {
  std::vector<std::pair<std::vector<StoreVerb>, std::vector<SessionEvent::Kind>>> heard;
  for (const bool at_once : {true, false}) {
    const auto observer = std::make_shared<Heard>();
    options.observer = observer;
    held.reset();
    at_once ? answer_at_once() : hold();
    AsyncSession session = done(manager->open({stored(), true}));
    session.sign_in("ada");
    done(manager->commit(session));
    done(manager->sign_out_everywhere("ada"));
    heard.emplace_back(observer->calls, observer->events);
  }
  EXPECT_FALSE(heard[0].first.empty());
  EXPECT_EQ(heard[0], heard[1]);
}

TEST_F(AsyncSessionTest, AnEncryptedStoreReadsWhatTheBlockingOneWrote) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  const auto blocking =
      SessionManager::make(EncryptedStore::make(memory, encryption).value(), options).value();
  Session session = blocking.open({}).value();
  session.set("secret", "text");
  const std::string cookie = cookie_of(blocking.commit(session).value());

  held = std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{loop});
  manager.emplace(AsyncSessionManager::make(encrypted(held, encryption).value(), options).value());
  AsyncSession read = done(manager->open({cookie, true}));
  EXPECT_EQ(read.value("secret", ""), "text");
  EXPECT_TRUE(done(read.compare_and_set("secret", "text", "other")));
  EXPECT_EQ(blocking.open({cookie, true}).value().value("secret", ""), "other");
}

TEST_F(AsyncSessionTest, AStopReachesThroughDecorators) {
  options.observer = std::make_shared<Heard>();
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  held = std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{loop});
  manager.emplace(AsyncSessionManager::make(encrypted(held, encryption).value(), options).value());
  const std::string cookie = stored();
  StopSource source;
  const auto told = start(manager->open({cookie, true}).stop_on(source.token()));
  source.request_stop();
  loop->turns(3);
  ASSERT_TRUE(told->result);
  EXPECT_EQ(told->result->error().code, Errc::canceled);
  EXPECT_EQ(held->stops, 1);
}

TEST_F(AsyncSessionTest, BadArgumentsAreToldAtOnce) {
  EXPECT_EQ(AsyncSessionManager::make(nullptr).error().code, Errc::invalid_argument);
  EXPECT_EQ(immediate(nullptr, {loop}).error().code, Errc::invalid_argument);
  EXPECT_EQ(immediate(memory, {}).error().code, Errc::invalid_argument);
  EXPECT_EQ(immediate(memory, {nullptr}).error().code, Errc::invalid_argument);
  EXPECT_EQ(on_threads(memory, {loop}, {.threads = 0}).error().code, Errc::invalid_argument);
  EXPECT_EQ(on_threads(memory, {loop}, {.pending_max = 0}).error().code, Errc::invalid_argument);
  EXPECT_EQ(encrypted(nullptr, {}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace websession::testing
