// What one session may have of its own: timeouts, a recent authentication, requests that do not
// renew it, an id without a cookie. For any store.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "requests.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {

class Lifetimes {
 public:
  using Ms = std::chrono::milliseconds;

  // The store may count time by itself: the clock moves by no more than what is asked of dates.
  Lifetimes(std::shared_ptr<SessionStore> store, std::shared_ptr<ManualClock> clock,
            SessionOptions options = {})
      : store_(std::move(store)), clock_(std::move(clock)), options_(std::move(options)) {
    options_.clock = clock_;
    options_.idle_timeout_max = std::chrono::hours(24 * 30);
    options_.absolute_timeout_max = std::chrono::hours(24 * 90);
  }

  void one_session_may_live_longer() const {
    const SessionManager sessions = manager(options_);
    Session session = signed_in(sessions, [](Session& made) { made.set_timeouts(day, 7 * day); });
    EXPECT_TRUE(is_about(session.expires_in(), day));
    const std::string cookie = cookie_;
    EXPECT_TRUE(is_about(left(sessions, cookie), day)) << "as the store has it";
    clock_->advance(std::chrono::hours(13));  // beyond the absolute timeout of others
    Session later = opened(sessions, cookie);
    EXPECT_EQ(later.value("a", 0), 1);
    later.set("a", 2);
    EXPECT_EQ(sessions.commit(later).value().status, Commit::Status::updated);

    // It keeps them when it takes a new id, and loses them when its principal leaves.
    later = opened(sessions, cookie);
    later.regenerate();
    cookie_ = cookie_of(sessions.commit(later).value());
    EXPECT_GT(left(sessions, cookie_), 20 * hour);
    later = opened(sessions, cookie_);
    later.sign_in("ada");
    const Commit anew = sessions.commit(later).value();
    EXPECT_EQ(anew.cookie->max_age, std::chrono::hours(12));
    EXPECT_TRUE(is_about(left(sessions, cookie_of(anew)), half_an_hour));
  }

  void one_session_may_live_shorter() const {
    const SessionManager sessions = manager(options_);
    for (const bool moves : {false, true}) {
      signed_in(sessions, [](Session&) {});
      Session late = opened(sessions, cookie_);
      Session session = opened(sessions, cookie_);
      session.set_timeouts(minute, hour);
      if (moves) session.regenerate();
      EXPECT_TRUE(is_about(session.expires_in(), minute));
      const Commit commit = sessions.commit(session).value();
      EXPECT_EQ(commit.status, moves ? Commit::Status::regenerated : Commit::Status::updated);
      EXPECT_EQ(commit.cookie->max_age, std::chrono::hours(1));
      EXPECT_TRUE(is_about(session.expires_in(), minute));
      EXPECT_TRUE(is_about(left(sessions, cookie_of(commit)), minute)) << moves;
      // One that was under way writes, and keeps it no longer alive.
      late.set("late", true);
      EXPECT_TRUE(sessions.commit(late));
      EXPECT_TRUE(is_about(left(sessions, cookie_of(commit)), minute)) << moves;
      session = opened(sessions, cookie_of(commit));
      session.set("a", 2);
      EXPECT_FALSE(sends_cookie(sessions.commit(session).value())) << "nothing about it is new";
      EXPECT_TRUE(is_about(left(sessions, cookie_of(commit)), minute)) << moves;
    }
  }

  // A request that was opened before, and renews after, does not undo it for long.
  void a_late_renewal_is_shortened_again() const {
    const SessionManager sessions = manager(options_);
    signed_in(sessions, [](Session& made) { made.set_timeouts(minute, hour); });
    const SessionId id = *opened(sessions, cookie_).id();
    // As such a request has it: with the timeouts of all.
    EXPECT_TRUE(store_->update(StoreKey(id), {}, {Ms(half_an_hour), "ada"}));
    EXPECT_GT(store_->load(StoreKey(id)).value()->remaining, 20 * minute);
    Session next = opened(sessions, cookie_);
    EXPECT_TRUE(is_about(next.expires_in(), minute));
    EXPECT_EQ(sessions.commit(next).value().status, Commit::Status::renewed);
    EXPECT_TRUE(is_about(left(sessions, cookie_), minute));
  }

