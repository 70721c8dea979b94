// One deadline for a whole operation, however often it asks the store.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "faulty_memory.hpp"
#include "forwarding_store.hpp"
#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/observer.hpp"
#include "websession/one_time_code.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Each call takes a time.
class SlowStore final : public IndexedDecorator {
 public:
  SlowStore(std::shared_ptr<SessionStore> inner, std::shared_ptr<ManualClock> clock)
      : IndexedDecorator(std::move(inner)), clock_(std::move(clock)) {}

  milliseconds call_takes{0};
  std::size_t calls = 0;
  bool corrupt = false;  // what is loaded

  Result<std::optional<Record>> load(const StoreKey& key) override {
    wait();
    if (corrupt) return make_error(Errc::corrupt, "no record");
    return IndexedDecorator::load(key);
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    wait();
    return IndexedDecorator::create(key, fields, lifetime);
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    wait();
    return IndexedDecorator::update(key, changes, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    wait();
    return IndexedDecorator::rekey(from, to, changes, lifetime, grace);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    wait();
    return IndexedDecorator::erase(key, grace);
  }
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    wait();
    return IndexedDecorator::entries(principal);
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    wait();
    return IndexedDecorator::forget(principal, keys, made);
  }
  Result<void> end_frozen(const StoreKey& key) override {
    wait();
    return IndexedDecorator::end_frozen(key);
  }

 private:
  void wait() {
    ++calls;
    clock_->advance(call_takes);
  }
  std::shared_ptr<ManualClock> clock_;
};

class OperationTimeout : public ::testing::Test, protected FaultyMemory {
 protected:
  OperationTimeout() {
    options.clock = clock;
    options.operation_timeout = seconds(2);
    options.idle_timeout = options.absolute_timeout = std::chrono::hours(24 * 30);
  }
  [[nodiscard]] SessionManager manager() const {
    return SessionManager::make(slow, options).value();
  }

  // The error of `operation` when each call takes 900 ms, so that the fourth one is past two
  // seconds. It has to come by then and one call more.
  template <class Operation>
  auto in_slow_time(const Operation& operation) {
    slow->call_takes = milliseconds(900);
    const SteadyTime start = clock->steady();
    auto result = operation();
    EXPECT_LE(clock->steady() - start, options.operation_timeout + slow->call_takes);
    slow->call_takes = milliseconds(0);
    return result;
  }

  SessionOptions options;
  std::shared_ptr<SlowStore> slow = std::make_shared<SlowStore>(store, clock);
};

TEST_F(OperationTimeout, OpenWithManyCookiesAndKeysEndsByIt) {
  options.id_storage = IdStorage::hashed;  // up to three keys for each
  const SessionManager m = manager();
  std::string cookies;
  for (int i = 0; i < 4; ++i) {
    cookies += "sid=" + std::string(SessionId::generate().value().secret()) + "; ";
  }
  const auto failed = in_slow_time([&] { return m.open({cookies, true}); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::timeout);
  EXPECT_NE(failed.error().detail.find("operation_timeout"), std::string::npos);
  EXPECT_FALSE(failed.error().maybe_applied);
  EXPECT_EQ(slow->calls, 3U) << "of twelve";
  EXPECT_TRUE(m.open({cookies, true})) << "in time";

  options.on_outage = Outage::anonymous;
  const auto degraded = in_slow_time([&] { return manager().open({cookies, true}); });
  ASSERT_TRUE(degraded);
  EXPECT_TRUE(degraded->degraded());
}

TEST_F(OperationTimeout, SignOutEverywhereEndsByItAndSaysWhatItDid) {
  const SessionManager m = manager();
  constexpr std::size_t many = 10'000;
  const std::string created = std::to_string(clock->wall().time_since_epoch().count());
  for (std::size_t i = 0; i < many; ++i) {
    ASSERT_TRUE(memory->create(StoreKey(SessionId::generate().value()),
                               {{created_field, created}, {user_field, "ada"}},
                               {std::chrono::hours(1), "ada"}));
  }
  slow->call_takes = milliseconds(1);
  const SteadyTime start = clock->steady();
  const auto cut = m.sign_out_everywhere("ada");
  EXPECT_LE(clock->steady() - start, options.operation_timeout + slow->call_takes);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::timeout);
  EXPECT_TRUE(cut.error().maybe_applied) << "some have ended";
  EXPECT_NE(cut.error().detail.find("call again"), std::string::npos);
  const std::size_t left = memory->entries("ada").value().size();
  EXPECT_LT(left, many);
  EXPECT_GT(left, many / 2);
  options.operation_timeout = std::chrono::minutes(10);
  EXPECT_EQ(manager().sign_out_everywhere("ada").value(), left);
  EXPECT_TRUE(memory->entries("ada").value().empty());
}

