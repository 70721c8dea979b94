// The verbs of a store upon rows.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "successors.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

namespace websession::sqlite {

// What is under a key.
struct Found {
  Record record;
  std::optional<StoreKey> successor{};  // of a frozen record, which is over when that has ended
};
Result<std::optional<Found>> find(Connection& connection, const StoreKey& key, const Clock& clock);
Result<internal::Link<StoreKey>> look(Connection& connection, const StoreKey& key,
                                      const Clock& clock);
Result<std::vector<StoreKey>> list(Connection& connection, std::string_view principal,
                                   std::size_t at_most, const Clock& clock);
Result<DirectoryPage> page(Connection& connection, const DirectoryCursor& after, std::size_t about,
                           const Clock& clock);
Result<SessionCount> count(Connection& connection, const Clock& clock);

// What a write is done in. When a statement fails (Connection::failure), nothing of it is kept.
struct Transaction {
  Connection& connection;
  WallTime now;              // read when the file was locked: nobody else writes
  std::size_t inserted = 0;  // rows that are new
};
Result<void> create(Transaction& transaction, const StoreKey& key, const Fields& fields,
                    const Lifetime& lifetime);
Result<Outcome> update(Transaction& transaction, const StoreKey& key, const Changes& changes,
                       const Lifetime& lifetime);
Result<Outcome> rekey(Transaction& transaction, const StoreKey& from, const StoreKey& to,
                      const Changes& changes, const Lifetime& lifetime, const Grace& grace);
Result<bool> erase(Transaction& transaction, const StoreKey& key, const Grace& grace);
// Takes from a frozen record what can be read in it.
Result<void> strip(Transaction& transaction, const StoreKey& key);
// Removes expired rows, and gives how many.
Result<std::size_t> drop_expired(Transaction& transaction, std::size_t at_most);

}  // namespace websession::sqlite
