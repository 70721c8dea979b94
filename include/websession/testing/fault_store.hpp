// A store that fails when it is told to, to test how a handler meets an outage.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "websession/principal_index.hpp"
#include "websession/store_decorator.hpp"

namespace websession::testing {

// Passes every call on to another store, but for those that a test chose to fail. Safe to call from
// many threads at once, fail_call and its like aside.
//
//   for (std::size_t n = 1; …; ++n) { store.fail_call(n, …); run the scenario; check; }
//
// The other store's PrincipalIndex, if it has one, is reached through it as well, with calls that
// count.
class FaultStore final : public StoreDecorator, private PrincipalIndex {
 public:
  enum class Moment {
    before,  // nothing is passed on
    after,   // applied, and the answer is lost: the error says maybe_applied
  };

  using StoreDecorator::StoreDecorator;

  // The n-th call from now on (from 1) fails once with this error.
  void fail_call(std::size_t n, Error error, Moment moment = Moment::before) {
    fail_at_ = calls_ + n;
    last_failing_ = fail_at_;
    prepare(std::move(error), moment);
  }
  // All calls fail from now on: an outage.
  void fail_all(Error error, Moment moment = Moment::before) {
    fail_at_ = calls_ + 1;
    last_failing_ = static_cast<std::size_t>(-1);
    prepare(std::move(error), moment);
  }
  void recover() { fail_at_ = static_cast<std::size_t>(-1); }

  // Calls so far, failed ones included.
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

  Result<std::optional<Record>> load(const StoreKey& key) override {
    return pass<Result<std::optional<Record>>>([&] { return inner().load(key); });
  }
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    return pass<Result<void>>([&] { return inner().create(key, fields, lifetime); });
  }
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    return pass<Result<Outcome>>([&] { return inner().update(key, changes, lifetime); });
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    return pass<Result<Outcome>>([&] { return inner().rekey(from, to, changes, lifetime, grace); });
  }
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override {
    return pass<Result<bool>>([&] { return inner().erase(key, grace); });
  }

  [[nodiscard]] PrincipalIndex* index() noexcept override {
    return inner().index() != nullptr ? this : nullptr;
  }

 private:
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return pass<Result<std::vector<StoreKey>>>([&] { return inner().index()->entries(principal); });
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override {
    return pass<Result<void>>([&] { return inner().index()->forget(principal, keys, made); });
  }
  Result<void> end_frozen(const StoreKey& key) override {
    return pass<Result<void>>([&] { return inner().index()->end_frozen(key); });
  }

  void prepare(Error error, Moment moment) {
    error_ = std::move(error);
    error_.maybe_applied = moment == Moment::after;
    moment_ = moment;
  }

  template <class R, class Call>
  R pass(Call call) {
    const std::size_t number = ++calls_;
    if (number < fail_at_ || number > last_failing_) return call();
    if (moment_ == Moment::after) (void)call();
    return error_;
  }

  std::atomic<std::size_t> calls_ = 0;
  std::size_t fail_at_ = static_cast<std::size_t>(-1);
  std::size_t last_failing_ = 0;
  Error error_;
  Moment moment_ = Moment::before;
};

}  // namespace websession::testing
