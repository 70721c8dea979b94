// What a store must hold, as far as its callers can know: the checkers of the fault tests and of
// the soak. They know every call and its answer, and tell each answer that contradicts it.
//
// An error with `maybe_applied` leaves its write in limbo: it may have been applied, or may be
// later (its bytes may still lie in a socket), or never. Writes are made so that a load can tell.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "websession/session_store.hpp"

namespace websession::testing {

// Counts calls and keeps what was wrong. Safe to use from many threads at once.
class Tally {
 public:
  // Every call has to return within `deadline` and the margin.
  Tally(std::chrono::milliseconds deadline, std::chrono::milliseconds margin)
      : deadline_(deadline), margin_(margin) {
    for (const Errc code : {Errc::unavailable, Errc::timeout, Errc::overloaded}) expect(code);
  }

  // Makes a call, and checks what holds for all of them. Waits a moment after an error, as real
  // callers would do something else: calls that fail at once leave the processor to others.
  template <class Call>
  auto timed(bool writes, Call call) {
    const auto start = std::chrono::steady_clock::now();
    auto result = call();
    note(std::chrono::steady_clock::now() - start, result.has_value() ? nullptr : &result.error(),
         writes);
    return result;
  }

  void fail(const std::string& what);

  // Besides unavailable, timeout and overloaded, which every fault may give. Before the first call.
  void expect(Errc code) { expected_.at(static_cast<std::size_t>(code)) = true; }

  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] std::uint64_t successes() const { return successes_; }
  [[nodiscard]] std::uint64_t in_limbo() const { return in_limbo_; }
  [[nodiscard]] std::uint64_t errors(Errc code) const {
    return errors_.at(static_cast<std::size_t>(code));
  }
  // How long the slowest call went on after its deadline.
  [[nodiscard]] std::chrono::microseconds worst_overrun() const {
    return std::chrono::microseconds(worst_overrun_us_);
  }
  [[nodiscard]] std::vector<std::string> failures() const;
  // The texts of the errors, each with how often it came.
  [[nodiscard]] std::map<std::string, std::uint64_t> messages() const;

 private:
  void note(std::chrono::nanoseconds duration, const Error* error, bool writes);

  const std::chrono::milliseconds deadline_;
  const std::chrono::milliseconds margin_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> successes_ = 0;
  std::atomic<std::uint64_t> in_limbo_ = 0;
  std::array<std::atomic<std::uint64_t>, 16> errors_{};
  std::array<bool, 16> expected_{};
  std::atomic<std::int64_t> worst_overrun_us_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;
  std::map<std::string, std::uint64_t> messages_;
};

// The sessions of one writer, one after the other: each is created, changed, moved and erased by
// this object alone, so that all states that it may be in are known. For one thread.
class OwnedSessions {
 public:
  // `name` is written into every session, and is looked for in every answer.
  OwnedSessions(SessionStore& store, Tally& tally, std::string name, std::uint64_t seed);

  // One call, chosen at random, and checked.
  void step();
  // To be called when no fault is left: the store must work again, and agree.
  void settle();

 private:
  using Time = std::chrono::steady_clock::time_point;
  enum class Doubt { none, created, moved, erased };  // a call that was in limbo and is not settled

  // A key that must be gone.
  struct Grave {
    StoreKey key;
    Time dead_from;
  };

  void create();
  void create_short_lived();
  void load();
  void change(bool touch_only);
  void note();
  Result<Outcome> write_note(const StoreKey& key, const std::string& text);
  void check_notes(const Record& record);
  void move();
  void erase();
  void visit_a_grave();
  void visit(const Grave& grave);
  void visit_an_orphan();
  void bury(Time dead_from);
  std::optional<std::int64_t> version_of(const Record& record);
  void settle_on(std::int64_t version, const char* how);
  [[nodiscard]] std::string payload(std::int64_t version) const;
  [[nodiscard]] Fields first_fields() const;
  void fail(const std::string& what);

  SessionStore& store_;
  Tally& tally_;
  const std::string name_;
  std::mt19937_64 engine_;

  bool alive_ = false;
  Doubt doubt_ = Doubt::none;
  StoreKey key_;
  StoreKey next_key_;
  std::string mark_{};             // name and number of the session
  std::uint64_t serial_ = 0;       // of sessions
  std::int64_t last_version_ = 0;  // that was ever tried
  std::int64_t known_ = 0;         // the version that was last seen or acknowledged
  // The version that each possible state has, with its count of changes: the known one, and those
  // in limbo that were to follow it.
  std::map<std::int64_t, std::int64_t> possible_{};
  // Two attributes that are written together without looking, so one in limbo may come at any time.
  std::string note_{};
  std::set<std::string> notes_in_limbo_{};
  std::deque<Grave> graves_{};
  std::deque<std::pair<StoreKey, std::string>> orphans_{};  // whose creation stayed in limbo
};

// A counter in a session that many threads write. Safe to use from many threads at once.
class SharedSession {
 public:
  SharedSession(SessionStore& store, Tally& tally, std::string name);

  // Makes the session; true: it is there. To be called until then, and before the others.
  bool create();
  // One call by one of the threads, chosen by `bits`, and checked.
  void step(std::uint64_t bits);
  void settle();

 private:
  void increment();
  void load();

  SessionStore& store_;
  Tally& tally_;
  const std::string name_;
  StoreKey key_;
  std::atomic<std::int64_t> acknowledged_ = 0;
  std::atomic<std::int64_t> open_ = 0;  // begun, and not known to have failed
};

}  // namespace websession::testing
