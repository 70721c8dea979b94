// A request that was under way while its session was replaced or ended: every end, with every deed
// of a late request, which was opened after the end, before it, or had even counted before it; and
// a request with the new id that was opened meanwhile. For any store.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "requests.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

enum class End {
  sign_in,        // of a visitor who was nobody
  sign_in_again,  // as after asking for the password
  sign_in_as_another,
  sign_out,
  sign_out_with_a_farewell,
  invalidate,
  regenerate,
  regenerate_twice,
  erase_one,  // this one and the next need an index of principals
  sign_out_everywhere,
  last = sign_out_everywhere,
};
enum class Deed {
  read,
  write,
  remove,
  clear,
  regenerate,
  increment,
  compare_and_set,
  consume,
  sign_in,
  sign_out,
  invalidate,
  abandon,
  last = abandon
};
// When the late request was opened.
enum class Opened { after_the_end, before_the_end, before_the_end_and_counted };

class LateRequest {
 public:
  LateRequest(const SessionManager& manager, End end) : manager_(manager), end_(end) {
    Session session = open_session(manager_);
    session.set("a", 1);
    session.set("n", 1);
    if (end != End::sign_in) session.sign_in(principal_);
    old_ = cookie_of(manager_.commit(session).value());
  }

  void run(Deed deed, Opened opened) {
    const bool opened_before = opened != Opened::after_the_end;
    std::optional<Session> late;
    if (opened_before) late = open_session(manager_, old_);
    if (opened == Opened::before_the_end_and_counted) {
      ASSERT_EQ(late->increment("n").value(), ++count_);
    }
    end();
    if (!opened_before) late = open_session(manager_, old_);
    if (!opened_before) expect_opened(*late);
    std::optional<Session> newer;
    if (!new_.empty()) newer = open_session(manager_, new_);
    const auto new_one = read(new_);
    expect_gone_at_once(*late, deed);
    const bool was_over = late->ended();
    if (deed == Deed::abandon) late->sign_out();
    act(*late, deed);
    const Commit commit =
        deed == Deed::abandon ? manager_.abandon(*late).value() : manager_.commit(*late).value();
    const bool logs_out =
        deed == Deed::sign_out || deed == Deed::invalidate || deed == Deed::abandon;
    // Signing in as somebody else ends the session of the one who was signed in.
    const bool passes =
        deed == Deed::sign_in && end_ != End::sign_in && (opened_before || is_readable());
    const bool ends = (logs_out || passes) && stays_with_the_principal();
    if (deed == Deed::sign_in) {
      EXPECT_EQ(commit.status, Commit::Status::created);
      expect_signed_in_anew(cookie_of(commit));
    } else if (ends) {
      EXPECT_EQ(commit.status, Commit::Status::erased) << "the old id means the same session";
      EXPECT_EQ(sends_cookie(commit), !was_over) << "its end, unless the cookie may be another's";
    } else {
      const bool asks_nothing =
          deed == Deed::read || (is_direct(deed) && !opened_before && !is_readable());
      EXPECT_EQ(commit.status, asks_nothing ? Commit::Status::unchanged : Commit::Status::gone);
      EXPECT_FALSE(sends_cookie(commit)) << "it would take the place of the other one";
    }
    if (ends) {
      EXPECT_FALSE(read(new_).has_value()) << "it has logged out";
    } else {
      EXPECT_EQ(read(new_), new_one) << "nothing of it got into the other session";
    }
    if (newer) expect_newer_one(*newer, ends);
  }

 private:
  static bool is_direct(Deed deed) {
    return deed == Deed::increment || deed == Deed::compare_and_set || deed == Deed::consume;
  }
  static void expect_gone_at_once(Session& late, Deed deed) {
    const auto expect_gone = [](const auto& result) {
      ASSERT_FALSE(result.has_value());
      EXPECT_EQ(result.error().code, Errc::gone);
    };
    if (deed == Deed::increment) expect_gone(late.increment("n"));
    if (deed == Deed::compare_and_set) expect_gone(late.compare_and_set("a", 1, 2));
    if (deed == Deed::consume) expect_gone(late.consume("a", 1));
  }

  using Content = std::pair<Fields, std::optional<std::string>>;

  // Whether the old id leads to a session of the same principal.
  [[nodiscard]] bool stays_with_the_principal() const {
    return end_ == End::regenerate || end_ == End::regenerate_twice || end_ == End::sign_in_again;
  }
  [[nodiscard]] bool is_readable() const {
    return end_ == End::regenerate || end_ == End::regenerate_twice;
  }

