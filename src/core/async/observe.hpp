// An asynchronous store whose calls an observer hears of.
#pragma once

#include <memory>

#include "websession/async/session_store.hpp"
#include "websession/clock.hpp"
#include "websession/observer.hpp"

namespace websession::internal {

std::shared_ptr<AsyncSessionStore> observe(std::shared_ptr<AsyncSessionStore> store,
                                           std::shared_ptr<Observer> observer,
                                           std::shared_ptr<const Clock> clock);

}  // namespace websession::internal
