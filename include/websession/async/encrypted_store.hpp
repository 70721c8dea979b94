// Attributes encrypted before they leave the process, on an event loop.
#pragma once

#include <memory>

#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/encrypted_store.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What EncryptedStore is (encrypted_store.hpp), upon an asynchronous store: both read what the
// other has written. (An EncryptedStore upon a store that never waits can be had as immediate() or
// on_threads(), too.)
//
// Errors: invalid_argument, as EncryptedStore::make.
Result<std::shared_ptr<AsyncSessionStore>> encrypted(std::shared_ptr<AsyncSessionStore> store,
                                                     EncryptionOptions options);

}  // namespace websession
WEBSESSION_API_END
