// The table, the queue and the pool of a shard, each against something plain.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "entry_pool.hpp"
#include "expiry_queue.hpp"
#include "key_table.hpp"
#include "random.hpp"

namespace websession::memory {
namespace {

SteadyTime at(std::size_t ms) { return SteadyTime(std::chrono::milliseconds(ms)); }

// Few different hashes, so that keys collide, in what the table keeps of the hash and in the slot
// alone; and keys with and without a cell of the pool. What it does not keep differs.
TEST(KeyTable, AgreesWithAMap) {
  testing::Random random;
  EntryPool pool;
  KeyTable table;
  std::map<std::string, Entry*> plain;
  const auto hash = [](const std::string& key) {
    return std::hash<std::string>{}(key) % 200 * 3 | key.size() << 32U;
  };
  for (std::size_t step = 0; step < 20'000; ++step) {
    const bool grows = step / 2000 % 2 == 0;
    const std::string key(1 + random.below(60), static_cast<char>('a' + random.below(20)));
    const auto found = plain.find(key);
    if (found != plain.end()) {
      found->second->fields = Fields{{"a", std::string(random.below(9), 'x')}};
      table.note_fields(hash(key), found->second);
    }
    ASSERT_EQ(table.find(hash(key), key), found == plain.end() ? nullptr : found->second);
    if (found == plain.end() && (grows || random.below(4) == 0)) {
      table.reserve_one();
      auto entry = Entry::make(pool, StoreKey(key), Fields{{"a", "1"}}, at(step));
      plain.emplace(key, entry.get());
      table.insert(hash(key), std::move(entry));
    } else if (found != plain.end() && (!grows || random.below(4) == 0)) {
      const Entry::Pointer entry = table.extract(hash(key), found->second);
      EXPECT_EQ(entry->key(), key);
      plain.erase(found);
    }
    ASSERT_EQ(table.size(), plain.size());
  }
  for (const auto& [key, entry] : plain) EXPECT_EQ(table.find(hash(key), key), entry);
}

TEST(ExpiryQueue, AgreesWithASet) {
  testing::Random random;
  EntryPool pool;
  std::map<const Entry*, Entry::Pointer> entries;
  std::set<std::pair<SteadyTime, Entry*>> plain;
  ExpiryQueue queue;
  for (std::size_t step = 0; step < 20'000; ++step) {
    const bool grows = step / 2000 % 2 == 0;
    Entry* some = plain.empty() ? nullptr
                                : std::next(plain.begin(),
                                            static_cast<std::ptrdiff_t>(random.below(plain.size())))
                                      ->second;
    if (some == nullptr || random.below(3) < (grows ? 2U : 1U)) {
      auto entry = Entry::make(pool, StoreKey(std::to_string(step)), {}, at(random.below(500)));
      queue.reserve_one();
      queue.push(*entry);
      plain.emplace(entry->expires_at, entry.get());
      entries.emplace(entry.get(), std::move(entry));
    } else if (random.below(2) == 0) {
      if (random.below(2) == 0) some = &queue.first();
      plain.erase({queue.due(*some), some});
      queue.erase(*some);
      entries.erase(some);
    } else {
      plain.erase({queue.due(*some), some});
      some->expires_at = at(random.below(500));
      queue.move_to_expiry(*some);
      plain.emplace(some->expires_at, some);
    }
    ASSERT_EQ(queue.empty(), plain.empty());
    ASSERT_EQ(queue.first_due(), plain.empty() ? SteadyTime::max() : plain.begin()->first);
    ASSERT_EQ(queue.second() == nullptr, plain.size() < 2);
    if (plain.size() < 2) continue;
    ASSERT_EQ(queue.due(*queue.second()), std::next(plain.begin())->first);
    ASSERT_NE(queue.second(), &queue.first());
  }
}

// Cells never overlap, whatever the order in which they come and go.
TEST(EntryPool, GivesEachCellOnce) {
  testing::Random random;
  EntryPool pool;
  std::vector<std::pair<unsigned char*, unsigned char>> taken;
  for (std::size_t step = 0; step < 20'000; ++step) {
    if (taken.empty() || random.below(5) < (step / 1000 % 2 == 0 ? 3U : 2U)) {
      auto* cell = static_cast<unsigned char*>(pool.take());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(cell) % EntryPool::cell_bytes, 0U);
      const auto mark = static_cast<unsigned char>(random.below(256));
      std::fill_n(cell, EntryPool::cell_bytes, mark);
      taken.emplace_back(cell, mark);
    } else {
      std::swap(taken[random.below(taken.size())], taken.back());
      const auto [cell, mark] = taken.back();
      taken.pop_back();
      for (std::size_t i = 0; i < EntryPool::cell_bytes; ++i) ASSERT_EQ(cell[i], mark);
      EntryPool::give(cell);
    }
  }
  for (const auto& [cell, mark] : taken) EntryPool::give(cell);
}

}  // namespace
}  // namespace websession::memory
