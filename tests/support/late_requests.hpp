// A request that was under way while its session was replaced or ended: every end, with every deed
// of a late request, opened before the end or after it. For any store.
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
  direct,
  sign_in,
  sign_out,
  invalidate,
  abandon,
  last = abandon
};

class LateRequest {
 public:
  LateRequest(const SessionManager& manager, End end) : manager_(manager), end_(end) {
    Session session = open_session(manager_);
    session.set("a", 1);
    session.set("n", 1);
    if (end != End::sign_in) session.sign_in(principal_);
    old_ = cookie_of(manager_.commit(session).value());
  }

  void run(Deed deed, bool opened_before) {
    std::optional<Session> late;
    if (opened_before) late = open_session(manager_, old_);
    end();
    if (!opened_before) late = open_session(manager_, old_);
    if (!opened_before) expect_opened(*late);
    const auto new_one = read(new_);
    if (deed == Deed::direct) {
      const Result<std::int64_t> counted = late->increment("n");
      ASSERT_FALSE(counted.has_value());
      EXPECT_EQ(counted.error().code, Errc::gone);
    }
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
      EXPECT_TRUE(sends_cookie(commit)) << "its end";
    } else {
      const bool asks_nothing =
          deed == Deed::read || (deed == Deed::direct && !opened_before && !is_readable());
      EXPECT_EQ(commit.status, asks_nothing ? Commit::Status::unchanged : Commit::Status::gone);
      EXPECT_FALSE(sends_cookie(commit)) << "it would take the place of the other one";
    }
    if (ends) {
      EXPECT_FALSE(read(new_).has_value()) << "it has logged out";
    } else {
      EXPECT_EQ(read(new_), new_one) << "nothing of it got into the other session";
    }
    expect_new_one_works(ends);
  }

 private:
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
      case Deed::direct:
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

  void expect_new_one_works(bool has_ended) const {
    if (new_.empty() || has_ended) return;
    Session session = open_session(manager_, new_);
    EXPECT_EQ(session.increment("n").value(),
              end_ == End::sign_out_with_a_farewell || end_ == End::sign_in_as_another ? 1 : 2);
    session.set("c", 1);
    EXPECT_EQ(manager_.commit(session).value().status, Commit::Status::updated);
  }

  const SessionManager& manager_;
  const End end_;
  const std::string principal_ = "ada " + SessionId::generate().value().secret();
  const std::string newcomer_ = "eve " + SessionId::generate().value().secret();
  std::string old_;  // cookies
  std::string new_;  // empty: nothing has taken the old one's place
};

// All of them, on one store.
inline void expect_late_requests_do_no_harm(const SessionManager& manager, End last = End::last) {
  for (int end = 0; end <= static_cast<int>(last); ++end) {
    for (int deed = 0; deed <= static_cast<int>(Deed::last); ++deed) {
      for (const bool opened_before : {true, false}) {
        SCOPED_TRACE("end " + std::to_string(end) + ", deed " + std::to_string(deed) +
                     (opened_before ? ", opened before" : ", opened after"));
        LateRequest(manager, static_cast<End>(end)).run(static_cast<Deed>(deed), opened_before);
      }
    }
  }
}

}  // namespace websession::testing
