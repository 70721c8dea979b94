// One-time codes, CSRF tokens and flash messages on Redis, with many requests at once.
#include <gtest/gtest.h>

#include "redis_fixture.hpp"
#include "session_races.hpp"

namespace websession::testing {
namespace {

class RedisSessionRaces : public RedisTest {
 protected:
  SessionManager manager() {
    SessionOptions options;
    options.clock = clock;
    options.idle_timeout = std::chrono::hours(6);
    return SessionManager::make(connect(), options).value();
  }
};

TEST_F(RedisSessionRaces, SixtyFourGuessesAtOnceGetFiveAnswers) {
  SessionRace(manager()).guesses();
}

TEST_F(RedisSessionRaces, OfSixtyFourSessionsThatGuessAtOnceSoManyGetAnAnswer) {
  SessionRace(manager()).limit();
}

TEST_F(RedisSessionRaces, OfSixtyFourCorrectTriesAtOnceOneWins) {
  SessionRace(manager()).correct_tries();
}

TEST_F(RedisSessionRaces, GuessesAndCorrectTriesAtOnce) {
  SessionRace(manager()).guesses_and_correct_tries();
}

TEST_F(RedisSessionRaces, ANewCodeEndsTheOldOneWhileItIsVerified) {
  SessionRace(manager()).new_code();
}

TEST_F(RedisSessionRaces, OfSixtyFourPagesAtOnceOneShowsEachMessage) {
  SessionRace(manager()).flash_takers();
}

TEST_F(RedisSessionRaces, NoMessageIsLostWhileOthersAreTaken) {
  SessionRace(manager()).flash_adders_and_takers();
}

TEST_F(RedisSessionRaces, SixtyFourFirstTokensAtOnceAreAllValid) {
  SessionRace(manager()).csrf_first_tokens();
}

TEST_F(RedisSessionRaces, ACodeExpiresAndLeavesNothing) {
  const SessionManager m = manager();
  const OneTimeCodes codes = some_codes();
  const SessionId id = store_session(m);
  Session session = load_session(m, id);
  const std::string code = codes.issue(session, "login", {12}).value();
  const std::string key = "sid_" + id.secret();
  for (const auto& [name, text] : probe->hash(key)) {
    EXPECT_EQ(text.find(code), std::string::npos) << name;
  }
  EXPECT_EQ(probe->hash(key).count("@until.@code.login"), 1U);
  clock->advance(std::chrono::minutes(10));
  session = load_session(m, id);
  EXPECT_EQ(codes.verify(session, "login", code).value().status, CodeCheck::Status::expired);
  clock->advance(std::chrono::minutes(60));
  session = load_session(m, id);
  EXPECT_EQ(codes.verify(session, "login", code).value().status, CodeCheck::Status::none);
  session.set("a", 1);
  ASSERT_EQ(m.save(session).value(), Commit::Status::updated);
  EXPECT_EQ(probe->hash(key).count("@code.login"), 0U) << "reaped with the next write";
}

TEST_F(RedisSessionRaces, ANewIdTakesEverythingAlong) {
  const SessionManager m = manager();
  const OneTimeCodes codes = some_codes();
  Session session = m.create().value();
  const std::string code = codes.issue(session, "login").value();
  const std::string token = csrf_token(session).value();
  add_flash(session, "notice", "Saved.");
  session.set("a", 1);
  ASSERT_TRUE(m.save(session));
  session.clear();
  session.regenerate();
  ASSERT_EQ(m.save(session).value(), Commit::Status::regenerated);
  Session loaded = load_session(m, *session.id());
  EXPECT_TRUE(loaded.names().empty());
  EXPECT_EQ(codes.verify(loaded, "login", code).value().status, CodeCheck::Status::correct);
  EXPECT_TRUE(csrf_valid(loaded, token));
  EXPECT_EQ(take_flashes(loaded).value(), (std::vector<Flash>{{"notice", "Saved."}}));

  renew_csrf(loaded);
  loaded.regenerate();
  ASSERT_EQ(m.save(loaded).value(), Commit::Status::regenerated);
  EXPECT_FALSE(csrf_valid(load_session(m, *loaded.id()), token));
  EXPECT_EQ(probe->hash("sid_" + loaded.id()->secret()).count("@csrf"), 0U);
}

}  // namespace
}  // namespace websession::testing
