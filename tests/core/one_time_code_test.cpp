// One-time codes, each guarantee with the attack that it stops.
#include "websession/one_time_code.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "code_digits.hpp"
#include "faulty_memory.hpp"
#include "session_races.hpp"

namespace websession::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using Status = CodeCheck::Status;

class OneTimeCode : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager manager = make_manager();
  SessionId id = store_session(manager);
  OneTimeCodes codes = some_codes();

  SessionManager make_manager() {
    SessionOptions options;
    options.clock = clock;
    options.idle_timeout = hours(6);
    return SessionManager::make(store, options).value();
  }
  Session load() { return load_session(manager, id); }
  std::string issue(const CodeOptions& options = {}, std::string_view purpose = "login") {
    Session session = load();
    return codes.issue(session, purpose, options).value();
  }
  CodeCheck verify(const std::string& code, std::string_view purpose = "login") {
    Session session = load();
    return codes.verify(session, purpose, code).value();
  }
  std::string stored(const std::string& field) {
    return std::string(memory->load(StoreKey(id)).value()->fields.find(field).value_or(""));
  }
  void put(const SessionId& where, const std::string& field, const std::string& text) {
    Changes changes;
    changes.set.push_back({field, text});
    ASSERT_EQ(memory->update(StoreKey(where), changes, {minutes(1)}).value().status,
              Outcome::Status::applied);
  }
};

TEST_F(OneTimeCode, TheCodeIsCorrectOnce) {
  const std::string code = issue();
  EXPECT_EQ(code.size(), 6U);
  EXPECT_EQ(code.find_first_not_of("0123456789"), std::string::npos);
  EXPECT_EQ(verify(code).status, Status::correct);
  EXPECT_EQ(verify(code).status, Status::used);
  EXPECT_EQ(verify(wrong_for(code)).status, Status::used);
}

TEST_F(OneTimeCode, GuessingEndsWithTheAttempts) {
  const std::string code = issue({6, minutes(10), 3});
  for (int left = 2; left >= 0; --left) {
    const CodeCheck check = verify(wrong_for(code));
    EXPECT_EQ(check.status, Status::wrong);
    EXPECT_EQ(check.tries_left, left);
  }
  EXPECT_EQ(verify(wrong_for(code)).status, Status::exhausted);
  EXPECT_EQ(verify(code).status, Status::exhausted);
}

TEST_F(OneTimeCode, TheLastAttemptCanBeCorrect) {
  const std::string code = issue({6, minutes(10), 2});
  EXPECT_EQ(verify(wrong_for(code)).tries_left, 1);
  EXPECT_EQ(verify(code).status, Status::correct);
}

// One request that tries again and again has no more attempts than many.
TEST_F(OneTimeCode, AttemptsCountWithinARequest) {
  const std::string code = issue({6, minutes(10), 2});
  Session session = load();
  EXPECT_EQ(codes.verify(session, "login", wrong_for(code)).value().tries_left, 1);
  EXPECT_EQ(codes.verify(session, "login", wrong_for(code)).value().tries_left, 0);
  EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::exhausted);
}

