#include "async/async_driver.hpp"

#include "async/errors.hpp"

#include <type_traits>

#include "websession/principal_index.hpp"

namespace websession::internal {

void AsyncDriver::stop() {
  is_stopped_ = true;
  if (!has_written_ && call_) call_->stop();
}

template <class T, class AtOnce, class Later>
bool AsyncDriver::ask(Kind kind, Answer<Result<T>>& answer, const AtOnce& at_once,
                      const Later& later) {
  if (is_stopped()) {
    answer.put(canceled());
    return true;
  }
  const std::shared_ptr<AsyncSessionStore> store = store_.lock();
  if (store == nullptr) {
    answer.put(store_gone());
    return true;
  }
  if (kind == Kind::write) has_written_ = true;
  if (SessionStore* const immediate = store->immediate()) {
    answer.put(at_once(*immediate));
    return true;
  }
  call_.emplace(loop_, flow_->time_left());
  later(*store, *call_, Done<T>([this, self = owner_.self(), &answer](Result<T> result) {
    call_.reset();
    answer.give(std::move(result));
  }));
  return false;
}

bool AsyncDriver::load(const StoreKey& key, Answer<Result<std::optional<Record>>>& answer) {
  return ask(
      Kind::read, answer, [&](SessionStore& store) { return store.load(key); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<std::optional<Record>> done) {
        store.load(key, call, std::move(done));
      });
}

bool AsyncDriver::create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
                         Answer<Result<void>>& answer) {
  return ask(
      Kind::write, answer, [&](SessionStore& store) { return store.create(key, fields, lifetime); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<void> done) {
        store.create(key, fields, lifetime, call, std::move(done));
      });
}

bool AsyncDriver::update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
                         Answer<Result<Outcome>>& answer) {
  return ask(
      Kind::write, answer,
      [&](SessionStore& store) { return store.update(key, changes, lifetime); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<Outcome> done) {
        store.update(key, changes, lifetime, call, std::move(done));
      });
}

bool AsyncDriver::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace, Answer<Result<Outcome>>& answer) {
  return ask(
      Kind::write, answer,
      [&](SessionStore& store) { return store.rekey(from, to, changes, lifetime, grace); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<Outcome> done) {
        store.rekey(from, to, changes, lifetime, grace, call, std::move(done));
      });
}

bool AsyncDriver::erase(const StoreKey& key, Grace grace, Answer<Result<bool>>& answer) {
  return ask(
      Kind::write, answer, [&](SessionStore& store) { return store.erase(key, grace); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<bool> done) {
        store.erase(key, grace, call, std::move(done));
      });
}

bool AsyncDriver::entries(std::string_view principal,
                          Answer<Result<std::vector<StoreKey>>>& answer) {
  return ask(
      Kind::read, answer, [&](SessionStore& store) { return store.index()->entries(principal); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<std::vector<StoreKey>> done) {
        store.index()->entries(principal, call, std::move(done));
      });
}

bool AsyncDriver::forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
                         Answer<Result<void>>& answer) {
  return ask(
      Kind::write, answer,
      [&](SessionStore& store) { return store.index()->forget(principal, keys, made); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<void> done) {
        store.index()->forget(principal, keys, made, call, std::move(done));
      });
}

bool AsyncDriver::end_frozen(const StoreKey& key, Answer<Result<void>>& answer) {
  return ask(
      Kind::write, answer, [&](SessionStore& store) { return store.index()->end_frozen(key); },
      [&](AsyncSessionStore& store, AsyncCall& call, Done<void> done) {
        store.index()->end_frozen(key, call, std::move(done));
      });
}

bool AsyncDriver::pause(std::chrono::microseconds time, Answer<Result<void>>& answer) {
  pause_ = reactor_->timer([this, self = owner_.self(), &answer] {
    // Beyond the timer that this is called by.
    const auto keep = self;  // NOLINT(performance-unnecessary-copy-initialization)
    pause_.reset();
    answer.give(Result<void>());
  });
  pause_->arm(reactor_->now() + time);
  return false;
}

}  // namespace websession::internal
