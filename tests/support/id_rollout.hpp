// The way from plain to hashed keys, as tests of every store walk it: processes of neighbouring
// states take turns, and one of them acts between any two calls of another's request.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "requests.hpp"
#include "websession/session_manager.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {

// Passes every call on, and lets something else happen before the n-th one.
class InterruptedStore final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;

  // Before the n-th call from now on (from 1).
  void interrupt(std::size_t n, std::function<void()> deed) {
    calls_left_ = n;
    deed_ = std::move(deed);
  }

  Result<std::optional<Record>> load(const StoreKey& key) override { return next().load(key); }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return next().create(key, fields, lifetime);
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return next().update(key, changes, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return next().rekey(from, to, changes, lifetime, grace);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override { return next().erase(key, grace); }

 private:
  SessionStore& next() {
    if (calls_left_ > 0 && --calls_left_ == 0) deed_();
    return inner();
  }

  std::size_t calls_left_ = 0;
  std::function<void()> deed_;
};

class IdRollout {
 public:
  IdRollout(std::shared_ptr<SessionStore> store, std::shared_ptr<const Clock> clock)
      : store_(std::move(store)), clock_(std::move(clock)) {}

  // Two states that processes may be in at the same time, and the one in which the session was
  // made.
  struct States {
    IdStorage made_in;
    IdStorage one;
    IdStorage other;
  };
  static constexpr std::array all_states{
      States{IdStorage::plain, IdStorage::plain, IdStorage::plain_and_hashed},
      States{IdStorage::plain, IdStorage::plain_and_hashed, IdStorage::plain},
      States{IdStorage::plain, IdStorage::plain_and_hashed, IdStorage::plain_and_hashed},
      States{IdStorage::plain, IdStorage::plain_and_hashed, IdStorage::hashed},
      States{IdStorage::plain, IdStorage::hashed, IdStorage::plain_and_hashed},
      States{IdStorage::plain, IdStorage::hashed, IdStorage::hashed},
      States{IdStorage::hashed, IdStorage::plain_and_hashed, IdStorage::hashed},
      States{IdStorage::hashed, IdStorage::hashed, IdStorage::plain_and_hashed},
      States{IdStorage::hashed, IdStorage::hashed, IdStorage::hashed_only},
      States{IdStorage::hashed, IdStorage::hashed_only, IdStorage::hashed},
  };

  [[nodiscard]] SessionManager manager(IdStorage storage,
                                       std::shared_ptr<SessionStore> store = nullptr) const {
    SessionOptions options;
    options.clock = clock_;
    options.id_storage = storage;
    return SessionManager::make(store ? std::move(store) : store_, options).value();
  }
  // A stored session with a = 1 and n = 0; gives its Cookie header.
  [[nodiscard]] std::string stored(IdStorage storage) const {
    const SessionManager m = manager(storage);
    Session session = m.create({{"a", "1"}, {"n", "0"}}).value();
    return "sid=" + session.id()->secret();
  }
  static Session open(const SessionManager& manager, const std::string& cookie) {
    return manager.open({cookie, false}).value();
  }

  // The session of a visitor who comes to all processes in turn, while each state is deployed.
  void nobody_is_logged_out() const;
  // Whatever another process does between two calls of a request, for every such moment:
  void no_update_is_lost() const;
  void an_erased_session_stays_gone() const;
  void a_regenerated_session_has_one_writable_id() const;
  void a_regeneration_keeps_what_others_wrote() const;

 private:
  using Request = std::function<void(const SessionManager&)>;
  // Runs `request` in one state and `deed` in the other before its n-th call, for every n; `check`
  // follows. Each time with a new session, whose cookie `prepare` takes.
  struct Play {
    std::function<void(const std::string& cookie)> prepare;
    Request request;
    Request deed;
    std::function<void(const SessionManager& one, const SessionManager& other)> check;
  };
  void act_at_every_moment(const Play& play) const;

  std::shared_ptr<SessionStore> store_;
  std::shared_ptr<const Clock> clock_;
};

