// Signed cookies as a request sees them: attacks on them, and the rotation of keys.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "requests.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

const std::string newer(32, 'n');
const std::string older(32, 'o');

class SignedSession : public ::testing::TestWithParam<CookieFormat>, protected FaultyMemory {
 protected:
  [[nodiscard]] SessionOptions options(const std::vector<std::string>& secrets) const {
    SessionOptions options;
    options.clock = clock;
    options.signing.format = GetParam();
    if (!secrets.empty()) options.signing.keys = KeyRing::make(secrets).value();
    return options;
  }
  [[nodiscard]] SessionManager manager(const std::vector<std::string>& secrets) const {
    return SessionManager::make(store, options(secrets)).value();
  }
  // A stored session with a = 1; gives its Cookie header.
  static std::string stored(const SessionManager& with, std::string* id = nullptr) {
    Session session = open_session(with, "");
    session.set("a", 1);
    const Commit commit = with.commit(session).value();
    EXPECT_EQ(commit.status, Status::created);
    if (id != nullptr) *id = session.id()->secret();
    return cookie_of(commit);
  }
  void expect_refused(const SessionManager& with, const std::string& cookie) {
    const std::size_t before = store->calls();
    EXPECT_TRUE(open_session(with, cookie).is_new()) << cookie;
    EXPECT_EQ(store->calls(), before) << "reached the store: " << cookie;
  }
};

INSTANTIATE_TEST_SUITE_P(Both, SignedSession,
                         ::testing::Values(CookieFormat::websession, CookieFormat::express),
                         [](const auto& format) {
                           return format.param == CookieFormat::express ? "express" : "ours";
                         });

TEST_P(SignedSession, WorksAsOneWithoutSignature) {
  const SessionManager m = manager({newer});
  std::string id;
  const std::string cookie = stored(m, &id);
  EXPECT_NE(cookie, "sid=" + id);
  Session session = open_session(m, cookie);
  EXPECT_EQ(session.value("a", 0), 1);
  EXPECT_EQ(session.id()->secret(), id) << "the id itself stays as it is";
  session.regenerate();
  const Commit moved = m.commit(session).value();
  EXPECT_EQ(moved.status, Status::regenerated);
  Session again = open_session(m, cookie_of(moved));
  EXPECT_EQ(again.value("a", 0), 1);
  again.invalidate();
  EXPECT_TRUE(m.commit(again).value().headers.at(0).value.starts_with("sid=; "));
  EXPECT_TRUE(open_session(m, cookie_of(moved)).is_new());
}

// The attack: an id that was read somewhere (a log, a dump) is sent as a cookie.
TEST_P(SignedSession, AnUnsignedIdNeverReachesTheStore) {
  const SessionManager m = manager({newer});
  std::string id;
  stored(m, &id);
  expect_refused(m, "sid=" + id);
  expect_refused(m, "sid=" + id + ".");
  expect_refused(m, "sid=s%3A" + id);
  expect_refused(m, "sid=");
  expect_refused(m, "sid=" + std::string(10'000, 'a'));
}

TEST_P(SignedSession, ASignatureByAnUnknownKeyNeverReachesTheStore) {
  const SessionManager m = manager({newer});
  expect_refused(m, stored(manager({older})));
}

TEST_P(SignedSession, ATruncatedSignatureNeverReachesTheStore) {
  const SessionManager m = manager({newer});
  const std::string cookie = stored(m);
  for (std::size_t size = 4; size < cookie.size(); ++size) {
    expect_refused(m, cookie.substr(0, size));
  }
  EXPECT_FALSE(open_session(m, cookie).is_new());
}

// P4: a signature says who made an id, not that there is such a session.
TEST_P(SignedSession, ASignedIdThatTheStoreDoesNotKnowIsNeverTakenUp) {
  const SessionManager m = manager({newer});
  std::string id;
  const std::string cookie = stored(m, &id);
  ASSERT_TRUE(memory->erase(StoreKey(SessionId::parse(id).value())).value());
  Session session = open_session(m, cookie);
  EXPECT_TRUE(session.is_new());
  session.set("a", 2);
  EXPECT_EQ(m.commit(session).value().status, Status::created);
  EXPECT_NE(session.id()->secret(), id);
  EXPECT_TRUE(open_session(m, cookie).is_new());
}

// The attack: a subdomain plants a second cookie of the same name before ours.
TEST_P(SignedSession, APlantedCookieDoesNotHideTheSignedOne) {
  const SessionManager m = manager({newer});
  std::string id;
  const std::string cookie = stored(m, &id);
  std::string planted;
  for (int i = 0; i < 15; ++i) planted += "sid=" + std::string(32, 'f') + "; ";
  const std::size_t before = store->calls();
  EXPECT_EQ(open_session(m, planted + cookie).id()->secret(), id);
  EXPECT_EQ(store->calls() - before, 1U);
}

TEST_P(SignedSession, KeysRotateWithoutLoggingAnyoneOut) {
  const std::string old_cookie = stored(manager({older}));
  SessionOptions both = options({newer, older});
  const SessionManager rotating = SessionManager::make(store, both).value();
  Session session = open_session(rotating, old_cookie);
  EXPECT_EQ(session.value("a", 0), 1);
  session.set("b", 1);
  EXPECT_FALSE(testing::sends_cookie(rotating.commit(session).value()))
      << "no cookie only for that";

  // Whatever sends the cookie anyway signs it with the newest key.
  both.cookie.rolling = true;
  const SessionManager rolling = SessionManager::make(store, both).value();
  session = open_session(rolling, old_cookie);
  session.set("b", 2);
  const std::string new_cookie = cookie_of(rolling.commit(session).value());
  EXPECT_NE(new_cookie, old_cookie);

  const SessionManager rotated = manager({newer});
  EXPECT_EQ(open_session(rotated, new_cookie).value("b", 0), 2);
  expect_refused(rotated, old_cookie);
}

TEST_P(SignedSession, SwitchingItOnTakesNoUnsignedCookieAnyMore) {
  const std::string plain = stored(manager({}));
  EXPECT_FALSE(open_session(manager({}), plain).is_new());
  expect_refused(manager({newer}), plain);
}

TEST_P(SignedSession, ALongCookieNameIsRefused) {
  SessionOptions wrong = options({newer});
  wrong.cookie.name = std::string(3'800, 'n');
  wrong.id_format.length_max = 256;
  const auto made = SessionManager::make(store, wrong);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::invalid_argument);
  EXPECT_TRUE(made.error().detail.starts_with("cookie.name")) << made.error().detail;
}

}  // namespace
}  // namespace websession::testing
