// What an observer hears of a store's calls.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "kept_keys.hpp"
#include "store_flow.hpp"
#include "websession/clock.hpp"
#include "websession/observer.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// The calls of the store that the flow asks, told.
class ObservedCalls {
 public:
  ObservedCalls(std::shared_ptr<Observer> observer, std::shared_ptr<const Clock> clock)
      : observer_(std::move(observer)), clock_(std::move(clock)) {}

  Task<Result<std::optional<Record>>> load(StoreFlow& flow, const StoreKey& key) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.load(key);
    Result<std::optional<Record>>& record = co_await call;
    tell_call(StoreVerb::load, SessionRef(key), start, record);
    if (record.has_value()) tell(kind_of(*record), key);
    co_return std::move(record);
  }

  Task<Result<void>> create(StoreFlow& flow, const StoreKey& key, const Fields& fields,
                            Lifetime lifetime) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.create(key, fields, lifetime);
    Result<void>& created = co_await call;
    tell_call(StoreVerb::create, SessionRef(key), start, created);
    if (created) tell(SessionEvent::Kind::created, key);
    co_return std::move(created);
  }

  Task<Result<Outcome>> update(StoreFlow& flow, const StoreKey& key, const Changes& changes,
                               Lifetime lifetime) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.update(key, changes, lifetime);
    Result<Outcome>& outcome = co_await call;
    tell_call(StoreVerb::update, SessionRef(key), start, outcome);
    if (outcome && outcome->status == Outcome::Status::applied) {
      tell(changes.empty() ? SessionEvent::Kind::renewed : SessionEvent::Kind::updated, key);
    } else if (outcome) {
      tell_refusal(outcome->status, key);
    }
    co_return std::move(outcome);
  }

  Task<Result<Outcome>> rekey(StoreFlow& flow, const StoreKey& from, const StoreKey& to,
                              const Changes& changes, Lifetime lifetime, Grace grace) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.rekey(from, to, changes, lifetime, grace);
    Result<Outcome>& outcome = co_await call;
    tell_call(StoreVerb::rekey, SessionRef(from), start, outcome);
    if (outcome && outcome->status == Outcome::Status::applied) {
      SessionEvent event{SessionEvent::Kind::regenerated, SessionRef(to), SessionRef(from)};
      if (changes.clear_reserved) event.end = EndReason::signed_out;  // it has passed on
      observer_->tell(event);
    } else if (outcome) {
      tell_refusal(outcome->status, from);
    }
    co_return std::move(outcome);
  }

  Task<Result<bool>> erase(StoreFlow& flow, const StoreKey& key, Grace grace) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.erase(key, grace);
    Result<bool>& erased = co_await call;
    tell_call(StoreVerb::erase, SessionRef(key), start, erased);
    co_return std::move(erased);
  }

  Task<Result<std::vector<StoreKey>>> entries(StoreFlow& flow, std::string_view principal) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.entries(principal);
    Result<std::vector<StoreKey>>& keys = co_await call;
    tell_call(StoreVerb::entries, SessionRef(), start, keys);
    co_return std::move(keys);
  }

  Task<Result<void>> forget(StoreFlow& flow, std::string_view principal,
                            std::span<const StoreKey> keys, BeingMade made) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.forget(principal, keys, made);
    Result<void>& forgotten = co_await call;
    tell_call(StoreVerb::forget, SessionRef(), start, forgotten);
    co_return std::move(forgotten);
  }

  Task<Result<void>> end_frozen(StoreFlow& flow, const StoreKey& key) const {
    const SteadyTime start = clock_->steady();
    auto call = flow.end_frozen(key);
    Result<void>& ended = co_await call;
    tell_call(StoreVerb::end_frozen, SessionRef(key), start, ended);
    co_return std::move(ended);
  }

 private:
  template <class T>
  void tell_call(StoreVerb verb, SessionRef session, SteadyTime start,
                 const Result<T>& result) const {
    StoreCall told{verb, session, clock_->steady() - start};
    if (!result.has_value()) told.error = &result.error();
    observer_->tell(told);
  }
  static SessionEvent::Kind kind_of(const std::optional<Record>& record) {
    if (!record) return SessionEvent::Kind::not_found;
    return record->is_over() ? SessionEvent::Kind::late : SessionEvent::Kind::loaded;
  }
  void tell(SessionEvent::Kind kind, const StoreKey& key) const {
    if (!is_session_key(key)) return;  // nothing that happens to a session
    observer_->tell(SessionEvent{kind, SessionRef(key)});
  }
  void tell_refusal(Outcome::Status status, const StoreKey& key) const {
    tell(status == Outcome::Status::gone ? SessionEvent::Kind::gone : SessionEvent::Kind::conflict,
         key);
  }

  std::shared_ptr<Observer> observer_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace websession::internal