inline void IdRollout::act_at_every_moment(const Play& play) const {
  constexpr std::size_t calls_max = 8;
  for (const States& states : all_states) {
    bool acted = true;
    std::size_t n = 1;
    for (; acted; ++n) {
      SCOPED_TRACE("made in state " + std::to_string(static_cast<int>(states.made_in)) +
                   ", request in state " + std::to_string(static_cast<int>(states.one)) +
                   ", the other in state " + std::to_string(static_cast<int>(states.other)) +
                   " acts before call " + std::to_string(n));
      ASSERT_LE(n, calls_max);
      const auto interrupted = std::make_shared<InterruptedStore>(store_);
      const SessionManager one = manager(states.one, interrupted);
      const SessionManager other = manager(states.other);
      play.prepare(stored(states.made_in));
      acted = false;
      const auto act = [&] {
        acted = true;
        play.deed(other);
      };
      interrupted->interrupt(n, act);
      play.request(one);
      interrupted->interrupt(0, nullptr);
      if (!acted) play.deed(other);  // after the request, at last
      play.check(one, other);
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(n, 3U) << "a request has two calls at least";
  }
}

inline void IdRollout::nobody_is_logged_out() const {
  const std::string cookie = stored(IdStorage::plain);
  int visits = 0;
  for (const States& states : all_states) {
    for (const IdStorage storage : {states.one, states.other, states.one}) {
      const SessionManager m = manager(storage);
      Session session = open(m, cookie);
      ASSERT_FALSE(session.is_new()) << "in state " << static_cast<int>(storage);
      ++visits;
      EXPECT_EQ(session.increment("n").value(), visits);
      session.set("visit" + std::to_string(visits), visits);
      const Commit commit = m.commit(session).value();
      EXPECT_EQ(commit.status, Commit::Status::updated);
      EXPECT_FALSE(testing::sends_cookie(commit)) << "the id stays the same";
    }
    // What is made while this state is new lives on in the next one.
    const std::string fresh = stored(states.one);
    EXPECT_FALSE(open(manager(states.other), fresh).is_new());
  }
  const Session last = open(manager(IdStorage::hashed_only), cookie);
  for (int i = 1; i <= visits; ++i) EXPECT_EQ(last.value("visit" + std::to_string(i), 0), i);
}

inline void IdRollout::no_update_is_lost() const {
  std::string cookie;
  const auto write = [&cookie](const SessionManager& m, const std::string& name) {
    Session session = open(m, cookie);
    ASSERT_FALSE(session.is_new()) << "logged out";
    EXPECT_TRUE(session.increment("n"));
    session.set(name, 1);
    EXPECT_EQ(m.commit(session).value().status, Commit::Status::updated);
  };
  act_at_every_moment({[&](const std::string& made) { cookie = made; },
                       [&](const SessionManager& m) { write(m, "x"); },
                       [&](const SessionManager& m) { write(m, "y"); },
                       [&](const SessionManager& one, const SessionManager& other) {
                         for (const SessionManager& m : {one, other}) {
                           const Session session = open(m, cookie);
                           EXPECT_EQ(session.value("a", 0), 1);
                           EXPECT_EQ(session.value("x", 0), 1);
                           EXPECT_EQ(session.value("y", 0), 1);
                           EXPECT_EQ(session.value("n", 0), 2);
                         }
                       }});
}

// P1
inline void IdRollout::an_erased_session_stays_gone() const {
  std::string cookie;
  act_at_every_moment({[&](const std::string& made) { cookie = made; },
                       [&](const SessionManager& m) {
                         Session session = open(m, cookie);
                         const bool known = !session.is_new();
                         session.set("x", 1);
                         const Commit::Status status = m.commit(session).value().status;
                         if (known) {
                           EXPECT_TRUE(status == Commit::Status::gone ||
                                       status == Commit::Status::updated);
                         }
                       },
                       [&](const SessionManager& m) {
                         Session session = open(m, cookie);
                         ASSERT_FALSE(session.is_new()) << "logged out";
                         session.invalidate();
                         EXPECT_EQ(m.commit(session).value().status, Commit::Status::erased);
                       },
                       [&](const SessionManager& one, const SessionManager& other) {
                         const SessionId id = SessionId::parse(cookie.substr(4)).value();
                         for (const SessionManager& m : {one, other}) {
                           EXPECT_TRUE(open(m, cookie).is_new());
                           EXPECT_FALSE(m.erase(id).value());
                         }
                       }});
}

// P10
inline void IdRollout::a_regenerated_session_has_one_writable_id() const {
  std::string cookie;
  std::string new_cookie;
  bool written = false;
  act_at_every_moment(
      {[&](const std::string& made) { cookie = made; },
       [&](const SessionManager& m) {
         Session session = open(m, cookie);
         ASSERT_FALSE(session.is_new()) << "within the grace";
         session.set("x", 1);
         const Commit::Status status = m.commit(session).value().status;
         written = status == Commit::Status::updated;
         EXPECT_TRUE(written || status == Commit::Status::gone);
       },
       [&](const SessionManager& m) {
         Session session = open(m, cookie);
         session.regenerate();
         session.set("role", "admin");
         EXPECT_EQ(m.commit(session).value().status, Commit::Status::regenerated);
         new_cookie = "sid=" + session.id()->secret();
       },
       [&](const SessionManager& one, const SessionManager& other) {
         for (const SessionManager& m : {one, other}) {
           const Session session = open(m, new_cookie);
           EXPECT_EQ(session.value("a", 0), 1);
           EXPECT_EQ(session.value("role", ""), "admin");
           EXPECT_EQ(session.contains("x"), written) << "what was acknowledged is there";
           Session old = open(m, cookie);
           EXPECT_EQ(old.value("a", 0), 1) << "within the grace";
           EXPECT_FALSE(old.contains("role"));
           old.set("x", 2);
           EXPECT_EQ(m.commit(old).value().status, Commit::Status::gone);
         }
         // Ending the old id ends the session.
         EXPECT_TRUE(other.erase(SessionId::parse(cookie.substr(4)).value()).value());
         EXPECT_TRUE(open(one, new_cookie).is_new());
         EXPECT_TRUE(open(one, cookie).is_new());
       }});
}

inline void IdRollout::a_regeneration_keeps_what_others_wrote() const {
  std::string cookie;
  std::string new_cookie;
  bool written = false;
  act_at_every_moment({[&](const std::string& made) { cookie = made; },
                       [&](const SessionManager& m) {
                         Session session = open(m, cookie);
                         ASSERT_FALSE(session.is_new()) << "logged out";
                         session.regenerate();
                         session.set("x", 1);
                         EXPECT_EQ(m.commit(session).value().status, Commit::Status::regenerated);
                         new_cookie = "sid=" + session.id()->secret();
                       },
                       [&](const SessionManager& m) {
                         Session session = open(m, cookie);
                         ASSERT_FALSE(session.is_new()) << "within the grace";
                         session.set("y", 1);
                         const Commit::Status status = m.commit(session).value().status;
                         written = status == Commit::Status::updated;
                         EXPECT_TRUE(written || status == Commit::Status::gone);
                       },
                       [&](const SessionManager& one, const SessionManager& other) {
                         for (const SessionManager& m : {one, other}) {
                           const Session session = open(m, new_cookie);
                           EXPECT_EQ(session.value("x", 0), 1);
                           EXPECT_EQ(session.contains("y"), written);
                         }
                       }});
}

}  // namespace websession::testing
