// What must hold when requests of one session run at the same time, for any store: one-time codes,
// CSRF tokens and flash messages.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/one_time_code.hpp"

namespace websession::testing {

inline OneTimeCodes some_codes() {
  return OneTimeCodes::make(KeyRing::make({std::string(32, 'k')}).value()).value();
}

// A code that is not this one.
inline std::string wrong_for(std::string code) {
  code[0] = code[0] == '0' ? '1' : '0';
  return code;
}

class SessionRace {
 public:
  static constexpr std::size_t threads = 64;
  using Status = CodeCheck::Status;

  explicit SessionRace(SessionManager manager)
      : manager_(std::move(manager)), id_(store_session(manager_)) {}

  // Many who guess at once get no more answers than there are attempts.
  void guesses() {
    const std::string code = issue({6, std::chrono::minutes(10), 5});
    const std::vector<CodeCheck> checks =
        verify_at_once([&](std::size_t) { return wrong_for(code); });
    std::vector<int> left;
    for (const CodeCheck& check : checks) {
      if (check.status == Status::wrong) left.push_back(check.tries_left);
    }
    std::sort(left.begin(), left.end());
    EXPECT_EQ(left, (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_EQ(count(checks, Status::exhausted), threads - 5);
    EXPECT_EQ(verify(code).status, Status::exhausted) << "even the correct one";
  }

  // The same of many sessions with a code about one thing.
  void limit() {
    const auto codes = OneTimeCodes::make(KeyRing::make({std::string(32, 'k')}).value(),
                                          CodeLimit{20, std::chrono::hours(1)});
    std::vector<CodeCheck> checks(threads);
    at_once(
        threads,
        [&](std::size_t) {
          Session session = manager_.create().value();
          EXPECT_TRUE(codes.value().issue(session, "login", {.about = "ada@example.com"}));
          return session;
        },
        [&](std::size_t i, Session& session) {
          checks[i] = codes.value().verify(session, "login", "", "ada@example.com").value();
        });
    EXPECT_EQ(count(checks, Status::wrong), 20U);
    EXPECT_EQ(count(checks, Status::limited), threads - 20);
  }

  void correct_tries() {
    const std::string code = issue({});
    const std::vector<CodeCheck> checks = verify_at_once([&](std::size_t) { return code; });
    EXPECT_EQ(count(checks, Status::correct), 1U);
    EXPECT_EQ(count(checks, Status::used), threads - 1);
    EXPECT_EQ(verify(code).status, Status::used);
  }

  void guesses_and_correct_tries() {
    const std::string code = issue({6, std::chrono::minutes(10), 5});
    const std::vector<CodeCheck> checks =
        verify_at_once([&](std::size_t i) { return i % 2 == 0 ? code : wrong_for(code); });
    const std::size_t correct = count(checks, Status::correct);
    const std::size_t wrong = count(checks, Status::wrong);
    EXPECT_LE(correct, 1U);
    EXPECT_LE(wrong, correct == 1 ? 4U : 5U);
    EXPECT_EQ(count(checks, correct == 1 ? Status::used : Status::exhausted),
              threads - correct - wrong);
    EXPECT_TRUE(correct == 1 || wrong == 5);
  }

  // A new code ends the old one, also for those who are just verifying it.
  void new_code() {
    constexpr std::size_t verifiers = 8;
    const std::string old_code = issue({12});
    std::string new_code;
    std::atomic<bool> issued = false;
    std::atomic<int> correct = 0;
    at_once(
        verifiers + 1, [&](std::size_t) { return load_session(manager_, id_); },
        [&](std::size_t i, Session& session) {
          if (i == verifiers) {
            new_code = codes_.issue(session, "login", {12, std::chrono::minutes(10), 20}).value();
            issued = true;
            return;
          }
          const bool after = issued;
          const CodeCheck check = codes_.verify(session, "login", old_code).value();
          if (check.status != Status::correct) return;
          EXPECT_FALSE(after) << "the old code was over";
          ++correct;
        });
    EXPECT_LE(correct, 1);
    EXPECT_EQ(verify(old_code).status, Status::wrong);
    EXPECT_EQ(verify(new_code).status, Status::correct);
  }

  // Each message is shown once, however many pages load at the same time.
  void flash_takers() {
    const std::vector<Flash> added = add_flashes(8);
    std::array<std::vector<Flash>, threads> taken;
    at_once(
        threads, [&](std::size_t) { return load_session(manager_, id_); },
        [&](std::size_t i, Session& session) { taken[i] = take_flashes(session).value(); });
    std::vector<Flash> shown;
    for (const std::vector<Flash>& flashes : taken) {
      EXPECT_TRUE(std::is_sorted(flashes.begin(), flashes.end(), by_text)) << "in order";
      shown.insert(shown.end(), flashes.begin(), flashes.end());
    }
    std::sort(shown.begin(), shown.end(), by_text);
    EXPECT_EQ(shown, added);
    EXPECT_TRUE(take().empty());
  }

  // Pages that load while messages come in: none is lost, none is shown twice.
  void flash_adders_and_takers() {
    constexpr std::size_t adders = 8;
    std::array<std::vector<Flash>, 2 * adders> taken;
    at_once(
        taken.size(), [&](std::size_t) { return load_session(manager_, id_); },
        [&](std::size_t i, Session& session) {
          if (i < adders) {
            add_flash(session, "notice", std::to_string(i));
            EXPECT_EQ(manager_.save(session).value(), Commit::Status::updated);
          } else {
            Session fresh = load_session(manager_, id_);
            taken[i] = take_flashes(fresh).value();
          }
        });
    std::vector<Flash> shown = take();
    for (const std::vector<Flash>& flashes : taken) {
      shown.insert(shown.end(), flashes.begin(), flashes.end());
    }
    std::sort(shown.begin(), shown.end(), by_text);
    ASSERT_EQ(shown.size(), adders);
    for (std::size_t i = 0; i < adders; ++i) EXPECT_EQ(shown[i].text, std::to_string(i));
  }

  // Pages that are the first to show a form, at the same time: all of their forms work.
  void csrf_first_tokens() {
    std::array<std::string, threads> tokens;
    at_once(
        threads, [&](std::size_t) { return load_session(manager_, id_); },
        [&](std::size_t i, Session& session) { tokens[i] = csrf_token(session).value(); });
    const Session session = load_session(manager_, id_);
    for (const std::string& token : tokens) EXPECT_TRUE(csrf_valid(session, token));
  }

 private:
  static bool by_text(const Flash& a, const Flash& b) { return a.text < b.text; }

  static std::size_t count(const std::vector<CodeCheck>& checks, Status status) {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(),
                      [status](const CodeCheck& check) { return check.status == status; }));
  }