TEST_F(OneTimeCode, WhateverIsTypedCounts) {
  const std::string code = issue({6, minutes(10), 20});
  int left = 20;
  for (const std::string& text :
       {std::string(), std::string(" - "), code + "0", code.substr(1), "x" + code, "+" + code,
        code + std::string(1, '\0'), std::string(100'000, '1'), std::string("１２３４５６")}) {
    const CodeCheck check = verify(text);
    EXPECT_EQ(check.status, Status::wrong) << text.substr(0, 20);
    EXPECT_EQ(check.tries_left, --left);
  }
  EXPECT_EQ(verify(code).status, Status::correct);
}

TEST_F(OneTimeCode, BlanksAndHyphensDontMatter) {
  for (const std::string between : {"", " ", "-", " - ", "\t"}) {
    for (const std::string around : {"", " ", "\r\n"}) {
      const std::string code = issue();
      const std::string typed = around + code.substr(0, 3) + between + code.substr(3) + around;
      EXPECT_EQ(verify(typed).status, Status::correct) << '"' << typed << '"';
    }
  }
}

TEST_F(OneTimeCode, ACodeExpires) {
  const std::string code = issue();
  const std::string guessed = issue({}, "guessed");
  clock->advance(minutes(10) - milliseconds(1));
  EXPECT_EQ(verify(wrong_for(guessed), "guessed").status, Status::wrong);
  clock->advance(milliseconds(1));
  EXPECT_EQ(verify(code).status, Status::expired);
  EXPECT_EQ(verify(guessed, "guessed").status, Status::expired);
  clock->advance(hours(1) - milliseconds(1));
  EXPECT_EQ(verify(code).status, Status::expired);
  clock->advance(milliseconds(1));
  EXPECT_EQ(verify(code).status, Status::none);
  EXPECT_EQ(stored("@code.login"), "") << "it takes no more room";
}

TEST_F(OneTimeCode, ACodeIsCorrectUntilItExpires) {
  const std::string code = issue();
  clock->advance(minutes(10) - milliseconds(1));
  EXPECT_EQ(verify(code).status, Status::correct);
  EXPECT_EQ(verify(code).status, Status::used);
  clock->advance(milliseconds(1));
  EXPECT_EQ(verify(code).status, Status::expired);
}

TEST_F(OneTimeCode, NothingIsCorrectBeforeACodeIsIssued) {
  for (const char* guess : {"", "0", "000000"}) EXPECT_EQ(verify(guess).status, Status::none);
  EXPECT_EQ(store->calls(), 1U + 3U) << "one create, and the loads";
}

// Attack: a code that was sent for one thing is brought for another.
TEST_F(OneTimeCode, ACodeForAnotherPurposeIsWrong) {
  const std::string code = issue({12}, "login");
  EXPECT_EQ(verify(code, "delete-account").status, Status::none);
  const std::string other = issue({12}, "delete-account");
  EXPECT_EQ(verify(code, "delete-account").status, Status::wrong);
  EXPECT_EQ(verify(other, "login").status, Status::wrong);
  EXPECT_EQ(verify(code, "login").status, Status::correct);
  EXPECT_EQ(verify(other, "delete-account").status, Status::correct);
}

// Attack: a code is sent to the attacker's own address, and brought for the victim's.
TEST_F(OneTimeCode, ACodeForAnotherAddressIsWrong) {
  CodeOptions options{.digits = 12, .about = "mallory@example.org"};
  const std::string code = issue(options);
  Session session = load();
  for (const char* address : {"", "alice@example.org", "mallory@example.org "}) {
    EXPECT_EQ(codes.verify(session, "login", code, address).value().status, Status::wrong);
  }
  EXPECT_EQ(codes.verify(session, "login", code, "mallory@example.org").value().status,
            Status::correct);

  // Nor can what it is about be moved into the purpose.
  options.about = "x";
  const std::string other = codes.issue(session, "pay", options).value();
  ASSERT_TRUE(codes.issue(session, "pay1:x"));
  put(id, "@code.pay1:x", stored("@code.pay"));
  session = load();
  EXPECT_EQ(codes.verify(session, "pay1:x", other).value().status, Status::wrong);
}

// Attack: a code that the attacker was sent is brought in the victim's session, or the other way.
TEST_F(OneTimeCode, ACodeOfAnotherSessionIsWrong) {
  const std::string code = issue({12});
  Session other = manager.create().value();
  EXPECT_EQ(codes.verify(other, "login", code).value().status, Status::none);
  const std::string others_code = codes.issue(other, "login", {12}).value();
  EXPECT_EQ(codes.verify(other, "login", code).value().status, Status::wrong);
  EXPECT_EQ(verify(others_code).status, Status::wrong);
}

// Attack: what is stored of a code is put where it does not belong.
TEST_F(OneTimeCode, AStoredHashIsWorthNothingElsewhere) {
  const std::string code = issue({12});
  put(id, "@code.pay", stored("@code.login"));
  EXPECT_EQ(verify(code, "pay").status, Status::wrong);

  Session other = manager.create().value();
  ASSERT_TRUE(codes.issue(other, "login"));
  put(*other.id(), "@code.login", stored("@code.login"));
  Session loaded = load_session(manager, *other.id());
  EXPECT_EQ(codes.verify(loaded, "login", code).value().status, Status::wrong);
  EXPECT_EQ(verify(code).status, Status::correct);
}

TEST_F(OneTimeCode, ANewCodeEndsTheOldOne) {
  const std::string old_code = issue({12});
  Session verifying = load();  // before the new one
  const std::string new_code = issue({12});
  const CodeCheck check = codes.verify(verifying, "login", old_code).value();
  EXPECT_EQ(check.status, Status::wrong);
  EXPECT_EQ(check.tries_left, 4) << "an attempt of the new code";
  EXPECT_EQ(verify(new_code).status, Status::correct);

  const std::string third = issue({12});
  EXPECT_EQ(verify(third).status, Status::correct) << "after one that was used";
}

TEST_F(OneTimeCode, TheStoreHoldsNoCode) {
  const std::string code = issue({12});
  const Record record = *memory->load(StoreKey(id)).value();
  std::set<std::string> names;
  for (const Field& field : record.fields) {
    names.emplace(field.name);
    EXPECT_EQ(field.value.find(code), std::string_view::npos) << field.name;
  }
  EXPECT_EQ(names, (std::set<std::string>{"@created", "@code", "@code.login"}));
}

// Without the secret, reading the store does not even allow to try all codes.
TEST_F(OneTimeCode, TheHashIsKeyed) {
  const std::string code = issue();
  const auto other = OneTimeCodes::make(KeyRing::make({std::string(32, 'x')}).value()).value();
  Session session = load();
  EXPECT_EQ(other.verify(session, "login", code).value().status, Status::wrong);
}

TEST_F(OneTimeCode, SecretsRotateWithoutEndingCodes) {
  const std::string code = issue();
  const std::string newer(32, 'n');
  const auto rotated =
      OneTimeCodes::make(KeyRing::make({newer, std::string(32, 'k')}).value()).value();
  const auto renewed = OneTimeCodes::make(KeyRing::make({newer}).value()).value();
  Session session = load();
  EXPECT_EQ(rotated.verify(session, "login", code).value().status, Status::correct);
  const std::string next = rotated.issue(session, "login").value();
  EXPECT_EQ(renewed.verify(session, "login", next).value().status, Status::correct)
      << "the newest secret issues";
}

// The first request of a visitor can issue a code: it is stored with the session.
TEST_F(OneTimeCode, ACodeOfANewSessionRidesOnTheCommit) {
  Session session = manager.open({}).value();
  const std::size_t before = store->calls();
  const std::string code = codes.issue(session, "login", {6, minutes(10), 3}).value();
  EXPECT_EQ(codes.verify(session, "login", wrong_for(code)).value().tries_left, 2);
  EXPECT_EQ(store->calls(), before);
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::created);

  id = *session.id();
  EXPECT_EQ(verify(wrong_for(code)).tries_left, 1) << "the first attempt was not forgotten";
  EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::correct);
  EXPECT_EQ(verify(code).status, Status::used);
}

