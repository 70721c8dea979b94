// The cases of SessionDirectory, of end events and of aliases, tested: each must pass a correct
// store, and some case must fail on each defect.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory_harness.hpp"
#include "websession/observer.hpp"
#include "websession/session_directory.hpp"

namespace websession::testing {
namespace {

enum class Defect {
  none,
  first_page_missing,
  last_page_missing,
  cursor_ignored,
  no_end,
  marks_listed,
  expired_listed,
  kept_keys_missing,
  any_number_taken,
  counts_too_few,
  skips_what_was_written,
  alias_forgotten,
  last = alias_forgotten,
};

// A directory of its own: by the order in which keys came to be.
class ListedStore final : public SessionStore, public SessionDirectory {
 public:
  ListedStore(Defect defect, std::shared_ptr<const Clock> clock)
      : defect_(defect), inner_(std::move(clock)) {}

  Result<std::optional<Record>> load(const StoreKey& key) override { return inner_.load(key); }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    add(key);
    return inner_.create(key, fields, lifetime);
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    if (defect_ == Defect::skips_what_was_written) {
      const std::lock_guard lock(mutex_);
      std::erase(keys_, key);
      keys_.insert(keys_.begin(), key);
    }
    if (defect_ != Defect::alias_forgotten) return inner_.update(key, changes, lifetime);
    Changes without = changes;
    std::erase_if(without.set, [](const Changes::Set& set) { return set.name == "@alias"; });
    return inner_.update(key, without, lifetime);
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    add(to);
    if (defect_ != Defect::alias_forgotten) return inner_.rekey(from, to, changes, lifetime, grace);
    Changes without = changes;
    without.remove.emplace_back("@alias");
    return inner_.rekey(from, to, without, lifetime, grace);
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override { return inner_.erase(key, grace); }
  [[nodiscard]] PrincipalIndex* index() noexcept override { return inner_.index(); }
  [[nodiscard]] SessionDirectory* directory() noexcept override { return this; }

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override {
    const bool is_valid = about >= 1 && about <= page_max;
    if (!is_valid && defect_ != Defect::any_number_taken) {
      return make_error(Errc::invalid_argument, "about");
    }
    const std::lock_guard lock(mutex_);
    const std::size_t begin =
        after.is_beginning() || defect_ == Defect::cursor_ignored ? 0 : std::stoul(after.secret());
    const std::size_t end = std::min(keys_.size(), begin + std::min<std::size_t>(about, 10));
    DirectoryPage page;
    for (std::size_t i = begin; i < end; ++i) {
      if (is_listed(keys_[i])) page.keys.push_back(keys_[i]);
    }
    page.is_last = end == keys_.size() && defect_ != Defect::no_end;
    if (defect_ == Defect::cursor_ignored) page.is_last = !after.is_beginning() || page.is_last;
    if (defect_ == Defect::first_page_missing && begin == 0) page.keys.clear();
    if (defect_ == Defect::last_page_missing && page.is_last) page.keys.clear();
    if (!page.is_last) page.next = DirectoryCursor(std::to_string(end));
    if (defect_ == Defect::no_end && ++pages_ > 10'000) {
      return make_error(Errc::unavailable, "enough");
    }
    return page;
  }
  Result<SessionCount> count() override {
    if (defect_ == Defect::counts_too_few) return SessionCount{1, true};
    return inner_.count();
  }

 private:
  void add(const StoreKey& key) {
    const std::lock_guard lock(mutex_);
    keys_.push_back(key);
  }
  bool is_listed(const StoreKey& key) {
    if (defect_ == Defect::kept_keys_missing && !is_session(key)) return false;
    const Result<std::optional<Record>> record = inner_.load(key);
    if (!*record) return defect_ == Defect::expired_listed;
    return !(*record)->frozen || defect_ == Defect::marks_listed;
  }

  const Defect defect_;
  MemoryStore inner_;
  std::mutex mutex_;
  std::vector<StoreKey> keys_;
  int pages_ = 0;
};

class Harness final : public ClockedHarness<ListedStore> {
 public:
  using ClockedHarness<ListedStore>::ClockedHarness;
  [[nodiscard]] int race_rounds() const override { return 5; }
};

std::vector<std::string> failures_with(Defect defect) {
  std::vector<std::string> failures;
  for (const auto& cases : {session_directory_cases(), alias_cases()}) {
    for (const ConformanceCase& tested : cases) {
      Harness harness(defect);
      for (const std::string& failure : run_conformance_case(tested, harness)) {
        failures.push_back(tested.name + ": " + failure);
      }
    }
  }
  return failures;
}

TEST(AbilityCases, PassACorrectStore) {
  for (const std::string& failure : failures_with(Defect::none)) ADD_FAILURE() << failure;
}

class EachAbilityDefect : public ::testing::TestWithParam<int> {};

TEST_P(EachAbilityDefect, IsNoticed) {
  const std::vector<std::string> failures = failures_with(static_cast<Defect>(GetParam()));
  ASSERT_FALSE(failures.empty()) << "no case failed on defect number " << GetParam();
  std::cout << failures.size() << " failures, the first: " << failures.front() << '\n';
}

INSTANTIATE_TEST_SUITE_P(Defects, EachAbilityDefect,
                         ::testing::Range(1, static_cast<int>(Defect::last) + 1));

// What a store tells goes through this, on its way to the harness' log.
class Distorting final : public Observer {
 public:
  enum class Defect { none, silent, twice, always_idle };
  Distorting(Defect defect, std::shared_ptr<EndLog> log) : defect_(defect), log_(std::move(log)) {}

 protected:
  void on_session(const SessionEvent& event) override {
    SessionEvent told = event;
    if (defect_ == Defect::silent) return;
    if (defect_ == Defect::always_idle && told.end) told.end = EndReason::idle;
    log_->tell(told);
    if (defect_ == Defect::twice) log_->tell(told);
  }

 private:
  const Defect defect_;
  const std::shared_ptr<EndLog> log_;
};

class EndHarness final : public StoreHarness {
 public:
  explicit EndHarness(Distorting::Defect defect)
      : store_(MemoryOptions{.clock = clock_,
                             .observer = std::make_shared<Distorting>(defect, log_)}) {}
  SessionStore& store() override { return store_; }
  ManualClock& clock() override { return *clock_; }
  void let_pass(std::chrono::milliseconds duration) override { clock_->advance(duration); }
  std::shared_ptr<EndLog> end_log() override { return log_; }

 private:
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<EndLog> log_ = std::make_shared<EndLog>();
  MemoryStore store_;
};

std::size_t failures_of_ends(Distorting::Defect defect) {
  std::size_t failures = 0;
  for (const ConformanceCase& tested : end_event_cases()) {
    EndHarness harness(defect);
    failures += run_conformance_case(tested, harness).size();
  }
  return failures;
}

TEST(EndEventCases, NoticeEachDefect) {
  using Kind = Distorting::Defect;
  EXPECT_EQ(failures_of_ends(Kind::none), 0U);
  for (const Kind defect : {Kind::silent, Kind::twice, Kind::always_idle}) {
    EXPECT_GT(failures_of_ends(defect), 0U) << static_cast<int>(defect);
  }
}

TEST(EndEventCases, SayThatAHarnessHasNoLog) {
  MemoryHarness harness;
  EXPECT_FALSE(run_conformance_case(end_event_cases().front(), harness).empty());
}

}  // namespace
}  // namespace websession::testing
