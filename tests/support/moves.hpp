// Sessions that are taken from one store to another one. For any two stores with a
// SessionDirectory.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "requests.hpp"
#include "websession/copy_sessions.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

class Moves {
 public:
  Moves(std::shared_ptr<SessionStore> from, std::shared_ptr<SessionStore> to,
        const SessionOptions& options = {})
      : from_(std::move(from)),
        to_(std::move(to)),
        before_(SessionManager::make(from_, longer(options)).value()),
        after_(SessionManager::make(to_, longer(options)).value()) {}

  void all() const {
    keep_what_sessions_are();
    can_be_repeated();
    go_on_where_they_were_stopped();
  }

  void keep_what_sessions_are() const {
    const std::string cart = stored([](Session& session) {
      session.set("items", std::vector<int>{1, 2});
      session.set("note", "with \"quotes\"");
      session.set("code", "0815", std::chrono::hours(1));
    });
    const bool has_index = from_->index() != nullptr && to_->index() != nullptr;
    const std::string user = "user " + SessionId::generate().value().secret();
    const std::string sid = SessionId::generate().value().secret();
    const std::string login = stored([&](Session& session) {
      session.sign_in(user, "Firefox");
      session.set_timeouts(std::chrono::hours(100), std::chrono::hours(200));
      if (has_index) session.set_alias(sid);
    });
    ASSERT_TRUE(copy());

    const Session moved_cart = open_session(after_, cart);
    EXPECT_EQ(moved_cart.value("items", std::vector<int>()), (std::vector<int>{1, 2}));
    EXPECT_EQ(moved_cart.value("note", ""), "with \"quotes\"");
    EXPECT_EQ(moved_cart.value("code", ""), "0815");
    EXPECT_TRUE(record_of(*to_, moved_cart).fields.has_deadlines());

    Session was = open_session(before_, login);
    Session is = open_session(after_, login);
    EXPECT_EQ(is.principal(), user);
    EXPECT_EQ(is.signed_in_at(), was.signed_in_at());
    const auto left = was.expires_in();
    EXPECT_GT(left, std::chrono::hours(99)) << "its own timeouts";
    EXPECT_NEAR(std::chrono::duration<double>(is.expires_in()).count(),
                std::chrono::duration<double>(left).count(), 60);
    if (!has_index) return;
    EXPECT_EQ(after_.sessions_of(user).value().size(), 1U);
    EXPECT_EQ(after_.sessions_of(user).value()[0].label, "Firefox");
    EXPECT_EQ(after_.sign_out_by(sid).value(), 1U) << "its alias";
    EXPECT_TRUE(open_session(after_, login).is_new());
  }

  void can_be_repeated() const {
    const std::string stays = stored([](Session& session) { session.set("a", 1); });
    const std::string changes = stored([](Session& session) { session.set("a", 1); });
    const std::string ends = stored([](Session& session) { session.set("a", 1); });
    const std::string signs_out = stored([](Session& session) {
      session.sign_in("carol");
      session.set("secret", 1);
    });
    ASSERT_TRUE(copy());
    // The site goes on meanwhile.
    const std::string another = stored([](Session& session) { session.set("b", 1); });
    changed(changes, [](Session& session) {
      session.set("a", 2);
      session.set("b", 3);
    });
    changed(ends, [](Session& session) { session.invalidate(); });
    const std::string farewell = changed(signs_out, [](Session& session) {
      session.sign_out();
      session.set("farewell", true);
    });
    const Result<CopyProgress> second = copy();
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_GE(second->copied, 2U);
    EXPECT_GE(second->replaced, 1U);
    EXPECT_GE(second->unchanged, 1U);
    EXPECT_GE(second->ended, 2U);
    EXPECT_EQ(open_session(after_, stays).value("a", 0), 1);
    EXPECT_EQ(open_session(after_, changes).value("a", 0), 2);
    EXPECT_EQ(open_session(after_, changes).value("b", 0), 3);
    EXPECT_EQ(open_session(after_, another).value("b", 0), 1);
    EXPECT_FALSE(open_session(after_, ends).contains("a")) << "P1";
    EXPECT_FALSE(open_session(after_, signs_out).principal()) << "P1";
    EXPECT_TRUE(open_session(after_, farewell).value("farewell", false));

    const Result<CopyProgress> third = copy();
    ASSERT_TRUE(third) << third.error().message();
    EXPECT_EQ(third->copied + third->replaced + third->ended, 0U);
  }

  void go_on_where_they_were_stopped() const {
    std::vector<std::string> cookies;
    for (int i = 0; i < 30; ++i) {
      cookies.push_back(stored([i](Session& session) { session.set("i", i); }));
    }
    CopyOptions options;
    options.page = 4;
    int told = 0;
    options.on_page = [&](const CopyProgress& progress) {
      ++told;
      options.after = progress;
      return false;
    };
    do {
      const int before = told;
      const Result<CopyProgress> progress = copy_sessions(*from_, *to_, options);
      ASSERT_TRUE(progress) << progress.error().message();
      ASSERT_EQ(told, before + 1) << "it stops when it is told to";
      ASSERT_LT(told, 10'000);
    } while (!options.after.is_done);
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(open_session(after_, cookies[static_cast<std::size_t>(i)]).value("i", -1), i);
    }
  }

 private:
  static SessionOptions longer(SessionOptions options) {
    options.idle_timeout_max = std::chrono::hours(100);
    options.absolute_timeout_max = std::chrono::hours(200);
    return options;
  }
  [[nodiscard]] Result<CopyProgress> copy() const {
    CopyOptions options;
    options.page = 10;
    Result<CopyProgress> progress = copy_sessions(*from_, *to_, options);
    EXPECT_TRUE(progress) << progress.error().message();
    EXPECT_EQ(progress ? progress->unreadable + progress->refused : 0U, 0U);
    return progress;
  }
  template <class Work>
  std::string stored(const Work& work) const {
    Session session = before_.open({}).value();
    work(session);
    return cookie_of(before_.commit(session).value());
  }
  template <class Work>
  std::string changed(const std::string& cookie, const Work& work) const {
    Session session = open_session(before_, cookie);
    work(session);
    const Commit commit = before_.commit(session).value();
    return sends_cookie(commit) ? cookie_of(commit) : cookie;
  }
  static Record record_of(SessionStore& store, const Session& session) {
    return store.load(StoreKey(*session.id())).value().value();
  }

  std::shared_ptr<SessionStore> from_;
  std::shared_ptr<SessionStore> to_;
  SessionManager before_;
  SessionManager after_;
};

}  // namespace websession::testing
