// How an AsyncRedisStore is put together. Tests make one over a connector of their own.
#pragma once

#include <memory>

#include "event/loop_connector.hpp"
#include "greeting.hpp"
#include "websession/async/callback.hpp"
#include "websession/async/session_store.hpp"
#include "websession/redis_store.hpp"

namespace websession::redis {

using MakeLoopConnector =
    Callback<std::unique_ptr<LoopConnector>(const std::shared_ptr<Reactor>& loop)>;

std::shared_ptr<AsyncSessionStore> make_async_store(AsyncSessionStore::Reactors reactors,
                                                    MakeLoopConnector make_connector,
                                                    const Login& login,
                                                    const RedisOptions& options);

}  // namespace websession::redis
