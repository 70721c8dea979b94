#include "async/observe.hpp"

#include <utility>

#include "async/decorating_store.hpp"
#include "observed_calls.hpp"
#include "observed_store.hpp"
#include "websession/async/stores.hpp"

namespace websession::internal {

std::shared_ptr<AsyncSessionStore> observe(std::shared_ptr<AsyncSessionStore> store,
                                           std::shared_ptr<Observer> observer,
                                           std::shared_ptr<const Clock> clock) {
  if (SessionStore* const immediate_store = store->immediate()) {
    std::shared_ptr<SessionStore> inner(store, immediate_store);
    auto observed = observe(std::move(inner), std::move(observer), std::move(clock));
    return immediate(std::move(observed), store->reactors()).value();
  }
  return std::make_shared<DecoratingStore<ObservedCalls>>(
      std::move(store),
      std::make_shared<const ObservedCalls>(std::move(observer), std::move(clock)));
}

}  // namespace websession::internal
