// How a decision asks a store.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "task.hpp"
#include "websession/clock.hpp"
#include "websession/principal_index.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// Whoever carries the calls of a store out. Each function does what SessionStore's or
// PrincipalIndex' of that name does. True: the answer is there (Answer::put); false: it comes later
// (Answer::give). What a call refers to stays until it is answered.
class StoreDriver {
 public:
  StoreDriver() = default;
  StoreDriver(const StoreDriver&) = delete;
  StoreDriver& operator=(const StoreDriver&) = delete;

  virtual bool load(const StoreKey& key, Answer<Result<std::optional<Record>>>& answer) = 0;
  virtual bool create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
                      Answer<Result<void>>& answer) = 0;
  virtual bool update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
                      Answer<Result<Outcome>>& answer) = 0;
  virtual bool rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                     Lifetime lifetime, Grace grace, Answer<Result<Outcome>>& answer) = 0;
  virtual bool erase(const StoreKey& key, Grace grace, Answer<Result<bool>>& answer) = 0;

  // Precondition of these: the store has a PrincipalIndex.
  virtual bool entries(std::string_view principal,
                       Answer<Result<std::vector<StoreKey>>>& answer) = 0;
  virtual bool forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
                      Answer<Result<void>>& answer) = 0;
  virtual bool end_frozen(const StoreKey& key, Answer<Result<void>>& answer) = 0;

  // Answers when the time has passed.
  virtual bool pause(std::chrono::microseconds time, Answer<Result<void>>& answer) = 0;

 protected:
  ~StoreDriver() = default;
};

// The calls of one operation, which have one deadline together: when it has come, the answer to
// whatever is asked next is `timeout`, and the store is not called. A call that runs by then is not
// cut short. So the operation ends by its deadline and the time of one call (and of what is asked
// in Overtime).
//
// What an Ask refers to is the caller's, and must outlive it, so nothing temporary is taken.
class StoreFlow final : public Flow {
 private:
  // First, since the type of what the others give comes from it.
  template <class T, class Call>
  auto ask(Call call) {
    const auto start = [this, call](Answer<T>& answer) {
      if (!is_over()) return call(answer);
      has_timed_out_ = true;
      answer.put(T(timed_out()));
      return true;
    };
    return Ask<T, decltype(start)>(start);
  }

 public:
  // While it lives, half of the time that is left has to do: for a step that the operation can do
  // without, but not without what comes after it.
  class HalfTheTime {
   public:
    explicit HalfTheTime(StoreFlow& flow) : flow_(flow), until_(flow.deadline()) {
      if (!until_) return;
      const SteadyTime now = flow.clock_->steady();
      flow.until_ = now + (*until_ - now) / 2;
    }
    HalfTheTime(const HalfTheTime&) = delete;
    HalfTheTime& operator=(const HalfTheTime&) = delete;
    ~HalfTheTime() { flow_.until_ = until_; }

   private:
    StoreFlow& flow_;
    const std::optional<SteadyTime> until_;
  };

  // While it lives, the deadline does not count: for the few calls that must be made whatever came
  // before them.
  class Overtime {
   public:
    explicit Overtime(StoreFlow& flow) noexcept : flow_(flow), clock_(flow.clock_) {
      flow.clock_ = nullptr;
    }
    Overtime(const Overtime&) = delete;
    Overtime& operator=(const Overtime&) = delete;
    ~Overtime() { flow_.clock_ = clock_; }

   private:
    StoreFlow& flow_;
    const Clock* const clock_;
  };

  // Without a deadline.
  StoreFlow(Arena& arena, StoreDriver& driver) noexcept : Flow(arena), driver_(driver) {}
  StoreFlow(Arena& arena, StoreDriver& driver, const Clock& clock,
            std::chrono::milliseconds timeout) noexcept
      : Flow(arena), driver_(driver), clock_(&clock), timeout_(timeout) {}

  auto load(const StoreKey& key) {
    return ask<Result<std::optional<Record>>>(
        [this, &key](auto& answer) { return driver_.load(key, answer); });
  }
  auto create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
    return ask<Result<void>>([this, &key, &fields, lifetime](auto& answer) {
      return driver_.create(key, fields, lifetime, answer);
    });
  }
  auto update(const StoreKey& key, const Changes& changes, Lifetime lifetime) {
    return ask<Result<Outcome>>([this, &key, &changes, lifetime](auto& answer) {
      return driver_.update(key, changes, lifetime, answer);
    });
  }
  auto rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace) {
    return ask<Result<Outcome>>([this, &from, &to, &changes, lifetime, grace](auto& answer) {
      return driver_.rekey(from, to, changes, lifetime, grace, answer);
    });
  }
  auto erase(const StoreKey& key, Grace grace) {
    return ask<Result<bool>>(
        [this, &key, grace](auto& answer) { return driver_.erase(key, grace, answer); });
  }
  auto entries(std::string_view principal) {
    return ask<Result<std::vector<StoreKey>>>(
        [this, principal](auto& answer) { return driver_.entries(principal, answer); });
  }
  auto forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made) {
    return ask<Result<void>>([this, principal, keys, made](auto& answer) {
      return driver_.forget(principal, keys, made, answer);
    });
  }
  auto end_frozen(const StoreKey& key) {
    return ask<Result<void>>(
        [this, &key](auto& answer) { return driver_.end_frozen(key, answer); });
  }
  auto pause(std::chrono::microseconds time) {
    return ask<Result<void>>([this, time](auto& answer) { return driver_.pause(time, answer); });
  }

  // How long a call that is made now may take. None: there is no deadline.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_left() const {
    if (clock_ == nullptr || !until_) return std::nullopt;
    return std::max(*until_ - clock_->steady(), SteadyTime::duration(0));
  }
  // Whether anything was asked after the deadline, and what that was answered.
  [[nodiscard]] bool has_timed_out() const noexcept { return has_timed_out_; }
  [[nodiscard]] static Error timed_out() {
    return make_error(Errc::timeout,
                      "the time for one operation is over (SessionOptions::operation_timeout)");
  }

  auto load(StoreKey&&) = delete;
  auto create(StoreKey&&, const Fields&, Lifetime) = delete;
  auto update(StoreKey&&, const Changes&, Lifetime) = delete;
  auto erase(StoreKey&&, Grace) = delete;
  auto end_frozen(StoreKey&&) = delete;

 private:
  // The operation begins with its first question. None: there is no deadline.
  std::optional<SteadyTime> deadline() {
    if (clock_ != nullptr && !until_) until_ = clock_->steady() + timeout_;
    return until_;
  }
  [[nodiscard]] bool is_over() {
    if (clock_ == nullptr) return false;
    const bool is_first = !until_;
    const std::optional<SteadyTime> until = deadline();
    return !is_first && clock_->steady() >= *until;
  }

  StoreDriver& driver_;
  const Clock* clock_ = nullptr;
  std::chrono::milliseconds timeout_{};
  std::optional<SteadyTime> until_{};
  bool has_timed_out_ = false;
};

}  // namespace websession::internal
