// A session as the store holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "entry_pool.hpp"
#include "websession/clock.hpp"
#include "websession/fields.hpp"
#include "websession/session_id.hpp"

namespace websession::memory {

// Anonymous sessions make room for signed-in ones.
enum class Kind : std::uint8_t { anonymous, signed_in };
inline constexpr std::size_t kind_count = 2;

[[nodiscard]] Kind kind_of(const Fields& fields) noexcept;

// One piece of memory holds this and, right after it, the key's characters: a cell of the pool if
// the key is no longer than ours. The fields are a block of their own, which snapshots share.
class Entry {
 public:
  struct Deleter {
    void operator()(Entry* entry) const noexcept;
  };
  using Pointer = std::unique_ptr<Entry, Deleter>;

  // The pool has to be there, and to be safe from other threads, when the entry ends, too.
  static Pointer make(EntryPool& pool, const StoreKey& key, Fields fields, SteadyTime expires_at);

  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() = default;

  [[nodiscard]] std::string_view key() const noexcept {
    return {reinterpret_cast<const char*>(this + 1), key_size_};
  }
  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(kind_); }
  void set_kind(Kind kind) noexcept { kind_ = static_cast<std::uint32_t>(kind) & 1U; }
  // What it is by now. All but `session` are marks, under which nothing can be written.
  enum class State : std::uint8_t {
    session,
    frozen,  // replaced: its fields are the old state
    over,    // replaced, or ended, if it has no successor; it has no fields
    passed,  // the same, and its successor is another principal's
  };
  [[nodiscard]] State state() const noexcept { return static_cast<State>(state_); }
  [[nodiscard]] bool is_session() const noexcept { return state() == State::session; }
  [[nodiscard]] bool is_frozen() const noexcept { return state() == State::frozen; }
  void set_state(State state) noexcept { state_ = static_cast<std::uint32_t>(state) & 3U; }

  // What ends it: the absolute timeout, or no requests.
  [[nodiscard]] bool is_absolute() const noexcept { return is_absolute_ != 0; }
  void set_absolute(bool is_absolute) noexcept { is_absolute_ = is_absolute ? 1 : 0; }

  // What a session takes: this and its key, its fields, its share of the table, of the queue and,
  // if somebody has signed in, of the index.
  [[nodiscard]] static std::size_t bytes(std::size_t key_size, const Fields& fields) noexcept;
  [[nodiscard]] static std::size_t successor_bytes(const StoreKey& successor) noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

  Fields fields;
  SteadyTime expires_at;
  std::unique_ptr<const StoreKey> successor{};  // of one that was replaced

  // In its queue.
  [[nodiscard]] std::uint32_t place() const noexcept { return place_; }
  void set_place(std::size_t place) noexcept {
    place_ = static_cast<std::uint32_t>(place) & place_max;
  }
  static constexpr std::uint32_t place_max = (1U << 28U) - 1;

 private:
  Entry(std::size_t key_size, Fields all, SteadyTime end) noexcept;
  static bool fits_cell(std::size_t key_size) noexcept;

  static constexpr std::uint32_t key_size_max = INT32_MAX;
  // The index reads keys without the shard's lock, so this shares no word with what changes.
  const std::uint32_t key_size_;
  std::uint32_t place_ : 28 = 0;
  std::uint32_t kind_ : 1;
  std::uint32_t state_ : 2 = 0;
  std::uint32_t is_absolute_ : 1 = 0;
};

}  // namespace websession::memory