TEST_F(OneTimeCode, ACodeVerifiedInANewSessionIsStoredAsUsed) {
  Session session = manager.open({}).value();
  const std::string code = codes.issue(session, "login").value();
  EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::correct);
  EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::used);
  ASSERT_TRUE(manager.commit(session));
  id = *session.id();
  EXPECT_EQ(verify(code).status, Status::used);
}

TEST_F(OneTimeCode, HandlersDontTouchIt) {
  const std::string code = issue();
  Session session = load();
  EXPECT_TRUE(session.names().empty());
  EXPECT_FALSE(session.contains("@code.login"));
  session.clear();
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::unchanged);
  session.set("a", 1);
  ASSERT_TRUE(manager.commit(session));
  session.clear();
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::updated);
  session.remove("@code.login");
  EXPECT_EQ(manager.commit(session).error().code, Errc::invalid_argument);
  EXPECT_EQ(verify(code).status, Status::correct);
}

TEST_F(OneTimeCode, ClearLeavesTheCodeOfANewSession) {
  Session session = manager.open({}).value();
  const std::string code = codes.issue(session, "login").value();
  session.clear();
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::created);
  id = *session.id();
  EXPECT_EQ(verify(code).status, Status::correct);
}

// The password was correct: a new id, and the code of the second step, in either order.
TEST_F(OneTimeCode, ACodeSurvivesANewId) {
  for (const bool issue_first : {true, false}) {
    Session session = load();
    std::string code;
    if (issue_first) code = codes.issue(session, "login").value();
    session.regenerate();
    if (!issue_first) code = codes.issue(session, "login").value();
    ASSERT_EQ(manager.commit(session).value().status, Commit::Status::regenerated);
    Session old = load();
    const Result<CodeCheck> under_old_id = codes.verify(old, "login", code);
    ASSERT_FALSE(under_old_id) << "no attempts beside those under the new id";
    EXPECT_EQ(under_old_id.error().code, Errc::gone);
    id = *session.id();
    EXPECT_EQ(verify(code).status, Status::correct);
  }
}

