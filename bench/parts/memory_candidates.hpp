// What people would otherwise keep sessions in, behind the two verbs that are compared.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#ifdef WEBSESSION_BENCH_ABSL
#include <absl/container/flat_hash_map.h>
#endif

#include "session_data.hpp"
#include "websession/memory_store.hpp"

namespace websession::bench {

// Each candidate: add(id), load(id) — a snapshot that stays as it is, whatever other threads do;
// none when there is no such session — and save(id, name, value): one field and the expiry.

using StringMap = std::unordered_map<std::string, std::string>;

inline StringMap string_map() {
  StringMap map;
  for (const auto& [name, value] : session_data) map.emplace(name, value);
  return map;
}

// A map of maps under so many locks; load gives a deep copy.
template <template <class...> class Map, std::size_t Shards>
class DeepCopies {
 public:
  void add(const std::string& id) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    shard.sessions[id] = {string_map(), Clock::now() + lifetime};
  }
  std::optional<StringMap> load(const std::string& id) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.sessions.find(id);
    if (found == shard.sessions.end() || found->second.ends <= Clock::now()) return std::nullopt;
    return found->second.fields;
  }
  static std::string_view csrf(const StringMap& fields) { return fields.find("csrf")->second; }
  bool save(const std::string& id, const std::string& name, const std::string& value) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.sessions.find(id);
    const auto now = Clock::now();
    if (found == shard.sessions.end() || found->second.ends <= now) return false;
    found->second.fields[name] = value;
    found->second.ends = now + lifetime;
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes lifetime{30};
  struct Kept {
    StringMap fields;
    Clock::time_point ends;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    Map<std::string, Kept> sessions;
  };
  Shard& shard_of(const std::string& id) {
    return shards_[(std::hash<std::string>{}(id) >> 48U) % Shards];
  }
  std::array<Shard, Shards> shards_;
};

template <class... T>
using StdMap = std::unordered_map<T...>;
using OneMutex = DeepCopies<StdMap, 1>;
using Sharded = DeepCopies<StdMap, 64>;
#ifdef WEBSESSION_BENCH_ABSL
template <class... T>
using AbslMap = absl::flat_hash_map<T...>;
using AbslSharded = DeepCopies<AbslMap, 64>;
#endif

// The library's store, by its public interface: with ids, changes and results as a host has them.
class Ours {
 public:
  void add(const std::string& id) {
    static_cast<void>(store_.create(StoreKey(id), session_fields(), lifetime));
  }
  std::optional<Record> load(const std::string& id) {
    Result<std::optional<Record>> record = store_.load(StoreKey(id));
    return record.has_value() ? *std::move(record) : std::nullopt;
  }
  static std::string_view csrf(const Record& record) { return *record.fields.find("csrf"); }
  bool save(const std::string& id, const std::string& name, const std::string& value) {
    Changes changes;
    changes.set.push_back({name, value});
    const Result<Outcome> outcome = store_.update(StoreKey(id), changes, lifetime);
    return outcome && outcome->status == Outcome::Status::applied;
  }

 private:
  static constexpr Lifetime lifetime{std::chrono::minutes(30)};
  MemoryStore store_{MemoryOptions{.sessions_max = 4'000'000,
                                   .bytes_max = std::numeric_limits<std::size_t>::max()}};
};

}  // namespace websession::bench
