// What a store holds, against what it may hold.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace websession::memory {

// Sessions and bytes, counted for all shards together. Never above the caps. Thread-safe.
class Budget {
 public:
  Budget(std::size_t sessions_max, std::size_t bytes_max) noexcept
      : sessions_(sessions_max), bytes_(bytes_max) {}

  // Both or none; false: there is no room.
  [[nodiscard]] bool take(std::size_t sessions, std::size_t bytes) noexcept {
    if (!sessions_.take(sessions)) return false;
    if (bytes_.take(bytes)) return true;
    sessions_.give(sessions);
    return false;
  }
  void give(std::size_t sessions, std::size_t bytes) noexcept {
    sessions_.give(sessions);
    bytes_.give(bytes);
  }

  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.taken(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.taken(); }
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_.max(); }

 private:
  class Account {
   public:
    explicit Account(std::size_t max) noexcept : max_(max) {}
    [[nodiscard]] bool take(std::size_t amount) noexcept {
      if (amount == 0) return true;
      std::size_t taken = taken_.load(std::memory_order_relaxed);
      do {
        if (amount > max_ - taken) return false;
      } while (!taken_.compare_exchange_weak(taken, taken + amount, std::memory_order_relaxed));
      return true;
    }
    void give(std::size_t amount) noexcept {
      if (amount != 0) taken_.fetch_sub(amount, std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t taken() const noexcept {
      return taken_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t max() const noexcept { return max_; }

   private:
    std::atomic<std::size_t> taken_ = 0;
    const std::size_t max_;
  };

  Account sessions_;
  Account bytes_;
};

// Room that one call has taken and not filled yet. What is left of it goes back at its end.
class Room {
 public:
  explicit Room(Budget& budget) noexcept : budget_(budget) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { budget_.give(sessions_, bytes_); }

  // Makes it at least so large; false: the budget does not allow it, and nothing has changed.
  [[nodiscard]] bool grow_to(std::size_t sessions, std::size_t bytes) noexcept {
    const std::size_t more_sessions = sessions > sessions_ ? sessions - sessions_ : 0;
    const std::size_t more_bytes = bytes > bytes_ ? bytes - bytes_ : 0;
    if (!budget_.take(more_sessions, more_bytes)) return false;
    sessions_ += more_sessions;
    bytes_ += more_bytes;
    return true;
  }

  // So much of it belongs to sessions of the store now. Precondition: it is that large.
  void fill(std::size_t sessions, std::size_t bytes) noexcept {
    sessions_ -= sessions;
    bytes_ -= bytes;
  }

 private:
  Budget& budget_;
  std::size_t sessions_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace websession::memory