TEST_F(OperationTimeout, DevicesEndByIt) {
  const SessionManager m = manager();
  for (int i = 0; i < 5; ++i) {
    Session session = open_session(m);
    session.sign_in("ada");
    ASSERT_TRUE(m.commit(session));
  }
  const std::string handle = m.sessions_of("ada").value().back().handle;
  EXPECT_EQ(in_slow_time([&] { return m.sessions_of("ada"); }).error().code, Errc::timeout);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 5U);
  const auto one = in_slow_time([&] { return m.erase_one("ada", handle); });
  EXPECT_TRUE(one.has_value() && *one) << "three calls: the last one begins in time";
}

TEST_F(OperationTimeout, CodesEndByIt) {
  const KeyRing ring = KeyRing::make({std::string(32, 'k')}).value();
  const OneTimeCodes codes = OneTimeCodes::make(ring, CodeLimit{}).value();
  const SessionManager m = manager();
  const SessionId id = store_session(m);
  Session session = load_session(m, id);
  const auto issued = in_slow_time([&] { return codes.issue(session, "login", {.about = "ada"}); });
  ASSERT_TRUE(issued) << "two calls";
  // The limit's record is begun (two calls), and the code is not answered any more: the try counts.
  const auto verified =
      in_slow_time([&] { return codes.verify(session, "login", *issued, "ada"); });
  EXPECT_TRUE(verified) << "the third call begins in time";
  options.operation_timeout = milliseconds(1000);
  Session again = load_session(manager(), id);
  ASSERT_TRUE(codes.issue(again, "login", {.about = "bob"}));
  const auto cut = in_slow_time([&] { return codes.verify(again, "login", "123456", "bob"); });
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::timeout);
  EXPECT_TRUE(cut.error().maybe_applied) << "it counts";
}

// Whatever is done: no operation takes longer than its time and one call.
TEST_F(OperationTimeout, IsThatOfEveryOperation) {
  options.max_sessions_per_principal = 2;
  options.operation_timeout = milliseconds(1500);
  options.id_storage = IdStorage::hashed;
  const SessionManager m = manager();
  const KeyRing ring = KeyRing::make({std::string(32, 'k')}).value();
  const OneTimeCodes codes = OneTimeCodes::make(ring, CodeLimit{}).value();
  const auto signed_in = [&] {
    Session session = open_session(m);
    session.sign_in("ada");
    EXPECT_TRUE(m.commit(session));
    return session;
  };
  const SessionId id = *signed_in().id();
  const std::string cookie = "sid=" + std::string(id.secret());
  const std::vector<std::pair<const char*, std::function<void(Session&)>>> operations{
      {"open",
       [&](Session&) {
         (void)m.open({cookie, true});
       }},
      {"create", [&](Session&) { (void)m.create(); }},
      {"find", [&](Session&) { (void)m.find(id); }},
      {"erase", [&](Session&) { (void)m.erase(SessionId::generate().value()); }},
      {"commit", [&](Session& session) { session.set("a", 1), (void)m.commit(session); }},
      {"regenerate", [&](Session& session) { session.regenerate(), (void)m.commit(session); }},
      {"sign_in", [&](Session& session) { session.sign_in("ada"), (void)m.commit(session); }},
      {"sign_in anew",
       [&](Session&) {
         Session fresh = open_session(m);
         fresh.sign_in("ada");
         (void)m.commit(fresh);
       }},
      {"sign_out", [&](Session& session) { session.sign_out(), (void)m.commit(session); }},
      {"abandon", [&](Session& session) { session.sign_out(), (void)m.abandon(session); }},
      {"increment", [&](Session& session) { (void)session.increment("n"); }},
      {"consume", [&](Session& session) { (void)session.consume("n", "1"); }},
      {"csrf_token", [&](Session& session) { (void)csrf_token(session); }},
      {"take_flashes", [&](Session& session) { (void)take_flashes(session); }},
      {"issue", [&](Session& session) { (void)codes.issue(session, "p", {.about = "x"}); }},
      {"verify", [&](Session& session) { (void)codes.verify(session, "p", "1", "x"); }},
      {"sessions_of", [&](Session&) { (void)m.sessions_of("ada"); }},
      {"erase_one", [&](Session&) { (void)m.erase_one("ada", "nobodys"); }},
      {"sign_out_everywhere", [&](Session&) { (void)m.sign_out_everywhere("ada"); }},
  };
  for (const int takes : {100, 700, 2000}) {
    for (const auto& [name, operation] : operations) {
      slow->call_takes = milliseconds(0);
      Session session = signed_in();
      ASSERT_TRUE(codes.issue(session, "p", {.about = "x"}));
      add_flash(session, "note", "text");
      ASSERT_TRUE(m.commit(session));
      slow->call_takes = milliseconds(takes);
      const SteadyTime start = clock->steady();
      operation(session);
      EXPECT_LE(clock->steady() - start, options.operation_timeout + slow->call_takes)
          << name << ", each call takes " << takes << " ms";
    }
  }
}