  void options_bound_what_sessions_have() const {
    const SessionManager sessions = manager(options_);
    signed_in(sessions, [](Session& made) { made.set_timeouts(30 * day, 90 * day); });
    SessionOptions less = options_;
    less.idle_timeout_max = hour;
    less.absolute_timeout_max = day;
    const SessionManager strict = manager(less);
    EXPECT_TRUE(is_about(opened(strict, cookie_).expires_in(), hour));
    clock_->advance(std::chrono::hours(25));
    EXPECT_TRUE(opened(strict, cookie_).is_new());
    EXPECT_FALSE(opened(sessions, cookie_).is_new());
  }

  void step_up() const {
    const SessionManager sessions = manager(options_);
    const auto five = std::chrono::minutes(5);
    Session session = signed_in(sessions, [](Session&) {});
    const WallTime at = clock_->wall();
    EXPECT_EQ(session.signed_in_at(), at);
    EXPECT_TRUE(session.recently_authenticated(five));
    clock_->advance(std::chrono::minutes(6));
    session = opened(sessions, cookie_);
    const std::string before = cookie_;
    EXPECT_EQ(session.signed_in_at(), at);
    EXPECT_FALSE(session.recently_authenticated(five));
    session.reauthenticate();
    EXPECT_TRUE(session.recently_authenticated(five)) << "at once";
    const Commit commit = sessions.commit(session).value();
    ASSERT_EQ(commit.status, Commit::Status::regenerated) << "ASVS 7.2.4";
    session = opened(sessions, cookie_of(commit));
    EXPECT_EQ(session.signed_in_at(), at) << "the absolute timeout goes on";
    EXPECT_TRUE(session.recently_authenticated(five));
    EXPECT_EQ(session.value("a", 0), 1);
    EXPECT_FALSE(opened(sessions, before).recently_authenticated(five))
        << "who has the old id has proved nothing";
    clock_->advance(std::chrono::minutes(6));
    session = opened(sessions, cookie_of(commit));
    EXPECT_FALSE(session.recently_authenticated(five));
    // A sign-in says more, and is dated anew.
    session.sign_in("ada");
    const Commit again = sessions.commit(session).value();
    session = opened(sessions, cookie_of(again));
    EXPECT_EQ(session.signed_in_at(), clock_->wall());
    EXPECT_TRUE(session.recently_authenticated(five));
  }

  void polls_do_not_keep_it_alive() const {
    SessionOptions brief = options_;
    brief.idle_timeout = minute;
    signed_in(manager(brief), [](Session&) {});
    const SessionManager sessions = manager(options_);
    for (const bool moves : {false, true}) {
      Session poll = passive(sessions, cookie_);
      EXPECT_TRUE(is_about(poll.expires_in(), minute));
      EXPECT_EQ(sessions.commit(poll).value().status, Commit::Status::unchanged);
      poll.set("polled", true);
      if (moves) poll.regenerate();
      EXPECT_TRUE(is_about(poll.expires_in(), minute));
      EXPECT_TRUE(poll.increment("n").has_value());
      const Commit commit = sessions.commit(poll).value();
      EXPECT_EQ(commit.status, moves ? Commit::Status::regenerated : Commit::Status::updated);
      if (moves) cookie_ = cookie_of(commit);
      EXPECT_TRUE(is_about(poll.expires_in(), minute));
      EXPECT_TRUE(is_about(left(sessions, cookie_), minute)) << moves;
      EXPECT_EQ(passive(sessions, cookie_).value("polled", false), true);
    }
    Session visitor = opened(sessions, cookie_);
    EXPECT_TRUE(is_about(visitor.expires_in(), half_an_hour));
    EXPECT_EQ(sessions.commit(visitor).value().status, Commit::Status::renewed);
    EXPECT_TRUE(is_about(left(sessions, cookie_), half_an_hour));
    // Whoever signs in in such a request is there.
    Session login = passive(sessions, cookie_);
    login.sign_in("bob");
    const Commit commit = sessions.commit(login).value();
    EXPECT_TRUE(is_about(left(sessions, cookie_of(commit)), half_an_hour));
  }

