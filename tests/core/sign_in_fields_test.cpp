// What becomes of tokens, messages and codes when somebody signs in or out.
#include <gtest/gtest.h>

#include "websession/testing/manual_clock.hpp"
#include "websession/websession.hpp"

namespace websession::testing {
namespace {

class SignInFields : public ::testing::Test {
 protected:
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>(clock);
  SessionManager manager = make();

  SessionManager make() {
    SessionOptions options;
    options.clock = clock;
    return SessionManager::make(store, options).value();
  }
  // Commits, and gives the session of the next request.
  Session next(Session session) {
    EXPECT_TRUE(manager.commit(session));
    return *manager.find(*session.id()).value();
  }
  Session visitor() {
    Session session = manager.open({}).value();
    session.set("cart", 1);
    return next(std::move(session));
  }
};

// The attack: a token that was had before the sign-in is used after it.
TEST_F(SignInFields, TokensFromBeforeAreNotValid) {
  Session session = visitor();
  const std::string before = csrf_token(session).value();
  session = next(std::move(session));
  ASSERT_TRUE(csrf_valid(session, before));
  session.sign_in("ada");
  EXPECT_FALSE(csrf_valid(session, before));
  const std::string during = csrf_token(session).value();
  session = next(std::move(session));
  EXPECT_FALSE(csrf_valid(session, before));
  EXPECT_TRUE(csrf_valid(session, during)) << "for the page that greets";
  EXPECT_EQ(session.principal(), "ada");
}

TEST_F(SignInFields, TokensOfAPrincipalAreNotValidAfterSigningOut) {
  Session session = visitor();
  session.sign_in("ada");
  const std::string token = csrf_token(session).value();
  session = next(std::move(session));
  ASSERT_TRUE(csrf_valid(session, token));
  session.sign_out();
  session.set("farewell", "bye");
  session = next(std::move(session));
  EXPECT_FALSE(csrf_valid(session, token));
  EXPECT_EQ(session.principal(), std::nullopt);
}

TEST_F(SignInFields, AMessageSurvivesTheSignInThatItGreets) {
  Session session = visitor();
  session.sign_in("ada");
  add_flash(session, "notice", "Welcome.");
  session = next(std::move(session));
  EXPECT_EQ(take_flashes(session).value(), (std::vector<Flash>{{"notice", "Welcome."}}));
}

TEST_F(SignInFields, MessagesAreNotShownToAnother) {
  for (const bool out : {false, true}) {
    Session session = visitor();
    session.sign_in("ada");
    add_flash(session, "notice", "Ada's order is on its way.");
    session = next(std::move(session));
    if (out) {
      session.sign_out();
    } else {
      session.sign_in("eve");
    }
    add_flash(session, "notice", "Hello.");
    session = next(std::move(session));
    EXPECT_EQ(take_flashes(session).value(), (std::vector<Flash>{{"notice", "Hello."}}));
  }
}

TEST_F(SignInFields, CodesOfOneAreWorthNothingToAnother) {
  const OneTimeCodes codes =
      OneTimeCodes::make(KeyRing::make({std::string(32, 'k')}).value()).value();
  Session session = visitor();
  session.sign_in("ada");
  session = next(std::move(session));
  const std::string code = codes.issue(session, "change-email").value();
  session.sign_in("eve");
  session = next(std::move(session));
  EXPECT_EQ(codes.verify(session, "change-email", code).value().status, CodeCheck::Status::none);
}

TEST_F(SignInFields, SigningOutLeavesNothingBehind) {
  Session session = visitor();
  session.sign_in("ada");
  static_cast<void>(csrf_token(session).value());
  add_flash(session, "notice", "Hello.");
  session = next(std::move(session));
  session.sign_out();
  EXPECT_EQ(manager.commit(session).value().status, Commit::Status::erased);
  EXPECT_EQ(store->size(), 0U);
}

}  // namespace
}  // namespace websession::testing
