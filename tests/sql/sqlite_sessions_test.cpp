// What sessions promise when many requests meet, on SQLite: called directly and from a loop.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "id_rollout.hpp"
#include "late_requests.hpp"
#include "session_races.hpp"
#include "sign_in_races.hpp"
#include "sqlite_fixture.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// The parameter: from a loop.
class SqliteSessions : public SqliteTest, public ::testing::WithParamInterface<bool> {
 protected:
  std::shared_ptr<SessionStore> store() { return GetParam() ? on_a_loop(open()) : open(); }
  SessionOptions options() {
    SessionOptions options;
    options.clock = clock;
    options.operation_timeout = std::chrono::minutes(2);
    return options;
  }
  SessionManager manager(std::shared_ptr<SessionStore> with, const SessionOptions& options) {
    return SessionManager::make(std::move(with), options).value();
  }
  SessionManager manager() { return manager(store(), options()); }
  IdRollout rollout() { return {store(), clock}; }
  SignInRaces races() { return {store(), options()}; }
  SessionOptions limited(std::size_t most, TooManySessions policy) {
    SessionOptions with = options();
    with.max_sessions_per_principal = most;
    with.when_too_many = policy;
    return with;
  }
};

INSTANTIATE_TEST_SUITE_P(Called, SqliteSessions, ::testing::Bool(), [](const auto& tested) {
  return tested.param ? "FromALoop" : "Directly";
});

TEST_P(SqliteSessions, GuessesAtOnceGetFiveAnswers) { SessionRace(manager()).guesses(); }
TEST_P(SqliteSessions, ManySessionsThatGuessGetSoManyAnswers) { SessionRace(manager()).limit(); }
TEST_P(SqliteSessions, OfCorrectTriesAtOnceOneWins) { SessionRace(manager()).correct_tries(); }
TEST_P(SqliteSessions, GuessesAndCorrectTriesAtOnce) {
  SessionRace(manager()).guesses_and_correct_tries();
}
TEST_P(SqliteSessions, ANewCodeEndsTheOldOne) { SessionRace(manager()).new_code(); }
TEST_P(SqliteSessions, OfManyPagesOneShowsEachMessage) { SessionRace(manager()).flash_takers(); }
TEST_P(SqliteSessions, NoMessageIsLost) { SessionRace(manager()).flash_adders_and_takers(); }
TEST_P(SqliteSessions, FirstTokensAtOnceAreAllValid) { SessionRace(manager()).csrf_first_tokens(); }

TEST_P(SqliteSessions, NobodyIsLoggedOutByARollout) { rollout().nobody_is_logged_out(); }
TEST_P(SqliteSessions, NoUpdateIsLostInARollout) { rollout().no_update_is_lost(); }
TEST_P(SqliteSessions, AnErasedSessionStaysGoneInARollout) {
  rollout().an_erased_session_stays_gone();
}
TEST_P(SqliteSessions, ARegeneratedSessionHasOneWritableIdInARollout) {
  rollout().a_regenerated_session_has_one_writable_id();
}
TEST_P(SqliteSessions, ARegenerationKeepsWhatOthersWroteInARollout) {
  rollout().a_regeneration_keeps_what_others_wrote();
}

TEST_P(SqliteSessions, ASignInEndsTooOrCameLater) { races().sign_in_against_sign_out(); }
TEST_P(SqliteSessions, ARegenerateIsNoWayOut) { races().regenerate_against_sign_out(); }
TEST_P(SqliteSessions, NorIsOneWithoutGrace) { races().regenerate_keeps_nothing_alive(); }
TEST_P(SqliteSessions, OneThatAlwaysMovesEnds) { races().one_that_always_moves_ends(); }
TEST_P(SqliteSessions, AListMissesNoneThatMoves) { races().a_list_misses_none_that_moves(); }
TEST_P(SqliteSessions, AWriteDoesNotResurrect) { races().a_write_does_not_resurrect(); }
TEST_P(SqliteSessions, TheKeptOneSurvives) { races().the_kept_one_survives(); }
TEST_P(SqliteSessions, TheLimitMissesNoneThatMoves) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    SignInRaces(store(), limited(1, policy)).the_limit_misses_none_that_moves();
  }
}
TEST_P(SqliteSessions, TheLimitHolds) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    for (const std::size_t most : {1U, 3U}) {
      SignInRaces(store(), limited(most, policy)).limit_at_once(8);
    }
  }
}
TEST_P(SqliteSessions, SignInsAtRandom) {
  SessionOptions with;  // under the machine's clock, which goes on
  with.regenerate_grace = milliseconds(5);
  std::shared_ptr<SessionStore> store = file.open(SqliteFile::options());
  if (GetParam()) store = on_a_loop(std::move(store));
  SignInRaces(std::move(store), with).at_random(8, 10);
}

TEST_P(SqliteSessions, LateRequestsDoNoHarm) { expect_late_requests_do_no_harm(manager()); }
TEST_P(SqliteSessions, NorDoTheyEncrypted) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  encryption.countable = {"n"};
  expect_late_requests_do_no_harm(
      manager(EncryptedStore::make(store(), encryption).value(), options()));
}

}  // namespace
}  // namespace websession::testing