TEST_F(OneTimeCode, AnEndedSessionHasNoCode) {
  const std::string code = issue();
  Session left_behind = load();
  Session session = load();
  session.invalidate();
  EXPECT_EQ(codes.verify(session, "login", code).error().code, Errc::invalid_argument);
  EXPECT_EQ(codes.issue(session, "login").error().code, Errc::invalid_argument);
  ASSERT_EQ(manager.commit(session).value().status, Commit::Status::erased);

  const Result<CodeCheck> late = codes.verify(left_behind, "login", code);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::gone);
  EXPECT_EQ(codes.issue(left_behind, "login").error().code, Errc::gone);
  EXPECT_EQ(manager.commit(left_behind).value().status, Commit::Status::gone);
  EXPECT_FALSE(manager.find(id).value().has_value()) << "and does not come back";
}

TEST_F(OneTimeCode, WhatItCosts) {
  Session session = load();
  std::size_t before = store->calls();
  ASSERT_TRUE(codes.issue(session, "login"));
  EXPECT_EQ(store->calls() - before, 2U) << "the session's first code";
  before = store->calls();
  const std::string code = codes.issue(session, "login").value();
  EXPECT_EQ(store->calls() - before, 1U);
  before = store->calls();
  ASSERT_TRUE(codes.verify(session, "login", code));
  EXPECT_EQ(store->calls() - before, 1U);
  before = store->calls();
  ASSERT_TRUE(codes.verify(session, "login", code));
  EXPECT_EQ(store->calls() - before, 0U) << "used";
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::unchanged);
}

// A failed call never answers, and never gives an attempt back.
TEST_F(OneTimeCode, AnOutageGivesNoAnswer) {
  const Error down = make_error(Errc::unavailable, "down");
  const std::string code = issue({6, minutes(10), 5});
  Session session = load();
  store->fail_call(1, down);
  EXPECT_EQ(codes.verify(session, "login", wrong_for(code)).error().code, Errc::unavailable);
  EXPECT_EQ(verify(wrong_for(code)).tries_left, 4) << "that try was not made";

  session = load();
  store->fail_call(1, down, FaultStore::Moment::after);
  EXPECT_TRUE(codes.verify(session, "login", wrong_for(code)).error().maybe_applied);
  EXPECT_EQ(verify(wrong_for(code)).tries_left, 2) << "that one was";

  session = load();
  store->fail_call(1, down, FaultStore::Moment::after);
  EXPECT_TRUE(codes.verify(session, "login", code).error().maybe_applied);
  EXPECT_EQ(codes.verify(session, "login", code).value().status, Status::used);
}

TEST_F(OneTimeCode, AFailedIssueGivesNoCode) {
  for (std::size_t n = 1; n <= 2; ++n) {
    id = store_session(manager);
    Session session = load();
    store->fail_call(n, make_error(Errc::timeout, "late"));
    EXPECT_EQ(codes.issue(session, "login").error().code, Errc::timeout);
    const std::string code = codes.issue(session, "login").value();
    EXPECT_EQ(verify(code).status, Status::correct);
  }
}

