// The checkers of the fault tests and of the soak, checked: they must accept a store that is right,
// however often its answers are lost, and notice each way to be wrong.
#include "session_history.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "crowd.hpp"
#include "random.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

enum class Defect {
  none,
  loses_answers,  // no defect: half of them are applied, and the error says that they may be
  loses_updates,
  loses_increments_of_many,
  counts_twice,
  lies_about_a_refusal,
  keeps_erased,
  forgets_sessions,
  crosses_loads,
  crosses_counters,
  keeps_moved,
  read_may_be_applied,
  rejects,
  ignores_expectations,
  writes_by_halves,
  revives_on_a_write,
};

// A MemoryStore that does wrong now and then. For one thread.
class SometimesWrong final : public SessionStore {
 public:
  SometimesWrong(Defect defect, std::uint64_t seed) : defect_(defect), engine_(seed) {}

  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (is(Defect::read_may_be_applied)) return lost(true);
    auto loaded = store_.load(key);
    if (is(Defect::forgets_sessions)) return std::optional<Record>();
    if (is(Defect::crosses_loads) && last_loaded_) return last_loaded_;
    if (loaded.has_value() && *loaded) last_loaded_ = *loaded;
    return loaded;
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return answer<void>([&] { return store_.create(key, fields, lifetime); });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    const bool many = changes.expect.empty() && !changes.empty();
    if (!many && !changes.empty() && is(Defect::loses_updates)) {
      return Outcome{Outcome::Status::applied, {last_count_ + 1}};
    }
    if (many && is(Defect::loses_increments_of_many)) {
      return Outcome{Outcome::Status::applied, {++last_of_many_}};
    }
    if (many && is(Defect::counts_twice)) (void)store_.update(key, changes, lifetime);
    Changes given = changes;
    if (is(Defect::ignores_expectations)) {
      given.expect.clear();
      (void)store_.update(key, given, lifetime);
    }
    if (given.set.size() > 1 && is(Defect::writes_by_halves)) given.set.pop_back();
    auto updated = answer<Outcome>([&] { return store_.update(key, given, lifetime); });
    const bool gone = updated && updated->status == Outcome::Status::gone;
    if (gone && is(Defect::revives_on_a_write)) return Outcome{Outcome::Status::applied};
    if (updated && is(Defect::lies_about_a_refusal)) return lost(false);
    if (updated && !updated->counters.empty()) {
      (many ? last_of_many_ : last_count_) = updated->counters.front();
      if (is(Defect::crosses_counters)) updated->counters.front() += 1000;
    }
    return updated;
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    if (is(Defect::keeps_moved)) grace.duration = std::chrono::minutes(1);
    return answer<Outcome>([&] { return store_.rekey(from, to, changes, lifetime, grace); });
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    if (is(Defect::keeps_erased)) return true;
    return answer<bool>([&] { return store_.erase(key, grace); });
  }

 private:
  // Every tenth call shows the defect.
  bool is(Defect defect) { return defect_ == defect && engine_() % 10 == 0; }
  static Error lost(bool maybe_applied) {
    Error error = make_error(Errc::unavailable, "lost");
    error.maybe_applied = maybe_applied;
    return error;
  }
  template <class T>
  Result<T> answer(const std::function<Result<T>()>& call) {
    if (is(Defect::rejects)) return make_error(Errc::rejected, "no");
    if (!is(Defect::loses_answers)) return call();
    if (engine_() % 2 == 0) (void)call();
    return lost(true);
  }

  const Defect defect_;
  std::mt19937_64 engine_;
  MemoryStore store_;
  std::optional<Record> last_loaded_{};
  std::int64_t last_count_ = 0;
  std::int64_t last_of_many_ = 0;
};

// What one thread's work on such a store gives.
std::vector<std::string> failures_with(Defect defect, std::uint64_t seed) {
  SometimesWrong store(defect, seed);
  Tally tally(milliseconds(500), milliseconds(60'000));
  OwnedSessions owned(store, tally, "owner", seed);
  SharedSession shared(store, tally, "shared");
  while (!shared.create()) {
  }
  for (std::uint64_t i = 0; i < 10000 && tally.failures().empty(); ++i) {
    i % 4 == 0 ? shared.step(i / 4) : owned.step();
  }
  if (tally.failures().empty()) {
    owned.settle();
    shared.settle();
  }
  return tally.failures();
}

TEST(SessionHistory, AcceptsAStoreThatIsRight) {
  Random random;
  for (const Defect fine : {Defect::none, Defect::loses_answers}) {
    for (const std::string& failure : failures_with(fine, random.bits())) ADD_FAILURE() << failure;
  }
}

TEST(SessionHistory, NoticesEachDefect) {
  Random random;
  for (int defect = static_cast<int>(Defect::loses_updates);
       defect <= static_cast<int>(Defect::revives_on_a_write); ++defect) {
    EXPECT_FALSE(failures_with(static_cast<Defect>(defect), random.bits()).empty())
        << "defect " << defect;
  }
}

TEST(SessionHistory, NoticesALateCall) {
  Tally tally(milliseconds(1), milliseconds(1));
  (void)tally.timed(false, [] {
    std::this_thread::sleep_for(milliseconds(5));
    return Result<bool>(true);
  });
  EXPECT_EQ(tally.failures().size(), 1U);
  EXPECT_GE(tally.worst_overrun(), milliseconds(4));
}

}  // namespace
}  // namespace websession::testing
