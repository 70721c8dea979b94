// The limit on tries about one thing (CodeLimit): guessing over ever new sessions ends, too.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "encrypted_harness.hpp"
#include "faulty_memory.hpp"
#include "session_races.hpp"
#include "websession/counters.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using Status = CodeCheck::Status;

const std::string ada = "ada@example.com";

// Notes the keys of all that is stored.
class KeyNotes final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;

  std::vector<std::string> keys{};

  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    keys.push_back(key.secret());
    return StoreDecorator::create(key, fields, lifetime);
  }
};

class CodeLimitTest : public ::testing::Test, protected FaultyMemory {
 protected:
  static OneTimeCodes limited(int tries, milliseconds window = hours(1)) {
    return OneTimeCodes::make(key_ring({std::string(32, 'k')}), CodeLimit{tries, window}).value();
  }
  SessionManager manager_on(std::shared_ptr<SessionStore> which,
                            std::shared_ptr<Observer> observer = nullptr) {
    SessionOptions options;
    options.clock = clock;
    options.observer = std::move(observer);
    return SessionManager::make(std::move(which), options).value();
  }
  // A session that is nobody's, with a code about something.
  Session with_code(const OneTimeCodes& codes, const std::string& about = ada) {
    Session session = manager.create().value();
    code = codes.issue(session, "login", {.about = about}).value();
    return session;
  }
  static CodeCheck verify(const OneTimeCodes& codes, Session& session, const std::string& typed,
                          const std::string& about = ada) {
    return codes.verify(session, "login", typed, about).value();
  }

  SessionManager manager = manager_on(store);
  std::string code;  // the last one
};

// Attack: each new session brings new attempts, so a guess hits in the end (ASVS 5.0 6.6.3).
TEST_F(CodeLimitTest, GuessingOverNewSessionsEnds) {
  const OneTimeCodes codes = limited(12);
  int answers = 0;
  for (int i = 0; i < 10; ++i) {
    Session session = with_code(codes);
    for (int guess = 0; guess < 5; ++guess) {
      const Status status = verify(codes, session, wrong_for(code)).status;
      ASSERT_EQ(status, answers < 12 ? Status::wrong : Status::limited);
      if (status == Status::wrong) ++answers;
    }
  }
  EXPECT_EQ(answers, 12);
  Session session = with_code(codes);
  EXPECT_EQ(verify(codes, session, code).status, Status::limited) << "even the correct one";
}

TEST_F(CodeLimitTest, OtherAddressesAndPurposesAreNotConcerned) {
  const OneTimeCodes codes = limited(1);
  Session first = with_code(codes);
  EXPECT_EQ(verify(codes, first, wrong_for(code)).status, Status::wrong);
  EXPECT_EQ(verify(codes, first, code).status, Status::limited);
  Session other = with_code(codes, "bob@example.com");
  EXPECT_EQ(verify(codes, other, code, "bob@example.com").status, Status::correct);
  Session change = manager.create().value();
  const std::string another = codes.issue(change, "change-email", {.about = ada}).value();
  EXPECT_EQ(codes.verify(change, "change-email", another, ada).value().status, Status::correct);
  // Where the purpose ends and what it is about begins is part of it.
  const std::string joined = codes.issue(change, "loginada", {.about = "@example.com"}).value();
  EXPECT_EQ(codes.verify(change, "loginada", joined, "@example.com").value().status,
            Status::correct);
}

// The visitor's code waits as it is: no attempt of its own is used up, and it may outlast the
// limit.
TEST_F(CodeLimitTest, TheWindowBeginsWithTheFirstTryAndEnds) {
  const OneTimeCodes codes = limited(2, minutes(5));
  Session attacker = with_code(codes);
  EXPECT_EQ(verify(codes, attacker, wrong_for(code)).status, Status::wrong);
  clock->advance(minutes(4));
  EXPECT_EQ(verify(codes, attacker, wrong_for(code)).status, Status::wrong);
  Session visitor = with_code(codes);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(verify(codes, visitor, code).status, Status::limited);
  clock->advance(minutes(1) - milliseconds(1));
  EXPECT_EQ(verify(codes, visitor, code).status, Status::limited);
  clock->advance(milliseconds(1));
  EXPECT_EQ(verify(codes, visitor, code).status, Status::correct) << "tries do not lengthen it";
}

TEST_F(CodeLimitTest, OfSixtyFourGuessesAtOnceSoManyGetAnAnswer) { SessionRace(manager).limit(); }

// The same store is asked: what can guess can count.
TEST_F(CodeLimitTest, AnOutageLetsNobodyGuess) {
  const OneTimeCodes codes = limited(3);
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    Session session = with_code(codes);
    store->fail_call(1, make_error(Errc::unavailable, "told to"), moment);
    const Result<CodeCheck> check = codes.verify(session, "login", code, ada);
    ASSERT_FALSE(check);
    EXPECT_EQ(check.error().code, Errc::unavailable);
    EXPECT_EQ(verify(codes, session, code).status, Status::correct);
  }
}