  std::string issue(const CodeOptions& options) {
    Session session = load_session(manager_, id_);
    return codes_.issue(session, "login", options).value();
  }
  CodeCheck verify(const std::string& code) {
    Session session = load_session(manager_, id_);
    return codes_.verify(session, "login", code).value();
  }
  template <class CodeOf>
  std::vector<CodeCheck> verify_at_once(CodeOf code_of) {
    std::vector<CodeCheck> checks(threads);
    at_once(
        threads, [&](std::size_t) { return load_session(manager_, id_); },
        [&](std::size_t i, Session& session) {
          checks[i] = codes_.verify(session, "login", code_of(i)).value();
        });
    return checks;
  }

  std::vector<Flash> add_flashes(int count) {
    Session session = load_session(manager_, id_);
    std::vector<Flash> added;
    for (int i = 0; i < count; ++i) {
      added.push_back({"notice", std::to_string(i)});
      add_flash(session, "notice", added.back().text);
    }
    EXPECT_EQ(manager_.save(session).value(), Commit::Status::updated);
    return added;
  }
  std::vector<Flash> take() {
    Session session = load_session(manager_, id_);
    return take_flashes(session).value();
  }

  SessionManager manager_;
  SessionId id_;
  OneTimeCodes codes_ = some_codes();
};

}  // namespace websession::testing
