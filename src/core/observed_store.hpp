// A store that passes every call on, and tells an observer what came of it and how long it took.
#pragma once

#include <memory>

#include "websession/clock.hpp"
#include "websession/observer.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

// A decorator, so that whoever does without an observer pays nothing, and whoever calls the store
// need not think of one. It has a PrincipalIndex if the store has one.
[[nodiscard]] std::shared_ptr<SessionStore> observe(std::shared_ptr<SessionStore> store,
                                                    std::shared_ptr<Observer> observer,
                                                    std::shared_ptr<const Clock> clock);

}  // namespace websession::internal
