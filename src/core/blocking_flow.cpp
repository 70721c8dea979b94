#include "blocking_flow.hpp"

#include <thread>

namespace websession::internal {

bool BlockingDriver::load(const StoreKey& key, Answer<Result<std::optional<Record>>>& answer) {
  answer.put(store_.load(key));
  return true;
}

bool BlockingDriver::create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
                            Answer<Result<void>>& answer) {
  answer.put(store_.create(key, fields, lifetime));
  return true;
}

bool BlockingDriver::update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
                            Answer<Result<Outcome>>& answer) {
  answer.put(store_.update(key, changes, lifetime));
  return true;
}

bool BlockingDriver::rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                           Lifetime lifetime, Grace grace, Answer<Result<Outcome>>& answer) {
  answer.put(store_.rekey(from, to, changes, lifetime, grace));
  return true;
}

bool BlockingDriver::erase(const StoreKey& key, Grace grace, Answer<Result<bool>>& answer) {
  answer.put(store_.erase(key, grace));
  return true;
}

bool BlockingDriver::entries(std::string_view principal,
                             Answer<Result<std::vector<StoreKey>>>& answer) {
  answer.put(store_.index()->entries(principal));
  return true;
}

bool BlockingDriver::forget(std::string_view principal, std::span<const StoreKey> keys,
                            BeingMade made, Answer<Result<void>>& answer) {
  answer.put(store_.index()->forget(principal, keys, made));
  return true;
}

bool BlockingDriver::end_frozen(const StoreKey& key, Answer<Result<void>>& answer) {
  answer.put(store_.index()->end_frozen(key));
  return true;
}

bool BlockingDriver::pause(std::chrono::microseconds time, Answer<Result<void>>& answer) {
  std::this_thread::sleep_for(time);
  answer.put(Result<void>());
  return true;
}

}  // namespace websession::internal