  // A mobile client's day, with nothing but Authorization: Bearer.
  void a_day_by_token() const {
    SessionOptions by_token = options_;
    by_token.transport.bearer = true;
    by_token.signing.keys = KeyRing::make({std::string(32, 'k')}).value();
    const SessionManager sessions = manager(by_token);
    const std::string user = "mobile-" + SessionId::generate().value().secret();
    const auto sign_in = [&](const char* device) {
      Session session = sessions.open({}).value();
      session.use_token();
      session.sign_in(user, device);
      return token_of(sessions.commit(session).value());
    };
    std::string phone = sign_in("phone");
    const std::string tablet = sign_in("tablet");

    Session session = by(sessions, phone);
    EXPECT_EQ(session.principal(), user);
    EXPECT_EQ(session.transport(), Transport::bearer);
    session.set("seen", 1);
    EXPECT_EQ(sessions.commit(session).value().cookie, std::nullopt);
    session = by(sessions, phone);
    session.regenerate();  // "refresh"
    const std::string before = std::exchange(phone, token_of(sessions.commit(session).value()));
    EXPECT_NE(phone, before);
    session = by(sessions, phone);
    EXPECT_EQ(session.value("seen", 0), 1);

    if (store_->index() != nullptr) {
      const auto devices = sessions.sessions_of(user, &session).value();
      ASSERT_EQ(devices.size(), 2U);
      for (const SessionInfo& info : devices) {
        EXPECT_EQ(info.is_current, info.label == "phone");
        if (info.label == "tablet") {
          EXPECT_TRUE(*sessions.erase_one(user, info.handle));
        }
      }
      session = by(sessions, tablet);
      EXPECT_TRUE(session.ended());
      EXPECT_FALSE(session.principal().has_value());
      EXPECT_EQ(*sessions.sign_out_everywhere(user), 1U);
      EXPECT_FALSE(by(sessions, phone).principal().has_value());
      phone = sign_in("phone");
    }
    session = by(sessions, phone);
    session.sign_out();
    const Commit bye = sessions.commit(session).value();
    EXPECT_EQ(bye.status, Commit::Status::erased);
    EXPECT_FALSE(sends_cookie(bye)) << "there is none to delete";
    EXPECT_FALSE(by(sessions, phone).principal().has_value());
  }

  // All but a_day_by_token move the clock.
  void all() const {
    one_session_may_live_longer();
    one_session_may_live_shorter();
    a_late_renewal_is_shortened_again();
    options_bound_what_sessions_have();
    step_up();
    polls_do_not_keep_it_alive();
    a_day_by_token();
  }

  static std::string token_of(const Commit& commit) {
    for (const Header& header : commit.headers) {
      if (header.name == "X-Session-Token") return header.value;
    }
    ADD_FAILURE() << "no token was sent";
    return {};
  }

 private:
  static constexpr Ms minute = std::chrono::minutes(1);
  static constexpr Ms half_an_hour = std::chrono::minutes(30);
  static constexpr Ms hour = std::chrono::hours(1);
  static constexpr Ms day = std::chrono::hours(24);

  // Tests take their time, so a little less is as good.
  static bool is_about(Ms time, Ms expected) { return time <= expected && time > expected / 2; }

  [[nodiscard]] SessionManager manager(const SessionOptions& options) const {
    return SessionManager::make(store_, options).value();
  }
  template <class More>
  Session signed_in(const SessionManager& sessions, const More& more) const {
    Session session = open_session(sessions);
    session.sign_in("ada");
    session.set("a", 1);
    more(session);
    cookie_ = cookie_of(sessions.commit(session).value());
    return session;
  }
  static Session opened(const SessionManager& sessions, const std::string& cookie) {
    return open_session(sessions, cookie);
  }
  static Session passive(const SessionManager& sessions, const std::string& cookie) {
    RequestInfo request{cookie, false};
    request.passive = true;
    return sessions.open(request).value();
  }
  static Session by(const SessionManager& sessions, const std::string& token) {
    const std::string authorization = "Bearer " + token;
    RequestInfo request;
    request.authorization = authorization;
    return sessions.open(request).value();
  }
  // What a session has left, as the store has it.
  static Ms left(const SessionManager& sessions, const std::string& cookie) {
    return passive(sessions, cookie).expires_in();
  }

  std::shared_ptr<SessionStore> store_;
  std::shared_ptr<ManualClock> clock_;
  SessionOptions options_;
  mutable std::string cookie_{};
};

}  // namespace websession::testing
