// Sessions with another name, by which they are ended from outside. For any store that has a
// PrincipalIndex.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hook_store.hpp"
#include "requests.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

class Aliases {
 public:
  explicit Aliases(std::shared_ptr<SessionStore> store, const SessionOptions& options = {})
      : hooks_(std::make_shared<HookStore>(store)),
        hooked_(SessionManager::make(hooks_, options).value()),
        sessions_(SessionManager::make(std::move(store), options).value()) {}

  void end_what_they_name() const {
    const std::string sid = fresh();
    const std::string user = fresh();
    const std::string browser = signed_in(user, sid);
    const std::string other_tab = signed_in(user, sid);
    const std::string phone = signed_in(user, fresh());
    const std::string without = signed_in(user, "");
    const std::string another = signed_in(fresh(), sid);
    EXPECT_EQ(*sessions_.sign_out_by(fresh()), 0U);
    EXPECT_EQ(*sessions_.sign_out_by(sid), 3U);
    EXPECT_EQ(*sessions_.sign_out_by(sid), 0U);
    for (const std::string& cookie : {browser, other_tab, another}) {
      EXPECT_TRUE(open_session(sessions_, cookie).ended());
    }
    for (const std::string& cookie : {phone, without}) {
      EXPECT_EQ(open_session(sessions_, cookie).principal(), user);
    }
    EXPECT_EQ(sessions_.sessions_of(user).value().size(), 2U) << "their record is in no list";
    // The name can be taken again.
    const std::string next = signed_in(user, sid);
    EXPECT_EQ(*sessions_.sign_out_by(sid), 1U);
    EXPECT_TRUE(open_session(sessions_, next).ended());
  }

  void stay_with_the_sign_in() const {
    const std::string sid = fresh();
    const std::string user = fresh();
    std::string cookie = signed_in(user, sid);
    cookie = changed(cookie, [](Session& session) { session.regenerate(); });
    cookie = changed(cookie, [](Session& session) { session.reauthenticate(); });
    Session late = open_session(sessions_, cookie);
    EXPECT_EQ(*sessions_.sign_out_by(sid), 1U);
    late.set("a", 2);
    EXPECT_EQ(sessions_.commit(late).value().status, Commit::Status::gone);

    cookie = changed(signed_in(user, sid), [&](Session& session) { session.sign_in(user); });
    EXPECT_EQ(*sessions_.sign_out_by(sid), 0U) << "the next sign-in has none";
    EXPECT_EQ(open_session(sessions_, cookie).principal(), user);
    // One that is signed in already takes it as well, and keeps its id.
    Session session = open_session(sessions_, cookie);
    session.set_alias(sid);
    EXPECT_EQ(sessions_.commit(session).value().status, Commit::Status::updated);
    EXPECT_EQ(*sessions_.sign_out_by(sid), 1U);
    EXPECT_TRUE(open_session(sessions_, cookie).ended());
  }

  // A session that takes a new id at any step of the call ends all the same.
  void find_what_moves() const {
    for (const auto hook : {&HookStore::before_load, &HookStore::before_entries,
                            &HookStore::after_entries, &HookStore::before_erase}) {
      for (const bool signs_in : {false, true}) {
        const std::string sid = fresh();
        const std::string user = fresh();
        std::string cookie = signed_in(user, sid);
        const std::string stays = signed_in(user, fresh());
        bool was_there = false;
        (*hooks_).*hook = [&] {
          was_there = true;
          Session session = open_session(sessions_, cookie);
          if (session.is_new()) return;
          session.regenerate();
          if (signs_in) {
            session.sign_in(user);
            session.set_alias(sid);
          }
          cookie = cookie_of(sessions_.commit(session).value());
        };
        EXPECT_TRUE(hooked_.sign_out_by(sid).has_value());
        EXPECT_TRUE(was_there);
        if (!signs_in) {
          EXPECT_FALSE(open_session(sessions_, cookie).principal().has_value());
        }
        EXPECT_TRUE(sessions_.sign_out_by(sid).has_value());
        EXPECT_FALSE(open_session(sessions_, cookie).principal().has_value());
        EXPECT_EQ(open_session(sessions_, stays).principal(), user);
      }
    }
  }

  // First sign-ins under one name at once: whichever made its record, all are found.
  void of_many_at_once_none_is_missed(std::size_t threads) const {
    const std::string sid = fresh();
    std::vector<std::string> cookies(threads);
    at_once(
        threads, [](std::size_t) { return 0; },
        [&](std::size_t i, int) {
          cookies[i] = signed_in("user-" + sid + std::to_string(i % 3), sid);
        });
    EXPECT_EQ(*sessions_.sign_out_by(sid), threads);
    for (const std::string& cookie : cookies) {
      EXPECT_FALSE(open_session(sessions_, cookie).principal().has_value());
    }
  }

  void all() const {
    end_what_they_name();
    stay_with_the_sign_in();
    find_what_moves();
    of_many_at_once_none_is_missed(8);
  }

 private:
  static std::string fresh() { return SessionId::generate().value().secret(); }
  [[nodiscard]] std::string signed_in(const std::string& user, const std::string& alias) const {
    return changed("", [&](Session& session) {
      session.sign_in(user);
      if (!alias.empty()) session.set_alias(alias);
    });
  }
  template <class Change>
  [[nodiscard]] std::string changed(const std::string& cookie, const Change& change) const {
    Session session = open_session(sessions_, cookie);
    change(session);
    return cookie_of(sessions_.commit(session).value());
  }

  std::shared_ptr<HookStore> hooks_;
  SessionManager hooked_;
  SessionManager sessions_;
};

}  // namespace websession::testing