  void end() {
    Session session = open_session(manager_, old_);
    const auto commit = [&](Session& changed) {
      const Commit made = manager_.commit(changed).value();
      const bool replaced = made.status == Commit::Status::regenerated;
      if (replaced) new_ = cookie_of(made);
    };
    switch (end_) {
      case End::sign_in:
      case End::sign_in_again:
        session.sign_in(principal_);
        return commit(session);
      case End::sign_in_as_another:
        session.sign_in("another");
        return commit(session);
      case End::sign_out:
        session.sign_out();
        return commit(session);
      case End::sign_out_with_a_farewell:
        session.sign_out();
        session.set("farewell", "bye");
        return commit(session);
      case End::invalidate:
        session.invalidate();
        return commit(session);
      case End::regenerate_twice:
        session.regenerate();
        commit(session);
        [[fallthrough]];
      case End::regenerate:
        session.regenerate();
        return commit(session);
      case End::erase_one: {
        const auto sessions = manager_.sessions_of(principal_, &session).value();
        for (const SessionInfo& info : sessions) {
          if (info.is_current) {
            ASSERT_TRUE(manager_.erase_one(principal_, info.handle).value());
          }
        }
        return;
      }
      case End::sign_out_everywhere:
        ASSERT_GE(manager_.sign_out_everywhere(principal_).value(), 1U);
        return;
    }
  }

  void expect_opened(const Session& late) const {
    EXPECT_EQ(late.ended(), !is_readable());
    EXPECT_FALSE(late.degraded());
    EXPECT_EQ(late.value("a", 0), is_readable() ? 1 : 0);
    EXPECT_EQ(late.principal().has_value(), is_readable());
    EXPECT_EQ(late.is_new(), !is_readable());
  }

  void act(Session& late, Deed deed) const {
    switch (deed) {
      case Deed::read:
      case Deed::increment:
      case Deed::compare_and_set:
      case Deed::consume:
      case Deed::abandon:
        return;
      case Deed::write:
        return late.set("a", 2);
      case Deed::remove:
        late.set("b", 1);
        return late.remove("a");
      case Deed::clear:
        late.set("a", 2);
        late.clear();
        return late.set("b", 1);
      case Deed::regenerate:
        return late.regenerate();
      case Deed::sign_in:
        return late.sign_in(newcomer_);
      case Deed::sign_out:
        return late.sign_out();
      case Deed::invalidate:
        return late.invalidate();
    }
  }

  void expect_signed_in_anew(const std::string& cookie) const {
    const Session session = open_session(manager_, cookie);
    EXPECT_EQ(session.principal(), newcomer_);
    EXPECT_TRUE(session.names().empty()) << "nothing of the old";
  }

  // What a browser with this cookie finds; none: no session.
  [[nodiscard]] std::optional<Content> read(const std::string& cookie) const {
    if (cookie.empty()) return std::nullopt;
    const Session session = open_session(manager_, cookie);
    if (session.is_new()) return std::nullopt;
    const SessionSnapshot all = session.snapshot();
    return Content(all.attributes(), all.principal());
  }

  // A request with the new id that was under way while the late one came.
  void expect_newer_one(Session& session, bool has_ended) const {
    if (has_ended) {
      EXPECT_EQ(session.increment("n").error().code, Errc::gone);
      session.set("c", 1);
      const Commit commit = manager_.commit(session).value();
      EXPECT_EQ(commit.status, Commit::Status::gone);
      EXPECT_FALSE(sends_cookie(commit));
      return;
    }
    const bool is_empty = end_ == End::sign_out_with_a_farewell || end_ == End::sign_in_as_another;
    EXPECT_EQ(session.increment("n").value(), is_empty ? 1 : count_ + 1);
    session.set("c", 1);
    EXPECT_EQ(manager_.commit(session).value().status, Commit::Status::updated);
    EXPECT_TRUE(open_session(manager_, new_).contains("c"));
  }

  const SessionManager& manager_;
  const End end_;
  const std::string principal_ = "ada " + SessionId::generate().value().secret();
  const std::string newcomer_ = "eve " + SessionId::generate().value().secret();
  std::int64_t count_ = 1;
  std::string old_;  // cookies
  std::string new_;  // empty: nothing has taken the old one's place
};

// All of them, on one store.
inline void expect_late_requests_do_no_harm(const SessionManager& manager, End last = End::last) {
  for (int end = 0; end <= static_cast<int>(last); ++end) {
    for (int deed = 0; deed <= static_cast<int>(Deed::last); ++deed) {
      for (const Opened opened :
           {Opened::after_the_end, Opened::before_the_end, Opened::before_the_end_and_counted}) {
        SCOPED_TRACE("end " + std::to_string(end) + ", deed " + std::to_string(deed) + ", opened " +
                     std::to_string(static_cast<int>(opened)));
        LateRequest(manager, static_cast<End>(end)).run(static_cast<Deed>(deed), opened);
      }
    }
  }
}

}  // namespace websession::testing