// P8: the limit has counted the try, whatever becomes of the code's own count.
TEST_F(CodeLimitTest, ATryThatFailsHalfWayMayHaveCounted) {
  const OneTimeCodes codes = limited(10);
  Session session = with_code(codes);
  EXPECT_EQ(verify(codes, session, "000000").status, Status::wrong);
  store->fail_call(2, make_error(Errc::timeout, "before"));
  EXPECT_TRUE(codes.verify(session, "login", "000000", ada).error().maybe_applied);
  store->fail_call(1, make_error(Errc::timeout, "before"));
  EXPECT_FALSE(codes.verify(session, "login", "000000", ada).error().maybe_applied);
}

TEST_F(CodeLimitTest, ATryTakesOneRoundTripMoreAndTheFirstOneTwo) {
  const OneTimeCodes codes = limited(3);
  Session session = with_code(codes);
  const auto calls_of = [&](const std::string& typed) {
    const std::size_t before = store->calls();
    verify(codes, session, typed);
    return store->calls() - before;
  };
  EXPECT_EQ(calls_of(wrong_for(code)), 3U);
  EXPECT_EQ(calls_of(wrong_for(code)), 2U);
  EXPECT_EQ(calls_of(code), 2U);
  EXPECT_EQ(calls_of(code), 0U) << "what is used needs no try";
  EXPECT_EQ(calls_of(wrong_for(code)), 0U);
}

TEST_F(CodeLimitTest, TheStoreDoesNotSeeWhatItIsAbout) {
  const auto notes = std::make_shared<KeyNotes>(memory);
  manager = manager_on(notes);
  const OneTimeCodes codes = limited(3);
  Session session = with_code(codes);
  verify(codes, session, wrong_for(code));
  ASSERT_EQ(notes->keys.size(), 2U);
  const std::string key = notes->keys.back();
  EXPECT_EQ(key.size(), 2U + 43U);
  EXPECT_TRUE(key.starts_with("3:")) << "no id is such a key";
  EXPECT_EQ(memory->load(StoreKey(key)).value().value().fields.find("tries"), "1");
  // With another secret it is another one.
  const auto others =
      OneTimeCodes::make(key_ring({std::string(32, 'x')}), CodeLimit{3, hours(1)}).value();
  Session again = with_code(others);
  verify(others, again, wrong_for(code));
  EXPECT_NE(notes->keys.back(), key);
}

TEST_F(CodeLimitTest, CountsInAnEncryptedStore) {
  EncryptionOptions options;
  options.keys = key_ring({std::string(32, 's')});
  manager = manager_on(EncryptedStore::make(memory, options).value());
  const OneTimeCodes codes = limited(2);
  for (int i = 0; i < 2; ++i) {
    Session session = with_code(codes);
    EXPECT_EQ(verify(codes, session, wrong_for(code)).status, Status::wrong);
  }
  Session session = with_code(codes);
  EXPECT_EQ(verify(codes, session, code).status, Status::limited);
}

TEST_F(CodeLimitTest, ACountIsNoSessionToAnObserver) {
  const auto counters = std::make_shared<Counters>();
  manager = manager_on(memory, counters);
  const OneTimeCodes codes = limited(2);
  Session session = with_code(codes);
  verify(codes, session, wrong_for(code));
  EXPECT_EQ(counters->snapshot().count(SessionEvent::Kind::created), 1U);
  EXPECT_EQ(counters->snapshot().count(SessionEvent::Kind::gone), 0U);
}

TEST_F(CodeLimitTest, NeedsToKnowWhatACodeIsAbout) {
  const OneTimeCodes codes = limited(2);
  Session session = manager.create().value();
  EXPECT_EQ(codes.issue(session, "login").error().code, Errc::invalid_argument);
  EXPECT_EQ(codes.verify(session, "login", "123456").error().code, Errc::invalid_argument);
}

TEST_F(CodeLimitTest, RefusesBadLimitsByName) {
  const auto refusal = [](const CodeLimit& limit) {
    const auto made = OneTimeCodes::make(key_ring({std::string(32, 'k')}), limit);
    return made ? "" : made.error().detail.substr(0, made.error().detail.find(':'));
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({0, hours(1)}), "tries");
  EXPECT_EQ(refusal({10'001, hours(1)}), "tries");
  EXPECT_EQ(refusal({1, milliseconds(59'999)}), "window");
  EXPECT_EQ(refusal({1, hours(24 * 31)}), "window");
}

}  // namespace
}  // namespace websession::testing