// A sign-in is not lost to the look at the others before it.
TEST_F(OperationTimeout, ALimitTakesNoMoreThanHalfOfASignInsTime) {
  options.max_sessions_per_principal = 100;
  const SessionManager m = manager();
  for (int i = 0; i < 20; ++i) {
    Session session = open_session(m);
    session.sign_in("ada");
    ASSERT_TRUE(m.commit(session));
  }
  slow->call_takes = milliseconds(200);
  Session session = open_session(m);
  session.sign_in("ada");
  EXPECT_TRUE(m.commit(session));
  slow->call_takes = milliseconds(0);
  EXPECT_EQ(m.sessions_of("ada").value().size(), 21U);
}

// Logging out does not depend on the rest, however long that took.
TEST_F(OperationTimeout, ALogoutIsTriedInOvertime) {
  using Moment = FaultStore::Moment;
  for (const Moment moment : {Moment::before, Moment::after}) {
    const SessionManager m = manager();
    Session session = open_session(m);
    session.sign_in("ada");
    ASSERT_TRUE(m.commit(session));
    session.sign_out();
    session.set("bye", true);
    store->fail_call(1, make_error(Errc::timeout, "no answer"), moment);
    slow->call_takes = milliseconds(2500);  // longer than all of the operation may take
    const auto failed = m.commit(session);
    slow->call_takes = milliseconds(0);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::timeout);
    EXPECT_EQ(failed.error().maybe_applied, moment == Moment::after);
    EXPECT_NE(failed.error().detail.find("has ended, as it was asked to"), std::string::npos);
    EXPECT_TRUE(memory->entries("ada").value().empty());
    EXPECT_EQ(m.commit(session).value().status, Commit::Status::erased);
  }
}

// When not even that works, the error speaks of the rest as well.
TEST_F(OperationTimeout, ALogoutThatFailsKnowsOfTheRest) {
  const SessionManager m = manager();
  Session session = open_session(m);
  session.sign_in("ada");
  ASSERT_TRUE(m.commit(session));
  session.sign_out();
  session.set("bye", true);
  store->fail_all(make_error(Errc::timeout, "no answer"), FaultStore::Moment::after);
  EXPECT_TRUE(m.commit(session).error().maybe_applied);
  store->recover();
}

TEST_F(OperationTimeout, TheObserverHearsOfIt) {
  struct Listener final : Observer {
    std::vector<std::string> told;
    void on_session(const SessionEvent& event) override {
      if (event.kind == SessionEvent::Kind::refused) told.push_back(event.error->message());
    }
  };
  const auto listener = std::make_shared<Listener>();
  options.observer = listener;
  options.id_storage = IdStorage::hashed;
  const SessionManager m = manager();
  const std::string cookie = "sid=" + std::string(SessionId::generate().value().secret());
  EXPECT_TRUE(in_slow_time([&] { return m.open({cookie, true}); })) << "three calls";
  EXPECT_TRUE(listener->told.empty());
  options.operation_timeout = milliseconds(1000);
  EXPECT_FALSE(in_slow_time([&] { return manager().open({cookie, true}); }));
  ASSERT_EQ(listener->told.size(), 1U);
  EXPECT_NE(listener->told[0].find("operation_timeout"), std::string::npos);
}

// It is the time that was short, and not the record that cannot be read.
TEST_F(OperationTimeout, AnUnreadableRecordThatTakesTooLongIsATimeout) {
  options.operation_timeout = milliseconds(1000);
  const SessionManager m = manager();
  const std::string cookie = "sid=" + std::string(store_session(m).secret());
  slow->corrupt = true;
  EXPECT_EQ(in_slow_time([&] { return m.open({cookie, true}); }).error().code, Errc::timeout);
}

// A session that is held for long has no time left when it has none.
TEST_F(OperationTimeout, AHeldSessionThatIsOverHasNoTimeLeft) {
  options.idle_timeout = std::chrono::minutes(30);
  const SessionManager m = manager();
  const Session held = load_session(m, store_session(m));
  clock->advance(std::chrono::minutes(31));
  EXPECT_EQ(held.expires_in(), milliseconds(0));
}

TEST_F(OperationTimeout, WrongOnesAreRefusedByName) {
  for (const milliseconds wrong : {milliseconds(0), milliseconds(9), milliseconds(-1),
                                   milliseconds(std::chrono::minutes(10)) + milliseconds(1)}) {
    options.operation_timeout = wrong;
    const auto made = SessionManager::make(slow, options);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    EXPECT_NE(made.error().detail.find("operation_timeout"), std::string::npos);
  }
  EXPECT_EQ(SessionOptions().operation_timeout, seconds(10));
}

}  // namespace
}  // namespace websession::testing
