// What the store's keys hold of the ids, and the way from one such state to the next.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "faulty_memory.hpp"
#include "id_rollout.hpp"
#include "requests.hpp"
#include "session_keys.hpp"

namespace websession::testing {
namespace {

using internal::key_of;
using internal::KeyForm;
using std::chrono::minutes;
using std::chrono::seconds;
using Status = Commit::Status;

constexpr std::array all_storages{IdStorage::plain, IdStorage::plain_and_hashed, IdStorage::hashed,
                                  IdStorage::hashed_only};

class IdStorageTest : public ::testing::Test, protected FaultyMemory {
 protected:
  IdRollout rollout{store, clock};

  static SessionId id_of(const std::string& cookie) {
    return SessionId::parse(cookie.substr(4)).value();
  }
  // The store's calls that `deed` makes.
  template <class Deed>
  std::size_t calls(const Deed& deed) {
    const std::size_t before = store->calls();
    deed();
    return store->calls() - before;
  }
  [[nodiscard]] bool is_under(KeyForm form, const std::string& cookie) const {
    return memory->load(key_of(id_of(cookie), form)).value().has_value();
  }
};

// Computed with openssl and basenc, as docs/redis-layout.md tells.
TEST_F(IdStorageTest, AHashedKeyIsTheIdsSha256) {
  const SessionId id = SessionId::parse("abcdefghijklmnopqrstuvwxyz012345").value();
  EXPECT_EQ(key_of(id, KeyForm::plain).secret(), id.secret());
  EXPECT_EQ(key_of(id, KeyForm::hashed).secret(), "2:ZTuxJF6Cj82k-lP81aPe9b12VOZR9UtBMrc9dOZENcQ");
}

TEST_F(IdStorageTest, NewSessionsGetTheKeyOfTheirState) {
  for (const IdStorage storage : all_storages) {
    const bool hashed = storage == IdStorage::hashed || storage == IdStorage::hashed_only;
    const SessionManager m = rollout.manager(storage);
    const std::string cookie = rollout.stored(storage);
    EXPECT_EQ(is_under(KeyForm::hashed, cookie), hashed);
    EXPECT_EQ(is_under(KeyForm::plain, cookie), !hashed);

    Session session = open_session(m, cookie);
    session.regenerate();
    ASSERT_EQ(m.commit(session).value().status, Status::regenerated);
    const std::string moved = "sid=" + session.id()->secret();
    EXPECT_EQ(is_under(KeyForm::hashed, moved), hashed);
    EXPECT_EQ(is_under(KeyForm::plain, moved), !hashed);
    EXPECT_EQ(session.increment("n").value(), 1) << "the session knows its new key";
    EXPECT_EQ(open_session(m, moved).value("n", 0), 1);
  }
}

// P6
TEST_F(IdStorageTest, InAStateThatIsReachedARequestCostsNoMore) {
  for (const IdStorage storage : all_storages) {
    const SessionManager m = rollout.manager(storage);
    const std::string cookie = rollout.stored(storage);
    std::optional<Session> session;
    EXPECT_EQ(calls([&] { session = open_session(m, cookie); }), 1U);
    EXPECT_EQ(calls([&] { EXPECT_TRUE(session->increment("n")); }), 1U);
    session->set("x", 1);
    EXPECT_EQ(calls([&] { EXPECT_TRUE(m.commit(*session)); }), 1U);
    session->regenerate();
    EXPECT_EQ(calls([&] { EXPECT_TRUE(m.commit(*session)); }), 1U);
    session->invalidate();
    EXPECT_EQ(calls([&] { EXPECT_TRUE(m.commit(*session)); }), 1U);
    const std::string unknown = "sid=" + std::string(32, 'u');
    const std::size_t lookups = calls([&] { EXPECT_TRUE(open_session(m, unknown).is_new()); });
    EXPECT_EQ(lookups, storage == IdStorage::plain_and_hashed ? 2U
                       : storage == IdStorage::hashed         ? 3U
                                                              : 1U);
    EXPECT_EQ(calls([&] { EXPECT_TRUE(open_session(m, "sid=malformed").is_new()); }), 0U);
  }
}

TEST_F(IdStorageTest, ASessionMovesOnceWhenItIsLoaded) {
  const std::string cookie = rollout.stored(IdStorage::plain);
  const SessionManager m = rollout.manager(IdStorage::hashed);
  clock->advance(minutes(1));
  std::optional<Session> session;
  EXPECT_EQ(calls([&] { session = open_session(m, cookie); }), 3U) << "hashed, plain, move";
  EXPECT_TRUE(is_under(KeyForm::hashed, cookie));
  EXPECT_FALSE(is_under(KeyForm::plain, cookie)) << "no grace";
  EXPECT_EQ(memory->size(), 1U);
  const auto record = memory->load(key_of(id_of(cookie), KeyForm::hashed)).value().value();
  EXPECT_EQ(record.remaining, minutes(29)) << "moving renews nothing";
  EXPECT_EQ(calls([&] { EXPECT_EQ(m.commit(*session).value().status, Status::unchanged); }), 0U);
  session->set("x", 1);
  EXPECT_EQ(calls([&] { EXPECT_EQ(m.commit(*session).value().status, Status::updated); }), 1U);
  EXPECT_EQ(calls([&] { session = open_session(m, cookie); }), 1U);
  EXPECT_EQ(session->value("a", 0), 1);
  EXPECT_EQ(session->value("x", 0), 1);
}

// P9: a store that can only be read keeps everybody signed in.
TEST_F(IdStorageTest, AMoveThatFailsIsTriedAgain) {
  for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
    const std::string cookie = rollout.stored(IdStorage::plain);
    const SessionManager m = rollout.manager(IdStorage::hashed);
    store->fail_call(3, make_error(Errc::rejected, "read only"), moment);
    Session session = open_session(m, cookie);
    EXPECT_FALSE(session.is_new());
    session.set("x", 1);
    EXPECT_EQ(m.commit(session).value().status, Status::updated);
    EXPECT_EQ(open_session(m, cookie).value("x", 0), 1);
    EXPECT_TRUE(is_under(KeyForm::hashed, cookie));
  }
}

// P8: whichever call of whatever request fails, repeating it brings all changes about.
TEST_F(IdStorageTest, AFailedRequestCanBeRepeated) {
  for (const IdRollout::States& states : IdRollout::all_states) {
    for (const auto moment : {FaultStore::Moment::before, FaultStore::Moment::after}) {
      for (std::size_t n = 1; n <= 5; ++n) {
        const std::string cookie = rollout.stored(states.made_in);
        const SessionManager m = rollout.manager(states.one);
        store->fail_call(n, make_error(Errc::timeout, "lost"), moment);
        Result<Session> session = m.open({cookie, false});
        if (!session) session = m.open({cookie, false});
        ASSERT_TRUE(session);
        ASSERT_FALSE(session->is_new());
        // Another process moves the session away meanwhile.
        ASSERT_FALSE(open_session(rollout.manager(states.other, memory), cookie).is_new());
        session->set("x", 1);
        session->regenerate();
        Result<Commit> commit = m.commit(*session);
        if (!commit) commit = m.commit(*session);
        ASSERT_TRUE(commit) << commit.error().message();
        EXPECT_EQ(commit->status, Status::regenerated);
        store->recover();
        const Session after = open_session(m, "sid=" + session->id()->secret());
        EXPECT_EQ(after.value("a", 0), 1);
        EXPECT_EQ(after.value("x", 0), 1);
        EXPECT_TRUE(m.erase(*session->id()).value());
      }
    }
  }
}

TEST_F(IdStorageTest, EraseEndsASessionWhicheverKeyItHas) {
  for (const IdRollout::States& states : IdRollout::all_states) {
    const std::string cookie = rollout.stored(states.made_in);
    const SessionManager m = rollout.manager(states.one);
    EXPECT_TRUE(m.erase(id_of(cookie)).value());
    EXPECT_FALSE(m.erase(id_of(cookie)).value());
    EXPECT_EQ(memory->size(), 0U);
  }
}

TEST_F(IdStorageTest, RegeneratingAPlainSessionGoesStraightToTheNewIdsHashedKey) {
  const std::string cookie = rollout.stored(IdStorage::plain);
  const SessionManager m = rollout.manager(IdStorage::hashed);
  store->fail_call(3, make_error(Errc::rejected, "the move"));
  Session session = open_session(m, cookie);
  ASSERT_TRUE(is_under(KeyForm::plain, cookie));
  session.regenerate();
  EXPECT_EQ(calls([&] { EXPECT_EQ(m.commit(session).value().status, Status::regenerated); }), 1U);
  const std::string moved = "sid=" + session.id()->secret();
  EXPECT_TRUE(is_under(KeyForm::hashed, moved));
  EXPECT_FALSE(is_under(KeyForm::plain, moved));
  Session frozen = open_session(m, cookie);
  EXPECT_EQ(frozen.value("a", 0), 1);
  EXPECT_TRUE(is_under(KeyForm::plain, cookie)) << "a frozen record stays where it is";
  clock->advance(seconds(11));
  EXPECT_TRUE(open_session(m, cookie).is_new()) << "after the grace";
  EXPECT_FALSE(open_session(m, moved).is_new());
}

// The frozen record of the old id leads to the plain key of the new one.
TEST_F(IdStorageTest, ASessionMovesOnlyAfterTheGraceOfItsOldId) {
  const std::string old_cookie = rollout.stored(IdStorage::plain);
  const SessionManager before = rollout.manager(IdStorage::plain_and_hashed);
  Session session = open_session(before, old_cookie);
  session.regenerate();
  ASSERT_EQ(before.commit(session).value().status, Status::regenerated);
  const std::string cookie = "sid=" + session.id()->secret();
  EXPECT_EQ(session.names(), (std::vector<std::string>{"a", "n"}));

  const SessionManager m = rollout.manager(IdStorage::hashed);
  session = open_session(m, cookie);
  EXPECT_EQ(session.names(), (std::vector<std::string>{"a", "n"}));
  session.clear();
  session.set("b", 1);
  ASSERT_EQ(m.commit(session).value().status, Status::updated);
  EXPECT_TRUE(is_under(KeyForm::plain, cookie));
  EXPECT_EQ(open_session(m, old_cookie).value("a", 0), 1);
  clock->advance(seconds(11));
  EXPECT_TRUE(open_session(m, old_cookie).is_new()) << "after the grace";

  clock->advance(minutes(1));
  EXPECT_EQ(open_session(m, cookie).value("b", 0), 1);
  EXPECT_TRUE(is_under(KeyForm::hashed, cookie));
  const auto record = memory->load(key_of(id_of(cookie), KeyForm::hashed)).value().value();
  EXPECT_EQ(record.fields.size(), 2U) << "@created and b";
}

// The attack: the hashes of a leaked dump are presented as cookies.
TEST_F(IdStorageTest, HashAsCookie) {
  for (const IdStorage made_in : all_storages) {
    const std::string cookie = rollout.stored(made_in);
    const std::string hashed_key = key_of(id_of(cookie), KeyForm::hashed).secret();
    const std::string hash = hashed_key.substr(2);
    for (const IdStorage storage : all_storages) {
      SessionOptions options;
      options.clock = clock;
      options.id_storage = storage;
      options.id_format = {16, 256, "!#$%&'()*+./<=>?@[]^`{|}~"};  // all that is allowed
      const SessionManager m = SessionManager::make(store, options).value();
      // Even with the key of Express: its format can bring any byte.
      options.signing = {KeyRing::make({"keyboard cat"}, 1).value(), CookieFormat::express};
      const SessionManager with_express = SessionManager::make(store, options).value();
      const CookieSigner signer =
          CookieSigner::make("sid", options.signing, options.id_format).value();
      for (const std::string& text :
           {hash, hashed_key, "sid_" + hashed_key, "2%3A" + hash, "2%3a" + hash, "2." + hash}) {
        EXPECT_TRUE(open_session(m, "sid=" + text).is_new()) << text;
        EXPECT_TRUE(open_session(with_express, "sid=" + text).is_new()) << text;
        if (const auto id = SessionId::parse(text, options.id_format)) {
          EXPECT_TRUE(open_session(with_express, "sid=" + signer.sign(*id)).is_new()) << text;
        }
      }
      EXPECT_FALSE(SessionId::parse(hashed_key, options.id_format));
    }
  }
}

TEST_F(IdStorageTest, NobodyIsLoggedOutByARollout) { rollout.nobody_is_logged_out(); }
TEST_F(IdStorageTest, NoUpdateIsLostInARollout) { rollout.no_update_is_lost(); }
TEST_F(IdStorageTest, AnErasedSessionStaysGoneInARollout) {
  rollout.an_erased_session_stays_gone();
}
TEST_F(IdStorageTest, ARegeneratedSessionHasOneWritableIdInARollout) {
  rollout.a_regenerated_session_has_one_writable_id();
}
TEST_F(IdStorageTest, ARegenerationKeepsWhatOthersWroteInARollout) {
  rollout.a_regeneration_keeps_what_others_wrote();
}

TEST_F(IdStorageTest, ARolloutCanGoBack) {
  const std::string cookie = rollout.stored(IdStorage::hashed);
  const SessionManager m = rollout.manager(IdStorage::plain_and_hashed);
  Session session = open_session(m, cookie);
  EXPECT_EQ(session.value("a", 0), 1);
  session.regenerate();
  ASSERT_EQ(m.commit(session).value().status, Status::regenerated);
  EXPECT_FALSE(
      open_session(rollout.manager(IdStorage::plain), "sid=" + session.id()->secret()).is_new());
}

// Threads of two states use one session while it moves: every count and every attribute is there.
TEST_F(IdStorageTest, ManyThreadsCountTogetherWhileSessionsMove) {
  constexpr int sessions = 20;
  constexpr int thread_count = 8;
  std::vector<std::string> cookies;
  for (int i = 0; i < sessions; ++i) cookies.push_back(rollout.stored(IdStorage::plain));
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t) {
    threads.emplace_back([&, t] {
      const SessionManager m =
          rollout.manager(t % 2 == 0 ? IdStorage::plain_and_hashed : IdStorage::hashed);
      for (const std::string& cookie : cookies) {
        Session session = open_session(m, cookie);
        EXPECT_FALSE(session.is_new());
        EXPECT_TRUE(session.increment("n"));
        session.set("thread" + std::to_string(t), t);
        EXPECT_EQ(m.commit(session).value().status, Status::updated);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const SessionManager last = rollout.manager(IdStorage::hashed_only);
  for (const std::string& cookie : cookies) {
    const Session session = open_session(last, cookie);
    EXPECT_EQ(session.value("n", 0), thread_count);
    for (int t = 0; t < thread_count; ++t) {
      EXPECT_EQ(session.value("thread" + std::to_string(t), -1), t);
    }
  }
}

// Two applications on one store

class IdNamespace : public IdStorageTest {
 protected:
  [[nodiscard]] SessionManager application(const std::string& id_namespace,
                                           IdStorage storage = IdStorage::hashed_only) const {
    SessionOptions options;
    options.clock = clock;
    options.id_storage = storage;
    options.id_namespace = id_namespace;
    return SessionManager::make(store, options).value();
  }
};

// Computed with openssl and basenc.
TEST_F(IdNamespace, IsPartOfWhatIsHashed) {
  const SessionId id = SessionId::parse("abcdefghijklmnopqrstuvwxyz012345").value();
  EXPECT_EQ(key_of(id, KeyForm::hashed, "shop").secret(),
            "2:HiWC7aQViIcaV95Mh58nrOt4SquJ-1uoKWtcljTV2ng");
  EXPECT_EQ(key_of(id, KeyForm::plain, "shop").secret(), id.secret());
}

// Without one, who shares a prefix shares the sessions.
TEST_F(IdNamespace, AnIdOfOneApplicationOpensNothingAtTheOther) {
  for (const auto& [one, other] : {std::pair("shop", "forum"), {"shop", ""}, {"a", "a:b"}}) {
    const SessionId id = store_session(application(one));
    EXPECT_TRUE(application(one).find(id).value().has_value());
    EXPECT_FALSE(application(other).find(id).value().has_value());
    EXPECT_FALSE(application(other).erase(id).value());
    EXPECT_TRUE(open_session(application(other), "sid=" + id.secret()).is_new());
    EXPECT_TRUE(application(one).erase(id).value());
  }
}

TEST_F(IdNamespace, APrincipalsOwnSessionIsRecognised) {
  const SessionManager shop = application("shop");
  Session session = shop.open({}).value();
  session.sign_in("ada");
  ASSERT_TRUE(shop.commit(session));
  Session other = shop.open({}).value();
  other.sign_in("ada");
  ASSERT_TRUE(shop.commit(other));
  int current = 0;
  for (const SessionInfo& info : shop.sessions_of("ada", &session).value()) {
    current += info.is_current ? 1 : 0;
  }
  EXPECT_EQ(current, 1);
  EXPECT_EQ(shop.sign_out_everywhere("ada", &session).value(), 1U);
  EXPECT_TRUE(shop.find(*session.id()).value().has_value());
}

TEST_F(IdNamespace, ComesWithTheHashesWithoutLoggingAnyoneOut) {
  const SessionManager before = application("", IdStorage::plain);
  const SessionId id = store_session(before);
  for (const IdStorage storage :
       {IdStorage::plain_and_hashed, IdStorage::hashed, IdStorage::hashed_only}) {
    EXPECT_TRUE(application("shop", storage).find(id).value().has_value());
  }
  EXPECT_FALSE(application("", IdStorage::hashed_only).find(id).value().has_value());
}

TEST_F(IdNamespace, IsRefusedWhereItWouldPartNothing) {
  SessionOptions options;
  options.id_namespace = "shop";
  const auto made = SessionManager::make(store, options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::invalid_argument);
  EXPECT_TRUE(made.error().detail.starts_with("id_namespace: ")) << made.error().detail;
}

}  // namespace
}  // namespace websession::testing
