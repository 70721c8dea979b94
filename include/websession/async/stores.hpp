// Stores that know nothing of event loops, on event loops.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A store that never waits, as MemoryStore, or an EncryptedStore upon one: it is called on the loop
// itself. For one that waits, that would be the end of every loop's punctuality: see on_threads.
//
// Errors: invalid_argument.
Result<std::shared_ptr<AsyncSessionStore>> immediate(std::shared_ptr<SessionStore> store,
                                                     AsyncSessionStore::Reactors reactors);

struct ThreadOptions {
  std::size_t threads = 4;  // 1 to 256; so many calls run at once
  // So many more calls wait for a thread; what comes then is `overloaded`.
  std::size_t pending_max = 4096;
  std::chrono::milliseconds operation_timeout = std::chrono::seconds(10);  // of each call
};

// Any store, called on threads of its own, that begin with this and end with the store that it
// gives: its destructor waits for the calls that run.
//
// A call that is not answered by operation_timeout, or by its own, or that is stopped, is answered
// without waiting for the thread: one that had not begun is taken back; a write that had says
// maybe_applied, and goes on. After a fork the child has none of the threads, and is told
// `unavailable`.
//
// Errors: invalid_argument; unavailable, no thread.
Result<std::shared_ptr<AsyncSessionStore>> on_threads(std::shared_ptr<SessionStore> store,
                                                      AsyncSessionStore::Reactors reactors,
                                                      ThreadOptions options = {});

}  // namespace websession
WEBSESSION_API_END
