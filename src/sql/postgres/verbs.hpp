// The verbs of the store, each of a few queries: it reads the row, decides, and writes the version
// that it has read. What a verb is given stays until it is answered.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "query_flow.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

namespace websession::postgres {

Task<Result<std::optional<Record>>> load(QueryFlow& flow, const StoreKey& key);
Task<Result<void>> create(QueryFlow& flow, const StoreKey& key, const Fields& fields,
                          const Lifetime& lifetime);
Task<Result<Outcome>> update(QueryFlow& flow, const StoreKey& key, const Changes& changes,
                             const Lifetime& lifetime);
Task<Result<Outcome>> rekey(QueryFlow& flow, const StoreKey& from, const StoreKey& to,
                            const Changes& changes, const Lifetime& lifetime, const Grace& grace);
Task<Result<bool>> erase(QueryFlow& flow, const StoreKey& key, const Grace& grace);
Task<Result<std::vector<StoreKey>>> list(QueryFlow& flow, std::string_view principal,
                                         std::size_t at_most);
Task<Result<DirectoryPage>> page(QueryFlow& flow, const DirectoryCursor& after, std::size_t about);
Task<Result<SessionCount>> count(QueryFlow& flow);
// Takes from frozen records what can be read in them.
Task<Result<void>> strip(QueryFlow& flow, std::span<const StoreKey> keys);
// Removes expired rows, and gives how many.
Task<Result<std::size_t>> drop_expired(QueryFlow& flow, std::size_t at_most);

}  // namespace websession::postgres