TEST_F(OneTimeCode, RefusesWhatCouldBeGuessed) {
  Session session = load();
  const std::size_t before = store->calls();
  for (const CodeOptions& options :
       {CodeOptions{5}, CodeOptions{13}, CodeOptions{-1}, CodeOptions{6, milliseconds(999)},
        CodeOptions{6, hours(24) + milliseconds(1)}, CodeOptions{6, minutes(10), 0},
        CodeOptions{6, minutes(10), 21}}) {
    EXPECT_EQ(codes.issue(session, "login", options).error().code, Errc::invalid_argument);
  }
  for (const std::string& purpose : {std::string(), std::string(65, 'p'), std::string("a\nb")}) {
    EXPECT_EQ(codes.issue(session, purpose).error().code, Errc::invalid_argument);
    EXPECT_EQ(codes.verify(session, purpose, "123456").error().code, Errc::invalid_argument);
  }
  EXPECT_EQ(OneTimeCodes::make(KeyRing()).error().code, Errc::invalid_argument);
  EXPECT_EQ(store->calls(), before);
  EXPECT_TRUE(codes.issue(session, std::string(64, 'p'), {12, hours(24), 20}));
}

TEST_F(OneTimeCode, ASessionHoldsSoManyCodes) {
  for (int i = 0; i < 16; ++i) issue({}, "purpose " + std::to_string(i));
  Session session = load();
  EXPECT_EQ(codes.issue(session, "one more").error().code, Errc::too_large);
  EXPECT_TRUE(codes.issue(session, "purpose 3")) << "in place of the old one";
  clock->advance(minutes(70));
  issue({}, "one more");
}

TEST_F(OneTimeCode, WhatCannotBeReadIsNoCode) {
  issue();
  for (const char* text :
       {"", ":", "5", "5:", "5:x:n:h", "x:1:n:h", "-1:1:n:h", "21:1:n:h", "05:1:n:h", "USED:1",
        "used", "used:", "5:9223372036854775807:n:h", "5:-1:n:h"}) {
    put(id, "@code.login", text);
    Session session = load();
    const Result<CodeCheck> check = codes.verify(session, "login", "123456");
    ASSERT_FALSE(check) << text;
    EXPECT_EQ(check.error().code, Errc::corrupt);
  }
  put(id, "@code.login", "5:9999999999999::");
  EXPECT_EQ(verify("123456").status, Status::wrong);
  EXPECT_EQ(verify("").status, Status::wrong) << "nothing is the hash of nothing";
}

TEST_F(OneTimeCode, SixtyFourGuessesAtOnceGetFiveAnswers) { SessionRace(manager).guesses(); }

TEST_F(OneTimeCode, OfSixtyFourCorrectTriesAtOnceOneWins) { SessionRace(manager).correct_tries(); }

TEST_F(OneTimeCode, GuessesAndCorrectTriesAtOnce) {
  SessionRace(manager).guesses_and_correct_tries();
}

TEST_F(OneTimeCode, ANewCodeEndsTheOldOneWhileItIsVerified) { SessionRace(manager).new_code(); }

// Each digit has as many bytes as any other, so random bytes make each as likely as any other.
TEST(CodeDigits, AreEquallyLikely) {
  std::array<int, 10> counts{};
  for (int byte = 0; byte < 256; ++byte) {
    const auto digit = internal::digit_of(static_cast<unsigned char>(byte));
    if (!digit) continue;
    ASSERT_TRUE(*digit >= '0' && *digit <= '9');
    ++counts[static_cast<std::size_t>(*digit - '0')];
  }
  for (const int count : counts) EXPECT_EQ(count, 25);
}

TEST(CodeDigits, AreWhatWasTyped) {
  EXPECT_EQ(internal::typed_digits(" 12-3 4\t5\r\n6 ", 6), "123456");
  EXPECT_EQ(internal::typed_digits("1234567", 6), std::nullopt);
  EXPECT_EQ(internal::typed_digits("", 6), std::nullopt);
  EXPECT_EQ(internal::typed_digits("12345O", 6), std::nullopt);
  EXPECT_EQ(internal::typed_digits("12345.", 6), std::nullopt);
}

}  // namespace
}  // namespace websession::testing
