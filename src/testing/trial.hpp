// What a conformance case works with: the store, fresh keys, and checks that collect failures.
#pragma once

#include <barrier>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "websession/session_manager.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

using std::chrono::milliseconds;

// Long enough that no scheduling delay lets a session expire under a test, short enough to wait
// for.
inline constexpr milliseconds short_ttl{1500};
inline constexpr milliseconds long_ttl{60'000};

class Trial {
 public:
  explicit Trial(StoreHarness& harness) : harness_(harness) {}

  SessionStore& store() { return harness_.store(); }
  // As one of many processes sees it.
  SessionStore& store_of(int process) {
    return process % 2 == 0 ? harness_.store() : harness_.another_store();
  }
  bool let_backend_fail(bool fails) { return harness_.let_backend_fail(fails); }
  ManualClock& clock() { return harness_.clock(); }
  void let_pass(milliseconds duration) { harness_.let_pass(duration); }
  // Why the store has said that this session has ended.
  std::vector<EndReason> ends_of(const StoreKey& key);
  // A manager of this store, by its clock.
  SessionManager manager(int process = 0);
  [[nodiscard]] int race_rounds() const { return harness_.race_rounds(); }
  [[nodiscard]] int race_threads() const { return harness_.race_threads(); }

  // Safe to call from many threads at once.
  bool expect(bool holds, std::string_view what);
  template <class T>
  bool expect_ok(const Result<T>& result, std::string_view what) {
    return expect(result.has_value(),
                  std::string(what) + (result.has_value() ? "" : ": " + result.error().message()));
  }
  template <class T>
  bool expect_error(const Result<T>& result, Errc code, std::string_view what) {
    return expect(
        !result && result.error().code == code,
        std::string(what) + (result ? ": it succeeded" : ": " + result.error().message()));
  }
  void expect_outcome(const Result<Outcome>& result, Outcome::Status status, std::string_view what);
  void expect_gone(const Result<Outcome>& result, std::string_view what) {
    expect_outcome(result, Outcome::Status::gone, what);
  }
  void expect_applied(const Result<Outcome>& result, std::string_view what) {
    expect_outcome(result, Outcome::Status::applied, what);
  }
  void expect_conflict(const Result<Outcome>& result, std::string_view what) {
    expect_outcome(result, Outcome::Status::conflict, what);
  }

  // A key that nobody has used. A session can be moved from each of a case's to each other one.
  StoreKey fresh_key();
  // A field set with `@created`.
  Fields session(std::initializer_list<Field> attributes = {});
  // Stores one under a fresh key.
  StoreKey stored(std::initializer_list<Field> attributes = {}, milliseconds ttl = long_ttl);

  // The record, or one without fields and a failure.
  Record loaded(const StoreKey& key, std::string_view what);
  void expect_absent(const StoreKey& key, std::string_view what);
  // There is a mark, and nothing to read in it.
  void expect_over(const StoreKey& key, std::string_view what);
  // There is nothing to read: no session, nor more than a mark.
  void expect_unreadable(const StoreKey& key, std::string_view what);
  void expect_value(const StoreKey& key, std::string_view name,
                    std::optional<std::string_view> value, std::string_view what);
  // 0 < remaining <= at_most.
  void expect_remaining(const StoreKey& key, milliseconds at_most, std::string_view what);

  // Runs `count` threads of the function, which gets its number, at the same moment, and waits for
  // them.
  static void together(int count, const std::function<void(int)>& function);

  std::vector<std::string> take_failures() { return std::move(failures_); }

 private:
  StoreHarness& harness_;
  const SessionId beside_ = SessionId::generate().value();  // where all keys are
  std::mutex mutex_;
  std::vector<std::string> failures_;
};

inline Changes setting(std::string name, std::string value, std::optional<WallTime> deadline = {}) {
  Changes changes;
  changes.set.push_back({std::move(name), std::move(value), deadline});
  return changes;
}
inline Changes removing(std::string name) {
  Changes changes;
  changes.remove.push_back(std::move(name));
  return changes;
}
inline Changes adding(std::string name, std::int64_t by) {
  Changes changes;
  changes.increment.push_back({std::move(name), by});
  return changes;
}
inline Changes expecting(std::string name, std::vector<std::string> any_of, Changes changes = {}) {
  changes.expect.push_back({std::move(name), std::move(any_of)});
  return changes;
}

// A change of each kind, for a session with "a" = 1 and "n" = 1. Stores have ways of their own for
// some.
struct KindOfChange {
  const char* name;
  Changes changes;
};
inline std::vector<KindOfChange> each_kind_of_change() {
  Changes clear;
  clear.clear = true;
  return {{"touch", {}},
          {"set", setting("b", "2")},
          {"remove", removing("a")},
          {"count", adding("n", 1)},
          {"expect", expecting("a", {"1"}, setting("a", "2"))},
          {"clear", clear}};
}

// The cases by subject, one file each.
std::vector<ConformanceCase> record_cases();
std::vector<ConformanceCase> change_cases();
std::vector<ConformanceCase> deadline_cases();
std::vector<ConformanceCase> rekey_cases();
std::vector<ConformanceCase> mark_cases();
std::vector<ConformanceCase> race_cases();

}  // namespace websession::testing
