// websession's stores as clients.
#pragma once

#include <functional>
#include <memory>

#include "client.hpp"
#include "session.hpp"
#include "websession/async/session_store.hpp"
#include "websession/session_store.hpp"

namespace websession::bench {

// Makes the sessions, by many threads.
void fill(SessionStore& store, const Keys& keys);

// One store for all threads.
std::unique_ptr<Client> make_store_client(std::shared_ptr<SessionStore> store, const Keys& keys,
                                          Renewal renewal);

// A store on event loops, each a thread with its share of what is in flight.
using MakeAsyncStore =
    std::function<std::shared_ptr<AsyncSessionStore>(const AsyncSessionStore::Reactors& loops)>;
std::unique_ptr<Client> make_loop_client(const MakeAsyncStore& make, const Keys& keys,
                                         std::size_t loops, std::size_t in_flight);

// What a result holds. Throws std::runtime_error with what went wrong.
template <class Value>
Value value_of(Result<Value> result) {
  if (!result.has_value()) throw std::runtime_error("websession: " + result.error().message());
  return *std::move(result);
}

}  // namespace websession::bench
