// What sessions promise when many requests meet, on a database: called directly and from a loop.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "aliases.hpp"
#include "id_rollout.hpp"
#include "late_requests.hpp"
#include "lifetimes.hpp"
#include "moves.hpp"
#include "session_races.hpp"
#include "sign_in_races.hpp"
#include "sql_backends.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/memory_store.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

class SqlSessions : public ::testing::TestWithParam<NamedSqlBackend> {
 protected:
  void SetUp() override {
    backend = GetParam().make();
    if (backend != nullptr) return;
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "the database is not installed, and under CI nothing is skipped";
    }
    GTEST_SKIP() << "the database is not installed";
  }
  std::shared_ptr<SessionStore> store() { return backend->open(clock); }
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

  std::unique_ptr<SqlBackend> backend;
  const std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
};

INSTANTIATE_TEST_SUITE_P(Called, SqlSessions, ::testing::ValuesIn(sql_backends()),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(SqlSessions, GuessesAtOnceGetFiveAnswers) { SessionRace(manager()).guesses(); }
TEST_P(SqlSessions, ManySessionsThatGuessGetSoManyAnswers) { SessionRace(manager()).limit(); }
TEST_P(SqlSessions, OfCorrectTriesAtOnceOneWins) { SessionRace(manager()).correct_tries(); }
TEST_P(SqlSessions, GuessesAndCorrectTriesAtOnce) {
  SessionRace(manager()).guesses_and_correct_tries();
}
TEST_P(SqlSessions, ANewCodeEndsTheOldOne) { SessionRace(manager()).new_code(); }
TEST_P(SqlSessions, OfManyPagesOneShowsEachMessage) { SessionRace(manager()).flash_takers(); }
TEST_P(SqlSessions, NoMessageIsLost) { SessionRace(manager()).flash_adders_and_takers(); }
TEST_P(SqlSessions, FirstTokensAtOnceAreAllValid) { SessionRace(manager()).csrf_first_tokens(); }

TEST_P(SqlSessions, NobodyIsLoggedOutByARollout) { rollout().nobody_is_logged_out(); }
TEST_P(SqlSessions, NoUpdateIsLostInARollout) { rollout().no_update_is_lost(); }
TEST_P(SqlSessions, AnErasedSessionStaysGoneInARollout) {
  rollout().an_erased_session_stays_gone();
}
TEST_P(SqlSessions, ARegeneratedSessionHasOneWritableIdInARollout) {
  rollout().a_regenerated_session_has_one_writable_id();
}
TEST_P(SqlSessions, ARegenerationKeepsWhatOthersWroteInARollout) {
  rollout().a_regeneration_keeps_what_others_wrote();
}

TEST_P(SqlSessions, ASignInEndsTooOrCameLater) { races().sign_in_against_sign_out(); }
TEST_P(SqlSessions, ARegenerateIsNoWayOut) { races().regenerate_against_sign_out(); }
TEST_P(SqlSessions, NorIsOneWithoutGrace) { races().regenerate_keeps_nothing_alive(); }
TEST_P(SqlSessions, OneThatAlwaysMovesEnds) { races().one_that_always_moves_ends(); }
TEST_P(SqlSessions, AListMissesNoneThatMoves) { races().a_list_misses_none_that_moves(); }
TEST_P(SqlSessions, AWriteDoesNotResurrect) { races().a_write_does_not_resurrect(); }
TEST_P(SqlSessions, TheKeptOneSurvives) { races().the_kept_one_survives(); }
TEST_P(SqlSessions, TheLimitMissesNoneThatMoves) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    SignInRaces(store(), limited(1, policy)).the_limit_misses_none_that_moves();
  }
}
TEST_P(SqlSessions, TheLimitHolds) {
  for (const TooManySessions policy : {TooManySessions::end_oldest, TooManySessions::refuse_new}) {
    for (const std::size_t most : {1U, 3U}) {
      SignInRaces(store(), limited(most, policy)).limit_at_once(8);
    }
  }
}
TEST_P(SqlSessions, SignInsAtRandom) {
  SessionOptions with;  // under the machine's clock, which goes on
  with.regenerate_grace = milliseconds(5);
  SignInRaces(backend->open(nullptr), with).at_random(8, 10);
}

TEST_P(SqlSessions, EndByAnotherName) { Aliases(store(), options()).all(); }
TEST_P(SqlSessions, HaveTimeoutsOfTheirOwn) { Lifetimes(store(), clock).all(); }

TEST_P(SqlSessions, MoveInAndOut) {
  const auto memory = std::make_shared<MemoryStore>(clock);
  Moves(memory, store(), options()).all();
  const auto another = GetParam().make();
  Moves(store(), another->open(clock), options()).all();
}

TEST_P(SqlSessions, LateRequestsDoNoHarm) { expect_late_requests_do_no_harm(manager()); }
TEST_P(SqlSessions, NorDoTheyEncrypted) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  encryption.countable = {"n"};
  expect_late_requests_do_no_harm(
      manager(EncryptedStore::make(store(), encryption).value(), options()));
}

}  // namespace
}  // namespace websession::testing
