// The cases of PrincipalIndex, tested: each must pass a correct index, and some case must fail on
// each defect.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "give_way.hpp"
#include "memory_harness.hpp"

namespace websession::testing {
namespace {

enum class Defect {
  none,
  nothing_listed_by_create,
  nothing_listed_by_rekey,
  nothing_listed_by_update,
  anonymous_listed,
  listed_after_the_write,
  old_key_dropped_before_the_new_one_is_listed,
  principals_cut,
  forgets_nothing,
  forgets_all,
  ends_the_successor,
  ends_nothing,
  nothing_listed_when_the_principal_changes,
  lists_in_reverse,
  erase_leaves_the_entry,
  rekey_leaves_the_entry,
  a_write_without_a_renewal_drops_the_entry,
  last = a_write_without_a_renewal_drops_the_entry,
};

// Keeps an index of its own beside the sessions.
class IndexedStore final : public SessionStore, public PrincipalIndex {
  [[nodiscard]] std::string name_of(std::string_view principal) const {
    const bool cut = defect_ == Defect::principals_cut;
    return std::string(cut ? principal.substr(0, principal.find(' ')) : principal);
  }
  // Precondition: the caller holds the mutex.
  void list(const StoreKey& key, const Lifetime& lifetime) {
    if (lifetime.principal.empty() && defect_ != Defect::anonymous_listed) return;
    std::vector<StoreKey>& keys = listed_[name_of(lifetime.principal)];
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  void drop(std::string_view principal, const StoreKey& key) {
    const std::lock_guard lock(mutex_);
    std::erase(listed_[name_of(principal)], key);
  }
  [[nodiscard]] bool is_listed_for_another(const StoreKey& key, std::string_view principal) {
    const std::lock_guard lock(mutex_);
    return std::any_of(listed_.begin(), listed_.end(), [&](const auto& listed) {
      const auto& [name, keys] = listed;
      return name != principal && std::find(keys.begin(), keys.end(), key) != keys.end();
    });
  }
  void drop_ended() {
    const std::lock_guard lock(mutex_);
    for (auto& [name, keys] : listed_) {
      std::erase_if(keys, [this](const StoreKey& key) {
        const auto record = inner_.load(key).value();
        return !record || record->is_over();
      });
    }
  }
  template <class Write>
  auto listing(bool lists, const StoreKey& key, const Lifetime& lifetime, const Write& write) {
    std::unique_lock lock(mutex_);  // the entry and the write are one step
    const bool late = defect_ == Defect::listed_after_the_write;
    if (lists && !late) list(key, lifetime);
    auto result = write();
    if (late) {
      lock.unlock();
      give_way();
      lock.lock();
      if (lists) list(key, lifetime);
    }
    return result;
  }

 public:
  IndexedStore(Defect defect, std::shared_ptr<const Clock> clock)
      : defect_(defect), inner_(std::move(clock)) {}

  [[nodiscard]] PrincipalIndex* index() noexcept override { return this; }

  Result<std::optional<Record>> load(const StoreKey& key) override { return inner_.load(key); }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    const bool lists = defect_ != Defect::nothing_listed_by_create;
    return listing(lists, key, lifetime, [&] { return inner_.create(key, fields, lifetime); });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    // Who forgets this has only renewals in mind.
    const bool passes = defect_ == Defect::nothing_listed_when_the_principal_changes &&
                        is_listed_for_another(key, lifetime.principal);
    const bool lists = defect_ != Defect::nothing_listed_by_update && !passes;
    auto outcome =
        listing(lists, key, lifetime, [&] { return inner_.update(key, changes, lifetime); });
    const bool drops = defect_ == Defect::a_write_without_a_renewal_drops_the_entry;
    if (drops && lifetime.renew_after.count() > 0) drop(lifetime.principal, key);
    return outcome;
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    if (defect_ == Defect::old_key_dropped_before_the_new_one_is_listed) {
      drop(lifetime.principal, from);
      give_way();
    }
    const bool lists = defect_ != Defect::nothing_listed_by_rekey;
    auto moved = listing(lists, to, lifetime,
                         [&] { return inner_.rekey(from, to, changes, lifetime, grace); });
    if (defect_ != Defect::rekey_leaves_the_entry) drop_ended();
    return moved;
  }
  Result<bool> erase(const StoreKey& key, Grace grace) override {
    auto erased = inner_.erase(key, grace);
    if (defect_ != Defect::erase_leaves_the_entry) drop_ended();
    return erased;
  }

  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    const std::lock_guard lock(mutex_);
    const auto found = listed_.find(name_of(principal));
    std::vector<StoreKey> keys = found == listed_.end() ? std::vector<StoreKey>() : found->second;
    if (defect_ == Defect::lists_in_reverse) std::reverse(keys.begin(), keys.end());
    return keys;
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade /*made*/) override {
    if (defect_ == Defect::forgets_nothing) return {};
    for (const StoreKey& key : keys) drop(principal, key);
    const std::lock_guard lock(mutex_);
    if (defect_ == Defect::forgets_all) listed_.erase(name_of(principal));
    return {};
  }
  Result<void> end_frozen(const StoreKey& key) override {
    if (defect_ == Defect::ends_nothing) return {};
    if (defect_ != Defect::ends_the_successor) return inner_.end_frozen(key);
    const auto erased = inner_.erase(key);
    if (!erased.has_value()) return erased.error();
    return {};
  }

 private:
  const Defect defect_;
  MemoryStore inner_;
  std::mutex mutex_;
  std::map<std::string, std::vector<StoreKey>> listed_;
};

class Harness final : public ClockedHarness<IndexedStore> {
 public:
  using ClockedHarness<IndexedStore>::ClockedHarness;
  [[nodiscard]] int race_rounds() const override { return 5; }
};

std::vector<std::string> failures_with(Defect defect) {
  std::vector<std::string> failures;
  for (const ConformanceCase& tested : principal_index_cases()) {
    Harness harness(defect);
    for (const std::string& failure : run_conformance_case(tested, harness)) {
      failures.push_back(tested.name + ": " + failure);
    }
  }
  return failures;
}

TEST(PrincipalIndexCases, PassACorrectIndex) {
  for (const std::string& failure : failures_with(Defect::none)) ADD_FAILURE() << failure;
}

class EachIndexDefect : public ::testing::TestWithParam<int> {};

TEST_P(EachIndexDefect, IsNoticed) {
  const std::vector<std::string> failures = failures_with(static_cast<Defect>(GetParam()));
  ASSERT_FALSE(failures.empty()) << "no case failed on defect number " << GetParam();
  std::cout << failures.size() << " failures, the first: " << failures.front() << '\n';
}

INSTANTIATE_TEST_SUITE_P(Defects, EachIndexDefect,
                         ::testing::Range(1, static_cast<int>(Defect::last) + 1));

}  // namespace
}  // namespace websession::testing
